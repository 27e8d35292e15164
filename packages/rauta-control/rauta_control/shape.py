"""Shapes of heads: which fields there are, in which order. Pure.

Heads of one client or of one backend differ in their values, and seldom in more. A shape is a pattern made from a head
that a gate has read and found plain (head.py, response.py): the same names, letter by letter, and any values where
these do not matter. What matches it is plain as well, but for its path, and its groups are all that is to be known of
it: that costs a third of reading a head in full. What does not match is read in full. So a shape decides how fast a
head is read, never how.

A connection of a client, and an endpoint for its responses, has one shape to try. When a plain head does not fit, the
newest is taken up instead, and now and then that head is what the newest is made from. So where all heads are alike
everybody soon has the one shape, where they differ each comes upon its own, and strangers, who can send what they like,
cannot make it dear: at most one is made per INTERVAL.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rauta_control.requestline import PATH, REST

INTERVAL = 0.1  # seconds
MAX_PATTERN = 2_048  # bytes; what is longer has no shape

_VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"
_HOST = rb": ([0-9a-z_.:~\[\]-]++)"
_LENGTH = rb": (0|[1-9][0-9]{0,14})"  # in its shortest form
_METHOD = rb"GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH"  # no other: what CONNECT and TRACE mean is for the gate to say
_REQUEST_LINE = rb"(%b) ((%b)%b) HTTP/1\.1\r\n" % (_METHOD, PATH, REST)
_STATUS_LINE = rb"HTTP/1\.1 ((?![23]04)[2-5][0-9][0-9]) " + _VALUE + rb"\r\n"


class Shape:
    """A pattern, as `match` of a head and what follows it, and how many `lines` it has, as gates count them."""

    __slots__ = ("lines", "match")

    def __init__(self, pattern: bytes) -> None:
        self.match = re.compile(pattern).match
        self.lines = pattern.count(rb"\r\n")


NONE = Shape(rb"(?!)")  # nothing is of this shape


class Shapes:
    """Those of which a worker has met heads; it keeps the last one. `make` is `of_request` or `of_response`."""

    __slots__ = ("_due", "_make", "_newest")

    def __init__(self, make: Callable[[bytes], Shape]) -> None:
        self._make = make
        self._newest = NONE
        self._due = 0.0

    def another(self, data: bytes, end: int, now: float) -> Shape:
        """Return what to try next: a plain head was not of the shape tried. Its blank line is at `end` of `data`.

        `now`: in seconds.
        """
        if now >= self._due:
            self._due = now + INTERVAL
            head = data[: end + 4]
            made = self._make(head)
            if made.match(head):  # not all have one: a name in an unusual place, say
                self._newest = made
        return self._newest


def of_request(head: bytes) -> Shape:
    """Return the shape of a plain request head. Its groups: method, target, path, host (lower case), length or b""."""
    if b"\ncontent-length:" not in head.lower():
        return _shape(head, _REQUEST_LINE, {b"host": _HOST}, rb"()")
    return _shape(head, _REQUEST_LINE, {b"host": _HOST, b"content-length": _LENGTH})


def of_response(head: bytes) -> Shape:
    """Return the shape of a plain response head that a body follows. Its groups: status, length."""
    return _shape(head, _STATUS_LINE, {b"content-length": _LENGTH})


def _shape(head: bytes, line: bytes, groups: dict[bytes, bytes], last: bytes = b"") -> Shape:
    """Make it. Fields in `groups` must come in that order, as others find the groups by their numbers."""
    parts = [line]
    wanted = list(groups)
    for each in head.split(b"\r\n")[1:-2]:
        name = each.partition(b":")[0]
        lower = name.lower()
        if lower == b"connection":
            parts.append(re.escape(each))
        elif lower not in groups:
            parts.append(re.escape(name) + b":" + _VALUE)
        elif wanted and wanted.pop(0) == lower:
            parts.append(re.escape(name) + groups[lower])
        else:
            return NONE
        parts.append(rb"\r\n")
    pattern = b"".join((*parts, rb"\r\n", last))
    return NONE if wanted or len(pattern) > MAX_PATTERN else Shape(pattern)
