"""Command-line flags and their environment variables: a table in, what was given out. Pure.

Why not argparse: up to Python 3.12 its time grows with the square of the arguments (10,000 routes in a file: 2 s, and
they are read again at SIGHUP), it stops at the first mistake, and it knows nothing of variables. This reads the same
syntax: `--flag VALUE`, `--flag=VALUE`, and `@FILE`, a file with an argument or a `--flag VALUE` a line, # for comments.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

PREFIX = "RAUTA_"
_MAX_DEPTH = 8  # files that name files

# Kubernetes puts variables for every Service of the namespace into a pod: a Service called rauta-admin makes
# RAUTA_ADMIN_PORT=tcp://10.0.0.1:9091 (pod.spec.enableServiceLinks). They are nobody's settings.
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?\Z|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?\Z")
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")

# No path and no message between our processes can hold it: NUL, or bytes that are not UTF-8, as Python keeps them.
_GARBLED = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Flag:
    """One setting as users see it. `value` is the placeholder of its value, empty for a switch."""

    name: str
    variable: str
    value: str
    text: str
    alias: str = ""  # a second variable, used when `variable` is not set


@dataclass(frozen=True, slots=True)
class Given:
    """A value as the user gave it: by `source`, the flag or the variable."""

    source: str
    value: str

    def __str__(self) -> str:
        value = self.value if self.value and self.value.isprintable() else repr(self.value)
        return f"{self.source} {value}" if self.source.startswith("-") else f"{self.source}={value}"


@dataclass(slots=True)
class Arguments:
    """What was given by flag, in order, and what could not be understood."""

    given: dict[str, list[Given]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def of(self, flag: Flag, environ: Mapping[str, str]) -> list[Given]:
        """What was given for `flag`: by flag, else by its variable, else by its alias. Empty variables are not set."""
        if flag.name in self.given:
            return self.given[flag.name]
        for variable in (flag.variable, flag.alias):
            value = environ.get(variable, "").strip() if variable else ""
            if value and not is_service_link(variable, value):
                return [Given(variable, value)]
        return []


def read(flags: Sequence[Flag], argv: Sequence[str], open_text: Callable[[str], str]) -> Arguments:
    """Sort `argv` by flag. `open_text` returns the text of a file that @FILE names, or raises OSError or ValueError."""
    arguments = Arguments()
    table = {flag.name: flag for flag in flags}
    expanded = _expand(argv, open_text, arguments.problems)
    arguments.problems += garbled(expanded)
    words = iter(expanded)
    word = next(words, None)
    while word is not None:
        name, equals, value = word.partition("=")
        flag = table.get(name)
        following = next(words, None)
        if flag is None:
            arguments.problems.append(f"{word}: {_unknown(name, 'argument', list(table))}")
        elif not flag.value:
            if equals:
                arguments.problems.append(f"{word}: {name} takes no value")
            arguments.given[name] = [Given(name, "true")]
        elif equals:
            arguments.given.setdefault(name, []).append(Given(name, value))
        elif following is None or following.partition("=")[0] in table:
            arguments.problems.append(f"{name}: expected {flag.value} after it")
        else:
            arguments.given.setdefault(name, []).append(Given(name, following))
            following = next(words, None)
        word = following
    return arguments


def unknown_variables(environ: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """A problem for each RAUTA_* variable that nothing would ever read: most often a slip of the pen."""
    return [
        f"{name}={value}: {_unknown(name, 'variable', known)}"
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX) and name not in known and not is_service_link(name, value)
    ]


def garbled(words: Iterable[str]) -> list[str]:
    """A problem for each of `words`, arguments or NAME=VALUE, that is no text."""
    return [f"{word!a}: expected text in UTF-8, without NUL" for word in words if _GARBLED.search(word)]


def is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes set this variable to describe a Service."""
    return bool(_SERVICE_LINK.search(name) or (name.endswith("_PORT") and _LINK_VALUE.match(value)))


def usage(flags: Sequence[Flag], width: int = 100) -> str:
    """The part of --help that explains each flag with its variable."""
    parts = []
    for flag in flags:
        variables = " or ".join(name for name in (flag.variable, flag.alias) if name)
        parts.append(f"  {flag.name} {flag.value}".rstrip() + (f"   [{variables}]" if variables else ""))
        parts += textwrap.wrap(flag.text, width - 6, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(parts)


def _expand(argv: Sequence[str], open_text: Callable[[str], str], problems: list[str], depth: int = 0) -> list[str]:
    words: list[str] = []
    for word in argv:
        if not word.startswith("@"):
            words.append(word)
        elif depth == _MAX_DEPTH:
            problems.append(f"{word}: expected no more than {_MAX_DEPTH} files inside each other")
        else:
            try:
                lines = _words(open_text(word[1:]))
            except (OSError, ValueError) as error:
                problems.append(f"{word}: expected a readable text file: {error}")
            else:
                words += _expand(lines, open_text, problems, depth + 1)
    return words


def _words(text: str) -> list[str]:
    """The arguments in a file: a line is one argument, or a flag, spaces and its value."""
    words: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("--"):
            words += line.split(maxsplit=1)
        elif line and not line.startswith("#"):
            words.append(line)
    return words


def _unknown(name: str, kind: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"unknown {kind}; did you mean {near[0]}?" if near else f"unknown {kind}"
