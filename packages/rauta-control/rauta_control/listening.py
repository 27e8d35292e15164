"""Listening sockets: bound once by the supervisor, shared by all workers, so that no worker's death loses a connection.

`plan` decides (pure) what a wanted set of listeners means for the present one; `Listeners` holds the sockets and acts.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from rauta_control.messages import Bound
from rauta_control.routespec import Address

BACKLOG = 4096  # connections; the kernel takes net.core.somaxconn if that is less (4096 since Linux 5.4)

Place: TypeAlias = tuple[str, int]  # address and port as asked for, port 0 included

_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_WHY = {
    errno.EADDRINUSE: "address already in use: stop the program that has it or choose another port",
    errno.EACCES: "permission denied: a port below 1024 needs the capability NET_BIND_SERVICE, or a lower "
    "net.ipv4.ip_unprivileged_port_start",
    errno.EADDRNOTAVAIL: "no such address on this machine",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
}


def bind(host: str, port: int) -> socket.socket:
    """Return a listening, non-blocking socket on the IP literal `host`. Raises OSError.

    "::" is all of IPv6 and IPv4, and only IPv4 on a machine without IPv6. Port 0 lets the kernel choose.
    """
    try:
        return _bind(host, port)
    except OSError as error:
        if host != "::" or error.errno not in _NO_IPV6:
            raise
        return _bind("0.0.0.0", port)


def place(sock: socket.socket) -> Address:
    """Where `sock` really listens."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def local_addresses() -> tuple[str, ...]:
    """The addresses that this machine speaks to others from, IPv4 first; none of a family that it has no way out in."""
    found = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))  # documentation addresses (RFC 5737, 3849); nothing is sent
            found.append(str(probe.getsockname()[0]))
    return tuple(found)


def why(error: OSError) -> str:
    """What an operator can do about a failed bind."""
    if isinstance(error, socket.gaierror):
        return "not an IP address"
    return _WHY.get(error.errno or 0) or os.strerror(error.errno or 0).lower()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in this order; names in `kept` stay as they are."""

    kept: tuple[str, ...]
    close: tuple[str, ...]
    rename: dict[str, str]  # new name -> the old name whose socket it takes over: no moment without a listener
    bind: tuple[str, ...]
    refuse: dict[str, str]  # name -> why


def plan(current: Mapping[str, Place], wanted: Mapping[str, Place]) -> Plan:
    """Decide how to get from `current` to `wanted`. One place is for one name: the older, else the first, keeps it."""
    kept = tuple(name for name, where in wanted.items() if current.get(name) == where)
    owners = {wanted[name]: name for name in kept if wanted[name][1]}
    leaving = {name: where for name, where in current.items() if name not in kept}
    reusable = {where: name for name, where in leaving.items() if where[1]}
    rename: dict[str, str] = {}
    fresh: list[str] = []
    refuse: dict[str, str] = {}
    for name, where in wanted.items():
        if name in kept:
            continue
        if where in owners:
            refuse[name] = f"{Address(*where)} is taken by listener {owners[where]}"
            continue
        if where[1]:
            owners[where] = name
        if where in reusable:
            rename[name] = reusable[where]
        else:
            fresh.append(name)
    close = tuple(name for name in leaving if name not in rename.values())
    return Plan(kept, close, rename, tuple(fresh), refuse)


@dataclass(slots=True)
class Listener:
    """One socket and the place it was asked for."""

    wanted: Place
    sock: socket.socket

    def bound(self, name: str) -> Bound:
        """The answer to control: where it really listens."""
        real = place(self.sock)
        return Bound(name, real.host, real.port)


@dataclass(frozen=True, slots=True)
class Change:
    """What came of a change: the names of `new` sockets for workers, and the `answers` for control."""

    new: list[str]
    answers: list[Bound]


class Listeners:
    """The sockets by listener name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Listener] = {}

    def change(self, wanted: Mapping[str, Place], leaving: Callable[[str], None]) -> Change:
        """Make it so. Each name that is not simply kept is answered by a Bound, with a port or with an error.

        `leaving` is called with each name that goes, before its socket stops to listen.
        """
        steps = plan({name: listener.wanted for name, listener in self.by_name.items()}, wanted)
        answers = [Bound(name, *wanted[name], error) for name, error in steps.refuse.items()]
        for name in (*steps.close, *steps.rename.values()):
            leaving(name)
        renamed = {new: self.by_name.pop(old) for new, old in steps.rename.items()}
        for name in steps.close:
            _end(self.by_name.pop(name).sock)
        self.by_name.update(renamed)
        for name in steps.bind:
            try:
                self.by_name[name] = Listener(wanted[name], bind(*wanted[name]))
            except OSError as error:
                answers.append(Bound(name, *wanted[name], f"cannot listen: {why(error)}"))
        new = [name for name in (*steps.rename, *steps.bind) if name in self.by_name]
        return Change(new, answers + [self.by_name[name].bound(name) for name in new])

    def sockets(self) -> dict[str, socket.socket]:
        """The sockets by listener name."""
        return {name: listener.sock for name, listener in self.by_name.items()}

    def bound(self) -> tuple[Bound, ...]:
        """Where each listener really listens."""
        return tuple(listener.bound(name) for name, listener in self.by_name.items())

    def close(self) -> None:
        """Close our copies; workers that hold theirs go on accepting."""
        for listener in self.by_name.values():
            listener.sock.close()
        self.by_name.clear()


def _bind(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:  # getaddrinfo would take it modulo 65536
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    # Numeric only: no name server is ever asked. It also makes sense of a zone such as fe80::1%eth0.
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE)
    family, kind, protocol, _, where = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT must not hinder a restart
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.setblocking(False)
        sock.bind(where)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _end(sock: socket.socket) -> None:
    """Stop listening at once, whoever else holds a copy: the port is free for the next bind.

    A worker that tries to accept before it reads its Unlisten gets EINVAL.
    """
    sock.shutdown(socket.SHUT_RDWR)
    sock.close()
