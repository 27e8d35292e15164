"""Limits at work, on fake transports: each one that is set is kept, has its reason, and is counted."""

from __future__ import annotations

import logging

import pytest

from rauta_control.faketransport_test import FakeSocket
from rauta_control.fakewire_test import GET, OK, Wire, get, post, reason
from rauta_control.limits import Limits
from rauta_control.messages import Retune
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital


def count(wire: Wire, reason: Reason) -> int:
    return wire.vital(Vital.REASONS + reason.number)


@pytest.mark.parametrize(
    ("limits", "request_head", "expected"),
    [
        (Limits(max_head_bytes=1024), get("/", "X: " + "x" * 500, "Y: " + "y" * 500), Reason.HEAD_TOO_LARGE),
        (Limits(max_field_bytes=1024), get("/", "X: " + "x" * 1022), Reason.HEAD_TOO_LARGE),
        (Limits(max_head_fields=8), get("/", *["X: y"] * 8), Reason.TOO_MANY_FIELDS),
        (Limits(max_target_bytes=256), get("/" + "x" * 256), Reason.TARGET_TOO_LONG),
    ],
)
def test_of_heads(wire: Wire, limits: Limits, request_head: bytes, expected: Reason) -> None:
    client = wire.client()
    client.say(request_head)
    wire.backend.say(OK)
    assert client.heard() == OK
    wire.worker.received(Retune(limits, 1, (), "", wire.log_path), ())
    client.say(request_head)
    assert reason(client.heard()) == expected.code
    assert client.ended
    assert count(wire, expected) == 1
    assert wire.log()[-1]["reason"] == expected.code


def test_a_long_request_line_is_no_large_field(wire: Wire) -> None:
    wire.limit(max_field_bytes=1024)
    client = wire.client()
    client.say(get("/" + "x" * 2000))
    assert len(wire.backend.heard()) > 2000


@pytest.mark.parametrize(
    "piece", [b"1\r\nx\r\n", b"1;" + b"e" * 60 + b"\r\nx\r\n", b"00001\r\nx\r\n"], ids=["tiny", "extended", "padded"]
)
@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_of_chunk_overhead(wire: Wire, piece: bytes, size: int) -> None:
    wire.limit(max_chunk_overhead=1024)
    client = wire.client()
    client.say(post("Transfer-Encoding: chunked"))
    for _ in range(500):
        data = piece * 10
        client.say(*(data[at : at + size] for at in range(0, len(data), size)))
        if client.ended:
            break
    assert reason(client.heard()) == "chunk_overhead"
    assert wire.backend.lost
    assert count(wire, Reason.CHUNK_OVERHEAD) == 1


@pytest.mark.parametrize("pieces", [(b"5\r\nabcde\r\n",), (b"40\r\n", b"x" * 64, b"\r\n"), (b"5;a\r\nabcde\r\n",)])
def test_chunks_that_carry_something_may_go_on_for_ever(wire: Wire, pieces: tuple[bytes, ...]) -> None:
    wire.limit(max_chunk_overhead=1024)
    client = wire.client()
    client.say(post("Transfer-Encoding: chunked"))
    for _ in range(600):
        client.say(*pieces)
    client.say(b"0\r\n\r\n")
    assert wire.backend.heard().endswith(b"0\r\n\r\n")
    wire.backend.say(OK)
    assert client.heard() == OK


def test_of_a_response_chunks_may_be_as_small_as_they_like(wire: Wire) -> None:
    wire.limit(max_chunk_overhead=1024)
    client = wire.client()
    client.say(GET)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
    assert client.heard().endswith(b"1\r\nx\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("limits", "said", "expected"),
    [
        (Limits(head_timeout=2), b"GET / HT", Reason.HEAD_TIMEOUT),
        (Limits(head_timeout=2), b"", Reason.HEAD_TIMEOUT),
        (Limits(body_timeout=2), post("Content-Length: 2", body=b"x"), Reason.BODY_TIMEOUT),
        (Limits(keep_alive_timeout=2), get("/none"), Reason.KEEP_ALIVE_TIMEOUT),
        (Limits(response_timeout=2), GET, Reason.UPSTREAM_TIMEOUT),
    ],
)
def test_of_time(wire: Wire, limits: Limits, said: bytes, expected: Reason) -> None:
    wire.worker.received(Retune(limits, 1, (), "", wire.log_path), ())
    client = wire.client()
    client.say(said)
    wire.wait(1)
    assert count(wire, expected) == 0
    assert client.open
    wire.wait(2)
    assert count(wire, expected) == 1


def test_of_a_silent_stream(wire: Wire) -> None:
    wire.limit(stream_timeout=2)
    client = wire.client()
    client.say(GET)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
    wire.wait(4)
    assert client.lost
    assert wire.statuses() == [(200, "upstream_stalled")]


def test_of_the_time_in_a_pool(wire: Wire) -> None:
    wire.limit(pool_timeout=60)
    client = wire.client()
    client.say(GET)
    wire.backend.say(OK)
    wire.wait(59)
    assert len(wire.pool) == 1
    wire.wait(3)
    assert wire.pool == []


def test_of_buffered_bytes(wire: Wire) -> None:
    wire.limit(max_buffered_bytes=4096)
    client = wire.client()
    client.say(GET)
    client.take(0)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", *[b"x" * 1000] * 90)
    assert client.peak < 6_000
    client.take_all()
    assert client.heard().endswith(b"x" * 90_000)


def test_of_connections_to_a_listener(wire: Wire) -> None:
    wire.limit(max_listener_connections=2)
    clients = [wire.client(), wire.client()]
    turned_away = FakeSocket()
    wire.accept(turned_away)
    assert reason(turned_away.sent) == "listener_full"
    assert turned_away.closed
    assert count(wire, Reason.LISTENER_FULL) == wire.vital(Vital.REFUSED) == 1
    clients[0].break_off()
    wire.client().say(GET)
    wire.backend.say(OK)


def test_no_more_connections_than_descriptors_allow(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    wire.worker.capacity = 100
    with caplog.at_level(logging.WARNING):
        wire.worker.received(Retune(Limits(max_connections=400), 4, (), "", wire.log_path), ())
        assert wire.worker.limits.max_connections == 100
        assert wire.vital(Vital.CONNECTIONS_LIMIT) == 100
        assert not caplog.messages
        wire.worker.received(Retune(Limits(max_connections=404), 4, (), "", wire.log_path), ())
    assert wire.worker.limits.max_connections == 100
    assert caplog.messages == ["--max-connections 404 is more than the 400 that the limit of file descriptors allows"]
    wire.worker.received(Retune(Limits(), 4, (), "", wire.log_path), ())
    assert wire.worker.limits.max_connections == 100
