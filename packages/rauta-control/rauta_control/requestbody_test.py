"""Bodies of requests, over fake transports, and answers that come before their end."""

from __future__ import annotations

import pytest

from rauta_control import leaving
from rauta_control.fakewire_test import GET, LIMITS, MISSING, OK, MakeWire, Wire, failures, post, reason, status
from rauta_control.retryrules_test import RESOURCES

# -- bodies


def test_a_body_of_known_length_is_passed_on_as_it_comes(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 10", body=b"abc"), b"def", b"ghij" + GET)
    assert wire.backend.heard().endswith(b"\r\n\r\nabcdefghij")
    wire.backend.say(OK)
    assert client.heard() == OK
    assert wire.log()[0]["bytes_in"] == 10
    assert wire.backend.heard().startswith(b"GET / ")


def test_a_chunked_body_is_framed_anew(wire: Wire) -> None:
    client = wire.client()
    client.say(
        post("Transfer-Encoding: chunked"),
        b"3;ext=1\r\nabc\r\n",
        b"0000000",
        b"4\r\nde",
        b"fg\r\n0\r\nTrailer: x\r\n",
        b"\r\n" + GET,
    )
    head, _, body = wire.backend.heard().partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"3\r\nabc\r\n2\r\nde\r\n2\r\nfg\r\n0\r\n\r\n"
    wire.backend.say(OK)
    assert client.heard() == OK
    assert wire.backend.heard().startswith(b"GET / ")


def test_a_body_waits_for_its_connection(wire: Wire) -> None:
    client = wire.client()
    wire.loop.hang = True
    client.say(post("Content-Length: 500100", body=b"x" * 100), *[b"x" * 100_000] * 5)
    assert not client.reading
    assert len(client.inbox) == 5
    wire.wait(4)
    wire.loop.connecting[0].set_result(None)
    wire.loop.settle()
    assert wire.backend.heard().endswith(b"\r\n\r\n" + b"x" * 500_100)
    wire.backend.say(OK)
    assert client.heard() == OK


def test_a_broken_chunk_is_refused_and_the_backend_sees_no_end(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"), b"zz\r\n")
    assert reason(client.heard()) == "bad_body"
    assert client.ended
    assert wire.backend.lost
    assert not wire.backend.received.endswith(b"0\r\n\r\n")
    assert wire.statuses() == [(400, "bad_body")]
    assert not wire.pool


def test_a_body_that_ends_early_is_the_clients_fault(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 10", body=b"abc"))
    client.half_close()
    assert reason(client.heard()) == "bad_body"
    assert client.lost
    assert wire.backend.lost


def test_a_client_that_left_within_a_head_is_told_nothing_more(wire: Wire) -> None:
    client = wire.client()
    client.take(0)  # slow: what it was answered is not gone when its head has come too late
    client.say(MISSING + b"GET / HTTP/1.1\r\n")
    client.half_close()
    wire.wait(LIMITS.head_timeout + 1)
    client.take_all()
    assert reason(client.heard()) == "no_host"
    assert client.lost
    assert wire.statuses() == [(404, "no_host")]


def test_a_body_that_stops_is_408_and_the_backend_is_not_to_blame(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 10", body=b"abc"))
    wire.wait(LIMITS.body_timeout - 2)
    client.say(b"d")
    wire.wait(LIMITS.body_timeout - 2)
    assert client.heard() == b""
    wire.wait(4)
    assert reason(client.heard()) == "body_timeout"
    assert wire.backend.lost
    assert failures(wire) == 0


def test_an_upload_may_take_longer_than_an_answer(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 300"))
    for _ in range(30):
        client.say(b"x" * 10)
        wire.wait(10)
    wire.backend.say(OK)
    assert client.heard() == OK


def test_the_backends_time_starts_with_the_end_of_the_body(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 2", body=b"a"))
    wire.wait(50)
    client.say(b"b")
    wire.wait(58)
    assert client.heard() == b""
    wire.wait(4)
    assert reason(client.heard()) == "upstream_timeout"
    assert failures(wire) == 1


def test_a_backend_that_takes_no_body_is_not_buffered_for(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 10000000"))
    wire.backend.take(0)
    client.say(b"x" * 5_000_000)
    assert wire.backend.peak <= 65_536 + 256_000
    assert not client.reading
    taken = 0
    while taken < 5_000_000:
        wire.backend.take()
        taken += len(wire.backend.heard())
    assert client.reading
    client.say(b"x" * 5_000_000)
    while wire.backend.buffer or client.inbox:
        wire.backend.take()
    wire.backend.say(OK)
    assert client.heard() == OK


def test_a_backend_that_stops_taking_the_body_is_504_one_that_is_slow_is_not(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 10000000"))
    wire.backend.take(0)
    client.say(b"x" * 1_000_000)
    for _ in range(40):
        wire.wait(20)
        wire.backend.take(10)
        assert client.heard() == b""
    wire.wait(130)
    assert reason(client.heard()) == "upstream_timeout"
    assert failures(wire) == 1


def test_expect_100_continue_is_the_backends_to_answer(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 2", "Expect: 100-continue"))
    assert b"Expect: 100-continue\r\n" in wire.backend.heard()
    wire.backend.say(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.heard() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.say(b"hi")
    assert wire.backend.heard() == b"hi"
    wire.backend.say(OK)
    assert client.heard() == OK
    assert client.open


@pytest.mark.parametrize("path", ["/", "/none", "/retry"])
@pytest.mark.parametrize("hint", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
@pytest.mark.parametrize("body_timeout", [30, 60, 100])
def test_who_waits_for_a_100_is_not_to_blame(make_wire: MakeWire, path: str, hint: bytes, body_timeout: float) -> None:
    """Whatever time the rule gives for an answer: that begins with a complete request."""
    wire = make_wire(RESOURCES)
    wire.limit(body_timeout=body_timeout)
    client = wire.client()
    client.say(post("Content-Length: 2", "Expect: 100-continue").replace(b"/", path.encode(), 1))
    if hint:
        wire.backend.say(hint)
    wire.wait(LIMITS.response_timeout - 2)
    assert client.heard() == hint
    wire.wait(4)
    assert reason(client.heard()) == "upstream_timeout"
    assert wire.statuses() == [(504, "upstream_timeout")]
    assert failures(wire) == 1
    assert wire.backend.lost


@pytest.mark.parametrize("split", [0, 1])
def test_who_was_told_to_go_on_or_went_on_unasked_has_to(wire: Wire, split: int) -> None:
    client = wire.client()
    client.say(post("Content-Length: 2", "Expect: 100-continue", body=b"hi"[:split]))
    wire.wait(LIMITS.body_timeout - 10)
    if not split:
        wire.backend.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert client.heard() == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.wait(LIMITS.body_timeout - 2)
        assert client.heard() == b""
    wire.wait(12)
    assert reason(client.heard()) == "body_timeout"
    assert failures(wire) == 0


@pytest.mark.parametrize(
    "fields",
    [
        ("Note: Expect: 100-continue",),
        ("Expect: 100-continue", "Connection: expect"),  # which takes it off: the backend does not know of it
    ],
)
def test_who_does_not_say_that_to_the_backend_is_to_blame(wire: Wire, fields: tuple[str, ...]) -> None:
    client = wire.client()
    client.say(post("Transfer-Encoding: chunked", *fields))
    assert b"\r\nExpect:" not in wire.backend.heard()
    wire.wait(LIMITS.body_timeout + 2)
    assert reason(client.heard()) == "body_timeout"
    assert failures(wire) == 0


# -- answers before the end of the request


@pytest.mark.parametrize("local", [True, False])
def test_an_early_answer_can_be_read_and_then_the_connection_ends(wire: Wire, local: bool) -> None:
    client = wire.client()
    path = b"/none" if local else b"/"
    client.say(b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" % path + b"x" * 1000)
    if not local:
        wire.backend.say(b"HTTP/1.1 413 Too Large\r\nDate: x\r\nContent-Length: 3\r\n\r\nbig")
        assert wire.backend.lost
    answer = client.heard()
    assert status(answer) == (500 if local else 413)
    assert b"\r\nConnection: close\r\n" in answer
    assert client.ended
    assert not client.closing
    client.say(*[b"x" * 100_000] * 5)  # still sending, and nobody minds
    assert not client.inbox
    wire.wait(leaving.LINGER_TIME + 2)
    assert client.lost
    assert len(wire.log()) == 1
    assert not wire.pool


def test_a_client_that_leaves_after_an_early_answer_is_let_go(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 1000", body=b"x"))
    wire.backend.say(OK)
    client.half_close()
    assert client.lost
    assert wire.statuses() == [(200, "")]


def test_a_slow_reader_of_an_early_answer_gets_all_of_it(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 1000", body=b"x"))
    client.take(0)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000)
    for _ in range(60):
        wire.wait(20)
        client.take(1_100)
    assert len(client.heard()) > 60_000


def test_an_early_answer_says_close_and_nothing_else_of_the_connection(wire: Wire) -> None:
    client = wire.client()
    client.say(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nbody")
    wire.backend.say(b"HTTP/1.1 413 Too Large\r\nDate: x\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
    assert client.heard() == b"HTTP/1.1 413 Too Large\r\nDate: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_a_body_that_is_complete_after_the_answer_began_goes_to_the_backend(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Content-Length: 4", body=b"ab"))
    wire.backend.say(b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 4\r\n\r\nAB")
    client.say(b"cd")
    assert wire.backend.heard().endswith(b"abcd")
    wire.backend.say(b"CD")
    answer = client.heard()
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"ABCD")
    assert client.ended
