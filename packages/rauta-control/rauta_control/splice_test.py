"""The engine of spliced bodies over real sockets, where the kernel or the allowance says no."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from rauta_control.splice import MAX_FIRST, MAX_SPLICES, RETRY, Allowance, Splice, plain

SIZE = 3 << 20
BODY = os.urandom(SIZE)


class Ends(asyncio.Protocol):
    """A connection whose bytes go to another one as they come."""

    def __init__(self) -> None:
        self.other: Ends | None = None
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Body(Splice):
    """SIZE bytes; `said` is what the hooks were told."""

    def __init__(self, allowance: Allowance, source: asyncio.Transport, sink: asyncio.Transport) -> None:
        super().__init__(asyncio.get_running_loop(), allowance, source, sink)
        self.still = SIZE
        self.said: list[str] = []
        self.over = asyncio.get_running_loop().create_future()

    def left(self) -> int:
        return self.still

    def came(self, size: int) -> None:
        self.still -= size

    def held_up(self) -> None:
        self.said.append("held up")

    def flows(self) -> None:
        self.said.append("flows")

    def finish(self) -> None:
        self.over.set_result("finished")

    def resume(self) -> None:
        self.over.set_result("given back")
        self.source.resume_reading()


class Wires:
    """Two connections of ours, `source` and `sink`, and their peers."""

    def __init__(self, source: Ends, sink: Ends, sender: socket.socket, taker: socket.socket) -> None:
        self.source, self.sink, self.sender, self.taker = source, sink, sender, taker
        self.allowance = Allowance(1 << 20)
        self.body = Body(self.allowance, source.transport, sink.transport)

    def begin(self, first: bytes = b"") -> bool:
        """Begin with `first`, now being 0."""
        self.source.transport.pause_reading()
        return self.body.begin(first, 0.0)

    async def send(self, data: bytes) -> None:
        """Send as the source's peer."""
        await asyncio.get_running_loop().sock_sendall(self.sender, data)

    async def take(self, size: int) -> bytes:
        """Return so many bytes as the sink's peer, less at the end."""
        data = bytearray()
        while len(data) < size and (more := await asyncio.get_running_loop().sock_recv(self.taker, 1 << 16)):
            data += more
        return bytes(data)


async def connect() -> tuple[Ends, socket.socket]:
    """Return a connection and its peer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    peer.setblocking(False)
    _, protocol = await asyncio.get_running_loop().connect_accepted_socket(Ends, ours)
    return protocol, peer


def wired(test: Callable[[Wires], Awaitable[None]]) -> None:
    """Run `test`, and see that no descriptor is left."""

    async def run() -> None:
        (source, sender), (sink, taker) = await connect(), await connect()
        source.other = sink
        before = len(os.listdir("/proc/self/fd"))
        wires = Wires(source, sink, sender, taker)
        try:
            async with asyncio.timeout(30):
                await test(wires)
            wires.body.close()
            assert wires.allowance.open == 0
            assert len(os.listdir("/proc/self/fd")) <= before
        finally:
            for each in (source.transport, sink.transport, sender, taker):
                each.close()
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_what_was_read_goes_first_and_the_last_byte_ends_it() -> None:
    async def test(wires: Wires) -> None:
        assert wires.begin(b"first")
        assert wires.allowance.open == 1
        (_, taken) = await asyncio.gather(wires.send(BODY + b"after"), wires.take(5 + SIZE))
        assert taken == b"first" + BODY
        assert await wires.body.over == "finished"
        wires.source.transport.resume_reading()
        assert await wires.take(5) == b"after"

    wired(test)


def test_who_takes_nothing_holds_it_up() -> None:
    async def test(wires: Wires) -> None:
        wires.taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
        assert wires.begin()
        wires.body.still = len(BODY) * 4
        sending = asyncio.ensure_future(wires.send(BODY * 4))
        while "held up" not in wires.body.said:
            await asyncio.sleep(0.001)
        assert await wires.take(4 * SIZE) == BODY * 4
        await sending
        assert await wires.body.over == "finished"
        assert wires.body.said[-1] == "flows"

    wired(test)


def test_a_sink_that_was_full_before_is_known_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int, flags: int) -> int:
        raise BlockingIOError(flags)

    async def test(wires: Wires) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "splice", refuse)
            assert wires.begin(b"first")
            while not wires.body.said:
                await asyncio.sleep(0)
        (_, taken) = await asyncio.gather(wires.send(BODY), wires.take(5 + SIZE))
        assert taken == b"first" + BODY
        assert await wires.body.over == "finished"
        assert wires.body.said[:2] == ["held up", "flows"]

    wired(test)


@pytest.mark.parametrize("side", [0, 1])
def test_a_kernel_or_sandbox_without_it_is_asked_once(monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    real = os.splice
    calls: list[int] = []

    def refuse(source: int, sink: int, count: int, *, flags: int) -> int:
        calls.append(count)
        if len(calls) > side:
            raise OSError(errno.EINVAL, "not here")
        return real(source, sink, count, flags=flags)

    async def test(wires: Wires) -> None:
        assert wires.begin(b"" if side else b"first")
        (_, taken) = await asyncio.gather(wires.send(BODY), wires.take(SIZE + (0 if side else 5)))
        assert taken == (BODY if side else b"first" + BODY)
        assert await wires.body.over == "given back"
        assert not wires.body.begin(b"", 1e9)

    monkeypatch.setattr(os, "splice", refuse)
    wired(test)


def test_an_end_too_early_is_found_by_the_transport() -> None:
    async def test(wires: Wires) -> None:
        assert wires.begin(b"first")
        await wires.send(BODY[:1000])
        wires.sender.close()
        assert await wires.take(1005) == b"first" + BODY[:1000]
        assert await wires.body.over == "given back"
        assert await wires.source.lost is None

    wired(test)


def test_a_peer_that_is_gone_is_found_by_the_transport() -> None:
    async def test(wires: Wires) -> None:
        wires.sink.transport.pause_reading()
        wires.taker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wires.taker.close()
        assert wires.begin(b"first")
        assert await wires.body.over == "given back"
        assert isinstance(await wires.sink.lost, OSError)

    wired(test)


def test_there_is_an_allowance() -> None:
    async def test(wires: Wires) -> None:
        assert wires.allowance.most == MAX_SPLICES
        wires.allowance.open = MAX_SPLICES
        assert not wires.begin()
        wires.allowance.open = 0
        assert not wires.begin(bytes(MAX_FIRST + 1))
        assert wires.begin(bytes(MAX_FIRST))
        assert await wires.take(MAX_FIRST) == bytes(MAX_FIRST)

    wired(test)


def test_without_a_large_pipe_there_is_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EPERM, "too many pages")

    async def test(wires: Wires) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(fcntl, "fcntl", refuse)
            assert not wires.begin()
        assert not wires.body.begin(b"", RETRY / 2)
        assert wires.body.begin(b"", RETRY)

    wired(test)


def test_only_plain_connections_with_nothing_left_to_write_will_do() -> None:
    async def test(wires: Wires) -> None:
        transport = wires.sink.transport
        assert plain(transport)
        transport.write(bytes(64 << 20))
        assert not plain(transport)
        transport.abort()
        assert not plain(transport)

    wired(test)
    assert not plain(asyncio.Transport())


@pytest.mark.parametrize(("descriptors", "most"), [(256, 0), (1024, 2), (1 << 20, MAX_SPLICES)])
def test_few_descriptors_are_for_connections(descriptors: int, most: int) -> None:
    allowance = Allowance(descriptors)
    assert (allowance.most, allowance.descriptors) == (most, 4 * most)
