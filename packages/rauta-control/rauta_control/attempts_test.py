"""Retries over fake transports: how often a backend is asked, when, and what the client hears."""

from __future__ import annotations

import msgspec
import pytest

from rauta_control import downstream, ir
from rauta_control.action import Retry
from rauta_control.fakewire_test import OK, MakeWire, Wire, cluster, failures, get, of_all, reason
from rauta_control.replay import MAX_PIECES
from rauta_control.retryrules_test import ALL, BUSY, RESOURCES, SOON, asked, ports, post, route_word, rule, wait
from rauta_control.sharedmem import EndpointWord, RouteWord


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    return make_wire(RESOURCES)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_listed_code_is_tried_again_whatever_the_method(wire: Wire, method: str) -> None:
    client = wire.client()
    client.say(b"%b /retry HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi" % method.encode())
    request = wire.backend.heard()
    assert request.endswith(b"hi")
    wire.backend.say(BUSY)
    wait(wire, 0.09)
    assert asked(wire) == 0
    wait(wire, SOON)
    assert wire.backend.heard() == request
    wire.backend.say(OK)
    assert client.heard() == OK
    assert len(wire.backends) == 1  # the unwanted response was read, and the connection used again
    (line,) = wire.log()
    assert (line["status"], line["attempts"]) == (200, 2)
    assert route_word(wire, "/retry", RouteWord.RETRIES) == 1
    endpoint = wire.worker.follower.clusters.endpoints["192.0.2.1:8001"]
    assert endpoint.counter is not None
    assert endpoint.counter.words[EndpointWord.REQUESTS] == 2
    assert endpoint.counter.words[EndpointWord.STATUS_5XX] == 1


@pytest.mark.parametrize(
    ("path", "fails", "attempts", "status"),
    [
        ("/retry", 1, 2, 200),
        ("/retry", 2, 3, 200),
        ("/retry", 3, 3, 503),
        ("/unset", 2, 3, 200),
        ("/unset", 3, 3, 503),
        ("/never", 1, 1, 503),
        ("/broken", 1, 1, 503),
        ("/plain", 1, 1, 503),
        ("/both", 2, 3, 200),
    ],
)
def test_attempts_are_counted_exactly(wire: Wire, path: str, fails: int, attempts: int, status: int) -> None:
    client = wire.client()
    client.say(get(path))
    made = 0
    answer = b""
    while not answer:
        for end in wire.backends:
            if end.heard():
                made += 1
                end.say(BUSY if made <= fails else OK)
        answer = client.heard()
        wait(wire, 0.05)
    assert made == attempts
    assert answer == (BUSY if status == 503 else OK)
    assert wire.log()[0].get("attempts", 1) == attempts


def test_a_code_that_is_not_listed_is_relayed(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/retry"))
    wire.backend.say(OK.replace(b"200 OK", b"404 Not Found"))
    assert client.heard().startswith(b"HTTP/1.1 404 ")
    assert "attempts" not in wire.log()[0]


@pytest.mark.parametrize("reset", [True, False])
def test_a_broken_connection_is_tried_again_for_a_get(wire: Wire, *, reset: bool) -> None:
    client = wire.client()
    client.say(get("/broken"))
    for _ in range(2):
        assert asked(wire) == 1
        if reset:
            wire.backend.break_off()
        else:
            wire.backend.half_close()
        wait(wire, SOON)
    assert asked(wire) == 1
    wire.backend.say(OK)
    assert client.heard() == OK
    assert failures(wire) == 2


def test_a_post_reaches_a_backend_that_breaks_off_exactly_once(wire: Wire) -> None:
    """Fault 6: also on a connection from the pool, and where a rule wants retries."""
    client = wire.client()
    for path in ("/", "/broken", "/retry"):
        for pooled in (False, True):
            if pooled:
                client.say(get("/"))
                wire.backend.say(OK)
                client.heard()
            asked(wire)
            client.say(post(path, b"hi"))
            wire.backend.break_off()
            wait(wire, SOON)
            assert asked(wire) <= 1
            assert reason(client.heard()) == "upstream_reset"


def test_a_stale_connection_costs_no_idempotent_request_even_with_a_body(wire: Wire) -> None:
    """Fault 7."""
    client = wire.client()
    for request in (
        get("/"),
        b"DELETE / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"PUT /retry HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    ):
        client.say(get("/"))
        wire.backend.say(OK)
        client.heard()
        stale = wire.backend
        stale.heard()
        client.say(request)
        sent = stale.heard()
        stale.half_close()
        assert wire.backend is not stale
        assert wire.backend.heard() == sent
        wire.backend.say(OK)
        assert client.heard() == OK
    assert [line.get("attempts") for line in wire.log()[1::2]] == [None] * 4 + [2]


def test_what_came_of_a_body_goes_again_and_the_rest_follows(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/"))
    wire.backend.say(OK)
    client.heard()
    stale = wire.backend
    stale.heard()
    client.say(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nab")
    client.say(b"cd")
    stale.break_off()
    client.say(b"ef")
    assert wire.backend.heard().endswith(b"\r\n\r\nabcdef")
    wire.backend.say(OK)
    assert client.heard() == OK


def test_what_is_kept_of_a_dripped_body_is_little_more_than_its_bytes(wire: Wire) -> None:
    client = wire.client()
    client.say(b"PUT /retry HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n")
    for number in range(1_000):
        client.say(b"%02d" % (number % 100))
    assert len(wire.downstream(client).retained or ()) <= MAX_PIECES
    wire.backend.say(BUSY)
    wait(wire, SOON)
    assert wire.backend.heard().endswith(b"\r\n\r\n" + b"".join(b"%02d" % each for each in range(100)) * 10)


def test_a_body_that_is_too_big_to_keep_is_sent_once(wire: Wire) -> None:
    client = wire.client()
    big = b"x" * 65_537
    client.say(b"PUT /retry HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(big), big))
    wire.backend.say(BUSY)
    assert client.heard() == BUSY
    wait(wire, SOON)
    assert asked(wire) == 1


def test_an_early_response_is_tried_again_with_what_came_and_what_comes(wire: Wire) -> None:
    client = wire.client()
    client.say(b"POST /retry HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nab", b"cd")
    wire.backend.say(BUSY)
    assert not wire.backend.open  # in the middle of a request
    client.say(b"ef")
    wait(wire, SOON)
    assert wire.backend.heard().endswith(b"\r\n\r\nabcdef")
    wire.backend.say(OK)
    assert client.heard() == OK
    client.say(get("/"))
    wire.backend.say(OK)
    assert client.heard() == OK


def test_once_the_client_has_heard_anything_there_is_no_other_attempt(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/retry"))
    wire.backend.say(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + BUSY)
    wait(wire, SOON)
    assert asked(wire) == 1
    assert client.heard().endswith(BUSY)
    client.say(get("/broken"))
    wire.backend.say(b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 9\r\n\r\nx")
    wire.backend.break_off()
    wait(wire, SOON)
    assert asked(wire) == 1
    assert client.ended


def test_another_endpoint_comes_first_then_the_same(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/two"))
    first = ports(wire)
    wire.backend.say(BUSY)
    wait(wire, SOON)
    assert sorted(ports(wire)) == [8002, 8003]
    wire.backend.say(BUSY)
    wait(wire, 2 * SOON)
    assert [wire.upstream(end).endpoint.port for end in wire.backends if end.received][:1] == first
    next(end for end in wire.backends if wire.upstream(end).downstream is not None).say(OK)
    assert client.heard() == OK
    asked(wire)


def test_another_attempt_stays_with_the_share_that_was_drawn(wire: Wire) -> None:
    """Both shares have the endpoint that fails; only the second is ever drawn."""
    shared = msgspec.structs.replace(
        rule("/shares", retry=Retry(2, ALL, 0)), clusters=(ir.ClusterWeight("two", 1), ir.ClusterWeight("other", 10**9))
    )
    wire.publish(*RESOURCES, cluster("other", 8002, 8009), shared)
    for number in range(8):
        client = wire.client(f"198.51.100.{number}")
        client.say(get("/shares"))
        while not client.received:
            for backend in wire.backends:
                if backend.heard():
                    backend.say(BUSY)
        client.break_off()
    assert {backend.port for backend in wire.backends} == {8002, 8009}


def test_no_backoff_means_at_once_and_everywhere_once(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/three"))
    for _ in range(2):
        wire.backend.say(BUSY)
    wire.backend.say(OK)
    assert client.heard() == OK
    assert sorted(ports(wire)) == [8004, 8005, 8006]


@pytest.mark.parametrize("path", ["/plain", "/timed", "/two", "/shares"])
def test_where_no_connection_can_be_made_another_endpoint_gets_even_a_post(wire: Wire, path: str) -> None:
    shares = (ir.ClusterWeight("two", 1), ir.ClusterWeight("three", 1))
    wire.publish(*RESOURCES, msgspec.structs.replace(rule("/shares"), clusters=shares))
    client = wire.client()
    wire.loop.refuse = OSError("refused")
    wire.loop.hang = True
    client.say(post(path, b"hi"))
    wire.loop.connecting[0].set_result(None)
    wire.loop.settle()
    wait(wire, SOON)
    wire.loop.refuse = None
    wire.loop.connecting[1].set_result(None)
    wire.loop.settle()
    assert wire.backend.heard().endswith(b"hi")
    wire.backend.say(OK)
    assert client.heard() == OK
    (line,) = wire.log()
    assert (line["status"], line["attempts"]) == (200, 2)
    assert (of_all(wire, EndpointWord.REQUESTS), failures(wire)) == (2, 1)


@pytest.mark.parametrize(("path", "tries"), [("/plain", 2), ("/", 1), ("/never", 1), ("/two", 3)])
def test_where_no_connection_can_be_made_at_all(wire: Wire, path: str, tries: int) -> None:
    client = wire.client()
    wire.loop.refuse = OSError("refused")
    client.say(get(path))
    wait(wire, 3 * SOON)
    assert reason(client.heard()) == "upstream_connect"
    assert (of_all(wire, EndpointWord.REQUESTS), failures(wire)) == (tries, tries)


def test_a_busy_answer_and_a_reset_are_not_taken_for_a_connection_that_lives(wire: Wire) -> None:
    wire.publish(*RESOURCES, rule("/at-once", retry=Retry(2, ALL, 0)))
    client = wire.client()
    client.say(get("/at-once"))
    first = wire.backend
    first.break_off(BUSY)
    assert wire.backend is not first
    wire.backend.say(OK)
    assert client.heard() == OK
    assert wire.log()[0]["attempts"] == 2


def test_a_client_that_leaves_while_another_attempt_waits(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/retry"))
    wire.backend.say(BUSY)
    client.break_off()
    wait(wire, 1)
    assert asked(wire) == 1
    assert wire.statuses() == [(499, "client_closed")]


@pytest.mark.parametrize(
    ("rest", "kept"),
    [
        ((b"Content-Length: 4\r\n\r\nbu", b"sy"), True),
        ((b"Transfer-Encoding: chunked\r\n\r\n2\r\nbu", b"\r\n2\r\nsy\r\n0\r\n\r\n"), True),
        ((b"Content-Length: 4\r\n\r\nbu", b"syHTTP"), False),
        ((b"Transfer-Encoding: chunked\r\n\r\n2\r\nbu", b"junk"), False),
        ((b"Content-Length: 65537\r\n\r\nbu",), False),
        ((b"Connection: close\r\nContent-Length: 4\r\n\r\nbusy",), False),
        ((b"\r\nbusy",), False),
        ((b"Content-Length: 0\r\n\r\n",), True),
    ],
)
def test_what_is_left_of_an_unwanted_response(wire: Wire, rest: tuple[bytes, ...], kept: bool) -> None:
    client = wire.client()
    client.say(get("/retry"))
    first = wire.backend
    first.say(b"HTTP/1.1 503 \r\nDate: x\r\n" + rest[0])
    for piece in rest[1:]:
        assert wire.pool == []
        first.say(piece)
    assert bool(wire.pool) is kept
    assert first.open is kept
    wait(wire, SOON)
    wire.backend.say(OK)
    assert client.heard() == OK


def test_an_unwanted_response_that_does_not_end_is_not_waited_for(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/retry"))
    first = wire.backend
    first.say(b"HTTP/1.1 503 \r\nDate: x\r\nContent-Length: 4\r\n\r\nbu")
    wait(wire, SOON)
    assert wire.backend is not first
    wire.backend.say(OK)
    assert client.heard() == OK
    wire.wait(3)
    assert not first.open


def test_no_endpoint_is_left_for_the_next_attempt(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/retry"))
    wire.backend.say(BUSY)
    wire.publish(*(each for each in RESOURCES if each.key != "cluster/c"), cluster("c"))
    wait(wire, SOON)
    assert reason(client.heard()) == "no_endpoints"


def test_another_attempt_goes_to_no_share_that_may_not_have_been_drawn(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both shares have the endpoint that fails, and nothing says which one was drawn: 8009 belongs to the first."""
    shares = (ir.ClusterWeight("other", 1), ir.ClusterWeight("same", 1))
    split = msgspec.structs.replace(rule("/shares"), clusters=shares)
    wire.publish(*RESOURCES, cluster("other", 8002, 8009), cluster("same", 8002), split)
    monkeypatch.setattr(downstream, "random", lambda: 0.9)
    wire.loop.refuse = OSError("refused")
    wire.loop.hang = True
    client = wire.client()
    client.say(get("/shares"))
    wire.loop.connecting[0].set_result(None)
    wire.loop.settle()
    assert reason(client.heard()) == "upstream_connect"
    assert len(wire.loop.connecting) == 1
