"""The options that every command takes, wherever they stand on the command line.

Pure. Typer knows options of the program (before the command) and of a command (after it). People and agents append
`--format json` at the end, so these options are moved to the front before typer sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class Format(StrEnum):
    """How an answer is written: for people, for programs, or for agents."""

    TABLE = "table"
    JSON = "json"
    AGENT = "agent"


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


GLOBAL_OPTIONS = ("--endpoint", "--format", "--timeout")  # all of them take a value


def global_first(arguments: Sequence[str]) -> list[str]:
    """Move the global options to the front as `--name=value`, in their order; what follows `--` is left alone.

    An option that ends the line without its value is all that is left, so that typer complains of just that.
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        name, equals, _ = word.partition("=")
        if word == "--":
            rest += [word, *words]
        elif name not in GLOBAL_OPTIONS:
            rest.append(word)
        elif equals:
            front.append(word)
        else:
            value = next(words, None)
            if value is None:
                return [*front, name]
            front.append(f"{name}={value}")
    return front + rest


def format_of(arguments: Sequence[str], variable: str, is_terminal: bool) -> Format:
    """The format asked for by arguments in `global_first` order, else by $RAUTA_FORMAT, else by where stdout goes.

    What is no format is passed over: typer complains of it, and this decides how that complaint is written.
    """
    prefix = "--format="
    said = [word.removeprefix(prefix) for word in arguments if word.startswith(prefix)]
    for name in [*reversed(said), variable]:
        if name in tuple(Format):  # Python 3.11 refuses to look for a string in an enum
            return Format(name)
    return Format.TABLE if is_terminal else Format.JSON
