"""Trailers, both ways: who gets them, and which are never passed on."""

from __future__ import annotations

import pytest

from rauta_control import ir
from rauta_control.action import Filters, HeaderEdit, Mirror
from rauta_control.fakewire_test import CONFIGURATION, OK, MakeWire, Wire, cluster, get, post

TE = ("TE: trailers", "Connection: TE")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status\r\n\r\n"
TRAILERS = b"Grpc-Status: 0\r\nX-Checksum: 1\r\n"
NEVER = (
    b"Host: evil\r\nAuthorization: Basic x\r\nSet-Cookie: a=b\r\nX-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 1\r\n"
    b"Content_Length: 9\r\nTransfer.Encoding: chunked\r\n"
    b"Content-Type: text/html\r\nConnection: close\r\nExpect: 100-continue\r\nX-Rauta-Reason: no_host\r\n"
)
BODY = b"3\r\nabc\r\n0\r\n" + NEVER + TRAILERS + b"\r\n"
KEPT = b"3\r\nabc\r\n0\r\n" + TRAILERS + b"\r\n"
DROPPED = b"3\r\nabc\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("takes", [True, False])
def test_of_a_response(wire: Wire, size: int, takes: bool) -> None:
    client = wire.client()
    client.say(get("/", *(TE if takes else ())))
    assert (b"\r\nTE: trailers\r\nConnection: TE\r\n" in wire.backend.heard()) is takes
    response = CHUNKED + BODY
    wire.backend.say(*(response[at : at + size] for at in range(0, len(response), size)))
    head, _, body = client.heard().partition(b"\r\n\r\n")
    assert (b"\r\nTrailer: grpc-status" in head) is takes
    assert body.replace(b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n", b"3\r\nabc\r\n") == (KEPT if takes else DROPPED)
    client.say(get("/"))
    wire.backend.say(CHUNKED + BODY)
    assert client.heard().endswith(DROPPED)


@pytest.mark.parametrize("split", [0, 1, 20])
@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        (TE, True),
        (("Content-Type: application/grpc+proto",), True),
        (("Content-Type: application/json",), False),
        ((), False),
    ],
)
def test_of_a_request(wire: Wire, fields: tuple[str, ...], kept: bool, split: int) -> None:
    client = wire.client()
    request = post(*fields, "Transfer-Encoding: chunked", "Trailer: X-Checksum", body=BODY)
    at = len(request) - split
    client.say(request[:at], request[at:])
    head, _, body = wire.backend.heard().partition(b"\r\n\r\n")
    assert body == (KEPT if kept else DROPPED)
    assert (b"\r\nTrailer: x-checksum" in head) is kept
    wire.backend.say(OK)
    assert client.heard().endswith(b"ok")


@pytest.mark.parametrize(("first", "second"), [((), TE), (TE, ())])
def test_of_a_request_over_tls_after_one_without(wire: Wire, first: tuple[str, ...], second: tuple[str, ...]) -> None:
    """Each kind of listener has a parsed head of its own."""
    client = wire.client()
    client.say(post(*first, "Transfer-Encoding: chunked", body=BODY))
    wire.backend.say(OK)
    wire.backend.heard()
    secure = wire.client()
    wire.downstream(secure).head = wire.worker.secure_head
    secure.say(post(*second, "Transfer-Encoding: chunked", body=BODY))
    assert wire.backend.heard().partition(b"\r\n\r\n")[2] == (KEPT if second else DROPPED)
    wire.backend.say(OK)


def test_a_client_that_does_not_say_it_to_this_hop_gets_trailers_but_the_backend_is_not_told(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/", "TE: trailers"))
    assert b"TE:" not in wire.backend.heard()
    wire.backend.say(CHUNKED + BODY)
    assert client.heard().endswith(TRAILERS + b"\r\n")


def test_of_a_response_to_a_client_of_1_0_there_are_none(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/", *TE, version="1.0"))
    assert b"TE:" not in wire.backend.heard()
    wire.backend.say(CHUNKED + BODY)
    assert client.heard().endswith(b"\r\n\r\nabc")


HOP = b"X-Hop: 1\r\nx-HOP: 2\r\nX-Hops: 3\r\n"


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_what_connection_names_ends_here_as_a_trailer_too(wire: Wire, size: int) -> None:
    """RFC 9110 7.6.1: header and trailer fields of that name."""
    client = wire.client()
    request = post("TE: trailers", "Connection: TE, x-hop", "Transfer-Encoding: chunked", body=b"0\r\n" + HOP + b"\r\n")
    client.say(*(request[at : at + size] for at in range(0, len(request), size)))
    assert wire.backend.heard().endswith(b"\r\n\r\n0\r\nX-Hops: 3\r\n\r\n")
    response = CHUNKED.replace(b"Trailer:", b"Connection: X-HOP\r\nTrailer:") + b"0\r\n" + HOP + b"\r\n"
    wire.backend.say(*(response[at : at + size] for at in range(0, len(response), size)))
    assert client.heard().endswith(b"\r\n\r\n0\r\nX-Hops: 3\r\n\r\n")


def test_what_connection_names_ends_here_for_that_message_alone(wire: Wire) -> None:
    client = wire.client()
    for named in ("", ", x-hop", ""):
        client.say(post("TE: trailers", f"Connection: TE{named}", "Transfer-Encoding: chunked", body=BODY))
        assert wire.backend.heard().endswith(KEPT)
        option = f"Connection: keep-alive{named}\r\n\r\n".encode()
        wire.backend.say(CHUNKED.replace(b"\r\n\r\n", b"\r\n" + option) + b"0\r\n" + HOP + b"\r\n")
        assert (b"X-Hop:" in client.heard()) is not bool(named)
    client.say(get("/", *TE))
    wire.backend.say(CHUNKED + b"0\r\n" + HOP + b"\r\n")
    assert client.heard().endswith(HOP + b"\r\n")


EDITED = (
    *CONFIGURATION,
    cluster("d", 8002),
    ir.Rule(
        "e", "app", "l|*", "/edited", "prefix", (ir.ClusterWeight("c"),), slot=3, epoch=1,
        filters=Filters(
            request=HeaderEdit(replace=(("X-User", "nobody"),), drop=("X-Admin",), append=(("X-More", "1"),)),
            response=HeaderEdit(drop=("X-Secret",)),
            mirrors=(Mirror("d"),),
        ),
    ),
)  # fmt: skip
SMUGGLED = b"X-User: root\r\nX_Admin: 1\r\nX-More: 2\r\nx-admin: 0\r\nX-Secret: 3\r\n"


@pytest.mark.parametrize("split", [0, 1, 20, 80, 110])
@pytest.mark.parametrize("payload", [b"abc", b"0\r\nX-Admin: 1\r\n\r\n", b"a:0\r\n" * 40_000])
def test_of_a_request_none_gets_past_a_filter_of_fields(make_wire: MakeWire, split: int, payload: bytes) -> None:
    wire = make_wire(EDITED)
    start = b"%x\r\n%b\r\n0\r\n" % (len(payload), payload)
    request = post(*TE, "Transfer-Encoding: chunked", body=start + SMUGGLED + b"\r\n").replace(b"/", b"/edited", 1)
    at = len(request) - split
    client = wire.client()
    client.say(request[:at], request[at:])
    for end in wire.backends:
        body = end.heard().partition(b"\r\n\r\n")[2]
        assert body == start + b"X-More: 2\r\nX-Secret: 3\r\n\r\n"
    wire.backends[0].say(OK)
    assert client.heard().endswith(b"ok")


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_of_a_response_none_gets_past_a_filter_of_fields(make_wire: MakeWire, size: int) -> None:
    wire = make_wire(EDITED)
    client = wire.client()
    client.say(get("/edited", *TE))
    response = CHUNKED + b"0\r\n" + SMUGGLED + b"\r\n"
    wire.backends[0].say(*(response[at : at + size] for at in range(0, len(response), size)))
    body = client.heard().partition(b"\r\n\r\n")[2]
    assert body == b"0\r\n" + SMUGGLED.removesuffix(b"X-Secret: 3\r\n") + b"\r\n"
    client.say(get("/", *TE))
    wire.backends[0].say(CHUNKED + b"0\r\n" + SMUGGLED + b"\r\n")
    assert client.heard().endswith(SMUGGLED + b"\r\n")
