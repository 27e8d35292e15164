"""The gate for response heads: what a backend must say correctly before a byte of it reaches the client.

Pure. One pattern validates the whole head (stricter than httptools, which accepts `HTTP/2.0`, status 999 or NUL in the
reason phrase), a second picks out the fields that decide framing or are hop-by-hop. A head whose only special fields are
one Content-Length and `Connection: keep-alive` is passed on as it came: the latter is what we would say ourselves.
"""

from __future__ import annotations

import re

from rauta_control.head import CHUNKED, MAX_LENGTH
from rauta_control.reasons import Reason, Refused

MAX_HEAD = 65_536
UNTIL_CLOSE = -2  # as a body length: the body ends with the connection (RFC 9112 6.3, rule 8)

_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)
_SPECIAL = re.compile(
    rb"\n(con(?:nection|tent-length)|keep-alive|proxy-connection|t(?:railer|ransfer-encoding)|upgrade|x-rauta-[a-z-]+):"
    rb"[ \t]*([^\r]*)"
)
_KEEP_ALIVE = (b"connection", b"keep-alive")
_PASSED_ON: tuple[list[tuple[bytes, bytes]], ...] = ([], [_KEEP_ALIVE])  # what may stand beside one Content-Length
_BODILESS = frozenset((204, 304))


class ResponseHead:
    """What the gate learned of one head. One instance a worker is filled anew for each response.

    status: 100-599; length: body bytes, CHUNKED or UNTIL_CLOSE; keep_alive: whether the backend takes another request.
    fields: None if the head can be passed on as it came; otherwise status line and field lines without the special fields.
    """

    __slots__ = ("fields", "keep_alive", "length", "status")

    def __init__(self) -> None:
        self.status = self.length = 0
        self.keep_alive = True
        self.fields: bytes | None = None

    def read(self, data: bytes, end: int, *, no_body: bool) -> None:
        """Fill from the head in `data` whose blank line starts at `end`. `no_body`: it answers HEAD. Raise Refused."""
        match = _HEAD.match(data)
        if match is None or match.end() != end + 4:
            raise Refused(Reason.UPSTREAM_INVALID, "response head")
        self.status = status = int(match[2])
        special = _SPECIAL.findall(data[: end + 2].lower())
        self.fields = None
        self.keep_alive = True
        if match[1] == b"1" and special and special[0][0] == b"content-length" and special[1:] in _PASSED_ON:
            self.length = _length(special[0][1])
        elif (
            match[1] == b"1" and len(special) == 2 and special[0] == _KEEP_ALIVE and special[1][0] == b"content-length"
        ):
            self.length = _length(special[1][1])
        else:
            self._read_special(data, end, special, match[1] == b"0", no_body)
        if no_body or status < 200 or status in _BODILESS:
            # RFC 9112 6.3: no body, whatever the fields say. One that is announced though may follow: trust nothing after it.
            if self.length and not no_body and status != 304:
                self.keep_alive = self.keep_alive and status < 200
            self.length = 0

    def _read_special(
        self, data: bytes, end: int, special: list[tuple[bytes, bytes]], http10: bool, no_body: bool
    ) -> None:
        """Check framing and hop-by-hop fields, and rebuild the rest for the client."""
        lengths = [value for name, value in special if name == b"content-length"]
        codings = [value.rstrip(b" \t") for name, value in special if name == b"transfer-encoding"]
        options = {
            token.strip(b" \t") for name, value in special if name == b"connection" for token in value.split(b",")
        }
        self.keep_alive = b"keep-alive" in options if http10 else b"close" not in options
        if codings:
            if lengths or http10 or codings != [b"chunked"]:
                raise Refused(Reason.UPSTREAM_INVALID, "Transfer-Encoding")
            self.length = CHUNKED
        elif lengths:
            if len(lengths) > 1:
                raise Refused(Reason.UPSTREAM_INVALID, "Content-Length twice")
            self.length = _length(lengths[0])
        elif no_body or self.status < 200 or self.status in _BODILESS:
            self.length = 0
        else:
            self.length = UNTIL_CLOSE
            self.keep_alive = False
        drop = (options | {name for name, _ in special}) - {b"content-length"}
        lines = data[:end].split(b"\r\n")
        kept = [line + b"\r\n" for line in lines[1:] if line.partition(b":")[0].lower() not in drop]
        self.fields = b"HTTP/1.1" + lines[0][8:] + b"\r\n" + b"".join(kept)


def _length(value: bytes) -> int:
    value = value.rstrip(b" \t")
    if not value.isdigit() or len(value) > 32 or int(value) > MAX_LENGTH:
        raise Refused(Reason.UPSTREAM_INVALID, "Content-Length")
    return int(value)
