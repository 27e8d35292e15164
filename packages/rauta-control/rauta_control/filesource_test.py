"""The file source on a real folder, with a sink that remembers. Everything waits for what happens, never for time."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path

import pytest
import uvloop
import watchfiles

from rauta_control import filesource
from rauta_control.filesource import FileSource
from rauta_control.kinds import AnyResource
from rauta_control.log import Log
from rauta_control.samples_test import service
from rauta_control.source import Fault
from rauta_control.world import Key


class Memory:
    """A sink: the objects there are, by name with their port."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.faults: list[str] = []
        self.complete = 0
        self.edits = 0
        self.kept: dict[str, tuple[AnyResource, ...]] = {}
        self.forgets = 0  # times that `keep` fails
        self._news = asyncio.Event()

    def edit(self, objects: Mapping[Key, AnyResource | None]) -> None:
        self.edits += 1
        for key, resource in objects.items():
            if resource is None:
                del self.ports[key.name]
            else:
                self.ports[key.name] = resource.spec.ports[0].port  # type: ignore[union-attr]
        self._news.set()

    def report(self, faults: Sequence[Fault]) -> None:
        self.faults = [str(fault) for fault in faults]
        self._news.set()

    def synced(self) -> None:
        self.complete += 1
        self._news.set()

    async def keep(self, documents: Mapping[str, Iterable[AnyResource]]) -> bool:
        self._news.set()
        if self.forgets:
            self.forgets -= 1
            return False
        self.kept = {name: tuple(resources) for name, resources in documents.items()}
        return True

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._news.clear()
                await self._news.wait()


def put(path: Path, name: str, port: int = 80) -> None:
    new = path.with_name(f".{path.name}")
    new.write_text(service(name, port))
    new.rename(path)


def follow(
    path: Path,
    story: Callable[[FileSource, Memory], Coroutine[None, None, None]],
    kept: Mapping[str, Iterable[AnyResource]] | None = None,
) -> None:
    async def main() -> None:
        memory = Memory()
        source = FileSource(memory, Log("test", "error"), memory.keep)
        source.recall(kept or {})
        source.point(path)
        running = asyncio.create_task(source.run())
        try:
            await memory.until(lambda: memory.complete > 0 or bool(memory.faults))
            await story(source, memory)
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.wait((running,))

    uvloop.run(main())


def test_a_folder_is_followed(tmp_path: Path) -> None:
    async def story(_: FileSource, memory: Memory) -> None:
        assert memory.ports == {"one": 80}
        put(tmp_path / "a.yaml", "one", 81)
        await memory.until(lambda: memory.ports == {"one": 81})
        (tmp_path / "sub").mkdir()
        put(tmp_path / "sub" / "b.yaml", "two")
        await memory.until(lambda: memory.ports == {"one": 81, "two": 80})
        put(tmp_path / "a.yaml", "one", 99999)
        await memory.until(lambda: len(memory.faults) == 1)
        assert memory.ports == {"one": 81, "two": 80}
        (tmp_path / "a.yaml").unlink()
        await memory.until(lambda: memory.ports == {"two": 80})
        assert memory.faults == []

    put(tmp_path / "a.yaml", "one")
    follow(tmp_path, story)


def test_a_file_that_is_removed_and_written_again_was_never_gone(tmp_path: Path) -> None:
    async def story(_: FileSource, memory: Memory) -> None:
        (tmp_path / "a.yaml").rename(tmp_path / "a.yaml~")  # as an editor that keeps a backup
        put(tmp_path / "b.yaml", "two")
        await memory.until(lambda: "two" in memory.ports)
        assert "one" in memory.ports
        put(tmp_path / "a.yaml", "one", 81)
        await memory.until(lambda: memory.ports["one"] == 81)

    put(tmp_path / "a.yaml", "one")
    follow(tmp_path, story)


def test_after_a_restart_broken_files_are_what_they_were_and_removed_ones_are_gone(tmp_path: Path) -> None:
    kept: dict[str, tuple[AnyResource, ...]] = {}

    async def before(_: FileSource, memory: Memory) -> None:
        for name in ("a.yaml", "b.yaml"):
            put(tmp_path / name, name[0], 99999)
        await memory.until(lambda: len(memory.faults) == 2)
        kept.update(memory.kept)

    async def after(_: FileSource, memory: Memory) -> None:
        await memory.until(lambda: memory.ports == {"a": 80} and list(memory.kept) == ["a.yaml"])

    async def away(_: FileSource, memory: Memory) -> None:
        assert "no such file or directory" in memory.faults[0]
        assert memory.kept == {}  # nobody was told that there is nothing to keep

    for name in ("a.yaml", "b.yaml"):
        put(tmp_path / name, name[0])
    follow(tmp_path, before)
    assert list(kept) == ["a.yaml", "b.yaml"]
    (tmp_path / "b.yaml").unlink()
    follow(tmp_path, after, kept)
    follow(tmp_path / "none", away, kept)


def test_what_could_not_be_kept_is_handed_over_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesource, "KEEP_RETRY", 0.001)

    async def story(_: FileSource, memory: Memory) -> None:
        memory.forgets = 3
        put(tmp_path / "a.yaml", "one", 99999)
        await memory.until(lambda: bool(memory.kept))
        assert [each.metadata.name for each in memory.kept["a.yaml"]] == ["one"]
        assert memory.forgets == 0
        memory.forgets = 3
        put(tmp_path / "a.yaml", "one", 81)
        await memory.until(lambda: not memory.kept)

    put(tmp_path / "a.yaml", "one")
    follow(tmp_path, story)


def test_a_file_that_cannot_be_looked_at_keeps_what_it_gave(tmp_path: Path) -> None:
    async def story(source: FileSource, memory: Memory) -> None:
        (tmp_path / "a.yaml").unlink()
        (tmp_path / "a.yaml").symlink_to("a.yaml")
        await memory.until(lambda: bool(memory.faults))
        seen = memory.complete
        source.point(tmp_path)  # told to read it all again
        await memory.until(lambda: memory.complete > seen)
        put(tmp_path / "b.yaml", "two")
        await memory.until(lambda: "two" in memory.ports)
        assert "one" in memory.ports

    put(tmp_path / "a.yaml", "one")
    follow(tmp_path, story)


def test_a_file_whose_name_is_not_utf8_is_said_until_it_has_another(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"b\xff.yaml")

    async def story(_: FileSource, memory: Memory) -> None:
        said = ["Error b\\xff.yaml cannot be read: its name is not UTF-8; rename it"]
        await memory.until(lambda: (memory.ports, memory.faults) == ({"one": 80}, said))
        odd.rename(tmp_path / "b.yaml")
        await memory.until(lambda: memory.ports == {"one": 80, "two": 80} and not memory.faults)

    put(tmp_path / "a.yaml", "one")
    put(odd, "two")
    follow(tmp_path, story)


def test_a_folder_that_is_gone_takes_nothing_with_it_and_may_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    async def story(_: FileSource, memory: Memory) -> None:
        folder.rename(tmp_path / "away")
        await memory.until(lambda: bool(memory.faults))
        assert memory.faults[0].endswith(f"{folder} no such file or directory; what was read before stays")
        assert memory.ports == {"one": 80}
        folder.mkdir()
        put(folder / "a.yaml", "one", 81)
        await memory.until(lambda: memory.ports == {"one": 81} and not memory.faults)

    put(folder / "a.yaml", "one")
    follow(folder, story)


def test_another_path_replaces_what_was_there_and_none_takes_it_away(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        put(tmp_path / name / f"{name}.yaml", name)
        put(tmp_path / name / "both.yaml", "both", 80 + len(name))

    async def story(source: FileSource, memory: Memory) -> None:
        assert memory.ports == {"first": 80, "both": 85}
        source.point(tmp_path / "second")
        await memory.until(lambda: memory.ports == {"second": 80, "both": 86})
        source.point(None)
        await memory.until(lambda: memory.ports == {})

    follow(tmp_path / "first", story)


def test_a_folder_without_manifests_is_said(tmp_path: Path) -> None:
    async def story(_: FileSource, memory: Memory) -> None:
        assert memory.faults == [f"Warning {tmp_path} there is no file that ends in .yaml, .yml, .json"]
        put(tmp_path / "a.yaml", "one")
        await memory.until(lambda: memory.ports == {"one": 80})
        assert memory.faults == []

    follow(tmp_path, story)


def test_told_again_it_reads_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(source: FileSource, memory: Memory) -> None:
        seen, edits = memory.complete, memory.edits
        source.point(tmp_path)
        await memory.until(lambda: memory.complete > seen)
        assert memory.edits == edits

    put(tmp_path / "a.yaml", "one")
    follow(tmp_path, story)


def test_where_nothing_can_be_watched_files_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no watches left")

    async def story(_: FileSource, memory: Memory) -> None:
        put(tmp_path / "a.yaml", "one", 81)
        await memory.until(lambda: memory.ports == {"one": 81})

    monkeypatch.setattr(watchfiles, "watch", refuse)
    monkeypatch.setattr(filesource, "POLL", 0.01)
    put(tmp_path / "a.yaml", "one")
    follow(tmp_path, story)
