"""Chunked bodies moved by the kernel: as splice.py does it, after a look at what waits in the socket (MSG_PEEK).

Where chunks are large and all alike, as most senders' are for long, the look is at nothing but the lines between them.
What the decoder of the body finds plain there (framing.py) is moved. What is not (the last chunk, an extension, a
mistake, a line whose end has not come) is left to the protocol that reads the source. So no body ends here, and what
may be wrong with one, its limits and its trailers are the decoder's business there, which stands at exactly that place.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from rauta_control import rawsocket
from rauta_control.framing import ChunkOverheadError
from rauta_control.splice import PIPE, Allowance, Ends, Splice, read

if TYPE_CHECKING:
    from rauta_control.framing import ChunkedDecoder

LARGE = 1 << 16  # bytes of payload to come that are moved without a look: to copy them costs more than a system call
ALIKE = 1 << 14  # bytes of payload that cost more to copy than the two system calls of a look at the next line
LINES = 1_024  # in one look, some 0.4 ms: chunks may be tiny
SO_PEEK_OFF = 42  # socket(7): where the next look begins, -1 for the beginning of what waits; of TCP since Linux 6.9


class ChunkSplice(Splice):
    """What is to come of a chunked body whose `decoder` stands within a chunk."""

    __slots__ = ("_decoder", "_far", "_plain", "_socket")

    _socket: socket.socket  # of the source, from `begin` to `close`

    def __init__(
        self, loop: asyncio.AbstractEventLoop, allowance: Allowance, ends: Ends, decoder: ChunkedDecoder
    ) -> None:
        super().__init__(loop, allowance, ends)
        self._decoder = decoder
        self._plain = 0  # bytes in the source that the decoder has followed
        self._far = False  # whether a look can begin anywhere

    def begin(self, first: bytes, now: float) -> bool:
        """See Splice."""
        if not super().begin(first, now):
            return False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, self._descriptors[0])
        with suppress(OSError):
            self._look_from(-1)
            self._far = True
        return True

    def close(self) -> None:
        """See Splice."""
        if self._descriptors:
            self._socket.detach()
        super().close()

    def _wanted(self) -> int:
        """See Splice."""
        ahead = self._decoder.ahead
        if not self._plain and ahead < LARGE:
            self._plain = self._look()
            return self._plain
        return min(self._plain or ahead, PIPE)

    def _look(self) -> int:
        """Have the decoder follow what waits in the source, and return how much of it is plain; OSError."""
        try:
            if self._far and self._decoder.alike >= ALIKE and (followed := self._look_at_lines()):
                return followed
            seen = self._allowance.seen
            size = self._socket.recv_into(seen, 0, socket.MSG_PEEK)
            return self._decoder.follow(seen, size, LINES)
        except ChunkOverheadError:  # who reads it will say so, too
            return 0

    def _look_at_lines(self) -> int:
        try:
            waiting = rawsocket.unread(self._ends.source)
            return self._decoder.follow_alike(self._see, min(waiting, PIPE))
        finally:
            self._look_from(-1)

    def _see(self, at: int, size: int) -> bytes:
        self._look_from(at)
        return self._socket.recv(size, socket.MSG_PEEK)

    def _look_from(self, at: int) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, at)

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
