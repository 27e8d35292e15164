"""The access log: one JSON line a request, in small batches, never waiting for whoever reads them.

Lines are formatted by ledger.py; this is where they go. A sink is written without blocking: standard output is
opened anew through /proc so that our O_NONBLOCK is not everybody's, and batches to a pipe are at most PIPE_BUF bytes,
which the kernel writes whole or not at all, so the lines of several workers never mix. What a slow or full sink does
not take is dropped and counted. Where a sink can be full in the middle of a line (a file on a full disk, a terminal),
the rest of that line is lost and the next one starts on a line of its own, also if it is another worker's: before a
batch goes to a file, its last byte is read, which costs some 2 us.
"""

from __future__ import annotations

import errno
import os
import select
import stat

BATCH = select.PIPE_BUF  # 4,096 on Linux: about 15 lines
FILE_BATCH = 65_536

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
_NO_FILE = ("stdout", "off")


class AccessLog:
    """Takes finished lines and writes them to `fd`, not blocking, when a batch is full or `flush` is called."""

    __slots__ = ("_batch", "_cut", "_fd", "_file", "_lines", "_size", "dropped", "fault", "written")

    def __init__(self, fd: int, written: int = 0, dropped: int = 0) -> None:
        self._fd = fd
        self._lines: list[bytes] = []
        self._size = 0
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._batch = FILE_BATCH if is_file else BATCH
        self._file = _readable(fd) if is_file else None
        self._cut = False  # what we wrote last ends in the middle of a line
        self.fault = ""  # why lines were dropped the last time
        self.written = written  # lines, counting on from those of a worker that died
        self.dropped = dropped

    def write(self, line: bytes) -> None:
        """Add one line, with its newline. One that is longer than a batch is dropped."""
        size = self._size + len(line)
        if size > self._batch:
            self.flush()
            size = len(line)
            if size > self._batch:
                self.dropped += 1
                return
        self._lines.append(line)
        self._size = size

    def flush(self) -> None:
        """Hand the batch to the sink now, or drop it."""
        if not self._lines:
            return
        batch = b"".join(self._lines)
        count = len(self._lines)
        self._lines.clear()
        self._size = 0
        try:
            if cut := self._is_cut():
                batch = b"\n" + batch
            taken = os.write(self._fd, batch)
        except OSError as error:  # full pipe, full disk, reader gone: the request was served, only its line is lost
            self.dropped += count
            slow = error.errno == errno.EAGAIN
            self.fault = "whoever reads them is too slow" if slow else error.strerror or str(error)
            return
        whole = count if taken == len(batch) else batch.count(b"\n", cut, taken)
        self.written += whole
        self.dropped += count - whole
        self._cut = batch[taken - 1] != 0x0A

    def _is_cut(self) -> bool:
        """Whether the sink ends in the middle of a line; that of a file may be another worker's."""
        if self._file is None:
            return self._cut
        size = os.fstat(self._file).st_size
        return size > 0 and os.pread(self._file, 1, size - 1) not in (b"\n", b"")  # b"": it was truncated meanwhile

    def close(self) -> None:
        """Hand over what is left, and let go of the sink."""
        self.flush()
        if self._file is not None:
            os.close(self._file)
        if self._fd > 2:  # standard output is everybody's
            os.close(self._fd)


def _readable(fd: int) -> int | None:
    """Return a descriptor to read the file that `fd` writes to; None where that is not allowed."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def unusable(target: str) -> str:
    """Why `target` cannot be opened as a sink, empty if it can; it is not made."""
    if target in _NO_FILE:
        return ""
    folder = os.path.dirname(target) or "."
    try:
        if not os.path.lexists(target) and os.path.isdir(folder):
            return "" if os.access(folder, os.W_OK | os.X_OK) else f"no file may be made in {folder}"
        os.close(os.open(target, _FLAGS))
    except OSError as error:
        return "nobody reads this pipe" if error.errno == errno.ENXIO else error.strerror or str(error)
    return ""


def open_sink(target: str) -> int | None:
    """Return a non-blocking file descriptor for `target` ("stdout", "off" or a path). Raises OSError for a bad path."""
    if target == "off":
        return None
    if target != "stdout":
        return os.open(target, _FLAGS | os.O_CREAT, 0o640)
    try:
        return os.open("/proc/self/fd/1", _FLAGS)
    except OSError:  # a socket, or a pipe of another user: then only the access log uses it and may set its mode
        os.set_blocking(1, False)
        return 1
