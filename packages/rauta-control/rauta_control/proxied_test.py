"""Requests through trusted proxies, and through ourselves, on fake transports."""

from __future__ import annotations

import pytest

from rauta_control import ir
from rauta_control.downstream import Downstream
from rauta_control.faketransport_test import End
from rauta_control.fakewire_test import CONFIGURATION, GET, OK, MakeWire, Wire, get, reason
from rauta_control.limits import Limits
from rauta_control.messages import Retune
from rauta_control.proxied import Proxied

PEER = "10.0.0.1"
SAID = (
    "X-Forwarded-For: 6.6.6.6, 203.0.113.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "Forwarded: for=203.0.113.9;proto=https",
)


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    return make_wire(trusted_proxies=("10.0.0.0/8",))


@pytest.fixture
def via(make_wire: MakeWire) -> Wire:
    return make_wire(via="edge")


def forwarded(wire: Wire, client: End, request: bytes) -> list[str]:
    """The lines of the forwarded head that are about proxies."""
    client.say(request)
    lines = wire.backend.heard().decode().split("\r\n")
    wire.backend.say(OK)
    assert client.heard().endswith(b"ok")
    return [line for line in lines if line.lower().startswith(("x-forwarded-", "forwarded", "via"))]


def test_a_trusted_peer_is_added_to_and_believed_for_one_request(wire: Wire) -> None:
    client = wire.client(PEER)
    flow = wire.downstream(client).flow
    assert forwarded(wire, client, get("/", *SAID)) == [
        "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.1",
        "X-Forwarded-Proto: https",
        "Forwarded: for=203.0.113.9;proto=https",
        "X-Forwarded-Host: shop.example",
    ]
    assert forwarded(wire, client, GET) == [
        "X-Forwarded-For: 10.0.0.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: h",
    ]
    assert wire.downstream(client).flow == flow
    assert [line["client"] for line in wire.log()] == ["203.0.113.9", "10.0.0.1"]


def test_a_peer_that_is_trusted_no_more_is_a_stranger_on_its_next_request(wire: Wire) -> None:
    client = wire.client(PEER)
    assert forwarded(wire, client, get("/", *SAID))[0].startswith("X-Forwarded-For: 6.6.6.6, ")
    wire.worker.received(Retune(Limits(), 1, ("192.0.2.0/24",), "", wire.log_path), ())
    assert forwarded(wire, client, get("/", *SAID)) == [
        "X-Forwarded-For: 10.0.0.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: h",
    ]


def test_a_stranger_is_overwritten(wire: Wire) -> None:
    client = wire.client("198.51.100.7")
    assert type(wire.downstream(client)) is Downstream
    assert forwarded(wire, client, get("/", *SAID)) == [
        "X-Forwarded-For: 198.51.100.7",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: h",
    ]
    assert wire.log()[0]["client"] == "198.51.100.7"


def test_what_is_no_scheme_or_host_is_overwritten_too(wire: Wire) -> None:
    lines = forwarded(wire, wire.client(PEER), get("/", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: a b"))
    assert lines == ["X-Forwarded-For: 10.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: h"]


def test_the_flow_is_the_clients_whatever_connection_it_comes_by(wire: Wire) -> None:
    flows = set()
    for _ in range(2):
        client = wire.client(PEER)
        client.say(get("/", *SAID))
        flows.add(wire.downstream(client).flow)
        wire.backend.say(OK)
    assert len(flows) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
        ("Forwarded", "for=203.0.113.9;proto=https"),
    ],
)
def test_what_a_trusted_peer_says_decides_about_the_requests_that_it_says_it_of(
    wire: Wire, field: str, value: str
) -> None:
    said = ir.Predicate(field.lower(), value)
    rule = ir.Rule("said", "said", "l|*", "/p", "prefix", (ir.ClusterWeight("c"),), slot=3, epoch=2, headers=(said,))
    wire.publish(*CONFIGURATION, rule)
    client = wire.client(PEER)
    for request in [get("/p", *SAID)] * 4 + [get("/p")] * 4 + [get("/p", *SAID)]:  # what comes again is remembered
        client.say(request)
        wire.backend.say(OK)
    assert client.heard() == OK * 9
    assert [line["route"] for line in wire.log()] == ["said"] * 4 + ["app"] * 4 + ["said"]
    assert [line["client"] for line in wire.log()] == ["203.0.113.9"] * 4 + [PEER] * 4 + ["203.0.113.9"]


def test_a_dripped_and_a_pipelined_head_are_heard(wire: Wire) -> None:
    client = wire.client(PEER)
    request = get("/", *SAID)
    client.say(*(request[at : at + 1] for at in range(len(request))))
    assert b"shop.example" in wire.backend.heard()
    wire.backend.say(OK)
    client.say(GET + request + GET)
    for client_address in ("10.0.0.1", "203.0.113.9", "10.0.0.1"):
        wire.backend.say(OK)
        assert wire.log()[-1]["client"] == client_address
    assert isinstance(wire.downstream(client), Proxied)


def test_what_was_said_of_a_refused_request_goes_nowhere(wire: Wire) -> None:
    client = wire.client(PEER)
    client.say(get("/", *SAID, "Bad Field: x"))
    assert reason(client.heard()) == "bad_field"
    assert wire.backends == []


def test_via_is_added_and_a_loop_is_refused(via: Wire) -> None:
    client = via.client()
    assert forwarded(via, client, get("/", "Via: 1.1 other"))[:1] == ["Via: 1.1 other"]
    assert "Via: 1.1 edge" in forwarded(via, client, get("/", "Via: 1.1 other"))
    assert "Via: 1.0 edge" in forwarded(via, via.client(), get("/", version="1.0"))
    assert forwarded(via, client, get("/", "X-Forwarded-For: 1.2.3.4"))[0] == "X-Forwarded-For: 198.51.100.7"
    client.say(get("/", "Via: 1.1 other, 1.1 Edge"))
    assert reason(client.heard()) == "loop"
    assert client.ended
