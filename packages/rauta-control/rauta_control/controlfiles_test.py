"""Control beside files of manifests: what is broken, before and after a restart, takes nothing away."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from rauta_control import ir
from rauta_control.controlharness_test import rules, run, two_workers
from rauta_control.samples_test import GATEWAY
from rauta_control.sharedmem import SharedWords

MANIFESTS = (
    GATEWAY
    + """---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gw}]
  rules: [{matches: [{path: {value: /one}}]}, {matches: [{path: {value: /two}}]}]
"""
)


def put(path: Path, text: str) -> None:
    path.with_name(f".{path.name}").write_text(text)
    path.with_name(f".{path.name}").rename(path)


def test_a_restart_beside_broken_manifests_leaves_all_as_it_was_until_an_edit(
    shared_words: SharedWords, tmp_path: Path
) -> None:
    path = tmp_path / "all.yaml"
    put(path, MANIFESTS)
    first = two_workers(shared_words, "--config", str(path), "--addresses", "127.0.0.1")
    run(first, first.until_ready)
    assert set(rules(first.workers[0].state)) == {"/one", "/two"}

    put(path, MANIFESTS + "---\nkind: [\n")
    kept = two_workers(shared_words, "--config", str(path), "--addresses", "127.0.0.1", after=first)

    async def restart() -> None:
        async def said() -> bool:
            return len((await kept.get("/api/v1/status"))[1]["problems"]) == 2

        await kept.until(said)
        assert [worker.received for worker in kept.workers.values()] == [[], []]
        assert list(kept.binds[-1].listeners.values()) == [("127.0.0.1", 80)]
        put(path, MANIFESTS.replace("/two", "/three") + "---\nkind: [\n")
        await kept.until(lambda: set(rules(kept.workers[0].state)) == {"/one", "/three"})

    run(kept, restart)


def test_what_broke_before_a_restart_is_known_after_it(shared_words: SharedWords, tmp_path: Path) -> None:
    put(tmp_path / "gateway.yaml", MANIFESTS.partition("---")[0])
    put(tmp_path / "route.yaml", MANIFESTS.partition("---")[2])
    first = two_workers(shared_words, "--config", str(tmp_path), "--addresses", "127.0.0.1")

    async def start() -> None:
        await first.until_ready()
        put(tmp_path / "gateway.yaml", "kind: [")
        await first.until(lambda: bool(first.kept))

    run(first, start)
    again = two_workers(shared_words, "--config", str(tmp_path), "--addresses", "127.0.0.1", after=first)

    async def restart() -> None:
        await again.until_ready()
        put(tmp_path / "route.yaml", MANIFESTS.partition("---")[2].replace("/two", "/three"))
        await again.until(lambda: set(rules(again.workers[0].state)) == {"/one", "/three"})  # of a Gateway that is kept
        put(tmp_path / "gateway.yaml", MANIFESTS.partition("---")[0])
        await again.until(lambda: again.kept == b"")

    run(again, restart)


def test_what_broke_while_control_was_away_stays_until_it_is_mended(shared_words: SharedWords, tmp_path: Path) -> None:
    head, _, route = MANIFESTS.partition("---")
    put(tmp_path / "gateway.yaml", head)
    put(tmp_path / "broken.yaml", route)
    put(tmp_path / "other.yaml", route.replace("name: web", "name: other").replace("/one", "/1").replace("/two", "/2"))
    first = two_workers(shared_words, "--config", str(tmp_path), "--addresses", "127.0.0.1")
    run(first, first.until_ready)
    put(tmp_path / "broken.yaml", "kind: [")
    again = two_workers(shared_words, "--config", str(tmp_path), "--addresses", "127.0.0.1", after=first)

    async def restart() -> None:
        def served(*paths: str) -> Callable[[], bool]:
            return lambda: set(rules(again.workers[0].state)) == set(paths)

        async def held() -> bool:
            return len((await again.get("/api/v1/status"))[1]["problems"]) == 2

        await again.until(held)
        other = (tmp_path / "other.yaml").read_text()
        put(tmp_path / "other.yaml", other.replace("/2", "/3"))
        await again.until(served("/one", "/two", "/1", "/3"))
        (tmp_path / "other.yaml").unlink()
        await again.until(served("/one", "/two"))
        put(tmp_path / "broken.yaml", route.replace("/two", "/four"))
        await again.until(served("/one", "/four"))
        assert (await again.get("/api/v1/status"))[1]["problems"] == []

    run(again, restart)


def test_an_invalid_translation_of_one_object_stops_no_other(
    shared_words: SharedWords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = ir.faults

    def blame(key: str, resource: ir.Resource, resources: Mapping[str, ir.Resource]) -> Iterator[str]:
        yield from faults(key, resource, resources)
        if isinstance(resource, ir.Rule) and resource.path == "/bad":
            yield "is bad"

    monkeypatch.setattr(ir, "faults", blame)
    path = tmp_path / "all.yaml"
    put(path, MANIFESTS)
    gateway = two_workers(shared_words, "--config", str(path), "--addresses", "127.0.0.1")

    async def body() -> None:
        async def said() -> bool:
            problems = (await gateway.get("/api/v1/status"))[1]["problems"]
            return len(problems) == 1 and problems[0].endswith(": is bad")

        await gateway.until_ready()
        put(path, MANIFESTS.replace("/one", "/bad").replace("/two", "/three"))
        await gateway.until(lambda: set(rules(gateway.workers[0].state)) == {"/one", "/three"})
        await gateway.until(said)
        put(path, MANIFESTS.replace("/one", "/bad").replace("/two", "/four"))
        await gateway.until(lambda: set(rules(gateway.workers[0].state)) == {"/one", "/four"})
        await gateway.until(said)
        put(path, MANIFESTS.replace("/one", "/good"))
        await gateway.until(lambda: set(rules(gateway.workers[0].state)) == {"/good", "/two"})

    run(gateway, body)
