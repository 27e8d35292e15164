"""The sockets and virtual hosts of a Gateway: which listener a host name belongs to, and where its requests look next.

Pure. Listeners of one port are told apart by host name: a name belongs to the most specific listener that covers it,
and to no other (GatewayHTTPListenerIsolation). So a virtual host has one listener, and where none of its rules matches,
only the less specific virtual hosts of the same listener are asked.
"""

from __future__ import annotations

from typing import NamedTuple

from rauta_control import hostname, ir
from rauta_control.addresses import place
from rauta_control.certificate import resource_name, secret_output
from rauta_control.derive import Graph
from rauta_control.listeners import Facts, Section, served
from rauta_control.output import Output, Slot
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


def sockets_output(q: Graph, gateway: Key) -> Output:
    """The listeners of the IR; they need secrets and a virtual host for each listener of the Gateway."""
    targets = place(q, gateway).targets
    made: list[ir.Resource] = []
    needs: set[Slot] = set()
    for socket in q.get(sockets, gateway):
        tls = tuple(_server_name(each) for each in socket.listeners) if socket.protocol == "HTTPS" else ()
        for each in socket.listeners:
            needs.update((secret_output, (key,)) for key in (*each.identity.secrets, *each.identity.authorities))
            needs.add((host_output, (gateway, each.section, each.hostname)))
        made.append(
            ir.Listener(
                socket.name,
                socket.address,
                targets.get(socket.port) or socket.port,
                socket.port,
                "HTTPS" if socket.protocol == "HTTPS" else "HTTP",
                (gateway.path,),
                tls,
            )
        )
    return Output(tuple(made), needs=frozenset(needs))


def host_output(q: Graph, gateway: Key, section: Section, name: str) -> Output:
    """A virtual host, on every socket that its listener has."""
    made = []
    for socket in q.get(sockets, gateway):
        for listener in socket.listeners:
            if listener.section == section:
                fallback = next((each for each in hostname.wider(name) if _served(q, gateway, listener, each)), "")
                below = f"{socket.name}|{fallback}" if fallback else ""
                made.append(ir.VirtualHost(socket.name, name, below, section.path))
    return Output(tuple(made))


def routed(q: Graph, gateway: Key, section: Section, name: str) -> bool:
    """Whether any route has rules on a virtual host."""
    return q.read(("hosts", (gateway, section, name))) is not None


def _served(q: Graph, gateway: Key, listener: Facts, name: str) -> bool:
    return listener.hostname == name or routed(q, gateway, listener.section, name)


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
    return ir.bounded(f"{gateway.path}/{host}:{port}", MAX_SOCKET)
