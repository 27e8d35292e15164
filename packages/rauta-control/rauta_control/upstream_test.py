"""The backend's side of the proxy, over fake transports: what is no response, the pool, time, counters."""

from __future__ import annotations

import os
from typing import Any

import pytest

from rauta_control import ir
from rauta_control.faketransport_test import End
from rauta_control.fakewire_test import (
    BAD_GATEWAY,
    CHUNKED,
    CONFIGURATION,
    GET,
    GET10,
    HEAD,
    LIMITS,
    OK,
    POST,
    Wire,
    abandoned,
    cluster,
    pooled,
    word,
)
from rauta_control.response import MAX_HEAD
from rauta_control.sharedmem import PID_SHIFT, EndpointWord, RouteWord, Vital

# -- what is no response


@pytest.mark.parametrize(
    "junk",
    [
        b"junk\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        b"x" * 100_000,
        # Of these no blank line comes.
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\0\0\x12\4\0\0\0\0\0",
        b"220 mail ESMTP\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
    ],
)
def test_a_bad_response_is_502_and_no_byte_of_it_gets_through(wire: Wire, junk: bytes) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(junk)
    answer = client.heard()
    assert answer.startswith(BAD_GATEWAY)
    assert b"x-rauta-reason: upstream_invalid\r\n" in answer
    assert wire.backend.lost
    assert not wire.pool
    assert word(wire, EndpointWord.FAILURES) == 1
    client.say(GET)
    wire.backend.say(OK)
    assert client.heard() == OK


@pytest.mark.parametrize("broken", [b"zz\r\n", b"2\r\nabX\r\n", b"-1\r\n", b"1;" + b"x" * 5000])
def test_a_broken_chunk_cuts_the_response_so_that_it_can_be_seen(wire: Wire, broken: bytes) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(CHUNKED + b"2\r\nok\r\n", broken)
    answer = client.heard()
    assert answer.startswith(CHUNKED + b"2\r\nok\r\n")
    assert not answer.endswith(b"0\r\n\r\n")
    assert client.lost
    assert wire.statuses() == [(200, "upstream_invalid")]


# -- more than a response


@pytest.mark.parametrize(
    ("request_head", "response"),
    [
        (GET, OK),
        (GET, CHUNKED + b"2\r\nok\r\n0\r\n\r\n"),
        (GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: y\r\n\r\n"),
        (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        (GET10, OK),
        (GET10, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 2])
def test_bytes_after_a_response_reach_nobody(wire: Wire, request_head: bytes, response: bytes, pieces: int) -> None:
    client, other = wire.client(), wire.client()
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    client.say(request_head)
    if pieces == 1:
        wire.backend.say(response + evil)
    else:
        wire.backend.say(response[:-1], response[-1:] + evil)
    assert b"evil" not in client.heard()
    assert wire.backend.lost
    assert not wire.pool
    other.say(GET)
    wire.backend.say(OK)
    assert other.heard() == OK
    assert len(wire.backends) == 2


def test_an_unsolicited_response_reaches_nobody_even_if_the_next_request_comes_in_the_same_turn(wire: Wire) -> None:
    (backend,) = pooled(wire)
    client = wire.client()
    backend.inbox.append(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    wire.loop.call_soon(backend._deliver)
    client.inbox.append(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
    wire.loop.call_soon(client._deliver)
    wire.loop.settle()
    assert backend.lost
    assert backend.heard() == b""
    assert wire.backend is not backend
    wire.backend.say(OK)
    assert client.heard() == OK


def test_a_connection_that_ends_is_not_taken_from_the_pool_in_the_same_turn(wire: Wire) -> None:
    (backend,) = pooled(wire)
    client = wire.client()
    backend.inbox.append(None)
    wire.loop.call_soon(backend._deliver)
    client.inbox.append(POST)
    wire.loop.call_soon(client._deliver)
    wire.loop.settle()
    assert backend.lost
    wire.backend.say(OK)
    assert client.heard() == OK


def test_a_connection_that_ends_before_it_is_pooled_is_taken_by_nobody(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, connect = wire.client(), wire.loop.create_connection

    async def refused_late(*args: Any, **options: Any) -> Any:
        made = await connect(*args, **options)
        if len(wire.backends) == 1:
            late.inbox.append(POST)
            wire.loop.call_soon(late._deliver)
            made[1].eof_received()
        return made

    monkeypatch.setattr(wire.loop, "create_connection", refused_late)
    abandoned(wire)
    assert wire.backends[0].lost
    assert wire.backends[0].heard() == b""
    wire.backend.say(OK)
    assert late.heard() == OK


# -- the pool


def test_the_pool_is_last_in_first_out_and_idle_connections_are_closed(wire: Wire) -> None:
    first, second = pooled(wire, 2)
    client = wire.client()
    client.say(GET)
    assert second.heard()
    wire.wait(LIMITS.pool_timeout + 1.1)
    assert first.lost
    assert second.open
    second.say(OK)
    assert client.heard() == OK


def test_idle_connections_do_not_last_as_long_as_backends_keep_them(wire: Wire) -> None:
    (backend,) = pooled(wire)
    wire.wait(4.5, step=0.1)
    assert backend.lost


def test_an_endpoint_that_left_keeps_its_request_and_loses_its_connections(wire: Wire) -> None:
    idle, busy = pooled(wire, 2)
    client = wire.client()
    client.say(GET)
    if idle.received:
        idle, busy = busy, idle
    generation = wire.worker.follower.generation
    wire.publish(*(cluster("c", 8002) if resource.name == "c" else resource for resource in CONFIGURATION))
    assert idle.lost
    assert wire.worker.follower.drained() == generation
    busy.say(OK)
    assert client.heard() == OK
    assert busy.lost
    assert not wire.pool
    assert wire.worker.follower.drained() == wire.worker.follower.generation
    client.say(GET)
    wire.backend.say(OK)
    assert client.heard() == OK
    assert wire.log()[-1]["endpoint"] == "192.0.2.1:8002"


def test_a_connection_that_nobody_wants_any_more_is_not_kept_for_an_endpoint_that_left(wire: Wire) -> None:
    wire.loop.hang = True
    client = wire.client()
    client.say(GET)
    client.break_off()
    wire.publish(*(cluster("c", 8002) if resource.name == "c" else resource for resource in CONFIGURATION))
    wire.loop.connecting[0].set_result(None)
    wire.loop.settle()
    assert wire.backend.lost


def test_pools_make_room_when_descriptors_run_out(wire: Wire) -> None:
    other = ir.Rule("other", "other", "l|*", "/other", "prefix", (ir.ClusterWeight("d"),), slot=3, epoch=1)
    wire.publish(*CONFIGURATION, cluster("d", 8002), other)
    idle = pooled(wire, 3)
    wire.worker.capacity = 2
    client = wire.client()
    client.say(GET.replace(b"/ ", b"/other "))
    assert all(backend.lost for backend in idle)
    wire.backend.say(OK)
    assert client.heard() == OK


def test_a_connection_whose_backend_has_not_taken_the_request_is_not_reused(wire: Wire) -> None:
    client = wire.client()
    wire.loop.hang = True
    client.say(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
    wire.loop.connecting[0].set_result(None)
    wire.loop.hang = False
    original = End.write

    def impatient(self: End, data: bytes) -> None:
        self.patient = False
        original(self, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(End, "write", impatient)
        wire.loop.settle()
    assert wire.upstream(wire.backend).blocked
    client.patient = True
    wire.backend.say(OK)
    client.take_all()
    assert client.heard() == OK
    assert wire.backend.lost  # what is left of the body would come before the next request, and without limit
    assert not wire.pool


# -- time


def test_a_backend_that_does_not_answer_is_504(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.wait(LIMITS.response_timeout - 1)
    assert client.heard() == b""
    wire.wait(2)
    answer = client.heard()
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"x-rauta-reason: upstream_timeout\r\n" in answer
    assert client.open
    assert wire.backend.lost
    assert word(wire, EndpointWord.FAILURES) == 1


def test_a_dripping_head_has_no_more_time(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    for byte in b"HTTP/1.1 200 OK\r\n" * 3:
        wire.backend.say(bytes((byte,)))
        wire.wait(2)
    assert client.heard().startswith(b"HTTP/1.1 504 ")


@pytest.mark.parametrize(
    ("head", "event"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
)
def test_a_body_may_pause_for_minutes_but_not_for_ever(wire: Wire, head: bytes, event: bytes) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(head)
    for _ in range(3):
        wire.wait(LIMITS.stream_timeout - 2)
        assert client.open
        wire.backend.say(event)
    wire.wait(LIMITS.stream_timeout + 2)
    assert client.lost
    assert wire.statuses() == [(200, "upstream_stalled")]


# -- counters


def test_what_is_counted_of_an_endpoint_and_a_route(wire: Wire) -> None:
    client = wire.client()
    for response in (OK, OK.replace(b"200", b"503"), OK.replace(b"200", b"404")):
        client.say(POST)
        wire.backend.say(response)
    client.say(POST)
    wire.backend.break_off()
    assert word(wire, EndpointWord.REQUESTS) == 4
    assert word(wire, EndpointWord.STATUS_5XX) == 1  # the 502 is the gateway's own
    assert word(wire, EndpointWord.FAILURES) == 1
    assert word(wire, EndpointWord.CONNECTS) == 1
    words = wire.worker.recorder.route(0, 1).words.tolist()
    assert words[RouteWord.STATUS_1XX : RouteWord.STATUS_1XX + 5] == [0, 1, 0, 1, 2]
    assert words[RouteWord.BYTES_IN] == 8
    assert sum(words[RouteWord.BUCKETS :]) == 4
    assert wire.vital(Vital.REQUESTS) == 4


def test_gauges_tell_what_is_open(wire: Wire) -> None:
    pooled(wire)
    clients = [wire.client() for _ in range(2)]
    for client in clients:
        client.say(GET)
    wire.worker._slow_tick()
    assert word(wire, EndpointWord.ACTIVE) == os.getpid() << PID_SHIFT | 2
    assert wire.vital(Vital.REQUESTS_ACTIVE) == 2
    assert wire.vital(Vital.UPSTREAMS) == 2


def test_endpoints_are_chosen_by_the_flow_so_a_client_connection_stays_with_one(wire: Wire) -> None:
    ports = range(9001, 9009)
    wire.publish(*(cluster("c", *ports) if resource.name == "c" else resource for resource in CONFIGURATION))
    chosen = set()
    for number in range(20):
        client = wire.client(f"203.0.113.{number}")
        for _ in range(3):
            client.say(GET)
            for backend in wire.backends:
                if wire.upstream(backend).downstream is not None:
                    backend.say(OK)
        endpoints = {line["endpoint"] for line in wire.log()[-3:]}
        assert len(endpoints) == 1
        chosen |= endpoints
    assert len(chosen) > 3


def test_weights_are_drawn_for_each_request(wire: Wire) -> None:
    shares = (ir.ClusterWeight("c"), ir.ClusterWeight("d"))
    split = ir.Rule("r", "app", "l|*", "/", "prefix", shares, slot=0, epoch=1)
    wire.publish(*(split if resource.name == "r" else resource for resource in CONFIGURATION), cluster("d", 8002))
    client = wire.client()
    for _ in range(40):
        client.say(GET)
        next(backend for backend in wire.backends if wire.upstream(backend).downstream is not None).say(OK)
    assert len({line["endpoint"] for line in wire.log()}) == 2
