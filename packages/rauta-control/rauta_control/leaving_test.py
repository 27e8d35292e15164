"""Clients that leave and workers that drain, in every phase of a request, over fake transports."""

from __future__ import annotations

import pytest

from rauta_control import leaving
from rauta_control.faketransport_test import End, FakeSocket
from rauta_control.fakewire_test import CHUNKED, GET, MISSING, OK, OK_CLOSE, Wire, failures, post
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital

# -- the client leaves


# What the client and the backend say until a request is in some phase.
PHASES: dict[str, tuple[bytes, bytes]] = {
    "connecting": (GET, b""),
    "waiting": (GET, b""),
    "response head": (GET, OK[:10]),
    "response body": (GET, OK[:-1]),
    "chunked": (GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"),
    "until close": (GET, b"HTTP/1.1 200 OK\r\n\r\na"),
    "request body": (post("Content-Length: 9", body=b"abc"), b""),
    "pipelined": (GET + GET, b""),
}


def begin(wire: Wire, client: End, phase: str) -> None:
    asked, answered = PHASES[phase]
    wire.loop.hang = phase == "connecting"
    client.say(asked)
    if answered:
        wire.backend.say(answered)


@pytest.mark.parametrize("phase", PHASES)
def test_a_client_that_leaves_in_the_middle_is_counted_and_its_backend_connection_closed(
    wire: Wire, phase: str
) -> None:
    client = wire.client()
    begin(wire, client, phase)
    assert wire.log() == []
    client.break_off()
    assert all(backend.lost for backend in wire.backends)
    assert not wire.pool
    ((code, why),) = wire.statuses()
    assert why == "client_closed"
    assert code == (200 if phase in ("response body", "chunked", "until close") else 499)
    assert wire.vital(Vital.REASONS + Reason.CLIENT_CLOSED.number) == 1
    assert failures(wire) == 0
    wire.loop.hang = False
    for attempt in wire.loop.connecting:
        attempt.set_result(None)
    wire.loop.settle()
    other = wire.client()
    other.say(GET)
    wire.backend.say(OK)
    assert other.heard() == OK  # on the connection nobody wanted any more, or a new one


@pytest.mark.parametrize("how", ["half_close", "break_off"])
@pytest.mark.parametrize("before", [b"", b"GET / HT", MISSING])
def test_a_client_that_leaves_between_requests_is_not_logged(wire: Wire, how: str, before: bytes) -> None:
    client = wire.client()
    if before:
        client.say(before)
    lines = len(wire.log())
    getattr(client, how)()
    assert client.lost
    assert len(wire.log()) == lines


def test_a_half_closed_client_gets_its_answer(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    client.half_close()
    assert not client.closing
    wire.backend.say(OK)
    assert client.heard() == OK_CLOSE
    assert client.lost
    assert len(wire.pool) == 1


def test_a_half_closed_client_gets_all_its_pipelined_answers(wire: Wire) -> None:
    client = wire.client()
    client.say(GET * 3)
    client.half_close()
    for _ in range(3):
        wire.backend.say(OK)
    assert client.heard() == OK * 2 + OK_CLOSE
    assert client.lost


def test_a_cut_off_answer_does_not_reset_a_connection_on_which_more_was_asked(wire: Wire) -> None:
    client = wire.client()
    client.say(GET + GET)
    client.inbox.append(GET)  # what is unread would turn a close into a reset, which may overtake earlier answers
    wire.backend.say(CHUNKED + b"1\r\na\r\nno chunk\r\n")
    assert client.heard().startswith(CHUNKED)
    assert client.eof
    assert client.open
    wire.wait(leaving.LINGER_TIME + 2)
    assert client.lost
    assert wire.statuses() == [(200, "upstream_invalid")]


# -- draining


def test_draining_without_connections_is_done_at_once(wire: Wire) -> None:
    wire.worker.drain(30)
    assert wire.worker.done.done()


def test_draining_closes_idle_connections_and_ends_with_the_last_request(wire: Wire) -> None:
    idle, waiting = wire.client(), wire.client()
    idle.say(GET)
    wire.backend.say(OK)
    waiting.say(GET)
    wire.worker.drain(30)
    wire.loop.settle()
    assert idle.lost
    assert not wire.worker.done.done()
    wire.backend.say(OK)
    assert waiting.heard() == OK_CLOSE
    assert waiting.lost
    assert wire.worker.done.done()


def test_draining_gives_up_after_its_time(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.worker.drain(5)
    wire.wait(4)
    assert not wire.worker.done.done()
    wire.wait(2)
    assert wire.worker.done.done()
    assert client.open


DRAINED = [phase for phase in PHASES if phase not in ("response body", "chunked", "until close")]


@pytest.mark.parametrize("phase", DRAINED)
def test_draining_lets_a_request_finish_in_any_phase(wire: Wire, phase: str) -> None:
    client = wire.client()
    begin(wire, client, phase)
    wire.worker.drain(30)
    wire.loop.settle()
    for attempt in wire.loop.connecting:
        attempt.set_result(None)
    wire.loop.settle()
    if phase == "request body":
        client.say(b"defghi")
    wire.backend.say(OK[10:] if phase == "response head" else OK)
    assert client.heard() == OK_CLOSE
    wire.wait(leaving.LINGER_TIME + 2)
    assert wire.worker.done.done()
    assert wire.statuses() == [(200, "")]


def test_draining_ends_the_connection_after_a_response_whose_head_was_out(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(OK[:-1])
    wire.worker.drain(30)
    wire.backend.say(OK[-1:])
    assert client.heard() == OK
    assert client.lost
    assert wire.worker.done.done()


def test_a_request_that_arrived_but_was_not_read_when_draining_began_is_answered(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(OK)
    client.heard()
    client.inbox.append(GET)
    wire.worker.drain(30)
    client.say()
    wire.backend.say(OK)
    assert client.heard() == OK_CLOSE
    assert wire.worker.done.done()


def test_a_pipelined_request_that_waits_for_a_slow_client_is_answered_while_draining(wire: Wire) -> None:
    client = wire.client()
    client.take(0)
    client.say(GET * 2)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
    wire.worker.drain(30)
    wire.loop.settle()
    assert client.open
    client.take_all()
    wire.backend.say(OK)
    assert client.heard().endswith(OK_CLOSE)
    assert client.lost


def test_a_new_connection_gets_its_first_request_answered_while_draining(wire: Wire) -> None:
    late, silent = wire.client(), wire.client()
    sock = FakeSocket()
    wire.accept(sock)  # accepted, and not made yet
    wire.worker.drain(30)
    wire.loop.settle()
    assert sock.end is not None
    wire.ends.append(sock.end)
    for client in (late, sock.end):
        client.say(GET)
        wire.backend.say(OK)
        assert client.heard() == OK_CLOSE
    assert not wire.worker.done.done()
    wire.wait(leaving.FRESH_TIME + 1)
    assert silent.lost
    assert silent.heard() == b""
    assert wire.worker.done.done()
