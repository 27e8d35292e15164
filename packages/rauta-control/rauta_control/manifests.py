"""Manifests on the disk: which files there are, and the commands that judge them. A shell."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from rauta_control.check import Unreadable, check
from rauta_control.regularfile import NOT_REGULAR, is_special
from rauta_control.terms import Terms

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"
MAX_SIZE = 64 << 20  # bytes of a file; etcd takes 1.5 MiB an object
TOO_LARGE = f"is larger than {MAX_SIZE >> 20} MiB: split it"
NO_TEXT = "cannot be read: its name is not UTF-8; rename it"
NO_FILE = f"cannot be read: {NOT_REGULAR.lower()}"
NOTHING = f"there is no file that ends in {', '.join(SUFFIXES)}"


def listing(path: Path) -> dict[str, Path]:
    """The file at `path`, or every manifest below that folder, by name and in the order of names (`a/b.yaml`).

    Hidden files and folders are left out: those of mounted ConfigMaps are the same files again. Raises OSError.
    """
    if not path.is_dir():
        return {str(path): path}
    found: dict[str, Path] = {}
    _list(path, "", set(), found)
    return dict(sorted(found.items(), key=lambda item: item[0].split("/")))


def read(path: Path) -> Iterator[tuple[str, str | Unreadable]]:
    """The (name, text) of each of them; of the standard input for the path `-`. Raises OSError if nothing is there."""
    if str(path) == STDIN:
        yield "stdin", _decoded(sys.stdin.buffer.read)
        return
    path.stat()
    files = listing(path)
    if not files:
        yield str(path), Unreadable(NOTHING)
    for name, file in files.items():
        if (shown := as_text(name)) != name:
            yield shown, Unreadable(NO_TEXT)
            continue
        if file != path and is_special(file):  # the path itself may be a pipe, as `<(...)`: this is a command
            yield name, Unreadable(NO_FILE)
            continue
        large = file.is_file() and file.stat().st_size > MAX_SIZE
        yield name, Unreadable(TOO_LARGE) if large else _decoded(file.read_bytes)


def as_text(name: str) -> str:
    """The name of a file, with escapes for what of it is not UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")


def why(error: OSError | UnicodeDecodeError) -> str:
    """Why a file cannot be read."""
    if isinstance(error, UnicodeDecodeError):
        return f"cannot be read: not UTF-8 (byte {error.start})"
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def is_manifest(name: str) -> bool:
    """Whether a path below a folder is that of a manifest, if it is a file."""
    return name.endswith(SUFFIXES) and not any(part.startswith(".") for part in name.split("/"))


def run_check(path: Path, terms: Terms) -> int:
    """Print the report of the manifests at `path`; return the exit code: 0, or 1 if anything is an error."""
    try:
        report = check(read(path), terms, datetime.now(UTC))
    except OSError as error:
        print(f"rauta-control check: {path}: {why(error)}; give another PATH", file=sys.stderr)  # noqa: T201 - this is what the command is for
        return 1
    sys.stdout.write(report.text)
    return 1 if report.failed else 0


def _decoded(read: Callable[[], bytes]) -> str | Unreadable:
    try:
        return read().decode()
    except (OSError, UnicodeDecodeError) as error:
        return Unreadable(why(error))


def _list(folder: Path, prefix: str, above: set[tuple[int, int]], found: dict[str, Path]) -> None:
    """Links to folders are followed, but not into a folder that they are in."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.name.startswith("."):
                continue
            try:
                is_dir, is_file = entry.is_dir(), entry.is_file()
            except OSError:  # a link to itself: who reads it will say so
                is_dir, is_file = False, True
            if is_dir:
                _list(folder / entry.name, f"{name}/", above | {here}, found)
            elif entry.name.endswith(SUFFIXES) and (is_file or is_special(entry.path)):  # who reads it will say so
                found[name] = folder / entry.name
