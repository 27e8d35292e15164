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


class Reserve:
    """A descriptor held back for the moment when there is no other."""

    def __init__(self) -> None:
        self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def refuse(self, listening: socket.socket) -> None:
        """Accept one connection only to close it."""
        os.close(self._fd)
        try:
            listening.accept()[0].close()
        except OSError:
            pass
        finally:
            self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


class Port:
    """One listener. `routes` is replaced at each commit; connections read it once a request."""

    __slots__ = ("name", "number", "routes", "sock")

    def __init__(self, name: str, sock: socket.socket) -> None:
        self.name = name
        self.sock = sock
        self.routes = Routes({})

    def accept(
        self, accepted: Callable[[Port, socket.socket, str, int], None], refused: Callable[[], None], reserve: Reserve
    ) -> None:
        """Accept what waits, at most BATCH: `accepted(port, socket, address, port number)` for each."""
        for _ in range(BATCH):
            try:
                connection, address = self.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS:
                    raise
                reserve.refuse(self.sock)
                refused()
                return
            accepted(self, connection, address[0], address[1])
