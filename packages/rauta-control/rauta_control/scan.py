"""What changed on the disk since it was looked at last. A shell without a loop: it blocks, so it runs on a thread.

A file that was renamed into place is complete (its inode changed after its text did). One that was written in place may
still be half-written, so it is left alone until it has been quiet for a moment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from rauta_control.manifests import MAX_SIZE, NO_FILE, NO_TEXT, TOO_LARGE, as_text, is_manifest, listing, why

QUIET = 0.02  # seconds since the last write after which a file that was written in place counts as complete
IMPATIENT = 1.0  # seconds after which one that is never quiet is read nevertheless


class Stamp(NamedTuple):
    """By what a version of a file is known."""

    device: int
    inode: int
    size: int
    modified: int  # nanoseconds
    changed: int


NOTHING = Stamp(0, 0, 0, 0, 0)  # of what cannot even be looked at


@dataclass(slots=True)
class Seen:
    """What came of a look, by name: `texts` of what is new, `errors` of what cannot be read, what is `gone`.

    `stamps` are those of both, `busy` what is being written: look again after `wait` seconds.
    """

    texts: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    wait: float = 0.0


def look(root: Path, known: Mapping[str, Stamp], only: Collection[str] | None, impatient: bool) -> Seen:
    """Compare the files at `root`, or those of these names, with their `known` stamps, and read what is new.

    Raises OSError if there is nothing at `root`, or nothing that can be listed.
    """
    root.stat()
    files = listing(root) if only is None else {name: root if name == str(root) else root / name for name in only}
    seen = Seen()
    for path_name, file in files.items():
        name = as_text(path_name)
        try:
            if name == path_name:
                _look(seen, name, file, known.get(name), impatient)
            else:
                file.stat()
                seen.errors[name] = NO_TEXT
        except FileNotFoundError:
            if name in known:
                seen.gone.append(name)
        except (OSError, UnicodeDecodeError) as error:
            seen.errors[name] = why(error)
    if only is None:
        seen.gone += known.keys() - files.keys() - seen.errors.keys()
    return seen


def names_of(root: Path, paths: Collection[str], folders: Collection[str]) -> set[str] | None:
    """The names of files at these changed paths; None if one of them is more than a file, so that all must be seen.

    `folders` are those in which there were manifests. A mounted ConfigMap changes by its link `..data`.
    """
    names = set()
    for path in paths:
        name = os.path.relpath(path, root)
        parts = name.split("/")
        if name == "." or any(part.startswith("..") for part in parts):
            return None
        if any(part.startswith(".") for part in parts):
            continue
        if name in folders or os.path.isdir(path):
            return None
        if is_manifest(name):
            names.add(name)
    return names


def _look(seen: Seen, name: str, file: Path, known: Stamp | None, impatient: bool) -> None:
    status = file.stat()
    stamp = Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if stamp == known:
        return
    in_place = stamp.changed <= stamp.modified
    age = time.time() - status.st_mtime
    if in_place and not impatient and 0 <= age < QUIET:
        seen.busy.append(name)
        seen.wait = max(seen.wait, QUIET - age)
        return
    seen.stamps[name] = stamp
    if not S_ISREG(status.st_mode):
        seen.errors[name] = NO_FILE
        return
    if status.st_size > MAX_SIZE:
        seen.errors[name] = TOO_LARGE
        return
    seen.texts[name] = file.read_text(encoding="utf-8")
