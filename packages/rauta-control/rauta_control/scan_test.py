"""What changed on the disk: stamps, half-written files, what is gone; and which changes concern which files."""

import os
import time
from pathlib import Path

import pytest

from rauta_control.scan import NOTHING, QUIET, Stamp, look, names_of

OLD = 1_600_000_000


def write(path: Path, text: str, *, age: float = 1000.0) -> None:
    """Write in place, as if `age` seconds ago; the inode changes now, as it does by a rename."""
    path.write_text(text)
    os.utime(path, (time.time() - age, time.time() - age))


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a")
    write(tmp_path / "b.yml", "b")
    write(tmp_path / "c.txt", "c")
    write(tmp_path / ".d.yaml", "d")
    seen = look(tmp_path, {}, None, False)
    assert seen.texts == {"a.yaml": "a", "b.yml": "b"}
    again = look(tmp_path, seen.stamps, None, False)
    assert (again.texts, again.gone, again.errors, again.busy) == ({}, [], {}, [])
    write(tmp_path / "a.yaml", "A")
    (tmp_path / "b.yml").unlink()
    changed = look(tmp_path, seen.stamps, None, False)
    assert (changed.texts, changed.gone) == ({"a.yaml": "A"}, ["b.yml"])
    some = look(tmp_path, seen.stamps, {"b.yml", "none.yaml"}, False)
    assert (some.texts, some.gone) == ({}, ["b.yml"])


def test_what_is_being_written_is_left_alone_unless_it_never_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("half")
    later = time.time_ns() + int(QUIET * 1e9)
    os.utime(path, ns=(later, later))  # as if it had been written after anything else happened to it
    before = look(tmp_path, {}, None, False)
    if before.busy:  # unless this machine slept meanwhile
        assert before.texts == {}
    assert look(tmp_path, {}, None, True).texts == {"a.yaml": "half"}


def test_a_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "any.name"
    with pytest.raises(FileNotFoundError):
        look(path, {}, None, False)
    write(path, "a")
    assert look(path, {}, None, False).texts == {str(path): "a"}
    assert look(path, {}, {str(path)}, False).texts == {str(path): "a"}


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a\xff")
    os.utime(tmp_path / "a.yaml", (OLD, OLD))
    (tmp_path / "b.yaml").symlink_to("b.yaml")
    os.mkfifo(tmp_path / "c.yaml")
    os.utime(tmp_path / "c.yaml", (OLD, OLD))
    (tmp_path / "d.yaml").symlink_to("nowhere")
    names = {"a.yaml", "b.yaml", "c.yaml", "d.yaml"}
    for only in (None, names):
        seen = look(tmp_path, {}, only, False)
        assert seen.errors == {
            "a.yaml": "cannot be read: not UTF-8 (byte 1)",
            "b.yaml": "cannot be read: too many levels of symbolic links",
            "c.yaml": "cannot be read: not a regular file",
        }
        assert {"a.yaml", "c.yaml"} == seen.stamps.keys()
    assert look(tmp_path / "c.yaml", {}, None, False).errors == {
        f"{tmp_path}/c.yaml": "cannot be read: not a regular file"
    }


def test_a_name_that_is_not_utf8_is_said(tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff.yaml")
    write(tmp_path / name, "a")
    said = {"a\\xff.yaml": "cannot be read: its name is not UTF-8; rename it"}
    for known in ({}, {"a\\xff.yaml": NOTHING}):
        for only in (None, {name}):
            seen = look(tmp_path, known, only, False)
            assert (seen.texts, seen.errors, seen.gone) == ({}, said, [])
    (tmp_path / name).unlink()
    for only in (None, {name}, {"a\\xff.yaml"}):
        assert look(tmp_path, {"a\\xff.yaml": NOTHING}, only, False).gone == ["a\\xff.yaml"]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "a.yaml", "a")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "other").symlink_to(tmp_path / "sub")
    assert sorted(look(tmp_path, {}, None, False).texts) == ["other/a.yaml", "sub/a.yaml"]


def test_stamps_are_of_a_version() -> None:
    assert Stamp(1, 2, 3, 4, 5) != NOTHING


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a.yaml", "sub/b.json"], {"a.yaml", "sub/b.json"}),
        (["x.txt", ".a.yaml.swp", ".git/index", "sub/.hidden/a.yaml"], set()),
        (["a.yaml", "sub"], None),
        (["gone"], None),
        (["deleted.d"], set()),
        (["..data"], None),
        (["sub/..2026/a.yaml"], None),
        (["."], None),
    ],
)
def test_names_of(tmp_path: Path, paths: list[str], expected: set[str] | None) -> None:
    (tmp_path / "sub").mkdir()
    assert names_of(tmp_path, [str(tmp_path / path) for path in paths], {"gone"}) == expected
