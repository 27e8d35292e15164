"""A pipe beside another one: what waits in that can be looked at here, and none of it is taken out (tee(2)).

The kernel shares the pages; only bytes that are `read` are copied, those in between are skipped.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from contextlib import ExitStack, suppress
from functools import partial

DESCRIPTORS = 3  # of each
_MANY = 1 << 30  # bytes


class SidePipe:
    """Empty before each `share`. What raises OSError leaves it fit for nothing but to be closed."""

    __slots__ = ("_descriptors", "_tee", "read", "skip")

    def __init__(self, size: int) -> None:
        """`size`: of the other pipe, in bytes, so that there is room for whatever is in that."""
        try:
            self._tee = ctypes.CDLL(None, use_errno=True).tee
        except AttributeError:
            raise OSError(errno.ENOSYS, "no tee in this libc") from None
        with ExitStack() as opened:
            out, into = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            opened.callback(os.close, out)
            opened.callback(os.close, into)
            fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, size)
            nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            opened.pop_all()
        self._descriptors = (out, into, nowhere)
        splice, read = os.splice, os.read

        def skip(size: int) -> int:
            return splice(out, nowhere, size, None, None, os.SPLICE_F_NONBLOCK)

        self.skip = skip  # pass over up to so many bytes; return how many there were
        self.read = partial(read, out)  # return up to so many

    def share(self, pipe: int, size: int) -> None:
        """Have here what waits in `pipe`: `size` bytes, all of them."""
        shared = self._tee(pipe, self._descriptors[1], ctypes.c_size_t(size), os.SPLICE_F_NONBLOCK)
        if shared != size:
            raise OSError(ctypes.get_errno() if shared < 0 else errno.ENOBUFS, "tee")

    def clear(self) -> None:
        """Drop what is left."""
        with suppress(BlockingIOError):
            while self.skip(_MANY):
                pass

    def close(self) -> None:
        """Give the descriptors back."""
        for descriptor in self._descriptors:
            os.close(descriptor)
