"""Accepts the connections of clients: where there is both a socket and a configuration, and as long as there is room.

A connection that is one too many hears so at once; none waits in the kernel for a worker that is full.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from rauta_control.port import Port, Reserve
from rauta_control.reasons import Reason, answer
from rauta_control.sharedmem import Vital
from rauta_control.tlshandshake import Handshake

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream
    from rauta_control.worker import Worker


class Acceptor:
    """Listens for a worker. `ports` are its listeners by name, from whose sockets connections are accepted."""

    def __init__(self, worker: Worker, ports: dict[str, Port]) -> None:
        self._worker = worker
        self._ports = ports
        self._accepting: set[str] = set()
        self._reserve = Reserve()

    # -- listeners

    def update(self) -> None:
        """Accept where there is both a socket and a configuration, nowhere else."""
        worker = self._worker
        bound = {name: port.sock for name, port in self._ports.items() if port.sock is not None}
        wanted = set() if worker.draining else bound.keys() & worker.follower.table.listeners.keys()
        for name in self._accepting - wanted:
            worker.loop.remove_reader(bound[name])
        for name in wanted - self._accepting:
            bound[name].setblocking(False)
            worker.loop.add_reader(bound[name], self._ports[name].accept, self.accepted, self._refused, self._reserve)
        self._accepting = wanted

    def listen(self, name: str, sock: socket.socket) -> None:
        """Accept from `sock` for the listener `name` from now on."""
        self.unlisten(name)
        port = self._ports.get(name)
        if port is None:
            port = self._ports[name] = Port(name, sock)
            port.follow(self._worker.follower.table)
        else:  # connections accepted from the former socket go on with it
            port.sock = sock
        self.update()

    def unlisten(self, name: str) -> None:
        """Close the socket of the listener `name`, if it has one."""
        port = self._ports.get(name)
        if port is None or port.sock is None:
            return
        if name in self._accepting:
            self._worker.loop.remove_reader(port.sock)
            self._accepting.discard(name)
        port.sock.close()
        port.sock = None

    # -- connections

    def accepted(self, port: Port, sock: socket.socket, address: str, number: int) -> None:
        """Take a connection of a client with this address and port number, or turn it away."""
        worker = self._worker
        limits = worker.limits
        if len(worker.connections) >= limits.max_connections:
            self._turn_away(port, sock, Reason.OVERLOADED)
            return
        if limits.max_listener_connections and port.open >= limits.max_listener_connections:
            self._turn_away(port, sock, Reason.LISTENER_FULL)
            return
        worker.vitals[Vital.ACCEPTED] += 1
        if port.tls:
            worker.connections.add(Handshake(worker, port, sock, address, number))
            port.open += 1  # only now: if there is no memory for it, there is no connection
            return
        port.open += 1
        downstream = worker.downstream(port, address, number)
        worker.connections.add(downstream)  # from here on draining waits for it
        worker.start(self._adopt(downstream, sock))

    async def _adopt(self, downstream: Downstream, sock: socket.socket) -> None:
        try:
            await self._worker.loop.connect_accepted_socket(lambda: downstream, sock)
        except (OSError, asyncio.CancelledError):  # the client has reset it, or we stop
            sock.close()
            self._worker.disconnected(downstream)

    def _turn_away(self, port: Port, sock: socket.socket, reason: Reason) -> None:
        """Say that we are full. What the client said is read: else closing would send a reset that overtakes that."""
        self._refused()
        self._worker.count_reason(reason)
        if port.tls:  # to say it would take a handshake
            sock.close()
            return
        sock.setblocking(False)
        with sock, suppress(OSError):
            sock.send(answer(reason, close=True))
            sock.recv(65_536)

    def _refused(self) -> None:
        self._worker.vitals[Vital.REFUSED] += 1
