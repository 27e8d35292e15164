"""Sealed memfds: how a configuration travels as a file descriptor.

Control writes one, the supervisor keeps it, every child may map or read it, and because it is sealed nobody can change
it under the others. The memory is shared and goes away with the last process that holds the descriptor.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator

from rauta_control.slices import Slices, finish

# F_SEAL_WRITE waits for other CPUs to let go of the pages (up to seconds were seen on a busy machine); this one, which
# differs only for mappings that exist already, does not. Since Linux 5.1.
F_SEAL_FUTURE_WRITE = 0x0010

_SIZE = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW

CHUNK = 262_144  # bytes read at a time


def create(name: str, data: bytes) -> int:
    """Return a new descriptor holding `data`, sealed. `name` shows up in /proc/PID/fd. Raises OSError."""
    return finish(creating(name, (data,)))


def creating(name: str, pieces: Iterable[bytes]) -> Slices[int]:
    """Do what `create` does, a piece at a time."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(fd, rest) :]
            yield
        _seal(fd)
    except BaseException:  # given up in between, too
        os.close(fd)
        raise
    return fd


def _seal(fd: int) -> None:
    try:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SIZE | F_SEAL_FUTURE_WRITE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SIZE | fcntl.F_SEAL_WRITE)


def read(fd: int) -> bytes:
    """Return all of it."""
    return b"".join(chunks(fd))


def chunks(fd: int) -> Iterator[bytes]:
    """Yield it from the beginning, at explicit offsets: all processes that hold the descriptor share its position."""
    done = 0
    while chunk := os.pread(fd, CHUNK, done):
        yield chunk
        done += len(chunk)
