"""Rules with timeouts and retries on a fake wire, for attempts_test and timeouts_test. No tests in here."""

from __future__ import annotations

from zlib import crc32

from rauta_control import ir
from rauta_control.action import Retry
from rauta_control.fakewire_test import CONFIGURATION, Wire, cluster
from rauta_control.table import Rule

ALL = (500, 502, 503, 504)
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nDate: x\r\nContent-Length: 4\r\n\r\nbusy"
SOON = 0.2  # seconds: longer than the longest first wait of these rules


def rule(path: str, name: str = "c", *, request: int = -1, backend: int = -1, retry: Retry | None = None) -> ir.Rule:
    share = (ir.ClusterWeight(name),)
    return ir.Rule(
        path, path, "l|*", path, "prefix", share, request_timeout=request, backend_timeout=backend, retry=retry,
        slot=crc32(path.encode()) % 30_000 + 10, epoch=1,
    )  # fmt: skip


RESOURCES = (
    *CONFIGURATION,
    cluster("two", 8002, 8003),
    cluster("three", 8004, 8005, 8006),
    rule("/request", request=500),
    rule("/backend", backend=500),
    rule("/none", request=0),
    rule("/retry", retry=Retry(2, ALL, 100)),
    rule("/never", "two", retry=Retry(0, ALL)),
    rule("/unset", retry=Retry(codes=ALL)),
    rule("/broken", retry=Retry(2)),
    rule("/two", "two", retry=Retry(2, ALL, 100)),
    rule("/three", "three", retry=Retry(2, ALL, 0)),
    rule("/plain", "two"),
    rule("/timed", "two", request=1000),
    rule("/both", request=1000, backend=400, retry=Retry(5, ALL, 100)),
)


def wait(wire: Wire, seconds: float) -> None:
    """Let time pass, 10 ms at a time, without a sweep."""
    for _ in range(round(seconds * 100)):
        wire.loop.now += 0.01
        wire.worker.advance(0.01)
        wire.loop.settle()


def post(path: str, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)


def ports(wire: Wire) -> list[int]:
    return [wire.upstream(end).endpoint.port for end in wire.backends if not end.lost]


def route_word(wire: Wire, path: str, word: int) -> int:
    found = wire.worker.follower.table.listeners["l"].names[b"*"].decide(b"GET", path.encode())
    assert isinstance(found, Rule)
    return 0 if found.counter is None else found.counter.words[word]


def asked(wire: Wire) -> int:
    """How many requests backends have received; forgets them."""
    return sum(end.heard().count(b" HTTP/1.1\r\n") for end in wire.backends)
