"""The access log: one JSON line a request, in small batches, never waiting for whoever reads them.

Lines are formatted by downstream.py; this is where they go. A sink is written without blocking: standard output is opened
anew through /proc so that our O_NONBLOCK is not everybody's, and batches to a pipe are at most PIPE_BUF bytes, which the
kernel writes whole or not at all, so the lines of several workers never mix. What a slow or full sink does not take is
dropped and counted.
"""

from __future__ import annotations

import os
import select
import stat

BATCH = select.PIPE_BUF  # 4,096 on Linux: about 15 lines
FILE_BATCH = 65_536


class AccessLog:
    """Takes finished lines and writes them when a batch is full or `flush` is called."""

    __slots__ = ("_batch", "_fd", "_lines", "_size", "dropped", "written")

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._lines: list[bytes] = []
        self._size = 0
        self._batch = FILE_BATCH if fd is not None and stat.S_ISREG(os.fstat(fd).st_mode) else BATCH
        self.written = 0  # lines
        self.dropped = 0  # lines

    def write(self, line: bytes) -> None:
        """Add one line, with its newline."""
        size = self._size + len(line)
        if size > self._batch:
            self.flush()
            size = len(line)
        self._lines.append(line)
        self._size = size

    def flush(self) -> None:
        """Hand the batch to the sink now, or drop it."""
        if not self._lines:
            return
        count = len(self._lines)
        batch = b"".join(self._lines)
        self._lines.clear()
        self._size = 0
        if self._fd is None:
            return
        try:
            complete = os.write(self._fd, batch) == len(batch)
        except OSError:  # full pipe, full disk, reader gone: the request was served, only its line is lost
            complete = False
        if complete:
            self.written += count
        else:
            self.dropped += count


def open_sink(target: str) -> int | None:
    """Return a non-blocking file descriptor for `target` ("stdout", "off" or a path). Raises OSError for a bad path."""
    if target == "off":
        return None
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
    if target != "stdout":
        return os.open(target, flags | os.O_CREAT, 0o640)
    try:
        return os.open("/proc/self/fd/1", flags)
    except OSError:  # a socket, or a pipe of another user: then only the access log uses it and may set its mode
        os.set_blocking(1, False)
        return 1
