"""A worker without sockets: fake transports that behave like uvloop's, a clock that only tests move. No tests in here.

    wire = Wire(...)            a worker with a routing table
    client = wire.client()      a client's end of a connection: `say`, `heard`
    backend = wire.backends[0]  the backend's end of the first connection that was made to one

Transports are strict: to write where uvloop would raise, to write after close, or to pause twice in a row is an error.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest

from rauta_common import maglev
from rauta_control import ir, rawsocket, snapshotfd, state
from rauta_control.config import Settings
from rauta_control.downstream import Downstream
from rauta_control.inherit import Inherited
from rauta_control.limits import Limits
from rauta_control.parts import split
from rauta_control.port import Port
from rauta_control.sharedmem import EndpointWord, SharedWords, Vital
from rauta_control.sweep import TICKS
from rauta_control.tunnel import Tunnel
from rauta_control.upstream import Upstream
from rauta_control.worker import Worker

LIMITS = Limits()
HIGH_WATER = 65_536  # as uvloop's: paused above, resumed when empty
READ = 256_000  # bytes uvloop reads at most

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class End(asyncio.Transport):
    """A transport, and the peer at its other end.

    `patient` peers take everything at once; others leave it in `buffer` until `take`.
    """

    def __init__(self, loop: FakeLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.loop = loop
        self.protocol = protocol
        self.port = 0  # of a backend
        self.patient = True
        self.high_water = HIGH_WATER
        self.buffer = bytearray()  # written, not taken by the peer yet
        self.peak = 0  # the most that `buffer` ever held
        self.received = bytearray()  # taken by the peer
        self.inbox: deque[bytes | None] = deque()  # said by the peer and not read yet; None: end
        self.reading = True
        self.blocked = False
        self.eof = False  # by us
        self.closed_by_us = False
        self.closing = False
        self.lost = False
        self.reset = False
        self.last_words: list[bytes] = []  # still to be read when the connection has broken

    # -- asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.writelines((data,))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        if self.lost:
            raise RuntimeError("the handler is closed")
        if self.eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        assert not self.closed_by_us, "written after close"
        if self.closing:
            return
        for data in list_of_data:
            self.buffer += data
        if self.patient:
            self._take(len(self.buffer))
        self.peak = max(self.peak, len(self.buffer))
        if len(self.buffer) > self.high_water and not self.blocked:
            self.blocked = True
            self.protocol.pause_writing()

    def write_eof(self) -> None:
        assert not self.lost
        self.eof = True

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        if not self.closing:
            assert self.reading, "paused twice"
            self.reading = False

    def resume_reading(self) -> None:
        if not self.closing:
            assert not self.reading, "resumed twice"
            self.reading = True
            self.loop.call_soon(self._deliver)

    def is_reading(self) -> bool:
        return self.reading

    def close(self) -> None:
        if not self.closing:
            self.closing = self.closed_by_us = True
            if not self.buffer:
                self.loop.call_soon(self._lose, None)

    def abort(self) -> None:
        if not self.lost and not (self.closing and not self.buffer):
            self.closing = self.closed_by_us = True
            self.buffer.clear()
            self.loop.call_soon(self._lose, None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast("asyncio.Protocol", protocol)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high_water = high or HIGH_WATER

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    # -- the peer

    def say(self, *data: bytes) -> None:
        """Send each of `data` so that it is one read (of at most READ bytes)."""
        for piece in data:
            self.inbox.extend(piece[at : at + READ] for at in range(0, len(piece), READ))
        self.loop.settle()
        self.loop.call_soon(self._deliver)
        self.loop.settle()

    def half_close(self) -> None:
        """End what this side says."""
        self.inbox.append(None)
        self.loop.call_soon(self._deliver)
        self.loop.settle()

    def break_off(self, *last_words: bytes) -> None:
        """Reset the connection; `last_words` arrived before and can be read from the socket."""
        self.last_words += last_words
        if not self.closing:
            self.closing = True
            self.buffer.clear()
            self.loop.call_soon(self._lose, ConnectionResetError("reset"))
        self.loop.settle()

    def take(self, count: int = 1 << 40) -> None:
        """Take up to `count` bytes of what waits, and from now on only when told."""
        self.patient = False
        self._take(count)
        if self.blocked and not self.buffer and not self.closing:
            self.blocked = False
            self.protocol.resume_writing()
        elif self.closing and not self.buffer and not self.lost:
            self.loop.call_soon(self._lose, None)
        self.loop.settle()

    def take_all(self) -> None:
        """Take everything, until nothing more comes, and from now on at once."""
        while self.buffer:
            self.take()
        self.patient = True

    def heard(self) -> bytes:
        """Return what was taken since the last call."""
        data = bytes(self.received)
        self.received.clear()
        return data

    @property
    def open(self) -> bool:
        """Neither side has begun to close."""
        return not self.closing

    @property
    def ended(self) -> bool:
        """The peer has read the end: all was taken, and the connection closed, or this direction of it."""
        return (self.lost or self.eof) and not self.buffer and not self.reset

    def _take(self, count: int) -> None:
        self.received += self.buffer[:count]
        del self.buffer[:count]

    def _deliver(self) -> None:
        if self.inbox and self.reading and not self.closing:
            data = self.inbox.popleft()
            if data is not None:
                self.protocol.data_received(data)
                self.loop.call_soon(self._deliver)
            elif not self.protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.protocol.connection_lost(error)
            self.protocol = asyncio.Protocol()  # as uvloop does: a cycle would keep what was retired
            self.lost = True


class FakeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still and whose connections are Ends."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__()
        self.backends: list[End] = []
        self.refuse: Exception | None = None  # raised by attempts to connect
        self.connecting: list[asyncio.Future[None]] = []
        self.hang = False  # connections are made when told: `connecting`
        self.errors: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Run until nothing is left to do now; nothing if it runs already."""
        while not self.is_running():
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:  # type: ignore[attr-defined]
                break

    async def create_connection(self, protocol_factory: Callable[[], Any], *address: Any, **_: Any) -> Any:
        if self.hang:
            self.connecting.append(self.create_future())
            await self.connecting[-1]
        if self.refuse is not None:
            raise self.refuse
        protocol = protocol_factory()
        end = End(self, protocol)
        end.port = address[1]
        self.backends.append(end)
        protocol.connection_made(end)
        return end, protocol

    async def connect_accepted_socket(self, protocol_factory: Callable[[], Any], sock: Any, **_: Any) -> Any:
        if isinstance(sock, FakeSocket) and sock.error is not None:
            raise sock.error
        protocol = protocol_factory()
        end = End(self, protocol)
        sock.end = end
        protocol.connection_made(end)
        return end, protocol


class FakeSocket:
    """What the accept loop hands over."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.end: End | None = None
        self.closed = False
        self.sent = b""

    def close(self) -> None:
        self.closed = True

    def setblocking(self, blocking: bool) -> None:
        assert not blocking

    def send(self, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        self.sent += data
        return len(data)

    def recv(self, _: int) -> bytes:
        raise BlockingIOError

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def cluster(name: str, *ports: int) -> ir.Cluster:
    """A cluster of endpoints at 192.0.2.1, slots by port."""
    endpoints = tuple(ir.Endpoint("192.0.2.1", port, 1, port % 1000, 1) for port in ports)
    names = [endpoint.name for endpoint in endpoints]
    return ir.Cluster(name, endpoints, maglev.build(names, [1] * len(names), 1021) if names else b"")


CONFIGURATION: tuple[ir.Resource, ...] = (
    ir.Listener("l", "0.0.0.0", 80, 80),
    ir.VirtualHost("l", "*"),
    ir.VirtualHost("l", "nothing.example"),
    cluster("c", 8001),
    cluster("empty"),
    ir.Rule("r", "app", "l|*", "/", "prefix", (ir.ClusterWeight("c"),), slot=0, epoch=1),
    ir.Rule("none", "none", "l|*", "/none", "prefix", (), slot=1, epoch=1),
    ir.Rule("empty", "empty", "l|*", "/empty", "prefix", (ir.ClusterWeight("empty"),), slot=2, epoch=1),
)


class Wire:
    """A worker on a fake loop."""

    def __init__(self, log_path: str, resources: Iterable[ir.Resource] = CONFIGURATION, **settings: Any) -> None:
        self.loop = FakeLoop()
        self.words = SharedWords.create()
        self.log_path = log_path
        self.channel, self.supervisor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        published = state.EMPTY.change(1, {resource.key: state.encode(resource) for resource in resources})
        self.state = published
        snapshot = snapshotfd.create("test", b"".join(split(state.diff(state.EMPTY, published))))
        self.inherited = Inherited(
            role="worker",
            index=0,
            settings=Settings(access_log=log_path, **settings),
            words=self.words,
            channel=self.channel,
            listeners={},
            bound=(),
            admin=(),
            probe=(),
            snapshot=snapshot,
            since=(),
            workers=(),
            link=None,
            started=0.0,
        )
        self.worker = Worker(self.inherited, self.loop)
        self.worker._ports["l"] = self.port = Port("l", None)
        self.worker.follower.load((snapshot,))
        os.close(snapshot)
        self.worker.now = 0.0
        self.ends: list[End] = []

    @property
    def backends(self) -> list[End]:
        """The connections made to backends, in order."""
        return self.loop.backends

    @property
    def backend(self) -> End:
        """The newest connection to a backend."""
        return self.loop.backends[-1]

    @property
    def downstreams(self) -> set[Downstream | Tunnel]:
        """The client connections of the worker."""
        return {each for each in self.worker.connections if isinstance(each, Downstream | Tunnel)}

    def accept(self, sock: FakeSocket, address: str = "198.51.100.7") -> None:
        """Have the accept loop hand over a connection."""
        self.worker.acceptor.accepted(self.port, cast("socket.socket", sock), address, 50_000 + len(self.ends))

    def client(self, address: str = "198.51.100.7") -> End:
        """Connect a client."""
        sock = FakeSocket()
        self.accept(sock, address)
        self.loop.settle()
        assert sock.end is not None
        self.ends.append(sock.end)
        return sock.end

    def downstream(self, client: End) -> Downstream:
        """Return the protocol of a client's connection."""
        return cast("Downstream", client.protocol)

    def upstream(self, backend: End) -> Upstream:
        """Return the protocol of a backend's connection."""
        return cast("Upstream", backend.protocol)

    def limit(self, **limits: Any) -> None:
        """Have these limits instead of the defaults."""
        self.worker.limits = replace(self.worker.limits, **limits)
        self.worker.request_head.retune(self.worker.limits)

    def wait(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, a second at a time, with a whole round of the sweep in each."""
        while seconds > 0:
            self.worker.now += min(step, seconds)
            self.loop.now += min(step, seconds)
            for _ in range(TICKS):
                self.worker.sweep.tick(self.worker.now)
                self.loop.settle()
            seconds -= step

    def publish(self, *resources: ir.Resource) -> None:
        """Make these the whole configuration."""
        new = state.EMPTY.change(
            self.state.generation + 1, {resource.key: state.encode(resource) for resource in resources}
        )
        for _ in self.worker.follower._apply(state.diff(self.state, new)):
            pass
        self.state = new
        self.loop.settle()

    def log(self) -> list[dict[str, Any]]:
        """Return the access log so far; every line of it must be JSON."""
        assert self.worker.log is not None
        self.worker.log.flush()
        with open(self.log_path, "rb") as file:
            return [cast("dict[str, Any]", msgspec.json.decode(line)) for line in file.read().splitlines()]

    def statuses(self) -> list[tuple[int, str]]:
        """Return status and reason of every request so far."""
        return [(line["status"], line["reason"]) for line in self.log()]

    def vital(self, vital: int) -> int:
        """Return a word of the worker about itself."""
        return self.worker.vitals[vital]

    @property
    def pool(self) -> list[Upstream]:
        """The idle connections to all endpoints."""
        return [idle for endpoint in self.worker.follower.clusters.endpoints.values() for idle in endpoint.idle]

    def check(self) -> None:
        """Whatever happened: nothing leaked, nothing raised, counters agree."""
        assert not self.loop.errors, self.loop.errors
        live = [end for end in self.backends if not end.lost]
        endpoints = self.worker.follower.clusters.endpoints.values()
        assert sum(endpoint.open for endpoint in endpoints) <= len(live) + len(self.loop.connecting)
        assert all(endpoint.open >= len(endpoint.idle) for endpoint in endpoints)
        assert {id(end.protocol) for end in live} >= {id(upstream) for upstream in self.pool}
        assert all(self._transport(upstream).open for upstream in self.pool)
        assert len(self.downstreams) == sum(not end.lost for end in self.ends)
        assert self.vital(Vital.REQUESTS) == len(self.log())

    def close(self) -> None:
        """Let everybody go, and see that nothing is left."""
        self.loop.hang = False
        for end in (*self.ends, *self.backends):
            end.break_off()
        for waiting in self.loop.connecting:
            if not waiting.done():
                waiting.set_exception(OSError("too late"))
        self.loop.settle()
        for end in self.backends:
            end.break_off()
        self.loop.connecting.clear()
        self.check()
        assert not len(self.worker.sweep)
        assert not self.downstreams
        assert all(endpoint.open == 0 for endpoint in self.worker.follower.clusters.endpoints.values())
        self.loop.close()
        self.channel.close()
        self.supervisor.close()
        if self.worker.log is not None:
            os.close(self.worker.log._fd)
        self.worker.recorder._words = memoryview(b"")
        self.words.close()

    @staticmethod
    def _transport(upstream: Upstream) -> End:
        return cast("End", upstream.transport)


def patch_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have rawsocket look at Ends."""

    def read(transport: asyncio.Transport) -> bytes:
        words = cast("End", transport).last_words
        return words.pop(0) if words else b""

    def reset(transport: asyncio.Transport) -> None:
        cast("End", transport).reset = True
        transport.abort()

    monkeypatch.setattr(rawsocket, "unsent", lambda transport: len(transport.buffer))
    monkeypatch.setattr(rawsocket, "unread", lambda transport: sum(map(len, filter(None, transport.inbox))))
    monkeypatch.setattr(rawsocket, "read", read)
    monkeypatch.setattr(rawsocket, "reset", reset)


def get(path: str, *fields: str, version: str = "1.1") -> bytes:
    """A GET for host h."""
    return "\r\n".join((f"GET {path} HTTP/{version}", "Host: h", *fields, "", "")).encode()


def post(*fields: str, body: bytes = b"") -> bytes:
    """A POST for host h, and `body` as it is."""
    return "\r\n".join(("POST / HTTP/1.1", "Host: h", *fields, "", "")).encode() + body


def status(answer: bytes) -> int:
    """The status of the first response in `answer`."""
    return int(answer.split(b" ", 2)[1])


def reason(answer: bytes) -> str:
    """The x-rauta-reason of the only response in `answer`, which must be whole and nothing else."""
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
    assert len(body) == int(fields[b"content-length"])
    return fields[b"x-rauta-reason"].decode()


def failures(wire: Wire) -> int:
    """What backends were blamed for."""
    return sum(
        endpoint.counter.words[EndpointWord.FAILURES]
        for endpoint in wire.worker.follower.clusters.endpoints.values()
        if endpoint.counter is not None
    )
