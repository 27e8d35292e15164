"""The sockets and virtual hosts of a Gateway: which listener a host name belongs to, and where its requests look next.

Pure. Listeners of one port are told apart by host name: a name belongs to the most specific listener that covers it, and
to no other (GatewayHTTPListenerIsolation). So a virtual host has one listener, and where none of its rules matches, only
the less specific virtual hosts of the same listener are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rauta_common import hashing
from rauta_control import hostname, ir
from rauta_control.addresses import place
from rauta_control.certificate import resource_name
from rauta_control.derive import Graph
from rauta_control.listeners import Facts, Section, served
from rauta_control.output import Output
from rauta_control.settings import settings
from rauta_control.world import Key

MAX_SOCKET = 240  # characters of a listener's name, so that a host name of 253 fits behind it


class Socket(NamedTuple):
    """An address and a port of a Gateway, and the listeners that share it."""

    name: str
    address: str
    port: int
    protocol: str
    listeners: tuple[Facts, ...]

    def owner(self, name: str) -> Facts | None:
        """The listener that a host name belongs to."""
        by_hostname = {each.hostname: each for each in self.listeners}
        closest = hostname.closest(name, by_hostname)
        return None if closest is None else by_hostname[closest]


def sockets(q: Graph, gateway: Key) -> tuple[Socket, ...]:
    """The sockets of a Gateway; none while it is not accepted or has no address."""
    where = place(q, gateway)
    by_port: dict[int, list[Facts]] = {}
    for each in q.get(served, gateway):
        if each.port not in where.blocked:
            by_port.setdefault(each.port, []).append(each)
    return tuple(
        Socket(_name(gateway, address, port), address, port, listeners[0].protocol, tuple(listeners))
        for address in where.addresses
        for port, listeners in sorted(by_port.items())
    )


def socket_resources(q: Graph, gateway: Key) -> Output:
    """The listeners of the IR, and the secrets they need."""
    made = []
    uses: dict[Key, None] = {}
    for socket in q.get(sockets, gateway):
        tls = tuple(_server_name(each) for each in socket.listeners) if socket.protocol == "HTTPS" else ()
        for each in socket.listeners:
            uses.update(dict.fromkeys((*each.identity.secrets, *each.identity.authorities)))
        made.append(
            ir.Listener(
                socket.name,
                socket.address,
                settings(q).ports.get(socket.port, socket.port),
                socket.port,
                "HTTPS" if socket.protocol == "HTTPS" else "HTTP",
                (gateway.path,),
                tls,
            )
        )
    return Output(tuple(made), uses=tuple(uses))


def hosts_output(q: Graph, gateway: Key) -> Output:
    """The virtual hosts: those of the listeners, and the more specific ones of routes."""
    wanted: frozenset[tuple[Section, str]] = q.read(("hosts", gateway)) or frozenset()
    made: list[ir.Resource] = []
    for socket in q.get(sockets, gateway):
        sections = {each.section: each for each in socket.listeners}
        names = {each.section: {each.hostname} for each in socket.listeners}
        for section, name in wanted:
            if section in sections:
                names[section].add(name)
        for section, belonging in sorted(names.items()):
            made += _virtual_hosts(socket, section, belonging)
    return Output(tuple(made))


def fallbacks(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each host name of a listener and the next less specific one; empty if there is none."""
    among = set(names)
    for name in sorted(among):
        yield name, next((each for each in hostname.wider(name) if each in among), "")


def _virtual_hosts(socket: Socket, section: Section, names: set[str]) -> Iterator[ir.VirtualHost]:
    for name, fallback in fallbacks(names):
        yield ir.VirtualHost(socket.name, name, f"{socket.name}|{fallback}" if fallback else "", section.path)


def _server_name(listener: Facts) -> ir.ServerName:
    trust = listener.identity
    return ir.ServerName(
        listener.hostname,
        tuple(resource_name(each) for each in trust.secrets),
        tuple(resource_name(each) for each in trust.authorities),
        trust.client,
    )


def _name(gateway: Key, address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    name = f"{gateway.path}/{host}:{port}"
    return ir.bounded(name, f"{hashing.digest(name.encode()):016x}", MAX_SOCKET)
