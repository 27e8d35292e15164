"""The gate for response heads: what a backend must say correctly before a byte of it reaches the client.

Pure. One pattern validates the whole head (stricter than httptools, which accepts `HTTP/2.0`, status 999 or NUL in the
reason phrase), a second picks out the fields that decide framing or are hop-by-hop. A head whose only special fields
are a Content-Length and `Connection: keep-alive` is passed on as it came: the latter is what we would say ourselves.
One without a Date is not: it gets ours (RFC 9110 6.6.1). Where one is of a known shape (shape.py), that says it all.
"""

from __future__ import annotations

import re

from rauta_control.head import CHUNKED, connection_options, parse_length, without
from rauta_control.reasons import Reason, Refused

MAX_HEAD = 65_536  # bytes, blank line included; more than a request may have: cookies are set one by one
UPGRADE_REQUIRED = 426
UNTIL_CLOSE = -2  # as a body length: the body ends with the connection (RFC 9112 6.3, rule 8)

_STATUS_LINE = rb"HTTP/1\.([01]) ([1-5][0-9][0-9])( [\t\x20-\x7e\x80-\xff]*+)?\r\n"
_HEAD = re.compile(_STATUS_LINE + rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*\r\n")
_FIRST_LINE = re.compile(_STATUS_LINE)
_FIRST_BYTES = b"HTTP/1."
_BARE_LF = re.compile(rb"(?<!\r)\n")
_SPECIAL = re.compile(
    rb"\n(con(?:nection|tent-length)|keep-alive|proxy-connection|t(?:railer|ransfer-encoding)|upgrade"
    rb"|x-rauta-[^:\r\n]*):[ \t]*([^\r]*)"
)
_SHORTEST = re.compile(rb"0|[1-9][0-9]{0,14}")
_BODILESS = frozenset((204, 304))
_DATE = b"\ndate:"
_NAMELESS = frozenset((b"close", b"keep-alive", b"upgrade", b"content-length"))  # options that remove no other field


class ResponseHead:
    """What the gate learned of one head. One instance a worker is filled anew for each response.

    status: 100-599; length: body bytes, CHUNKED or UNTIL_CLOSE; keep_alive: whether the backend takes another request.
    fields: None if the head can be passed on as it came; otherwise status line and field lines for the client, without
    Transfer-Encoding, Connection and, unless it is a 426, Upgrade. Where no body follows, a Content-Length stays only
    if it may (HEAD, 304).
    upgrade, trailer: if `fields` is not None, what those fields say, in lower case. dated: whether one of them is Date.
    named: if `fields` is not None, the names (lower case) that Connection gives: no trailer of these goes on either.
    """

    __slots__ = ("_date", "dated", "fields", "keep_alive", "length", "named", "status", "trailer", "upgrade")

    def __init__(self) -> None:
        self.status = self.length = 0
        self.keep_alive = True
        self.fields: bytes | None = None
        self.upgrade = self.trailer = b""
        self.named: set[bytes] = set()
        self.dated = True
        self._date = slice(0)  # where it was in the last head: most stand where that stood, which spares a search

    def take(self, known: re.Match[bytes]) -> bool:
        """Fill from what a shape has matched (shape.py); False, with nothing filled, if it is too large: `read` it."""
        if known.end() > MAX_HEAD:
            return False
        status, length = known.groups()
        self.status = int(status)
        self.length = int(length)
        self.keep_alive = self.dated = True
        self.fields = None
        return True

    def read(self, data: bytes, end: int, *, no_body: bool) -> bool:
        """Fill from the head in `data` whose blank line starts at `end`. `no_body`: it answers HEAD. Raise Refused.

        Return whether it is plain, with a body: then its shape may be that of the next head.
        """
        match = _HEAD.fullmatch(data, 0, end + 4)
        if match is None or end + 4 > MAX_HEAD:
            raise Refused(Reason.UPSTREAM_INVALID, "response head")
        minor, code, phrase = match.groups()
        self.status = status = int(code)
        lowered = data[: end + 2].lower()
        special = _SPECIAL.findall(lowered)
        plain = minor == b"1" and phrase is not None
        length = UNTIL_CLOSE
        for name, value in special:  # one turn for most heads
            if name == b"content-length" and length < 0 and _SHORTEST.fullmatch(value):
                length = int(value)
            elif name != b"connection" or value != b"keep-alive":
                plain = False
                break
        # RFC 9112 6.3: these end with their head, whatever it says; RFC 9110 8.6: 1xx and 204 may not give a length.
        bodiless = no_body or status < 200 or status in _BODILESS
        if (
            plain
            and (bodiless if length < 0 else status >= 200 and status != 204)
            and (lowered[self._date] == _DATE or status < 200 or self._find_date(lowered))
        ):
            self.length = 0 if bodiless else length
            self.keep_alive = True
            self.fields = None
            return not bodiless
        self.dated = self._find_date(lowered)
        line = b"HTTP/1.1 %b%b\r\n" % (code, phrase or b" ")
        self.fields = line + self._read_special(data, lowered, special, http10=minor == b"0", bodiless=bodiless)
        return False

    def _find_date(self, lowered: bytes) -> bool:
        start = lowered.find(_DATE)
        self._date = slice(start, start + len(_DATE))
        return start >= 0

    def _read_special(
        self, data: bytes, lowered: bytes, special: list[tuple[bytes, bytes]], *, http10: bool, bodiless: bool
    ) -> bytes:
        """Check framing and hop-by-hop fields; return the field lines for the client."""
        values: dict[bytes, list[bytes]] = {}
        for name, value in special:
            values.setdefault(name, []).append(value.rstrip(b" \t"))
        lengths = values.get(b"content-length")
        codings = values.get(b"transfer-encoding")
        options = connection_options(values.get(b"connection", []))
        self.upgrade = b", ".join(values.get(b"upgrade", ()))
        self.trailer = b", ".join(values.get(b"trailer", ()))
        length = UNTIL_CLOSE
        if codings:
            if lengths or http10 or codings != [b"chunked"]:
                raise Refused(Reason.UPSTREAM_INVALID, "Transfer-Encoding")
            length = CHUNKED
        elif lengths:
            length = parse_length(lengths, Reason.UPSTREAM_INVALID)
        self.keep_alive = b"close" not in options and (not http10 or b"keep-alive" in options)
        if bodiless:
            # A body announced for 204 may follow in spite of all rules: trust nothing after it.
            if self.status == 204 and length not in (0, UNTIL_CLOSE):
                self.keep_alive = False
        elif length == UNTIL_CLOSE:
            self.keep_alive = False
        self.length = 0 if bodiless else length
        kept = b""
        if lengths and self.status >= 200 and self.status != 204:
            kept = b"Content-Length: %d\r\n" % length
        fields = _rebuild(data, lowered, kept, says_upgrade=self.status == UPGRADE_REQUIRED)
        self.named = named = options - _NAMELESS
        if b"date" in named:
            self.dated = False
        return without(fields, named) if named else fields


def may_begin(data: bytes, start: int) -> bool:
    """Whether `data`, without a blank line, can become a head; `start`: where the bytes begin that are new.

    Without this, a backend of another protocol or of bare line feeds that waits for more is found out by a timeout.
    """
    if len(data) > MAX_HEAD or not data.startswith(_FIRST_BYTES[: len(data)]):
        return False
    newline = data.find(b"\n", start)
    return newline < 0 or (_FIRST_LINE.match(data) is not None and not _BARE_LF.search(data, newline))


def _rebuild(data: bytes, lowered: bytes, length: bytes, *, says_upgrade: bool) -> bytes:
    """Return the field lines, without the special ones but with the Content-Length line `length` in its place.

    With `says_upgrade` Upgrade stays: there it is not of this hop alone, but all that the response is about.
    """
    start = lowered.find(b"\n") + 1
    lines = []
    for match in _SPECIAL.finditer(lowered):
        lines.append(data[start : match.start() + 1])
        if match[1] == b"content-length":
            lines.append(length)
        elif says_upgrade and match[1] == b"upgrade":
            lines.append(data[match.start() + 1 : match.end() + 2])
        start = match.end() + 2
    lines.append(data[start : len(lowered)])
    return b"".join(lines)
