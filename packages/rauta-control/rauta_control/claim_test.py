"""What is logged of refused heads: as much as can be believed, and nothing of what is no request."""

from __future__ import annotations

import pytest

from rauta_control import ledger
from rauta_control.claim import MAX_LOOKED, MAX_METHOD, claimed
from rauta_control.fakewire_test import LIMITS, MakeWire, Wire, get, reason
from rauta_control.limits import Limits
from rauta_control.reasons import Reason


@pytest.mark.parametrize(
    ("head", "claim"),
    [
        (b"GET /a?b HTTP/1.1\r\nHost: A.example:80 \r\n\r\n", (b"GET", b"a.example:80", b"/a?b")),
        (b"GET /a HTTP/1.1\r\nX: y\r\nhost:a\r\nX\0: y\r\n\r\n", (b"GET", b"a", b"/a")),
        (b"GET /a HTTP/1.1\r\nHost: a\r\nX", (b"GET", b"a", b"/a")),
        (b"GET /a HTTP/1.1\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: next\r\n\r\n", (b"GET", b"", b"/a")),
        (b"OPTIONS * HTTP/1.0\r\n\r\n", (b"OPTIONS", b"", b"*")),
        (b'GET /"\\ HTTP/1.1\r\n', (b"GET", b"", b'/"\\')),
        # -- hosts that are none
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", (b"GET", b"", b"/")),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", (b"GET", b"", b"/")),
        (b'GET / HTTP/1.1\r\nHost: "\r\n\r\n', (b"GET", b"", b"/")),
        (b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % (b"a" * 256), (b"GET", b"", b"/")),
        (b"GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", (b"GET", b"", b"/")),
        (b"GET / HTTP/1.1\r\nX: %b\r\nHost: a\r\n\r\n" % (b"x" * MAX_LOOKED), (b"GET", b"", b"/")),
        # -- what is no request line, or not all of one
        (b"", (b"", b"", b"")),
        (b"GET / HTTP/1.1\r", (b"", b"", b"")),
        (b"GET /\x1b HTTP/1.1\r\nHost: a\r\n\r\n", (b"", b"", b"")),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", (b"", b"", b"")),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", (b"", b"", b"")),
        (b"\x16\x03\x01\x02\0", (b"", b"", b"")),
    ],
)
def test_claims(head: bytes, claim: tuple[bytes, bytes, bytes]) -> None:
    assert claimed(head, Reason.BAD_FIELD) == claim
    assert claimed(head, Reason.BAD_REQUEST_LINE) == (b"", b"", b"")


def test_a_method_is_cut() -> None:
    assert claimed(b"A" * 10_000 + b" / HTTP/1.1\r\n\r\n", Reason.METHOD_UNKNOWN) == (b"A" * MAX_METHOD, b"", b"/")


def refused(wire: Wire, *data: bytes) -> tuple[str, str, str, str]:
    """Say it on a new connection: the reason, and what the log says of the request."""
    client = wire.client()
    client.say(*data)
    line = wire.log()[-1]
    assert f'"reason":"{line["reason"]}"'.encode() in client.heard()
    return line["reason"], line["method"], line["host"], line["path"]


def test_what_was_asked_for_is_logged(wire: Wire) -> None:
    assert refused(wire, get("/none").replace(b"Host: h", b"Host: other")) == ("no_backends", "GET", "other", "/none")
    assert refused(wire, get("/a%zz")) == ("bad_path", "GET", "h", "/a%zz")
    assert refused(wire, get("/b", "X: \0")) == ("bad_field", "GET", "h", "/b")
    assert refused(wire, get("/c").replace(b"Host: h", b"Host: a b")) == ("bad_host", "GET", "", "/c")
    assert refused(wire, get("/none"), get("/e", "Content-Length: x"))[1:] == ("GET", "h", "/e")
    assert refused(wire, b"GET /f HTTP/1.1\r\n", b"Host: h\r\n", b"X: y\n") == ("bad_field", "GET", "h", "/f")
    assert refused(wire, get("/" + "x" * LIMITS.max_target_bytes)) == (
        *("target_too_long", "GET", "h"),
        "/" + "x" * (ledger.MAX_PATH - 1),
    )
    assert refused(wire, b"GET h HTTP/1.1\r\nHost: h\r\n\r\n") == ("bad_request_line", "", "", "")
    assert refused(wire, b"nonsense\r\n\r\n") == ("bad_request_line", "", "", "")


def test_a_head_that_does_not_come_is_logged_as_far_as_it_did(wire: Wire) -> None:
    clients = [wire.client() for _ in range(3)]
    for client, data in zip(clients, (b"GET /a HTTP/1.1\r\nHost: h\r\nX", b"GET /secr", b""), strict=True):
        client.say(data)
    wire.wait(LIMITS.head_timeout + 1)
    assert [reason(client.heard()) for client in clients[:2]] == ["head_timeout", "head_timeout"]
    assert [(line["method"], line["host"], line["path"]) for line in wire.log()] == [("GET", "h", "/a"), ("", "", "")]


def test_one_too_many_is_logged_too(make_wire: MakeWire) -> None:
    wire = make_wire(limits=Limits(max_pipelined=1))
    client = wire.client()
    client.say(get("/none") + get("/none/1") + get("/none/2"))
    assert [(line["reason"], line["path"]) for line in wire.log()] == [
        ("no_backends", "/none"),
        ("pipelined_too_deep", "/none/1"),
    ]


def test_a_loop_is_logged(make_wire: MakeWire) -> None:
    wire = make_wire(via="here")
    assert refused(wire, get("/a", "Via: 1.1 here")) == ("loop", "GET", "h", "/a")
