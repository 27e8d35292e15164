"""Message bodies: the chunked coding, read strictly and written plainly.

Pure. Bodies with a Content-Length are counted by those who forward them and never come here. Every byte of a chunked
body's framing is checked. As long as it is what we would write ourselves, the bytes go on as the object they came in;
from the first extension, odd digit or trailer on, the body is encoded anew, one chunk for what one read brings. So
nothing that two readers could read differently reaches a receiver: that is how request smuggling is kept out.

llhttp accepts chunk extensions of any length and delivers trailers as fields; this decoder bounds the first and drops
the second unless they were asked for, and takes nothing that is not RFC 9112 7.1 to the letter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from rauta_control.edit import Edit

MAX_LINE = 4_096  # bytes of one chunk-size or trailer line, its CRLF included
MAX_OVERHEAD = 16_384  # bytes of trailers, and of size lines beyond what their payload makes plausible (Go's limit)
FREE_LINE = 16  # bytes of a size line that do not count as overhead, besides two for each byte of payload (Go's too)
CHUNK_COST = 10  # bytes, of each chunk of a client; its least framing, five bytes, and its payload pay for it
UNLIMITED = 1 << 62
LAST_CHUNK = b"0\r\n\r\n"

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*+)?\r\n")
_PLAIN_SIZE = re.compile(rb"([1-9A-Fa-f][0-9A-Fa-f]{0,7})\r\n")  # no reader overflows at 4 GiB
_TRAILER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):[\t\x20-\x7e\x80-\xff]*+\r\n")
_FRAMING_FIELDS = frozenset((b"content-length", b"transfer-encoding"))
# RFC 9110 6.5.1: what says how a message is framed, routed, processed, or who sent it, is too late in a trailer; and
# what only this gateway may say. `-` as in head.py stands for what CGI makes the same of.
_NEVER_TRAILERS = re.compile(
    rb"(?:host|te|trailer|upgrade|connection|keep-alive|proxy(?:-.*)?|expect|max-forwards|range|via|forwarded|if-.*"
    rb"|content-(?:encoding|length|type|range|location)|transfer-encoding|cache-control|vary|age|date|expires"
    rb"|location|retry-after|warning|http2-settings|strict-transport-security"
    rb"|authorization|www-authenticate|authentication-info|(?:set-)?cookie2?|origin|access-control-.*"
    rb"|x-forwarded(?:-.*)?|x-rauta-.*|x-real-ip|x-request-id)".replace(b"-", rb"[!#$%&'*+.^_`|~-]")
)

_WHOLE_CHUNKS = 2_048  # bytes; longer ones take the general way
# By how many bytes a chunk has in all, the line that begins it: nearly every number is that of one size.
_LINES = {len(line) + size + 2: line for size in range(1, _WHOLE_CHUNKS) if (line := b"%x\r\n" % size)}

# What is expected next.
_SIZE_LINE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)
_UNFINISHED = {  # what a plain line can begin with, by what is expected
    _DATA_END: re.compile(rb"\r?"),
    _SIZE_LINE: re.compile(rb"[1-9A-Fa-f][0-9A-Fa-f]{0,7}\r?"),
}


class BadChunkError(ValueError):
    """The bytes are not a chunked body."""


class ChunkOverheadError(BadChunkError):
    """They are one, but too many of them are not what it carries."""


class ChunkedDecoder:
    """Reads one chunked body, incrementally: `feed` for its payload, or `relay` for bytes to send on, not both.

    What goes on as it came need not come here: `pass_over` payload, or `follow` plain chunks (`follow_alike`).

    `overhead` bounds, in bytes, what lines beyond their plausible length and chunks of less than five bytes
    add up to; by default only the lines. Trailers are dropped unless `keep_trailers` was called.

    After `done`, `rest` holds what followed the body in the last read.
    """

    __slots__ = (
        "_alike",
        "_hop",
        "_left",
        "_line",
        "_max_overhead",
        "_max_small",
        "_next",
        "_overhead",
        "_plain",
        "_small",
        "_trailers",
        "rest",
    )

    def __init__(self, overhead: int = 0) -> None:
        self._max_overhead = overhead or MAX_OVERHEAD
        self._max_small = overhead or UNLIMITED
        self._small = 0  # what chunks have cost, less what bytes have paid
        self._trailers: list[bytes] | None = None
        self._hop: Container[bytes] = ()  # names that no trailer may have that goes on
        self._next = _SIZE_LINE
        self._left = 0  # payload bytes to come in this chunk
        self._line = b""  # an unfinished line
        self._alike = 0, b""  # what `follow` found more than once: a size, and the line between two such chunks
        self._overhead = 0
        self._plain = True  # everything relayed so far went on as it came
        self.rest = b""

    def keep_trailers(self, named: Container[bytes] = ()) -> None:
        """Relay trailers, those that may be: not those `named` (lower case) by Connection (RFC 9110 7.6.1), for one."""
        self._trailers = []
        self._hop = named

    def strip_trailers(self, end: bytes, edits: Iterable[Edit]) -> bytes:
        """Return the `end` of the body, as relayed, without what `edits` replace or drop among the message's fields.

        There are servers that take trailers for fields (RFC 9110 6.5.1).
        """
        lines = kept = b"".join(self._trailers or ())
        if not lines:
            return end
        for edit in edits:
            kept = edit.strip(kept)
        self._trailers = [kept]
        return b"%b%b\r\n" % (end[: -len(lines) - 2], kept)

    @property
    def done(self) -> bool:
        """The last chunk and the trailer section have been read."""
        return self._next == _DONE

    def feed(self, data: bytes) -> bytes:
        """Return the payload in `data`; raise BadChunkError."""
        if self._next == _DATA and len(data) < self._left:
            self._left -= len(data)
            self._small -= len(data)
            return data
        if self._line:
            data = self._line + data
            self._line = b""
        payload: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            if self._next == _SIZE_LINE:
                at = _take_whole_chunks(data, at, payload)
            if self._next == _DATA:
                piece = data[at : at + self._left]
                payload.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._next = _DATA_END
            elif self._next == _DONE:
                self.rest = data[at:]
                break
            else:
                newline = data.find(b"\n", at, at + MAX_LINE) + 1
                if not newline:
                    self._keep(data[at:])
                    break
                self._take_line(data[at:newline])
                at = newline
        found = payload[0] if len(payload) == 1 else b"".join(payload)
        self._pay(len(payload), len(found) + 5 * len(payload))  # padding and extensions pay for nothing
        return found

    def relay(self, data: bytes) -> bytes:
        """Return `data` as chunks to send on: as it came while the chunks are plain; raise BadChunkError.

        Costs 0.03 s a GiB in chunks of 16 KiB; decoding and encoding cost twenty times that, nearly all of it copying.
        """
        size = len(data)
        if self._next == _DATA and self._plain and size < self._left:
            self._left -= size
            self._small -= size
            return data
        if not self._plain:
            return self._encode(self.feed(data))
        if self._line:
            data = self._line + data
            self._line = b""
        at = self.follow(data, len(data))
        if at == len(data):
            return data
        if _UNFINISHED[self._next].fullmatch(data, at):
            self._line = data[at:]
            return data[:at]
        self._plain = False  # the last chunk, or something to leave out: from here on in our own words
        return data[:at] + self._encode(self.feed(data[at:]))

    def is_chunk(self, data: bytes) -> bool:
        """Whether `data`, what follows what was relayed, is one small chunk, whole and plain: then it is relayed so.

        Of responses only, as nothing is paid for. An event of a stream is one; what comes seldom finds cold caches,
        where each function called costs as much as a hundred times when it is warm.
        """
        line = _LINES.get(len(data))
        if line is None or not data.startswith(line) or not data.endswith(b"\r\n"):
            return False
        return self._next == _SIZE_LINE and self._plain and not self._line

    @property
    def ahead(self) -> int:
        """How many bytes of payload come before the next line of a body that is plain so far; 0: the line is next."""
        return self._left if self._next == _DATA and self._plain else 0

    def pass_over(self, size: int) -> None:
        """So many bytes of payload, at most `ahead`, go on."""
        self._small -= size
        self._left -= size
        if not self._left:
            self._next = _DATA_END

    def follow(self, data: bytes | bytearray, end: int, most: int = UNLIMITED) -> int:
        """Return where the plain chunks of `data` end: at its `end`, or at a line that is unfinished or not plain.

        Or behind the `most`th line. Nothing was followed if this raises ChunkOverheadError.
        """
        at, chunks = 0, 0
        expected, left = self._next, self._left
        while chunks < most:
            if expected == _DATA:
                at += left
                if at > end:
                    left = at - end
                    at = end
                    break
                expected = _DATA_END
            if expected == _DATA_END:
                if not data.startswith(b"\r\n", at, end):
                    break
                at += 2
                expected = _SIZE_LINE
            size = _PLAIN_SIZE.match(data, at, end)
            if size is None:
                break
            chunks += 1
            at = size.end()
            last, left = left, int(size[1], 16)
            expected = _DATA
            if left == last:  # as most senders' chunks are, for long: those to come cost a fifth
                line = b"\r\n" + size[0]
                self._alike = left, line
                while chunks < most and data.startswith(line, at + left, end):
                    chunks += 1
                    at += left + len(line)
        self._pay(chunks, at)
        self._next, self._left = expected, left
        return at

    @property
    def alike(self) -> int:
        """How large chunks have been for some time, if that is so, and if we are within one of a plain body; or 0."""
        return self._alike[0] if self._next == _DATA and self._plain else 0

    def follow_alike(self, look: Callable[[int, int], bytes], end: int) -> int:
        """Do the same as `follow` while chunks are `alike`, without their payload: `look(at, size)` gives the lines.

        If there is another one, this ends in front of it. Nothing was followed if this returns 0 or raises.
        """
        size, line = self._alike
        at, chunks = self._left, 0
        while at + len(line) <= end:
            if look(at, len(line)) != line:
                self._alike = 0, b""
                break
            chunks += 1
            at += len(line) + size
        followed = min(at, end)
        self._pay(chunks, followed)
        self._left = at - followed
        if not self._left:
            self._next = _DATA_END
        return followed

    def _pay(self, chunks: int, paid: int) -> None:
        small = max(0, self._small + CHUNK_COST * chunks - paid)
        if small > self._max_small:
            raise ChunkOverheadError("chunks are too small")
        self._small = small

    def _encode(self, payload: bytes) -> bytes:
        encoded = chunk(payload) if payload else b""
        if not self.done:
            return encoded
        return b"%b0\r\n%b\r\n" % (encoded, b"".join(self._trailers)) if self._trailers else encoded + LAST_CHUNK

    def _keep(self, unfinished: bytes) -> None:
        if len(unfinished) >= MAX_LINE or (self._next == _DATA_END and unfinished != b"\r"):
            raise BadChunkError("line")
        self._line = unfinished

    def _take_line(self, line: bytes) -> None:
        if self._next == _DATA_END:
            if line != b"\r\n":
                raise BadChunkError("chunk does not end where its size says")
            self._next = _SIZE_LINE
        elif self._next == _SIZE_LINE:
            size = _SIZE.fullmatch(line)
            if size is None:
                raise BadChunkError("chunk size")
            self._left = int(size[1], 16)
            self._next = _DATA if self._left else _TRAILERS
            self._spend(len(line) - FREE_LINE - 2 * self._left)
        elif line == b"\r\n":
            self._next = _DONE
        else:
            trailer = _TRAILER.fullmatch(line)
            name = trailer[1].lower() if trailer else b""
            if trailer is None or name in _FRAMING_FIELDS:
                raise BadChunkError("trailer")
            self._spend(len(line))
            if self._trailers is not None and name not in self._hop and not _NEVER_TRAILERS.fullmatch(name):
                self._trailers.append(line)

    def _spend(self, overhead: int) -> None:
        self._overhead = max(0, self._overhead + overhead)
        if self._overhead > self._max_overhead:
            raise ChunkOverheadError("too many bytes of chunk extensions or trailers")


def _take_whole_chunks(data: bytes, at: int, payload: list[bytes]) -> int:
    """Append the payloads of the plain chunks that lie whole in `data` from `at` on; return where they end.

    A sender can put 40,000 chunks into one read: here each costs 0.4 us, a third of what the general way takes.
    """
    size = _PLAIN_SIZE.match(data, at)
    while size:
        start = size.end()
        stop = start + int(size[1], 16)
        if data[stop : stop + 2] != b"\r\n":  # unfinished or malformed
            break
        payload.append(data[start:stop])
        at = stop + 2
        size = _PLAIN_SIZE.match(data, at)
    return at


def chunk(payload: bytes) -> bytes:
    """Return `payload` (not empty) as one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)
