"""The target of a request, changed: another path, or another beginning of it. Pure.

What is put in is in the normal form of path.py, so what comes out is, too; the query stays as it was.
"""

from __future__ import annotations

import re

from rauta_control.action import PathEdit
from rauta_control.path import normalise
from rauta_control.reasons import Refused
from rauta_control.scalars import PATH

_PATH = re.compile(PATH)


class PathChange:
    """One compiled PathEdit of a rule. Without a `prefix`, as where a rule matches exactly, it replaces the whole path.

    `*` means the whole server, is no path (RFC 9112 3.2.4) and stays.

    By segments: the prefix ends where one ends, and so does its replacement, whether a slash was written there or not
    (the table of HTTPPathModifier.replacePrefixMatch).
    """

    __slots__ = ("_new", "_skip")

    def __init__(self, edit: PathEdit, prefix: bytes) -> None:
        keep_rest = edit.prefix and bool(prefix)
        self._new = edit.path.encode().rstrip(b"/") if keep_rest else edit.path.encode()
        self._skip = len(prefix.rstrip(b"/")) if keep_rest else -1

    def apply(self, target: bytes) -> bytes:
        """Return `target`, path and query, as it is to be."""
        if target == b"*":
            return target
        path, mark, query = target.partition(b"?")
        rest = path[self._skip :] if self._skip >= 0 else b""
        return b"%b%b%b" % (self._new + rest or b"/", mark, query)


def replacement(value: str) -> str:
    """Return a path that is to replace another in normal form, the root for nothing; raise ValueError."""
    if not value.startswith("/"):
        if value:
            raise ValueError(f"{value!r} does not begin with '/'")
        return "/"
    if not _PATH.fullmatch(value):
        raise ValueError(f"{value!r} is not a path: characters that a path cannot have must be percent-encoded")
    try:
        return normalise(value.encode()).decode()
    except Refused as refused:
        raise ValueError(f"{value!r} is not a path: {refused.note}") from None
