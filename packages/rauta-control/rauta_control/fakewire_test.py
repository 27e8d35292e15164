"""A worker without sockets, over faketransport_test, with a clock that only tests move. No tests in here.

    wire = Wire(...)            a worker with a routing table; the fixtures of conftest.py make one
    client = wire.client()      a client's end of a connection: `say`, `heard`
    backend = wire.backends[0]  the backend's end of the first connection that was made to one

Whatever a test did, nothing may be left of it: see `Wire.close`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias, cast

import msgspec

from rauta_common import maglev
from rauta_control import ir, snapshotfd, state
from rauta_control.downstream import Downstream
from rauta_control.faketransport_test import End, FakeLoop, FakeSocket
from rauta_control.inherit import Inherited
from rauta_control.limits import Limits
from rauta_control.parts import split
from rauta_control.port import Port
from rauta_control.settings import Settings
from rauta_control.sharedmem import EndpointWord, SharedWords, Vital
from rauta_control.sweep import TICKS
from rauta_control.tunnel import Tunnel
from rauta_control.upstream import Upstream
from rauta_control.worker import Worker

LIMITS = Limits()

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
GET10 = b"GET / HTTP/1.0\r\nHost: h\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
MISSING = b"GET /x HTTP/1.1\r\nHost: nothing.example\r\n\r\n"  # a host without routes
# Each has a Date, or it would get ours.
OK = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok"
OK_CLOSE = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\n"


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
        self.worker.advance(-self.worker.now)
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
        self.worker.advance(0.0)

    def wait(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, a second at a time, with a whole round of the sweep in each."""
        while seconds > 0:
            self.worker.advance(min(step, seconds))
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
        assert not len(self.worker.wheel)
        assert not self.worker._tasks
        assert not self.worker.mirrors
        assert not self.downstreams
        clusters = self.worker.follower.clusters
        assert all(endpoint.open == 0 for endpoint in clusters.endpoints.values())
        assert all(not each.requests and not each.retries for each in clusters.by_name.values())
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
    return of_all(wire, EndpointWord.FAILURES)


def of_all(wire: Wire, number: int) -> int:
    """What the worker has counted of all endpoints together."""
    return sum(
        endpoint.counter.words[number]
        for endpoint in wire.worker.follower.clusters.endpoints.values()
        if endpoint.counter is not None
    )


def pooled(wire: Wire, count: int = 1) -> list[End]:
    """Leave idle connections to the backend, and return their ends."""
    clients = [wire.client() for _ in range(count)]
    for client in clients:
        client.say(GET)
    for backend in wire.backends[-count:]:
        backend.say(OK)
        backend.heard()
    for client in clients:
        client.half_close()
    assert len(wire.pool) == count
    return wire.backends[-count:]


def abandoned(wire: Wire) -> None:
    """Have a client ask and leave while a connection for it is under way, which is there then."""
    wire.loop.hang = True
    client = wire.client()
    client.say(GET)
    client.break_off()
    wire.loop.hang = False
    wire.loop.connecting[0].set_result(None)
    wire.loop.settle()


def word(wire: Wire, number: int, endpoint: str = "192.0.2.1:8001") -> int:
    """What the worker has counted of an endpoint."""
    counter = wire.worker.follower.clusters.endpoints[endpoint].counter
    return 0 if counter is None else counter.words[number]


MakeWire: TypeAlias = Callable[..., Wire]
"""Of resources, CONFIGURATION if there are none, and settings by keyword (conftest.py)."""
