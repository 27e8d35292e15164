"""Second tries of requests on pooled connections that turn out dead, over fake transports."""

from __future__ import annotations

import pytest

from rauta_control.fakewire_test import BAD_GATEWAY, GET, OK, POST, Wire, abandoned, pooled, word
from rauta_control.reasons import Reason
from rauta_control.sharedmem import EndpointWord, Vital

BIG_PUT = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65_537  # too much to keep


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS"])
@pytest.mark.parametrize("how", ["half_close", "break_off"])
def test_a_pooled_connection_that_turns_out_dead_costs_no_request(wire: Wire, method: bytes, how: str) -> None:
    stale, other = pooled(wire, 2)
    client = wire.client()
    client.say(method + GET[3:])
    used = stale if stale.received else other
    getattr(used, how)()
    assert wire.backend not in (stale, other)
    assert wire.backend.heard().startswith(method + b" / ")
    wire.backend.say(OK if method != b"HEAD" else OK[:-2])
    assert client.heard() == (OK if method != b"HEAD" else OK[:-2])
    assert wire.statuses()[2:] == [(200, "")]
    assert word(wire, EndpointWord.FAILURES) == 0


def test_room_is_counted_right_over_second_tries(wire: Wire) -> None:
    endpoint = wire.worker.follower.clusters.endpoints["192.0.2.1:8001"]
    client = wire.client()
    client.say(GET)
    wire.backend.say(OK)
    for _ in range(5):
        client.say(GET)
        wire.backend.half_close()
        wire.backend.say(OK)
        assert endpoint.open == 1
    wire.worker._slow_tick()
    wire.worker.recorder.flush(1)  # raises if a word were negative


def test_there_is_one_second_try_and_it_is_on_a_new_connection(wire: Wire) -> None:
    pooled(wire, 3)
    client = wire.client()
    client.say(GET)
    next(backend for backend in wire.backends if backend.received).half_close()
    assert len(wire.backends) == 4
    wire.backend.half_close()
    assert client.heard().startswith(BAD_GATEWAY)
    assert len(wire.backends) == 4
    assert word(wire, EndpointWord.FAILURES) == 1


def test_a_second_try_that_cannot_connect_is_502(wire: Wire) -> None:
    (stale,) = pooled(wire)
    client = wire.client()
    client.say(GET)
    wire.loop.refuse = ConnectionRefusedError()
    stale.half_close()
    assert b"x-rauta-reason: upstream_connect\r\n" in client.heard()


@pytest.mark.parametrize("request_bytes", [POST, b"PATCH / HTTP/1.1\r\nHost: h\r\n\r\n", BIG_PUT])
def test_what_must_not_be_sent_twice_is_not(wire: Wire, request_bytes: bytes) -> None:
    (stale,) = pooled(wire)
    client = wire.client()
    client.say(request_bytes)
    stale.half_close()
    answer = client.heard()
    assert answer.startswith(BAD_GATEWAY)
    assert b"x-rauta-reason: upstream_reset\r\n" in answer
    assert wire.backends == [stale]
    assert client.open


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_there_is_no_second_try_after_a_byte_of_the_response(wire: Wire, said: bytes) -> None:
    (stale,) = pooled(wire)
    client = wire.client()
    client.say(GET)
    stale.say(said)
    stale.half_close()
    assert BAD_GATEWAY in client.heard()
    assert wire.backends == [stale]


def test_a_new_connection_that_dies_is_502_at_once(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.break_off()
    assert client.heard().startswith(BAD_GATEWAY)
    assert len(wire.backends) == 1
    assert wire.vital(Vital.REASONS + Reason.UPSTREAM_RESET.number) == 1


def test_the_second_try_of_a_client_that_left_meanwhile_is_none(wire: Wire) -> None:
    (stale,) = pooled(wire)
    wire.loop.hang = True
    client = wire.client()
    client.say(GET)
    stale.half_close()
    client.break_off()
    wire.loop.connecting[0].set_result(None)
    wire.loop.settle()
    assert wire.backend.heard() == b""
    assert len(wire.pool) == 1


@pytest.mark.parametrize("how", ["half_close", "break_off"])
def test_a_pooled_connection_that_was_never_used_may_be_dead_too(wire: Wire, how: str) -> None:
    abandoned(wire)
    stale = wire.backend
    assert len(wire.pool) == 1
    client = wire.client()
    client.say(GET)
    assert stale.heard()
    getattr(stale, how)()
    wire.backend.say(OK)
    assert client.heard() == OK
    assert word(wire, EndpointWord.FAILURES) == 0
