"""A listener as a worker sees it: a listening socket shared by all workers, and the routes that serve what it accepts.

The accept loop is our own: small batches, so that workers who wake together share a burst of new connections instead of
one taking it whole; a cap on connections; and a reserved descriptor, so that running out of descriptors means a clean
close and a count instead of a client that hangs.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from ssl import SSLContext
from typing import NamedTuple, TypeAlias, cast
from weakref import WeakValueDictionary

from rauta_control import servername
from rauta_control.ir import Listener, Resource, Secret, ServerName
from rauta_control.reasons import Reason
from rauta_control.table import NoRoutes, Routes, SectionRoutes, Table
from rauta_control.tlscontext import Contexts

BATCH = 4  # connections accepted per turn; the level-triggered poll calls again at once if more wait
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))  # descriptors, or kernel memory
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


class Site(NamedTuple):
    """What a TLS listener does for a server name: `port` takes the connections, with these certificates."""

    port: Port
    name: ServerName
    resources: Mapping[str, Resource]

    async def context(self, contexts: Contexts, wanted: str, now: float) -> SSLContext:
        """Return the context for a handshake; raises ValueError if it cannot be made."""
        secrets = servername.choose(self._secrets(self.name.secrets), wanted)
        return await contexts.get(secrets, self._secrets(self.name.authorities), self.name.client, now)

    def _secrets(self, names: Iterable[str]) -> tuple[Secret, ...]:
        return tuple(cast("Secret", self.resources[f"secret/{name}"]) for name in names)


_Way: TypeAlias = tuple[str, bool]
"""How TLS connections come in: by a section, and whether they have shown a certificate of an authority."""


class Port:
    """One listener. `routes` is replaced at each commit, and read once a request; `sock` is None while unbound.

    The connections of a TLS listener (`tls`) are not its own but those of a Port for the section that their server name
    selected (`secure`), so that a request costs the same with and without TLS; they count for the listener, their
    `owner`. A connection that came in by a way that is closed meanwhile gets no route any more: one without TLS where
    TLS has become what the listener speaks, one with TLS where it is no longer, or one that showed no client
    certificate where one has come to be required.
    """

    __slots__ = (
        "__weakref__",
        "_kept",
        "_listener",
        "_named",
        "_resources",
        "_sections",
        "_served",
        "name",
        "open",
        "owner",
        "routes",
        "secure",
        "sock",
        "tls",
    )

    def __init__(
        self, name: str, sock: socket.socket | None, *, secure: bool = False, owner: Port | None = None
    ) -> None:
        self.name = name
        self.sock = sock
        self.secure = secure
        self.tls = False
        self.routes = Routes({})
        self.open = 0  # connections of clients, accepted here
        self.owner = self if owner is None else owner
        self._listener: Listener | None = None
        self._resources: Mapping[str, Resource] = {}
        self._named: dict[str, ServerName] | None = None  # made at the first handshake after a change
        self._served = self.routes  # for connections that come in now
        self._sections: WeakValueDictionary[_Way, Port] = WeakValueDictionary()  # those in use, and
        self._kept: list[Port] = []  # those that can be selected

    def follow(self, table: Table) -> None:
        """Take over what a new table says."""
        listener = table.resources.get(f"listener/{self.name}")
        self._resources = table.resources
        changed = listener is not self._listener
        if changed:
            self._listener = listener if isinstance(listener, Listener) else None
            self._named = None
            self._kept = []
            self.tls = self._listener is not None and bool(self._listener.tls)
        routes = table.listeners.get(self.name) or Routes({})
        if routes is self._served and not changed:
            return
        self._served = routes
        self.routes = NoRoutes(Reason.PLAIN_HTTP) if self.tls else routes
        if not self._sections:
            return
        ways = {self._way(each) for each in self._listener.tls} if self._listener else set()
        plain = self._listener is not None and not self.tls
        for (section, certified), port in self._sections.items():
            closed = plain or (not certified and (section, True) in ways and (section, False) not in ways)
            port.routes = NoRoutes(Reason.MISDIRECTED) if closed else SectionRoutes(routes, section)

    def site(self, wanted: str) -> Site | None:
        """Who serves a server name (lower case, empty if the client gave none)."""
        if self._named is None:
            self._named = {each.hostname: each for each in self._listener.tls} if self._listener else {}
        name = servername.entry(self._named, wanted)
        if name is None:
            return None
        way = self._way(name)
        port = self._sections.get(way)
        if port is None:
            port = self._sections[way] = Port(self.name, None, secure=True, owner=self)
            port.routes = SectionRoutes(self._served, way[0])
            self._kept.append(port)
        return Site(port, name, self._resources)

    def _way(self, name: ServerName) -> _Way:
        return servername.section(self._resources, self.name, name), name.client == "required"

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
                if error.errno in _EXHAUSTED:
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
