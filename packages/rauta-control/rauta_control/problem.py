"""What is wrong with a document, and where: the one shape in which admission reports to logs, statuses and findings.

Pure. The wordings follow the API server's own (`Invalid value: "x": ...`, `Required value`, `Unsupported value: ...`),
so that what a user learns from files is what the cluster would have said. A value is quoted only when its type was
right and it is not secret; a wrong type is named, never quoted.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable
from typing import Literal, TypeAlias

import msgspec

MAX_QUOTED = 80  # characters of a value in a message; a megabyte of certificate helps nobody
MAX_NAMED = 12  # alternatives listed when none is near

Code: TypeAlias = Literal[
    "invalid",
    "required",
    "unsupported",
    "duplicate",
    "forbidden",
    "too-long",
    "too-many",
    "type",
    "unknown-field",
    "kind",
]
Level: TypeAlias = Literal["error", "warning"]
#: Who refuses it: everyone; only the experimental channel's CRDs; or only an API server, because of what it runs in.
Judge: TypeAlias = Literal["any", "experimental", "cluster"]


class Problem(msgspec.Struct, frozen=True):
    """One defect of a document. `path` is as users write it, `spec.rules[0].matches`; empty means all of it."""

    path: str
    message: str
    code: Code = "invalid"
    level: Level = "error"
    judge: Judge = "any"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    def under(self, parent: str) -> Problem:
        """The same problem seen from further out."""
        return msgspec.structs.replace(self, path=join(parent, self.path))


def join(parent: str, child: str) -> str:
    """`spec` and `rules[0]` make `spec.rules[0]`; what is in brackets needs no dot."""
    if not parent or not child:
        return parent or child
    return f"{parent}{child}" if child[0] == "[" else f"{parent}.{child}"


def quote(value: object) -> str:
    """`value` as JSON, shortened."""
    text = json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, str | int | float) else f'"{value}"'
    return text if len(text) <= MAX_QUOTED else f'{text[:MAX_QUOTED]}..."'


def invalid(path: str, value: object, detail: str, *, judge: Judge = "any") -> Problem:
    """A value of the right type that breaks a rule."""
    return Problem(path, f"Invalid value: {quote(value)}: {detail}", judge=judge)


def printable(text: str) -> str:
    """`text` with escapes for what would be a command to a terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def required(path: str, detail: str = "") -> Problem:
    """A field that must be there."""
    return Problem(path, f"Required value: {detail}" if detail else "Required value", "required")


def forbidden(path: str, detail: str) -> Problem:
    """A field that must not be there."""
    return Problem(path, f"Forbidden: {detail}", "forbidden")


def unsupported(path: str, value: object, supported: Iterable[object]) -> Problem:
    """A value outside an enumeration."""
    names = list(supported)
    near = nearest(str(value), [str(name) for name in names])
    listed = ", ".join(quote(name) for name in names)
    hint = f'; did you mean "{near}"?' if near else ""
    return Problem(path, f"Unsupported value: {quote(value)}: supported values: {listed}{hint}", "unsupported")


def duplicate(path: str, value: object, *, judge: Judge = "any") -> Problem:
    """An entry whose key an earlier entry has."""
    return Problem(path, f"Duplicate value: {quote(value)}", "duplicate", judge=judge)


def too_long(path: str, limit: int) -> Problem:
    """A string over its limit."""
    return Problem(path, f"Too long: may not be more than {limit} characters", "too-long")


def too_many(path: str, count: int, limit: int, unit: str) -> Problem:
    """A list or map over its limit; `unit` is `items` or `properties`."""
    return Problem(path, f"Too many: {count}: must have at most {limit} {unit}", "too-many")


def wrong_type(path: str, expected: str, given: str) -> Problem:
    """A value of another type. The value itself stays out: it may be a secret in the wrong field."""
    return Problem(path, f'Invalid value: "{given}": must be of type {expected}', "type")


def unknown_field(path: str, name: object, known: Collection[str]) -> Problem:
    """A field the schema does not have. An API server prunes it and warns; silently is the one thing it must not be."""
    near = nearest(str(name), known)
    if near:
        hint = f'; did you mean "{near}"?'
    elif len(known) <= MAX_NAMED:
        hint = f"; known here: {', '.join(sorted(known))}" if known else ""
    else:
        hint = ""
    text = f'unknown field "{join(path, _step(str(name)))}", ignored{hint}'
    return Problem(join(path, _step(str(name))), text, "unknown-field", "warning")


def repeated(path: str, items: Iterable[object], *keys: str) -> Iterable[Problem]:
    """A duplicate problem for every item of which an earlier one has the same `keys` (none: the item itself)."""
    seen = set()
    for index, item in enumerate(items):
        key = tuple(getattr(item, name) for name in keys) if keys else (item,)
        if key in seen:
            yield duplicate(f"{path}[{index}]", ", ".join(map(str, key)))
        seen.add(key)


def nearest(name: str, known: Iterable[str], likeness: float = 0.7) -> str:
    """The known name a user most likely meant, or nothing."""
    by_fold = {other.casefold(): other for other in known}
    found = difflib.get_close_matches(name[:MAX_QUOTED].casefold(), by_fold, n=1, cutoff=likeness)
    return by_fold[found[0]] if found else ""


def entry(path: str, key: str) -> str:
    """The path of a map's entry: `metadata.labels[app]`, as the API server writes it."""
    return f"{path}[{printable(key[:MAX_QUOTED])}]"


def _step(name: str) -> str:
    name = printable(name[:MAX_QUOTED])
    return name if name.isidentifier() else f"[{name}]"
