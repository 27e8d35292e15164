"""Retries over fake transports: how many there may be at once, and connections that break without an answer."""

from __future__ import annotations

import pytest

from rauta_control.fakewire_test import OK, MakeWire, Wire, failures, get, reason
from rauta_control.policy import BUDGET_MINIMUM
from rauta_control.retryrules_test import BUSY, RESOURCES, SOON, asked, post, wait
from rauta_control.sharedmem import Vital


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    return make_wire(RESOURCES)


def test_the_budget_holds_and_says_so(wire: Wire) -> None:
    """Fault 24: attempts at most 1.2 times the requests, and 3."""
    clients = [wire.client(f"198.51.100.{number}") for number in range(50)]
    for client in clients:
        client.say(get("/retry"))
    seen = 0
    for _ in range(6):
        for end in list(wire.backends):
            if end.heard():
                seen += 1
                end.say(BUSY)
        wait(wire, SOON)
    assert all(client.heard() == BUSY for client in clients)
    assert 50 < seen <= 50 * 1.2 + 3 + 2 * 3  # the last ones in flight are few, and have the minimum for themselves
    assert wire.vital(Vital.RETRIES_DENIED)


@pytest.mark.parametrize("path", ["/plain", "/timed"])
@pytest.mark.parametrize("how", ["half_close", "break_off"])
@pytest.mark.parametrize("body", [b"", b"x" * 60_000])
def test_who_takes_a_connection_only_to_break_it_is_as_good_as_gone(
    wire: Wire, path: str, how: str, body: bytes
) -> None:
    client = wire.client()
    client.say(post(path, body).replace(b"POST", b"PUT"))
    first = wire.backend
    getattr(first, how)()
    assert wire.backend is not first
    assert wire.backend.port != first.port
    assert wire.backend.heard() == first.heard()
    wire.backend.say(OK)
    assert client.heard() == OK
    assert [(line["status"], line["attempts"]) for line in wire.log()] == [(200, 2)]
    assert failures(wire) == 1
    client.say(get(path))
    wire.backend.say(OK)
    assert client.heard() == OK


@pytest.mark.parametrize("path", ["/plain", "/timed", "/two"])
@pytest.mark.parametrize("how", ["half_close", "break_off"])
@pytest.mark.parametrize("begun", [b"H", OK.partition(b"\r\n\r\n")[0] + b"\r\n"])
def test_a_connection_that_breaks_in_the_head_of_a_response_is_one_without_a_response(
    wire: Wire, path: str, how: str, begun: bytes
) -> None:
    client = wire.client()
    client.say(get(path))
    first = wire.backend
    first.say(begun)
    getattr(first, how)()
    wait(wire, SOON)
    assert wire.backend.port != first.port
    wire.backend.say(OK)
    assert client.heard() == OK
    client.say(post(path, b"x"))
    wire.backend.say(begun)
    made = len(wire.backends)
    getattr(wire.backend, how)()
    wait(wire, SOON)
    assert reason(client.heard()) == "upstream_reset"
    assert len(wire.backends) == made


def test_a_connection_that_breaks_in_a_body_is_not_tried_again(wire: Wire) -> None:
    for path in ("/plain", "/timed", "/two"):
        client = wire.client()
        client.say(get(path))
        wire.backend.say(OK[:-1])
        made = len(wire.backends)
        wire.backend.break_off()
        wait(wire, SOON)
        assert client.heard() == OK[:-1]
        assert len(wire.backends) == made


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (post("/plain", b"x"), b""),
        (post("/plain", b"x" * 70_000).replace(b"POST", b"PUT"), b""),
        (get("/plain"), b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (get("/never"), b""),
    ],
)
def test_who_breaks_a_connection_may_have_carried_out_what_is_not_repeated(
    wire: Wire, said: bytes, answered: bytes
) -> None:
    client = wire.client()
    client.say(said)
    if answered:
        wire.backend.say(answered)
    wire.backend.break_off()
    assert b"x-rauta-reason: upstream_reset\r\n" in client.heard()
    assert len(wire.backends) == 1


def test_where_all_break_their_connections_few_requests_are_tried_again(wire: Wire) -> None:
    clients = [wire.client() for _ in range(10)]
    for client in clients:
        client.say(get("/plain"))
    for end in list(wire.backends):
        end.break_off()
    assert asked(wire) == 10 + BUDGET_MINIMUM
    for end in wire.backends[10:]:
        end.break_off()
    assert asked(wire) == 0
    assert all(reason(client.heard()) == "upstream_reset" for client in clients)
    assert wire.vital(Vital.RETRIES_DENIED) == 10 - BUDGET_MINIMUM


@pytest.mark.parametrize("path", ["/retry", "/broken"])
@pytest.mark.parametrize(
    "begun",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 99\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_an_answer_that_lasts_is_none_of_the_budget(wire: Wire, path: str, begun: bytes) -> None:
    for number in range(BUDGET_MINIMUM + 2):
        client = wire.client(f"198.51.100.{number}")
        client.say(get(path, "Connection: Upgrade", "Upgrade: websocket"))
        wire.backend.break_off()
        wait(wire, SOON)
        wire.backend.say(begun)
        assert client.heard().startswith(begun[:12])
    assert not wire.vital(Vital.RETRIES_DENIED)
