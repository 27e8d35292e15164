"""Requests for another protocol, on fake transports: who may have one, and what becomes of the others."""

from __future__ import annotations

import pytest

from rauta_control import ir
from rauta_control.action import Filters, HeaderEdit
from rauta_control.fakewire_test import (
    CONFIGURATION,
    GET,
    OK,
    MakeWire,
    Wire,
    failures,
    get,
    pooled,
    post,
    reason,
    status,
)
from rauta_control.tunnel_test import AGREE, ASK, tunnel

OTHER = ir.Rule(
    "tcp", "tcp", "l|*", "/tcp", "prefix", (ir.ClusterWeight("c"),), slot=4, epoch=1, upgrades=("tcp", "spdy/3.1")
)


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    return make_wire((*CONFIGURATION, OTHER))


def test_the_handshake_is_relayed_and_then_bytes_are(wire: Wire) -> None:
    client = wire.client()
    client.say(ASK)
    asked = wire.backend.heard()
    assert asked.startswith(b"GET /ws HTTP/1.1\r\nHost: h\r\n")
    assert asked.count(b"Connection:") == asked.count(b"Upgrade:") == 1
    assert b"\r\nSec-WebSocket-Key: k\r\n" in asked
    assert asked.endswith(b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    wire.backend.say(AGREE)
    head = client.heard()
    assert head == (
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    client.say(b"GET / HTTP/1.1\r\n\r\n")
    assert wire.backend.heard() == b"GET / HTTP/1.1\r\n\r\n"
    wire.backend.say(OK)
    assert client.heard() == OK
    assert wire.log() == []
    client.half_close()
    assert wire.backend.eof
    wire.backend.say(b"bye")
    assert client.heard() == b"bye"
    wire.backend.half_close()
    assert client.lost
    assert wire.backend.lost
    (line,) = wire.log()
    assert (line["status"], line["reason"], line["bytes_in"]) == (101, "", 18)
    assert line["bytes_out"] == len(head) + len(OK) + 3
    assert wire.pool == []


def test_what_comes_with_the_handshake_is_not_lost(wire: Wire) -> None:
    client = wire.client()
    client.say(ASK + b"hasty")
    assert not client.reading
    assert b"hasty" not in wire.backend.heard()
    wire.backend.say(AGREE + b"early")
    assert client.heard().endswith(b"\r\n\r\nearly")
    assert wire.backend.heard() == b"hasty"
    client.say(b"more")
    assert wire.backend.heard() == b"more"


def test_a_client_that_was_slow_before_the_handshake_hears_what_is_said_after_it(wire: Wire) -> None:
    wire.limit(max_buffered_bytes=4_096)
    client = wire.client()
    client.take(0)
    client.say(ASK)
    wire.backend.say(b"HTTP/1.1 103 Early Hints\r\nLink: %b\r\n\r\n" % (b"x" * 5_000) + AGREE)
    wire.backend.say(b"hello")
    assert not wire.backend.reading
    client.take_all()
    assert client.heard().endswith(b"\r\n\r\nhello")


def test_a_backend_that_was_slow_before_the_handshake_bounds_what_waits_for_it_after_it(wire: Wire) -> None:
    wire.limit(max_buffered_bytes=4_096)
    pooled(wire)
    wire.backend.take(0)
    client = wire.client()
    client.say(get("/ws", "Connection: Upgrade", "Upgrade: websocket", "X-Long: " + "x" * 5_000))
    wire.backend.say(AGREE)
    client.say(b"a" * 5_000)
    assert not client.reading
    wire.backend.take_all()
    assert client.reading
    assert wire.backend.heard().endswith(b"\r\n\r\n" + b"a" * 5_000)


def test_a_client_that_has_nothing_to_say_after_the_handshake_hears_what_is_said(wire: Wire) -> None:
    client = wire.client()
    client.say(ASK)
    client.half_close()
    wire.backend.heard()
    wire.backend.say(AGREE + b"hello")
    assert client.heard().endswith(b"\r\n\r\nhello")
    assert wire.backend.eof
    wire.backend.say(b"bye")
    assert client.heard() == b"bye"
    wire.backend.half_close()
    assert client.lost
    assert wire.statuses() == [(101, "")]
    assert failures(wire) == 0


def test_filters_apply_to_the_handshake(wire: Wire) -> None:
    edits = Filters(request=HeaderEdit(append=(("X-In", "1"),)), response=HeaderEdit(append=(("X-Out", "2"),)))
    rule = ir.Rule(
        "r", "app", "l|*", "/", "prefix", (ir.ClusterWeight("c"),), slot=0, epoch=1, filters=edits, upgrades=("tcp",)
    )
    wire.publish(*[rule if each.key == rule.key else each for each in CONFIGURATION])
    client = wire.client()
    client.say(get("/", "Connection: Upgrade", "Upgrade: tcp"))
    asked = wire.backend.heard()
    assert b"\r\nX-In: 1\r\n" in asked
    assert asked.endswith(b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    wire.backend.say(AGREE.replace(b"websocket", b"tcp"))
    assert b"\r\nX-Out: 2\r\n" in client.heard()
    client.say(b"x")
    assert wire.backend.heard() == b"x"


def test_the_time_for_an_answer_ends_with_the_handshake(wire: Wire) -> None:
    rule = ir.Rule("r", "app", "l|*", "/", "prefix", (ir.ClusterWeight("c"),), slot=0, epoch=1, request_timeout=2000)
    wire.publish(*[rule if each.key == rule.key else each for each in CONFIGURATION])
    client, backend = tunnel(wire)
    wire.wait(5)
    client.say(b"x")
    assert backend.heard() == b"x"
    backend.say(b"y")
    assert client.heard() == b"y"


def test_a_tunnel_through_a_pooled_connection_takes_it_out_of_the_pool(wire: Wire) -> None:
    client = wire.client()
    client.say(GET)
    wire.backend.say(OK)
    client.say(ASK)
    wire.backend.say(AGREE)
    assert len(wire.backends) == 1
    assert wire.pool == []
    client.break_off()
    assert wire.backend.lost
    assert wire.pool == []


@pytest.mark.parametrize("token", ["tcp", "SPDY/3.1", "h2c, tcp", "websocket"])
def test_a_route_offers_what_it_lists_and_websocket(wire: Wire, token: str) -> None:
    client = wire.client()
    client.say(get("/tcp", "Connection: Upgrade", f"Upgrade: {token}"))
    name = token.lower().rpartition(" ")[2].encode()
    assert wire.backend.heard().endswith(b"\r\nUpgrade: %b\r\n\r\n" % name)
    wire.backend.say(b"HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: %b\r\n\r\n" % name)
    client.say(b"x")
    assert wire.backend.heard() == b"x"


@pytest.mark.parametrize(
    "request_head",
    [
        get("/", "Connection: Upgrade", "Upgrade: tcp"),
        get("/tcp", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        get("/tcp", "Connection: Upgrade", "Upgrade: tcp, websocket"),
        get("/tcp", "Upgrade: websocket"),
        get("/tcp", "Connection: Upgrade", "Upgrade: websocket", version="1.0"),
        get("/tcp", "Connection: Upgrade", "Upgrade: trailers"),
        get("/tcp", "TE: trailers", "Connection: TE"),
    ],
)
def test_what_is_not_offered_is_not_forwarded_and_a_101_nobody_asked_for_is_502(
    wire: Wire, request_head: bytes
) -> None:
    client = wire.client()
    client.say(request_head)
    assert b"pgrade" not in wire.backend.heard()
    for answer in (OK, AGREE):
        if answer is AGREE:
            client = wire.client()
            client.say(request_head)
        wire.backend.say(answer)
        assert status(client.heard()) == (200 if answer is OK else 502)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 OK\r\n\r\n",
        b"HTTP/1.1 101 OK\r\nUpgrade: tcp\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket, tcp\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_an_agreement_to_something_else_is_502(wire: Wire, answer: bytes) -> None:
    client = wire.client()
    client.say(ASK)
    wire.backend.say(answer)
    assert reason(client.heard()) == "upstream_invalid"
    assert wire.backend.lost


def test_an_upgrade_with_a_body_is_refused(wire: Wire) -> None:
    client = wire.client()
    client.say(post("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 2", body=b"ab"))
    assert reason(client.heard()) == "bad_upgrade"
    assert wire.backends == []


def test_any_other_answer_is_a_response_like_all_others(wire: Wire) -> None:
    client = wire.client()
    client.say(ASK)
    wire.backend.say(b"HTTP/1.1 403 No\r\nDate: x\r\nContent-Length: 2\r\n\r\nno")
    assert client.heard() == b"HTTP/1.1 403 No\r\nDate: x\r\nContent-Length: 2\r\n\r\nno"
    assert len(wire.pool) == 1
    client.say(GET)
    wire.backend.say(OK)
    assert client.heard() == OK


def test_what_was_meant_for_a_tunnel_is_not_read_as_a_request(wire: Wire) -> None:
    client = wire.client()
    client.say(ASK + GET)
    wire.backend.heard()
    wire.backend.say(OK)
    assert client.heard() == b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    assert wire.backend.heard() == b""
    assert client.ended


def test_what_was_meant_for_a_tunnel_is_no_request_where_no_backend_answers_either(wire: Wire) -> None:
    wire.loop.refuse = ConnectionRefusedError()
    client = wire.client()
    client.say(ASK + GET)
    heard = client.heard()
    assert heard.startswith(b"HTTP/1.1 502 ")
    assert b"\r\nConnection: close\r\n" in heard
    assert heard.count(b"HTTP/1.1 ") == 1
    assert client.ended
