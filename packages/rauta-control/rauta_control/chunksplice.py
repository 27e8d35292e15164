"""Chunked bodies moved by the kernel: as splice.py does it, after a look at what waits in the socket (MSG_PEEK).

What the decoder of the body finds plain there (framing.py) is moved. What is not (the last chunk, an extension, a
mistake, a line whose end has not come) is left to the protocol that reads the source. So no body ends here, and what
may be wrong with one, its limits and its trailers are the decoder's business there, which stands at exactly that place.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from rauta_control.framing import ChunkOverheadError
from rauta_control.splice import PIPE, Allowance, Ends, Splice, read

if TYPE_CHECKING:
    from rauta_control.framing import ChunkedDecoder

LARGE = 1 << 16  # bytes of payload to come that are moved without a look: to copy them costs more than a system call
LINES = 1_024  # in one look, some 0.4 ms: chunks may be tiny


class ChunkSplice(Splice):
    """What is to come of a chunked body whose `decoder` stands within a chunk."""

    __slots__ = ("_decoder", "_plain")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, allowance: Allowance, ends: Ends, decoder: ChunkedDecoder
    ) -> None:
        super().__init__(loop, allowance, ends)
        self._decoder = decoder
        self._plain = 0  # bytes in the source that the decoder has followed

    def _wanted(self) -> int:
        """See Splice."""
        ahead = self._decoder.ahead
        if not self._plain and ahead < LARGE:
            self._plain = self._look()
            return self._plain
        return min(self._plain or ahead, PIPE)

    def _look(self) -> int:
        """Have the decoder follow what waits in the source, and return how much of it is plain; OSError."""
        seen = self._allowance.seen
        size = _peek(self._descriptors[0], seen)
        try:
            return self._decoder.follow(seen, size, LINES)
        except ChunkOverheadError:  # who reads it will say so, too
            return 0

    def _came(self, size: int) -> None:
        """See Splice."""
        if self._plain:
            self._plain -= size
        else:
            self._decoder.pass_over(size)
        super()._came(size)

    def _take_out(self) -> bytes:
        """See Splice: what the decoder has followed is not to be read again."""
        followed = read(self._descriptors[0], self._plain)
        self._ends.came(len(followed))
        return super()._take_out() + followed

    def _over(self) -> bool:
        """See Splice: what ends it is found by a look."""
        return False


def _peek(descriptor: int, buffer: bytearray) -> int:
    """Copy what waits in a socket, as much as fits; OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
    try:
        return sock.recv_into(buffer, 0, socket.MSG_PEEK)
    finally:
        sock.detach()
