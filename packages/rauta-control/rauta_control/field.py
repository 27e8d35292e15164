"""The value of one field of a request head, for whoever decides by it: predicates of rules, and hashes of flows. Pure.

Looked for in the head as the client sent it (validated, head.py), by a search for the name in a lowered copy: no
parsing, and nothing for requests whose rules ask for no field.
"""

from __future__ import annotations

import re

REQUEST_ID = "x-request-id"  # stated as the client said it, if that is usable
#: Fields that the gateway takes from clients and states itself (head.py, forwarded.py), in lower case.
_STATED = frozenset(("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", REQUEST_ID))
_TAKEN = re.compile(r"x-real-ip|x-forwarded(?:-.*)?|x-rauta-.*")


def is_stated(name: str) -> bool:
    """Whether the gateway, and no client, says what a field of this name (any case) says to a backend, if anything."""
    return name.lower() in _STATED or is_taken(name)


def is_taken(name: str) -> bool:
    """Whether no backend ever gets a field of this name (any case)."""
    lower = name.lower()
    return lower not in _STATED and _TAKEN.fullmatch(lower) is not None


def needle(name: str) -> bytes:
    """Return what `value` looks for: the field's name (any case) as it stands in a lowered head."""
    return b"\n%b:" % name.lower().encode()


def stated(lines: bytes, request_id: bytes) -> bytes:
    """Return the head in which `value` looks for what is stated: `lines` of the gateway's own and the request's id."""
    return b"\n%bX-Request-Id: %b\r\n" % (lines, request_id)


def value(head: bytes, lowered: bytes, wanted: bytes) -> bytes | None:
    """Return the value of a field in its own case, None if there is none; `wanted` is its needle.

    `head` ends in the CRLF of its last field line. Several lines are one value, joined with a comma (RFC 9110 5.3), or
    those of a Cookie with a semicolon (RFC 9113 8.2.3).
    """
    at = lowered.find(wanted)
    if at < 0:
        return None
    found = _line(head, at + len(wanted))
    while (at := lowered.find(wanted, at + 1)) >= 0:
        found += (b"; " if wanted == _COOKIE else b", ") + _line(head, at + len(wanted))
    return found


def cookie(head: bytes, lowered: bytes, name: bytes) -> bytes | None:
    """Return the value of the first cookie of that name (names of cookies have a case: RFC 6265 5.4), None without."""
    pairs = value(head, lowered, _COOKIE)
    for pair in pairs.split(b";") if pairs else ():
        given, equals, content = pair.partition(b"=")
        if equals and given.strip(b" \t") == name:
            return content.strip(b" \t")
    return None


_COOKIE = needle("cookie")


def _line(head: bytes, start: int) -> bytes:
    return head[start : head.index(b"\r\n", start)].strip(b" \t")
