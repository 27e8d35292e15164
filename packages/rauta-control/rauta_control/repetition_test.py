"""The same head again: what is remembered of it changes nothing but what it costs."""

from __future__ import annotations

import gc
import re
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rauta_control import downstream, ir
from rauta_control.faketransport_test import patch_sockets
from rauta_control.fakewire_test import CHUNKED, CONFIGURATION, GET, GET10, HEAD, MISSING, OK, Wire
from rauta_control.fakewire_test import cluster as backends
from rauta_control.sharedmem import Vital

LENGTH_3 = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 3\r\n\r\nyes"
OURS = re.compile(rb'(?<=X-Request-Id: )\S+|(?<=Date: )[^\r]+|(?<="request_id":")[^"]+')  # what always differs

HEADS = (
    GET,
    HEAD,
    GET10.replace(b"1.0\r\n", b"1.0\r\nConnection: keep-alive\r\n"),
    GET.replace(b"GET / ", b"GET /%2e%41 "),
    GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"),
    GET.replace(b"\r\n\r\n", b"\r\nX-Request-Id: mine\r\n\r\n"),
    GET.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\nConnection: TE\r\n\r\n"),
    GET.replace(b"\r\n\r\n", b"\r\nX-Padding: %b\r\n\r\n" % (b"x" * 4_000)),
    GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    MISSING,
    GET.replace(b"/ ", b"/none "),
    GET.replace(b"Host: h", b"Host: a b"),
    GET.replace(b"/ ", b"http://h/ "),
    GET.replace(b"\r\n\r\n", b"\r\nVia: 1.1 gw\r\n\r\n"),
    GET.replace(b"\r\n\r\n", b"\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n"),
    GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.2, 198.51.100.8\r\nX-Forwarded-Host: x\r\n\r\n"),
)
REPLIES = (
    OK,
    LENGTH_3,
    OK[:-2] + b"no",
    b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nDate: x\r\nContent-Length: 2\r\n\r\n",
    CHUNKED + b"2\r\nok\r\n0\r\n\r\n",
    OK[:-2],  # the body comes by itself, if there is one to come
    OK + b"surplus",
    OK.replace(b"1.1", b"9.9"),
)


def play(wire: Wire, exchanges: list[tuple[bytes, bytes]], *, anew: bool) -> list[tuple[bytes, bytes]]:
    """Return what backend and client got, each exchange on a connection of its own if `anew`."""
    client = wire.client()
    seen = []
    for head, reply in exchanges:
        if anew or not client.open or client.ended:
            client.break_off()
            client = wire.client()
        client.say(head)
        sent = wire.backend.heard() if wire.backends else b""
        if sent:
            wire.backend.say(reply)
            if reply == OK[:-2]:
                wire.backend.say(b"ok")
        seen.append((OURS.sub(b"", sent), OURS.sub(b"", client.heard())))
    return seen


@pytest.mark.parametrize("given_settings", [{}, {"trusted_proxies": ("198.51.100.0/24",)}, {"via": "gw"}])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(HEADS), st.sampled_from(REPLIES)), max_size=12), st.integers(1, 3))
def test_requests_on_one_connection_are_what_each_would_be_on_its_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given_settings: dict[str, Any],
    exchanges: list[tuple[bytes, bytes]],
    times: int,
) -> None:
    patch_sockets(monkeypatch)
    repeated = [exchange for exchange in exchanges for _ in range(times)]
    logs = tempfile.mkdtemp(dir=tmp_path)
    one, each = (Wire(f"{logs}/{name}", **given_settings) for name in ("one", "each"))
    with closing(one), closing(each):
        assert play(one, repeated, anew=False) == play(each, repeated, anew=True)
        assert [told(line) for line in one.log()] == [told(line) for line in each.log()]


def told(line: dict[str, object]) -> dict[str, object]:
    """A line of the log without what always differs."""
    ours = {"time", "duration_us", *(("request_id",) if line["request_id"] != "mine" else ())}
    return {name: value for name, value in line.items() if name not in ours}


def test_shares_are_drawn_anew_each_time(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    chances = iter((0.1, 0.9, 0.1, 0.9, 0.9, 0.1))
    monkeypatch.setattr(downstream, "random", lambda: next(chances))
    shares = (ir.ClusterWeight("c"), ir.ClusterWeight("d"))
    rule = ir.Rule("r", "app", "l|*", "/", "prefix", shares, slot=0, epoch=1)
    wire.publish(*(each for each in CONFIGURATION if each.key != "rule/r"), backends("d", 8002), rule)
    client = wire.client()
    asked = []
    for _ in range(6):
        client.say(GET)
        busy = [end for end in wire.backends if end.heard()]
        asked += [end.port for end in busy]
        busy[0].say(OK)
    assert asked == [8001, 8002, 8001, 8002, 8002, 8001]
    assert wire.downstream(client).known is not None


def test_a_head_that_comes_again_is_not_decided_again(wire: Wire) -> None:
    client = wire.client()
    for number in range(1, 5):
        client.say(GET)
        assert wire.backend.heard().startswith(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.7\r\n")
        wire.backend.say(OK)
        assert client.heard() == OK
        assert (wire.downstream(client).known is not None) == (number > 1)
    assert wire.vital(Vital.MEMO_HITS) == 3
    assert [(line["method"], line["host"], line["path"], line["route"]) for line in wire.log()] == [
        ("GET", "h", "/", "app")
    ] * 4
    assert len({line["request_id"] for line in wire.log()}) == 4


def test_a_client_that_names_its_requests_is_heard_each_time(wire: Wire) -> None:
    client = wire.client()
    for _ in range(4):
        client.say(GET.replace(b"\r\n\r\n", b"\r\nX-Request-Id: mine\r\n\r\n"))
        assert wire.backend.heard().endswith(b"\r\nX-Request-Id: mine\r\n\r\n")
        wire.backend.say(OK)
    assert [line["request_id"] for line in wire.log()] == ["mine"] * 4


@pytest.mark.parametrize("body", [b"hi", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_a_body_is_never_taken_for_a_head(wire: Wire, body: bytes) -> None:
    client = wire.client()
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
    for _ in range(4):
        client.say(head)
        assert wire.backend.heard().startswith(b"POST /") or not wire.backends
        client.say(body)
        assert wire.backend.heard().endswith(body)
        wire.backend.say(OK)
        assert client.heard() == OK
    assert [line["bytes_in"] for line in wire.log()] == [len(body)] * 4


def test_the_answer_to_head_does_not_speak_for_get(wire: Wire) -> None:
    client = wire.client()
    for head, reply in [(GET, OK)] * 3 + [(HEAD, OK[:-2])] * 3 + [(GET, OK)] * 3:
        client.say(head)
        wire.backend.say(reply)
        assert client.heard() == reply
    assert len(wire.backends) == 1
    assert [line["status"] for line in wire.log()] == [200] * 9


def test_a_response_that_begins_with_something_else_is_another_one(wire: Wire) -> None:
    client = wire.client()
    for _ in range(3):
        client.say(GET)
        wire.backend.say(OK)
    client.heard()
    client.say(GET)
    wire.backend.say(b"HTTP/1.1 200 OK\r\nDate: x\r\nX-Begun: ")
    assert client.heard() == b""
    wire.backend.say(OK)
    assert client.heard() == b"HTTP/1.1 200 OK\r\nDate: x\r\nX-Begun: " + OK


def moved(route: str, port: int) -> tuple[ir.Resource, ...]:
    """The configuration with another rule for everything, and another backend."""
    rule = ir.Rule("r", route, "l|*", "/", "prefix", (ir.ClusterWeight("d"),), slot=3, epoch=2)
    return (*(each for each in CONFIGURATION if each.key != "rule/r"), backends("d", port), rule)


def test_new_routes_are_served_at_once_and_old_rules_are_let_go(wire: Wire) -> None:
    client = wire.client()
    for _ in range(3):
        client.say(GET)
        wire.backend.say(OK)
    known = wire.downstream(client).known
    assert known is not None
    rule = known.rule()
    assert rule is not None
    old = ref(rule)
    del rule, known
    wire.publish(*moved("app2", 8002))
    gc.collect()
    assert old() is None  # its slot can be given to another
    assert wire.worker.follower.drained() == wire.worker.follower.generation
    for _ in range(3):
        client.say(GET)
        assert len(wire.backends) == 2
        wire.backend.say(LENGTH_3)
    assert client.heard() == OK * 3 + LENGTH_3 * 3
    assert [line["route"] for line in wire.log()] == ["app"] * 3 + ["app2"] * 3


def test_new_limits_hold_for_what_is_known_too(wire: Wire) -> None:
    client = wire.client()
    head = GET.replace(b"/ ", b"/a-long-path ")
    for _ in range(3):
        client.say(head)
        wire.backend.say(OK)
    client.heard()
    wire.limit(max_target_bytes=5)
    client.say(head)
    assert client.heard().startswith(b"HTTP/1.1 414 ")


def test_a_request_that_comes_while_draining_is_the_last(wire: Wire) -> None:
    client = wire.client()
    for _ in range(3):
        client.say(GET)
        wire.backend.say(OK)
    client.heard()
    wire.worker.draining = True
    client.say(GET)
    wire.backend.say(OK)
    assert b"Connection: close\r\n" in client.heard()
    assert client.ended


def test_a_rule_that_takes_precedence_does_so_at_once(wire: Wire) -> None:
    client = wire.client()
    for _ in range(3):
        client.say(GET)
        wire.backend.say(OK)
    exact = ir.Rule("x", "exact", "l|*", "/", "exact", (ir.ClusterWeight("c"),), slot=3, epoch=2)
    wire.publish(*CONFIGURATION, exact)
    client.say(GET)
    wire.backend.say(OK)
    assert [line["route"] for line in wire.log()] == ["app"] * 3 + ["exact"]
