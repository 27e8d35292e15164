"""The backend's side of the proxy, over fake transports: responses, the pool, second tries, failures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rauta_control import ir, relay
from rauta_control.fakewire_test import CONFIGURATION, LIMITS, End, Wire, cluster, patch_sockets
from rauta_control.reasons import Reason
from rauta_control.response import MAX_HEAD
from rauta_control.sharedmem import EndpointWord, RouteWord, Vital

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
GET10 = b"GET / HTTP/1.0\r\nHost: h\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
BIG_PUT = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65_537  # too much to keep
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\n"


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    patch_sockets(monkeypatch)
    made = Wire(str(tmp_path / "access.log"))
    yield made
    made.close()


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


def word(wire: Wire, number: int, endpoint: str = "192.0.2.1:8001") -> int:
    counter = wire.worker.follower.clusters.endpoints[endpoint].counter
    return 0 if counter is None else counter.words[number]


# -- framing


@pytest.mark.parametrize(
    "response",
    [
        OK,
        OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"),
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 \r\nContent-Length: 3\r\nX-Y: \xff\r\n\r\nbad",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\nETag: x\r\n\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_response_is_relayed_in_whatever_pieces_it_comes(wire: Wire, response: bytes, size: int) -> None:
    client = wire.client()
    for _ in range(2):
        client.say(GET)
        wire.backend.say(*(response[at : at + size] for at in range(0, len(response), size)))
        assert unchunked(client.heard()) == unchunked(response)
    assert len(wire.pool) == 1
    assert client.open
    assert [line["status"] for line in wire.log()] == [int(response[9:12])] * 2


def unchunked(response: bytes) -> bytes:
    """Join the chunks of a response, and leave others alone."""
    head, _, body = response.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" not in head:
        return response
    payload = b""
    while not body.startswith(b"0\r\n"):
        size, _, body = body.partition(b"\r\n")
        payload += body[: int(size, 16)]
        assert body[int(size, 16) :].startswith(b"\r\n")
        body = body[int(size, 16) + 2 :]
    assert body == b"0\r\n\r\n"
    return head + b"\r\n\r\n" + payload


def test_chunks_are_framed_anew_without_extensions_and_trailers(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(CHUNKED + b"2;x=y\r\nab\r\n1\r\nc\r\n", b"01\r\nd\r\n0\r\nTrailer: x\r\n", b"\r\n")
    assert client.heard() == CHUNKED + b"3\r\nabc\r\n" + b"1\r\nd\r\n" + b"0\r\n\r\n"
    assert len(wire.pool) == 1
    assert client.open


def test_a_body_until_the_close_is_chunked_for_1_1_and_closes_for_1_0(wire: Wire) -> None:
    new, old = wire.client(), wire.client()
    new.say(GET)
    old.say(GET10)
    for backend in wire.backends:
        backend.say(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nab", b"c")
        backend.half_close()
    assert new.heard() == b"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert new.open
    assert old.heard() == b"HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\nabc"
    assert old.ended
    assert not wire.pool
    assert wire.statuses() == [(200, "")] * 2


def test_a_chunked_body_for_1_0_ends_with_the_connection(wire: Wire) -> None:
    client = wire.client()
    client.say(GET10)
    wire.backend.say(CHUNKED, b"2\r\nab\r\n", b"0\r\n\r\n")
    assert client.heard() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab"
    assert client.ended
    assert len(wire.pool) == 1


@pytest.mark.parametrize(
    ("response", "relayed"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        (CHUNKED, b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"),
    ],
)
def test_an_answer_to_head_has_no_body(wire: Wire, response: bytes, relayed: bytes) -> None:
    client = wire.client()
    for _ in range(2):
        client.say(HEAD)
        wire.backend.say(response)
        assert client.heard() == relayed
    assert client.open
    assert len(wire.backends) == 1


def test_a_backend_that_says_close_is_not_asked_again(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    assert client.heard() == OK
    assert client.open
    assert wire.backend.lost
    assert not wire.pool


def test_a_backend_of_1_0_is_relayed_as_1_1(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert client.heard() == OK
    assert wire.backend.lost


@pytest.mark.parametrize("length", [b"Content-Length: 2", b"content-length:2"])
@pytest.mark.parametrize("connection", [b"Connection: keep-alive", b"CONNECTION:Keep-Alive, X-Hop\r\nX-Hop: y"])
def test_there_is_one_connection_field_and_it_is_ours(wire: Wire, length: bytes, connection: bytes) -> None:
    client = wire.client()
    for request_head, ours in (
        (GET, None),
        (GET10.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), b"keep-alive"),
        (GET10, b"close"),
    ):
        client.say(request_head)
        wire.backend.say(b"HTTP/1.1 200 OK\r\n%b\r\n%b\r\n\r\nok" % (connection, length))
        head = client.heard().partition(b"\r\n\r\n")[0].lower()
        assert b"x-hop" not in head
        fields = [line for line in head.split(b"\r\n") if line.startswith(b"connection")]
        assert fields in ([], [b"connection: keep-alive"]) if ours is None else fields == [b"connection: " + ours]


# -- 1xx


def test_interim_responses_are_relayed_before_the_final_one(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    wire.backend.say(hints + b"HTTP/1.1 102 Processing\r\n\r\n", hints + OK)
    assert client.heard() == hints + b"HTTP/1.1 102 Processing\r\n\r\n" + hints + OK
    assert wire.statuses() == [(200, "")]
    client.say(GET)
    wire.backend.say(hints * relay.MAX_INTERIM + OK)  # counted for each request anew
    assert client.heard().endswith(OK)


def test_a_client_of_1_0_gets_no_interim_response(wire: Wire) -> None:
    client = wire.client()
    client.say(GET10)
    wire.backend.say(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert client.heard().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * (relay.MAX_INTERIM + 1) + OK,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_too_many_interim_responses_and_an_upgrade_nobody_asked_for_are_502(wire: Wire, response: bytes) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(response)
    answer = client.heard()
    assert answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n" * relay.MAX_INTERIM).startswith(BAD_GATEWAY)
    assert b"200 OK" not in answer
    assert wire.backend.lost
    assert word(wire, EndpointWord.FAILURES) == 1


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


# -- second tries


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


# -- failures within a response


@pytest.mark.parametrize("how", ["half_close", "break_off"])
@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", CHUNKED + b"3\r\nabc\r\n", CHUNKED + b"3\r\nab"]
)
def test_a_body_that_breaks_off_is_cut_so_that_the_client_can_tell(wire: Wire, how: str, said: bytes) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(said)
    getattr(wire.backend, how)()
    assert not client.heard().endswith(b"0\r\n\r\n")
    assert client.lost
    assert wire.statuses() == [(200, "upstream_reset")]
    assert not wire.pool
    assert word(wire, EndpointWord.FAILURES) == 1


def test_a_body_until_the_close_that_is_reset_is_cut(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(b"HTTP/1.1 200 OK\r\n\r\nabc")
    wire.backend.break_off()
    assert client.heard().endswith(b"3\r\nabc\r\n")
    assert client.lost
    assert wire.statuses() == [(200, "upstream_reset")]


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\n\r\nabc", CHUNKED + b"3\r\nabc\r\n"])
def test_for_1_0_only_a_reset_tells_that_a_body_is_cut(wire: Wire, said: bytes) -> None:
    client = wire.client()
    client.say(GET10)
    wire.backend.say(said)
    wire.backend.break_off()
    assert client.reset
    assert client.lost


@pytest.mark.parametrize("how", ["half_close", "break_off"])
def test_a_head_that_breaks_off_is_502(wire: Wire, how: str) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(b"HTTP/1.1 200 OK\r\n")
    getattr(wire.backend, how)()
    assert client.heard().startswith(BAD_GATEWAY)
    assert client.open


def test_an_answer_that_came_before_the_reset_counts(wire: Wire) -> None:
    client = wire.client()
    client.say(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n"
    wire.backend.break_off(refusal + b"\r\n", b"big")
    assert client.heard() == refusal + b"Connection: close\r\n\r\nbig"
    assert wire.statuses() == [(413, "")]
    assert not wire.pool


def test_last_words_are_no_excuse_for_a_short_body(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.break_off(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b"abc")
    assert client.lost
    assert wire.statuses() == [(200, "upstream_reset")]


def test_a_whole_response_in_last_words_does_not_bring_the_connection_back(wire: Wire) -> None:
    client = wire.client()
    client.say(GET + GET)
    wire.backend.break_off(OK)
    assert client.heard() == OK
    wire.backend.say(OK)
    assert client.heard() == OK
    assert len(wire.backends) == 2


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
    assert word(wire, EndpointWord.STATUS_5XX) == 2
    assert word(wire, EndpointWord.FAILURES) == 1
    assert word(wire, EndpointWord.CONNECTS) == 1
    words = wire.worker.recorder.route(0, 1).words
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
    assert word(wire, EndpointWord.ACTIVE) == 2
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
