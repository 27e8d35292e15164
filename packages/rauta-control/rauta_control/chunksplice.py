"""Chunked bodies moved by the kernel: as splice.py does it, with a look at the lines between the chunks (sidepipe.py).

The decoder of the body sees every size line before it goes on, and nothing goes on that is not plain (framing.py). The
first line that is not (the last chunk, an extension, a mistake) stays in the pipe, and once everything before it has
gone, it and what follows is given to the protocol that reads the source. So no body ends here, and what may be wrong
with one, its limits and its trailers are the decoder's business there, which stands at exactly that place.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rauta_control.splice import PIPE, Allowance, Ends, Splice

if TYPE_CHECKING:
    from rauta_control.framing import ChunkedDecoder

LOOK = 4_096  # bytes of payload: to look at a line takes as long as copying them
LOOKS = 16  # that no payload has paid for, in a row, before chunks are too small for this
WARY = 256_000  # bytes that may come while the sink is slow, as in a read: they could have to wait for it up here


class ChunkSplice(Splice):
    """What is to come of a chunked body whose `decoder` stands within a chunk."""

    __slots__ = ("_decoder", "_looks")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, allowance: Allowance, ends: Ends, decoder: ChunkedDecoder
    ) -> None:
        super().__init__(loop, allowance, ends)
        self._decoder = decoder
        self._looks = LOOKS

    def begin(self, first: bytes, now: float) -> bool:
        """See Splice."""
        return self._allowance.looks and super().begin(first, now)

    def _prepare(self) -> None:
        """See Splice."""
        self._allowance.open_side()

    def _wanted(self) -> int:
        """See Splice."""
        slow = self._polled == self._descriptors[3]
        return min(max(self._decoder.ahead, WARY if slow else PIPE), PIPE)

    def _came(self, size: int) -> None:
        """See Splice."""
        there = self._held + size
        self._piped = self._follow(there)
        self._held = there - self._piped
        self._ends.came(self._piped)

    def _follow(self, there: int) -> int:
        """Have the decoder follow what is plain of the bytes in the pipe; return how many those are."""
        decoder, allowance = self._decoder, self._allowance
        if there <= decoder.ahead:
            decoder.pass_over(there)
            return there
        side, plain = allowance.side, 0
        if side is None:  # it has failed another splice
            decoder.coarse = False
            return 0
        try:
            side.share(self._descriptors[2], there)
            looks = min(self._looks, LOOKS) + there // LOOK
            plain, self._looks = decoder.walk(there, looks, side.skip, side.read)
            if not decoder.coarse:
                side.clear()
        except OSError as error:
            decoder.coarse = False
            allowance.close_side(error)
        return plain

    def _over(self) -> bool:
        """See Splice: what is held now is not for us."""
        if self._decoder.coarse:
            return False
        self._give_back()
        return True
