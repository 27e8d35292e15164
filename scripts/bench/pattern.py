"""The content of big bodies: any byte can be checked by its position, at the speed of a memory comparison. Pure.

One block of bytes that do not repeat, again and again. Its length is no multiple of a page or of a buffer, so a piece
that is lost, doubled or swapped shows, unless it is exactly a block long; the total length shows that.
"""

import hashlib
from collections.abc import Iterator

CHUNK = 16 * 1024  # of chunked bodies as we send them: what Node and Java write at a time
PERIOD = 61 * CHUNK  # 999,424 bytes: near 1 MiB, and out of step with it


def block() -> bytes:
    """The block: always the same bytes."""
    return hashlib.shake_256(b"rauta").digest(PERIOD)


def pieces(total: int) -> Iterator[bytes]:
    """The body, a block at a time."""
    whole = block()
    for _ in range(total // PERIOD):
        yield whole
    if rest := total % PERIOD:
        yield whole[:rest]


def frame(data: bytes) -> bytes:
    """One chunk of RFC 9112 7.1."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def framed(total: int) -> Iterator[bytes]:
    """The body in chunks of CHUNK, a block of them at a time, with the last chunk."""
    whole = block()
    frames = b"".join(frame(whole[at : at + CHUNK]) for at in range(0, PERIOD, CHUNK))
    for _ in range(total // PERIOD):
        yield frames
    rest = whole[: total % PERIOD]
    yield b"".join(frame(rest[at : at + CHUNK]) for at in range(0, len(rest), CHUNK)) + b"0\r\n\r\n"


class Check:
    """Compares what arrives with what was sent. `position` counts bytes; `exact` is false after a wrong one."""

    def __init__(self) -> None:
        """Starts at the first byte."""
        self._twice = block() * 2  # so that a piece across the seam is one slice
        self.position = 0
        self.exact = True

    def feed(self, data: bytes) -> None:
        """The next piece, of any length."""
        for at in range(0, len(data), PERIOD):
            part = data[at : at + PERIOD]
            start = self.position % PERIOD
            self.exact = self.exact and part == self._twice[start : start + len(part)]
            self.position += len(part)
