"""Mirrors over fake transports: copies are whole, never waited for, bounded, and fail alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
from msgspec.structs import replace

from rauta_control import exchange, ir, mirror
from rauta_control.action import Filters, HeaderEdit, Mirror, PathEdit, Rewrite
from rauta_control.faketransport_test import HIGH_WATER, End
from rauta_control.fakewire_test import OK, MakeWire, Wire, cluster, get, post, word
from rauta_control.sharedmem import EndpointWord, Vital

Make: TypeAlias = Callable[..., Wire]

BIG = bytes(range(256)) * 400  # more than may wait


@pytest.fixture
def made(make_wire: MakeWire) -> Make:
    """Make a worker with one rule for everything, and connections to its backend and its mirrors in their pools."""

    def make(*mirrors: Mirror, warm: bool = True, more: Filters | None = None, shares: str = "c") -> Wire:
        filters = replace(more or Filters(), mirrors=mirrors or (Mirror("m"),))
        wire = make_wire(
            (
                ir.Listener("l", "0.0.0.0", 80, 80),
                ir.VirtualHost("l", "*"),
                cluster("c", 8001),
                cluster("m", 8002),
                cluster("n", 8003),
                cluster("empty"),
                ir.Rule(
                    "r", "app", "l|*", "/", "prefix", (ir.ClusterWeight(shares),), slot=0, epoch=1, filters=filters
                ),
            ),
        )
        if warm:
            client = wire.client()
            client.say(get("/"))
            for end in wire.backends:
                assert end.heard().startswith(b"GET / ")
                end.say(OK)
            assert client.heard() == OK
            client.break_off()
        return wire

    return make


def to(wire: Wire, number: int) -> End:
    """The newest connection to a port."""
    return [end for end in wire.backends if not end.lost and end.port == number][-1]


def counts(wire: Wire) -> tuple[int, int]:
    """Copies that were answered and given up."""
    return wire.vital(Vital.MIRRORED), wire.vital(Vital.MIRRORS_DROPPED)


def test_a_copy_asks_for_no_tunnel(made: Make) -> None:
    wire = made(warm=False)
    wire.client().say(get("/", "Connection: Upgrade", "Upgrade: websocket"))
    assert b"\r\nUpgrade: websocket\r\n" in to(wire, 8001).heard()
    assert b"pgrade" not in to(wire, 8002).heard()


def test_a_copy_is_what_the_backend_gets(made: Make) -> None:
    filters = Filters(request=HeaderEdit((("X-A", "1"),)), rewrite=Rewrite("new.example", PathEdit("/new")))
    wire = made(more=filters, warm=False)
    wire.client().say(get("/x?y"))
    heard = to(wire, 8001).heard()
    assert heard.startswith(b"GET /new?y HTTP/1.1\r\nHost: new.example\r\n")
    assert b"X-Forwarded-Host: h\r\n" in heard
    assert heard.endswith(b"X-A: 1\r\n\r\n")
    assert to(wire, 8002).heard() == heard


def test_the_same_goes_to_all(made: Make) -> None:
    wire = made(Mirror("m"), Mirror("n"))
    client = wire.client()
    client.say(get("/x?y", "X-A: 1"))
    heard = {number: to(wire, number).heard() for number in (8001, 8002, 8003)}
    assert heard[8001].startswith(b"GET /x?y HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n")
    assert heard[8001] == heard[8002] == heard[8003]
    to(wire, 8001).say(OK)
    assert client.heard() == OK  # before any mirror has said anything
    to(wire, 8002).say(b"HTTP/1.1 500 X\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n")
    to(wire, 8003).say(OK)
    to(wire, 8002).say(b"0\r\n\r\n")
    assert client.heard() == b""
    assert counts(wire) == (4, 0)
    assert len(wire.pool) == 3  # all can be used again
    assert [line["endpoint"] for line in wire.log()] == ["192.0.2.1:8001"] * 2
    endpoint = wire.worker.follower.clusters.endpoints["192.0.2.1:8002"]
    assert endpoint.counter is not None
    assert endpoint.counter.words[EndpointWord.REQUESTS] == 2
    assert endpoint.counter.words[EndpointWord.STATUS_5XX] == 1


def test_a_response_that_only_mirrors_were_asked_for_goes_on_as_it_came(made: Make) -> None:
    wire = made()
    client = wire.client()
    client.say(get("/"))
    odd = b"HTTP/1.1 200 OK\r\nDate: x\r\nX-b:  1\r\nContent-Length: 2\r\n\r\nok"
    to(wire, 8001).say(odd)
    assert client.heard() == odd


@pytest.mark.parametrize(
    ("share", "chances", "copied"),
    [
        (Mirror("m", 0, 100), [0.0], 0),
        (Mirror("m", 1, 4), [0.0], 1),
        (Mirror("m", 1, 4), [0.2499], 1),
        (Mirror("m", 1, 4), [0.25], 0),
        (Mirror("m", 1, 1), [0.9999], 1),
    ],
)
def test_a_share_of_the_requests(
    made: Make, monkeypatch: pytest.MonkeyPatch, share: Mirror, chances: list[float], copied: int
) -> None:
    wire = made(share, warm=False)
    monkeypatch.setattr(exchange, "random", lambda: chances.pop(0))
    client = wire.client()
    client.say(get("/"))
    assert [end.port for end in wire.backends].count(8002) == copied
    assert [end.port for end in wire.backends].count(8001) == 1


def test_a_body_is_copied_as_it_comes(made: Make) -> None:
    wire = made(Mirror("m"), Mirror("n"))
    client = wire.client()
    client.say(post("Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
    client.say(b"3\r\ndef", b"\r\n0\r\n\r\n")
    heard = {number: to(wire, number).heard() for number in (8001, 8002, 8003)}
    assert heard[8001].endswith(b"\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
    assert heard[8001] == heard[8002] == heard[8003]
    for number in (8002, 8003, 8001):
        to(wire, number).say(OK)
    assert client.heard() == OK
    assert counts(wire) == (4, 0)
    assert len(wire.pool) == 3


def test_mirrors_that_are_not_there_yet_get_everything(made: Make) -> None:
    wire = made(warm=False)
    wire.loop.hang = True
    client = wire.client()
    client.say(post("Content-Length: 6", body=b"abc"))
    request, copy = wire.loop.connecting
    request.set_result(None)
    wire.loop.settle()
    client.say(b"def")
    assert to(wire, 8001).heard().endswith(b"abcdef")
    copy.set_result(None)
    wire.loop.settle()
    assert to(wire, 8002).heard().endswith(b"\r\n\r\nabcdef")
    to(wire, 8001).say(OK)
    to(wire, 8002).say(OK)
    assert client.heard() == OK
    assert counts(wire) == (1, 0)


def test_a_mirror_that_takes_nothing_loses_its_copy(made: Make) -> None:
    wire = made()
    slow = to(wire, 8002)
    slow.patient = False
    client = wire.client()
    client.say(post(f"Content-Length: {20 * len(BIG)}", body=BIG))
    for _ in range(19):
        client.say(BIG)
    assert slow.peak < HIGH_WATER + 2 * len(BIG)
    assert not slow.open
    assert to(wire, 8001).heard().endswith(BIG * 20)
    to(wire, 8001).say(OK)
    assert client.heard() == OK
    assert counts(wire) == (1, 1)


def test_what_waits_for_a_mirror_is_bounded(made: Make) -> None:
    wire = made(warm=False)
    wire.loop.hang = True
    client = wire.client()
    client.say(post(f"Content-Length: {3 * len(BIG)}", body=b""))
    wire.loop.connecting[0].set_result(None)
    wire.loop.settle()
    client.say(BIG, BIG)
    assert counts(wire) == (0, 1)
    client.say(BIG)
    wire.loop.connecting[1].set_result(None)  # too late: kept for the next
    wire.loop.settle()
    assert to(wire, 8002).heard() == b""
    assert [upstream.endpoint.port for upstream in wire.pool] == [8002]
    assert to(wire, 8001).heard().endswith(BIG * 3)


@pytest.mark.parametrize("fault", ["refused", "reset", "nonsense", "silence", "empty", "full"])
def test_a_mirror_fails_alone(made: Make, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = made(Mirror("empty" if fault == "empty" else "m"), warm=False)
    if fault == "full":
        monkeypatch.setattr(mirror, "MAX_MIRRORS", 0)
    wire.loop.hang = True
    client = wire.client()
    client.say(get("/"))
    wire.loop.connecting[0].set_result(None)
    wire.loop.settle()
    if fault == "refused":
        wire.loop.refuse = OSError("refused")
    for waiting in wire.loop.connecting[1:]:
        waiting.set_result(None)
    wire.loop.settle()
    if fault == "reset":
        to(wire, 8002).break_off()
    elif fault == "nonsense":
        to(wire, 8002).say(b"hello\r\n\r\n")
    elif fault == "silence":
        wire.wait(59)
    to(wire, 8001).say(OK)
    assert client.heard() == OK
    if fault == "silence":
        wire.wait(3)
    assert counts(wire) == (0, 1)
    assert not wire.worker.mirrors
    assert client.open


def test_a_stale_connection_is_replaced_for_a_copy_too(made: Make) -> None:
    wire = made()
    client = wire.client()
    client.say(get("/x"))
    to(wire, 8002).break_off()
    assert to(wire, 8002).heard().startswith(b"GET /x ")
    to(wire, 8002).say(OK)
    assert counts(wire) == (2, 0)


@pytest.mark.parametrize("end", ["the client leaves", "it says no more", "an early answer"])
def test_a_copy_ends_when_no_more_of_its_body_comes(made: Make, end: str) -> None:
    wire = made()
    client = wire.client()
    client.say(post("Content-Length: 6", body=b"abc"))
    copy = to(wire, 8002)
    assert copy.open
    match end:
        case "the client leaves":
            client.break_off()
        case "it says no more":
            wire.wait(62)
        case _:
            to(wire, 8001).say(OK)
    assert not copy.open
    assert counts(wire) == (1, 1)


def test_a_copy_ends_with_a_response_that_is_cut_although_its_client_still_takes_what_there_is(made: Make) -> None:
    wire = made()
    client = wire.client()
    client.take(0)
    client.say(post("Content-Length: 6", body=b"abc"))
    to(wire, 8001).say(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + BIG)
    to(wire, 8001).break_off()
    assert client.buffer
    assert not any(end.open for end in wire.backends)
    assert counts(wire) == (1, 1)
    client.take_all()
    assert client.ended


def test_an_early_answer_of_a_mirror_is_the_end_of_its_copy(made: Make) -> None:
    wire = made()
    client = wire.client()
    client.say(post("Content-Length: 6", body=b"abc"))
    to(wire, 8002).say(OK)
    client.say(b"def")
    assert to(wire, 8001).heard().endswith(b"abcdef")
    to(wire, 8001).say(OK)
    assert client.heard() == OK
    assert counts(wire) == (2, 0)


@pytest.mark.parametrize("body", [b"", b"abcdef"])
def test_an_answer_without_end_is_the_end_of_its_copy(made: Make, body: bytes) -> None:
    wire = made()
    client = wire.client()
    said = post("Content-Length: 6", body=body) if body else get("/")
    client.say(said[:-3], said[-3:])
    to(wire, 8001).say(OK)
    client.break_off()
    copy = to(wire, 8002)
    copy.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(58):
        wire.wait(1)
        copy.say(b"3\r\nabc\r\n")
    assert copy.open
    wire.wait(3)
    assert not copy.open
    assert not wire.worker.mirrors
    assert counts(wire) == (1, 1)


def test_a_request_that_fails_was_copied_nevertheless(made: Make) -> None:
    wire = made()
    client = wire.client()
    client.say(get("/x"))
    to(wire, 8001).say(b"nonsense\r\n\r\n")
    assert b"upstream_invalid" in client.heard()
    to(wire, 8002).say(OK)
    assert counts(wire) == (2, 0)


def test_a_copy_of_a_request_that_fails_before_its_body_is_there_is_not_begun(made: Make) -> None:
    wire = made()
    wire.limit(max_endpoint_connections=1)
    wire.client().say(get("/"))  # to the one connection that its backend may have; the mirror answers
    to(wire, 8002).say(OK)
    to(wire, 8002).heard()
    client = wire.client()
    client.say(post("Content-Length: 6", body=b"abc"))
    assert b"upstream_overflow" in client.heard()
    assert to(wire, 8002).heard() == b""
    assert not wire.worker.mirrors
    assert counts(wire) == (2, 1)


def test_what_has_no_backend_is_not_copied(made: Make) -> None:
    wire = made(warm=False, shares="empty")
    client = wire.client()
    client.say(get("/"))
    assert b"no_endpoints" in client.heard()
    assert not wire.backends


def test_copies_end_with_the_worker(made: Make) -> None:
    wire = made()
    wire.client().say(get("/x"))
    copy = to(wire, 8002)
    wire.loop.run_until_complete(wire.worker._stop())
    assert not copy.open
    assert counts(wire) == (1, 1)


def test_a_copy_that_could_not_be_sent_is_charged_to_its_endpoint(made: Make) -> None:
    wire = made(warm=False)
    wire.loop.hang = True
    client = wire.client()
    client.say(get("/"))
    wire.loop.connecting[0].set_result(None)
    wire.loop.settle()
    wire.loop.refuse = OSError("refused")
    wire.loop.connecting[1].set_result(None)
    wire.loop.settle()
    to(wire, 8001).say(OK)
    assert client.heard() == OK
    assert counts(wire) == (0, 1)
    assert word(wire, EndpointWord.REQUESTS, "192.0.2.1:8002") == 1
    assert word(wire, EndpointWord.FAILURES, "192.0.2.1:8002") == 1
