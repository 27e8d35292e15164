"""Endpoints with as many connections as they may have, over fake transports: who takes their requests."""

from __future__ import annotations

import pytest

from rauta_control.action import Retry
from rauta_control.fakewire_test import OK, MakeWire, Wire, get, reason, word
from rauta_control.retryrules_test import ALL, RESOURCES, ports, post, rule, wait
from rauta_control.sharedmem import EndpointWord


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    return make_wire(RESOURCES)


def test_where_an_endpoint_has_as_many_connections_as_it_may_another_one_is_asked(wire: Wire) -> None:
    wire.limit(max_endpoint_connections=1)
    clients = [wire.client(f"198.51.100.{number}") for number in range(3)]
    for client in clients:
        client.say(post("/plain", b"hi"))
    assert sorted(ports(wire)) == [8002, 8003]
    assert reason(clients[2].heard()) == "upstream_overflow"
    for backend in wire.backends:
        assert backend.heard().endswith(b"hi")
        backend.say(OK)
    assert [client.heard() for client in clients] == [OK, OK, b""]
    assert sorted(line["endpoint"] for line in wire.log() if line["status"] == 200) == [
        "192.0.2.1:8002",
        "192.0.2.1:8003",
    ]
    for number in (8002, 8003):
        assert word(wire, EndpointWord.REQUESTS, f"192.0.2.1:{number}") == 1


def test_as_many_tries_as_there_may_be_find_no_room(wire: Wire) -> None:
    wire.publish(*RESOURCES, rule("/often", "two", retry=Retry(300, ALL, 0)))
    wire.limit(max_endpoint_connections=0)
    client = wire.client()
    client.say(get("/often"))
    wait(wire, 10)
    assert reason(client.heard()) == "upstream_overflow"
    assert wire.log()[0]["attempts"] == 301
