"""A file that somebody named, read without waiting for anybody. A shell that does not block.

Opening a named pipe waits for who writes to it, perhaps for ever, and a device may have no end. Files that are read
again while the gateway runs (certificates, manifests, a kubeconfig) therefore have to be regular ones, or links to
such, as a mounted Secret has them.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

NOT_REGULAR = "Not a regular file"  # in the words of strerror(3), which has none for this


def is_special(path: str | Path) -> bool:
    """Whether there is a pipe, a socket or a device at `path`, or where it links to: neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # who opens it will say so
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read(path: str | Path) -> bytes:
    """Return what is in it. Raises OSError, with NOT_REGULAR as its `strerror` where that is why."""
    if is_special(path):
        raise OSError(errno.EINVAL, NOT_REGULAR, str(path))
    with open(path, "rb", opener=_opener) as file:
        return file.read()


def _opener(path: str, flags: int) -> int:
    """Do not wait for what has become a pipe since it was looked at: nothing is read then."""
    return os.open(path, flags | os.O_NONBLOCK)
