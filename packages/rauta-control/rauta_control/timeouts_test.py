"""Timeouts of rules over fake transports: when they begin, what they cut, and how they hold across attempts."""

from __future__ import annotations

import pytest

from rauta_control.action import Retry
from rauta_control.fakewire_test import OK, MakeWire, Wire, failures, get, of_all, reason
from rauta_control.retryrules_test import RESOURCES, asked, post, rule, wait
from rauta_control.sharedmem import EndpointWord


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    return make_wire(RESOURCES)


def test_request_timeout_answers_504_and_the_connection_goes_on(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/request"))
    wait(wire, 0.48)
    assert not client.heard()
    wait(wire, 0.05)
    answer = client.heard()
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert reason(answer) == "request_timeout"
    assert not wire.backend.open
    assert failures(wire) == 1
    client.say(get("/"))
    wire.backend.say(OK)
    assert client.heard() == OK


def test_request_timeout_cuts_a_response_that_has_begun(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/request"))
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    for _ in range(9):
        wait(wire, 0.06)
        if wire.backend.open:
            wire.backend.say(b"x")
    assert client.ended
    assert client.heard().count(b"x") < 9
    assert wire.statuses() == [(200, "request_timeout")]


def test_request_timeout_includes_the_upload(wire: Wire) -> None:
    client = wire.client()
    client.say(b"PUT /request HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\n\r\n")
    wait(wire, 0.55)
    assert reason(client.heard()) == "request_timeout"
    assert failures(wire) == 0  # it was not the backend's turn


@pytest.mark.parametrize(("fields", "blamed"), [(("Expect: 100-continue",), 1), ((), 0)])
def test_who_is_blamed_for_a_body_that_does_not_come(wire: Wire, fields: tuple[str, ...], blamed: int) -> None:
    client = wire.client()
    client.say(get("/request", "Content-Length: 2", *fields).replace(b"GET", b"POST"))
    wait(wire, 0.6)
    assert reason(client.heard()) == "request_timeout"
    assert failures(wire) == blamed


def test_backend_timeout_begins_when_the_request_is_complete(wire: Wire) -> None:
    client = wire.client()
    client.say(b"PUT /backend HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx")
    wait(wire, 2)
    client.say(b"y")
    wait(wire, 0.45)
    assert not client.heard()
    wait(wire, 0.1)
    assert reason(client.heard()) == "backend_timeout"
    assert failures(wire) == 1


def test_a_request_ends_once_however_many_deadlines_pass_together(wire: Wire) -> None:
    wire.limit(write_timeout=1)
    client = wire.client()
    client.take(0)
    client.say(get("/request"))
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 200_000)
    wire.wait(0.4, 0.2)
    downstream = wire.downstream(client)
    downstream.unsent, downstream.deadline = len(client.buffer), 0.0
    wire.loop.call_at(wire.loop.now, downstream.expire)  # as the tick does, in one turn of the loop with the wheel
    wire.loop.now += 0.2
    wire.loop.settle()
    assert wire.statuses() == [(200, "write_timeout")]


def test_a_response_in_time_ends_the_deadline(wire: Wire) -> None:
    client = wire.client()
    for path in ("/request", "/backend"):
        client.say(get(path))
        wait(wire, 0.4)
        wire.backend.say(OK)
        wait(wire, 0.4)
        assert client.heard() == OK
    assert not len(wire.worker.wheel)


def test_zero_means_no_limit_not_even_our_own(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/none"))
    wire.wait(1000)
    wire.backend.say(OK)
    assert client.heard() == OK


@pytest.mark.parametrize("path", ["/", "/backend", "/none"])
def test_a_backend_that_takes_nothing_of_a_request_has_no_more_time_for_its_rule(wire: Wire, path: str) -> None:
    client = wire.client()
    client.say(post(path, b"x" * 1_000_000)[:100])
    wire.backend.take(0)
    client.say(b"x" * 200_000)
    wire.wait(59)
    assert not client.heard()
    wire.wait(62)
    assert reason(client.heard()) == "upstream_timeout"
    assert not wire.backend.open
    assert failures(wire) == 1


def test_a_dripped_response_head_does_not_extend_the_limit(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/"))
    for _ in range(70):
        wire.wait(1)
        if wire.backend.open:
            wire.backend.say(b"HTTP/1.1 200 OK\r\nX: " if not wire.upstream(wire.backend).buffer else b"y")
        if answer := client.heard():
            break
    assert reason(answer) == "upstream_timeout"
    assert 60 <= wire.worker.now <= 61.5


def test_a_deadline_that_passes_while_connecting_frees_the_request_for_good(wire: Wire) -> None:
    client = wire.client()
    wire.loop.hang = True
    client.say(get("/request"))
    wait(wire, 0.55)
    assert reason(client.heard()) == "request_timeout"
    client.say(get("/plain"))
    wire.loop.connecting[0].set_result(None)  # of the first request: not for this one
    wire.loop.settle()
    assert not wire.backend.received
    wire.loop.connecting[1].set_result(None)
    wire.loop.settle()
    assert wire.backend.received
    wire.backend.say(OK)
    assert client.heard() == OK


@pytest.mark.parametrize("said", [get("/backend"), get("/request"), post("/request", b"abc")[:-1]])
def test_an_endpoint_that_accepts_no_connection_is_blamed_once_for_a_request(wire: Wire, said: bytes) -> None:
    client = wire.client()
    wire.loop.hang = True
    client.say(said)
    wait(wire, 0.55)
    assert reason(client.heard()).endswith("_timeout")
    wire.loop.connecting[0].set_exception(OSError("refused, at last"))
    wire.loop.settle()
    assert (of_all(wire, EndpointWord.REQUESTS), failures(wire)) == (1, 1)


def test_both_timeouts_hold_across_attempts(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/both"))
    wait(wire, 0.39)
    assert asked(wire) == 1
    wait(wire, 0.03)  # the first attempt is over, the second waits
    assert not wire.backends[0].open
    wait(wire, 0.17)
    assert asked(wire) == 1
    wait(wire, 0.38)
    assert not client.heard()
    wait(wire, 0.05)
    assert reason(client.heard()) == "request_timeout"
    (line,) = wire.log()
    assert line["attempts"] >= 2


def test_an_attempt_that_takes_too_long_is_tried_again_until_none_is_left(wire: Wire) -> None:
    wire.publish(*RESOURCES, rule("/slow", backend=200, retry=Retry(2)))
    client = wire.client()
    client.say(get("/slow"))
    wait(wire, 1)
    assert asked(wire) == 3
    assert reason(client.heard()) == "backend_timeout"
    assert failures(wire) == 3
