"""How many files, sockets included, a process may have open."""

from __future__ import annotations

import resource

LEAST = 128  # with less, no process has any for connections
COUNTED_ON = 1 << 20  # where there is no limit


def raised() -> int:
    """Raise the soft limit, which protects programs that use select(), to the hard one, and return that."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return COUNTED_ON if hard == resource.RLIM_INFINITY else hard
