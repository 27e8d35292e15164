"""Manifests from the disk, and the `check` command: the shell around check.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rauta_control.check import check
from rauta_control.settings import Settings

SUFFIXES = (".yaml", ".yml", ".json")


def read(path: Path) -> Iterator[tuple[str, str]]:
    """The (name, text) of a file, or of every manifest below a folder, in the order of their names.

    Hidden files and folders are left out: those of mounted ConfigMaps are the same files again. Raises OSError, and
    UnicodeDecodeError for what is not text.
    """
    if not path.is_dir():
        yield str(path), path.read_text()
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix in SUFFIXES and not hidden and file.is_file():
            yield str(file.relative_to(path)), file.read_text()


def run_check(path: Path, terms: Settings) -> int:
    """Print the report of the manifests at `path`; return the exit code: 0, or 1 if anything is an error."""
    try:
        report = check(read(path), terms, datetime.now(UTC))
    except (OSError, UnicodeDecodeError) as error:
        print(f"rauta-control check: {path}: {error}", file=sys.stderr)  # noqa: T201 - this is what the command is for
        return 1
    sys.stdout.write(report.text)
    return 1 if report.failed else 0
