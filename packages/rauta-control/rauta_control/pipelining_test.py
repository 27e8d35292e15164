"""Clients that send much at once, and clients that take little, over fake transports."""

from __future__ import annotations

from rauta_control.fakewire_test import GET, LIMITS, MISSING, OK, OK_CLOSE, Wire, failures, get, post
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital

# -- pipelining


def test_pipelined_requests_are_answered_in_order_one_at_a_time(wire: Wire) -> None:
    client = wire.client()
    client.say(b"".join(get(f"/{number}") for number in range(10)))
    for number in range(10):
        request = wire.backend.heard()
        assert request.count(b"HTTP/1.1") == 1
        assert request.startswith(b"GET /%d " % number)
        assert client.heard() == b""
        wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        assert client.heard().endswith(b"\r\n\r\n%d" % number)
    assert client.open
    assert client.reading


def test_thousands_of_pipelined_requests_need_no_stack(wire: Wire) -> None:
    wire.limit(max_pipelined=5_000)
    client = wire.client()
    client.say(MISSING * 5_000)
    assert client.heard().count(b"HTTP/1.1 404 ") == 5_000
    assert client.open
    client.say(MISSING * 5_000)
    assert client.heard().count(b"HTTP/1.1 404 ") == 5_000
    assert client.open


def test_more_pipelined_requests_than_may_be_are_refused(wire: Wire) -> None:
    wire.limit(max_pipelined=3)
    client = wire.client()
    client.say(MISSING * 4)
    answers = client.heard()
    assert answers.count(b"HTTP/1.1 404 ") == 3
    assert answers.count(b"HTTP/1.1 ") == 4
    assert b"x-rauta-reason: pipelined_too_deep\r\nConnection: close\r\n" in answers
    assert client.ended
    assert wire.vital(Vital.REASONS + Reason.PIPELINED_TOO_DEEP.number) == 1


def test_what_is_pipelined_is_not_read_until_the_first_is_answered(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    client.say(GET * 100, GET * 100, GET * 100)
    assert len(client.inbox) == 2  # one read's worth is taken
    assert len(wire.downstream(client).buffer) == 100 * len(GET)
    wire.backend.say(OK)
    assert len(client.inbox) == 2


def test_after_the_last_pipelined_request_the_client_is_listened_to_again(wire: Wire) -> None:
    client = wire.client()
    client.say(GET + get("/second"))
    wire.backend.say(OK)
    assert wire.downstream(client).buffer == b""
    assert client.reading  # so that its leaving is noticed
    client.break_off()
    assert wire.backend.closing
    assert wire.statuses() == [(200, ""), (499, "client_closed")]


def test_a_request_split_over_the_end_of_a_pipeline_goes_on(wire: Wire) -> None:
    client = wire.client()
    second = get("/second")
    client.say(GET + second[:20])
    client.say(second[20:])
    wire.backend.heard()
    wire.backend.say(OK)
    assert wire.backend.heard().startswith(b"GET /second ")


def test_a_pipelined_body_waits_for_its_connection(wire: Wire) -> None:
    client = wire.client()
    wire.loop.hang = True
    client.say(MISSING + post("Content-Length: 1000000", body=b"x" * 100), *[b"x" * 100_000] * 5)
    assert client.heard().startswith(b"HTTP/1.1 404 ")
    assert not client.reading
    assert sum(map(len, wire.downstream(client).outgoing)) < 1000
    wire.loop.connecting[-1].set_result(None)
    wire.loop.settle()
    assert client.reading
    assert len(wire.backend.heard()) > 500_000


def test_a_client_that_takes_no_answers_gets_no_more_made(wire: Wire) -> None:
    client = wire.client()
    client.take(0)
    client.say(*[MISSING] * 5_000)  # one a read
    assert client.peak < 70_000
    assert not client.reading
    client.take_all()
    assert client.reading
    assert client.heard().count(b"HTTP/1.1 404 ") == 5_000


def test_a_blocked_client_with_pipelined_requests_stays_bounded(wire: Wire) -> None:
    client = wire.client()
    client.take(0)
    client.say(GET * 50, GET * 50)
    answered = 0
    while wire.upstream(wire.backend).downstream is not None:
        wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50_000)
        answered += 1
    assert answered == 2
    assert wire.backend.heard().count(b"GET") == 2  # the next request waits
    assert client.peak < 66_000 + 51_000
    client.take_all()
    while wire.upstream(wire.backend).downstream is not None:
        wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50_000)
    assert client.heard().count(b"HTTP/1.1 200 OK") == 100
    assert wire.statuses() == [(200, "")] * 100


def test_close_after_the_answer_ignores_what_follows_but_lets_the_answer_through(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/", "Connection: close") + get("/second"))
    wire.backend.say(OK)
    assert client.heard() == OK_CLOSE
    assert client.eof
    assert not client.closing  # a close with unread bytes would be a reset
    client.say(GET)
    client.half_close()
    assert client.lost
    assert wire.statuses() == [(200, "")]


# -- slow clients


def test_a_blocked_client_stops_the_backend_and_both_go_on_together(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    client.take(0)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5_000_000)
    assert not wire.backend.reading
    assert client.peak <= 65_536 + 256_000
    client.take_all()
    assert len(client.heard()) > 5_000_000
    assert wire.backend.reading
    assert wire.statuses() == [(200, "")]
    assert client.open


def test_a_response_may_end_while_the_client_is_blocked(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    client.take(0)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
    assert wire.upstream(wire.backend) in wire.pool
    assert wire.backend.reading
    client.say(GET)
    assert wire.backend.heard().count(b"GET") == 1
    client.take_all()
    assert wire.backend.heard().count(b"GET") == 1
    wire.backend.say(OK)
    assert client.heard().endswith(OK)


def test_a_client_that_takes_nothing_is_cut_off_in_time_and_nobody_else_is_blamed(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    client.take(0)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 500_000)
    wire.wait(2 * LIMITS.write_timeout + 3)
    assert client.lost
    assert wire.backend.lost
    assert wire.statuses() == [(200, "write_timeout")]
    assert failures(wire) == 0


def test_a_client_that_takes_a_little_now_and_then_is_served(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    client.take(0)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000)
    for _ in range(30):
        wire.wait(20)
        client.take(1000)
    assert client.open
    client.take_all()
    assert len(client.heard()) > 1_000_000


def test_a_client_that_was_slow_once_may_wait_for_the_backend_as_long_as_others(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    client.take(0)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n" + b"x" * 100_000)
    client.take_all()
    wire.wait(3 * LIMITS.write_timeout)
    wire.backend.say(b"x")
    assert client.heard().endswith(b"x" * 100_001)
    assert client.open


def test_a_client_that_does_not_take_the_end_is_closed_in_the_end(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/", "Connection: close"))
    client.take(0)
    wire.backend.say(OK)
    assert client.closing
    assert not client.lost
    wire.wait(2 * LIMITS.write_timeout + 3)
    assert client.lost
