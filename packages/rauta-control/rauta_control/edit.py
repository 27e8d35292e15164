"""Edits of field lines: what HeaderEdit says, compiled to one pattern and the bytes to append. Pure.

A block of field lines, each with its CRLF, goes in and comes out. `unusable` keeps edits away from the fields that
frame a message or end at this hop, so whoever sends the block can rely on those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rauta_control.action import HeaderEdit

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DISGUISE = re.compile(r"[^a-z0-9]")  # characters that some server turns into the `_` of a CGI variable (head.py)
#: RFC 9112 6 and RFC 9110 7.6.1, 10.1.1: framing and hop-by-hop fields; `proxy` is what CGI makes HTTP_PROXY of.
_OURS = frozenset(
    (
        "connection",
        "content-length",
        "expect",
        "http2-settings",
        "keep-alive",
        "proxy",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_DISGUISES = r"[!#$%&'*+.^_`|~-]"
_PREFIX = "x-rauta-"  # what only we say


class Edit:
    """One compiled HeaderEdit, of a request or, if not `request`, of a response.

    In a request, what is replaced or dropped is also what CGI would take for it: otherwise a client's `X_User` went on
    beside our `X-User`, and applications could not tell them apart.
    """

    __slots__ = ("_added", "_dropped")

    def __init__(self, edit: HeaderEdit, *, request: bool = False) -> None:
        names = {name.lower() for name, _ in edit.replace} | {name.lower() for name in edit.drop}
        form = _disguised if request else re.escape
        pattern = "|".join(form(name) for name in sorted(names)).encode()
        # Anchored at the line before: the first line of a response's block is its status line.
        self._dropped = re.compile(rb"(?mi)^(?:%b):[^\n]*\n" % pattern) if names else None
        self._added = b"".join(b"%b: %b\r\n" % (n.encode(), v.encode()) for n, v in (*edit.replace, *edit.append))

    def apply(self, fields: bytes) -> bytes:
        """Return the block as it is to be sent."""
        return self.strip(fields) + self._added

    def strip(self, fields: bytes) -> bytes:
        """Return the block without what is replaced or dropped."""
        return fields if self._dropped is None else self._dropped.sub(b"", fields)


def _disguised(name: str) -> str:
    """Return a pattern for every name that is the same to CGI as `name`, which is in lower case."""
    return _DISGUISE.sub(lambda _: _DISGUISES, name)


def unusable(edit: HeaderEdit) -> Iterator[tuple[str, str]]:
    """What of an edit cannot be done, as (name, why)."""
    named = [{name.lower() for name, _ in pairs} for pairs in (edit.replace, edit.append)]
    for name in sorted(named[0] & named[1] | (named[0] | named[1]) & {name.lower() for name in edit.drop}):
        yield name, "has more than one of set, add and remove: a filter may do one thing to a field"
    for name, value in (*edit.replace, *edit.append, *((name, "") for name in edit.drop)):
        plain = _DISGUISE.sub("-", name.lower())
        if not _TOKEN.fullmatch(name):
            yield name, "is not the name of a header field"
        elif plain in _OURS or plain.startswith(_PREFIX):
            yield name, "frames messages or ends with the connection: it is the gateway's to set"
        elif plain == "host":
            yield name, "cannot be edited; a URLRewrite with a hostname changes it"
        elif _CONTROL.search(value):
            yield name, "has a value with control characters"
