"""Sealed memfds: how a configuration travels as a file descriptor.

Control writes one, the supervisor keeps it, every child may map or read it, and because it is sealed nobody can change
it under the others. The memory is shared and goes away with the last process that holds the descriptor.
"""

from __future__ import annotations

import errno
import fcntl
import os

# F_SEAL_WRITE waits for other CPUs to let go of the pages (up to seconds were seen on a busy machine); this one, which
# differs only for mappings that exist already, does not. Since Linux 5.1.
F_SEAL_FUTURE_WRITE = 0x0010

_SIZE = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


def create(name: str, data: bytes) -> int:
    """Return a new descriptor holding `data`, sealed. `name` shows up in /proc/PID/fd. Raises OSError."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        _seal(fd)
    except OSError:
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
    """Return all of it, read at explicit offsets: every process that holds the descriptor shares its file position."""
    size = os.fstat(fd).st_size
    parts: list[bytes] = []
    done = 0
    while done < size and (part := os.pread(fd, size - done, done)):
        parts.append(part)
        done += len(part)
    return b"".join(parts)
