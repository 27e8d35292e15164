"""A listener as a worker sees it: a listening socket shared by all workers, and the routes that serve what it accepts.

The accept loop is our own: small batches, so that workers who wake together share a burst of new connections instead of
one taking it whole; a cap on connections; and a reserved descriptor, so that running out of descriptors means a clean
close and a count instead of a client that hangs.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from rauta_control.table import Routes

BATCH = 4  # connections accepted per turn; the level-triggered poll calls again at once if more wait
_OUT_OF_DESCRIPTORS = frozenset((errno.EMFILE, errno.ENFILE))
# accept(2): errors of the network that a connection which waits to be accepted can already have; EPERM is a firewall's
# verdict. That one is gone, take the next.
_NAMES = "ECONNABORTED ENETDOWN EPROTO ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH EOPNOTSUPP ENETUNREACH EPERM"
_GONE = frozenset(getattr(errno, name) for name in _NAMES.split() if hasattr(errno, name))


class Reserve:
    """A descriptor held back for the moment when there is no other."""

    def __init__(self) -> None:
        self._fd = _open()

    def refuse(self, listening: socket.socket) -> bool:
        """Accept one connection only to close it. False: none waits (Linux looks for a descriptor before it looks)."""
        if self._fd is not None:
            os.close(self._fd)
        try:
            listening.accept()[0].close()
            return True
        except OSError:
            return False
        finally:
            self._fd = _open()


class Port:
    """One listener. `routes` is replaced at each commit, and read once a request; `sock` is None while unbound."""

    __slots__ = ("name", "open", "routes", "sock")

    def __init__(self, name: str, sock: socket.socket | None) -> None:
        self.name = name
        self.sock = sock
        self.routes = Routes({})
        self.open = 0  # connections of clients, accepted here

    def accept(
        self, accepted: Callable[[Port, socket.socket, str, int], None], refused: Callable[[], None], reserve: Reserve
    ) -> None:
        """Accept what waits, at most BATCH: `accepted(port, socket, address, port number)` for each."""
        assert self.sock is not None  # noqa: S101 - for the type checker: only a bound port is polled
        for _ in range(BATCH):
            try:
                connection, address = self.sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _OUT_OF_DESCRIPTORS:
                    if reserve.refuse(self.sock):
                        refused()
                    return
                if error.errno not in _GONE:
                    raise
            else:
                accepted(self, connection, address[0], address[1])


def _open() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # somebody else took the last one: try again next time
        return None
