"""What a container printed, and when: enough for `sinceTime` and `tailLines`. Pure."""

from collections import deque

LIMIT = 16 << 20  # bytes kept for a container; the oldest go first


class Transcript:
    """Whole lines with the time they were seen, seconds since the epoch."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._pieces: deque[tuple[float, bytes]] = deque()  # each of whole lines, except that the last may lack its end
        self._size = 0
        self._limit = limit
        self._rest = b""

    def add(self, data: bytes, now: float) -> None:
        """Take what was read from the container; an unfinished line waits for its end."""
        whole, end, self._rest = (self._rest + data).rpartition(b"\n")
        if not end:
            return
        self._pieces.append((now, whole + end))
        self._size += len(whole) + 1
        while self._size > self._limit and len(self._pieces) > 1:
            self._size -= len(self._pieces.popleft()[1])

    def read(self, since: float = 0.0, tail: int | None = None) -> bytes:
        """The lines from a moment on, of those the last `tail`, and the unfinished one."""
        text = b"".join(piece for seen, piece in self._pieces if seen >= since) + self._rest
        if tail is None:
            return text
        return b"".join(text.splitlines(keepends=True)[-tail:]) if tail else b""
