"""Two connections over real sockets, between which a splice moves bytes, for tests of its engine. No tests in here."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import uvloop

from rauta_control.splice import Allowance, Splice

SIZE = 3 << 20
BODY = os.urandom(SIZE)


class Connection(asyncio.Protocol):
    """One whose bytes go to another one as they come, or what `relay` makes of them."""

    def __init__(self) -> None:
        self.other: Connection | None = None
        self.relay: Callable[[bytes], bytes] = bytes
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        self.other.transport.write(self.relay(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Body:
    """What is moved, of SIZE bytes if that is asked; `said` is what the hooks were told, `moved` how much came."""

    def __init__(self, source: asyncio.Transport, sink: asyncio.Transport) -> None:
        self.source = source
        self.sink = sink
        self.still = SIZE
        self.moved = 0
        self.said: list[str] = []
        self.over = asyncio.get_running_loop().create_future()

    def left(self) -> int:
        return self.still

    def came(self, size: int) -> None:
        self.still -= size
        self.moved += size

    def held_up(self) -> None:
        self.said.append("held up")

    def flows(self) -> None:
        self.said.append("flows")

    def finish(self) -> None:
        self.over.set_result("finished")

    def resume(self) -> None:
        self.over.set_result("given back")
        self.source.resume_reading()


Make: TypeAlias = Callable[[asyncio.AbstractEventLoop, Allowance, Body], Splice]


class Wires:
    """Two connections of ours, `source` and `sink`, and their peers."""

    def __init__(
        self, source: Connection, sink: Connection, sender: socket.socket, taker: socket.socket, make: Make
    ) -> None:
        self.source, self.sink, self.sender, self.taker = source, sink, sender, taker
        self.allowance = Allowance(1 << 20)
        self.body = Body(source.transport, sink.transport)
        self.splice = make(asyncio.get_running_loop(), self.allowance, self.body)

    def begin(self, first: bytes = b"") -> bool:
        """Begin with `first`, now being 0."""
        self.source.transport.pause_reading()
        return self.splice.begin(first, 0.0)

    async def send(self, data: bytes) -> None:
        """Send as the source's peer."""
        await asyncio.get_running_loop().sock_sendall(self.sender, data)

    async def take(self, size: int) -> bytes:
        """Return so many bytes as the sink's peer, less at the end."""
        data = bytearray()
        while size > len(data):
            more = await asyncio.get_running_loop().sock_recv(self.taker, min(size - len(data), 1 << 16))
            if not more:
                break
            data += more
        return bytes(data)


async def _connect() -> tuple[Connection, socket.socket]:
    """Return a connection and its peer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    peer.setblocking(False)
    _, protocol = await asyncio.get_running_loop().connect_accepted_socket(Connection, ours)
    return protocol, peer


def wired(test: Callable[[Wires], Awaitable[None]], make: Make = Splice) -> None:
    """Run `test`, and see that no descriptor is left."""

    async def run() -> None:
        (source, sender), (sink, taker) = await _connect(), await _connect()
        source.other = sink
        before = len(os.listdir("/proc/self/fd"))
        wires = Wires(source, sink, sender, taker, make)
        try:
            async with asyncio.timeout(30):
                await test(wires)
            wires.splice.close()
            assert wires.allowance.open == 0
            assert len(os.listdir("/proc/self/fd")) <= before
        finally:
            for each in (source.transport, sink.transport, sender, taker):
                each.close()
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
