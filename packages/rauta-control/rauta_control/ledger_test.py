"""What is counted of requests that take more than one attempt, over fake transports: each with whom it was sent to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rauta_control import attempts, downstream, ledger
from rauta_control.action import Retry
from rauta_control.fakewire_test import GET, OK, MakeWire, Wire, get, reason, word
from rauta_control.retryrules_test import ALL, BUSY, RESOURCES, SOON, route_word, rule, wait
from rauta_control.sharedmem import EndpointWord, RouteWord


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    return make_wire(RESOURCES)


def test_an_endpoint_is_charged_with_what_was_sent_to_it_and_with_the_time_that_this_took(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    for module in (attempts, downstream, ledger):
        monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    client = wire.client()
    client.say(get("/two"))
    clock[0] += 5
    first = wire.backend
    first.say(BUSY)
    wait(wire, SOON)
    clock[0] += 1
    wire.backend.say(OK)
    assert client.heard() == OK
    for backend, seconds in ((first, 5), (wire.backend, 1)):
        name = f"192.0.2.1:{backend.port}"
        assert word(wire, EndpointWord.REQUESTS, name) == 1
        assert word(wire, EndpointWord.DURATION_SUM, name) == seconds * 1_000_000
    assert route_word(wire, "/two", RouteWord.DURATION_SUM) == 6_000_000


def test_an_attempt_that_was_never_made_is_charged_to_nobody(wire: Wire) -> None:
    wire.publish(*RESOURCES, rule("/late", request=50, retry=Retry(2, ALL, 100)))
    client = wire.client()
    client.say(get("/late"))
    wire.backend.say(BUSY)
    wait(wire, SOON)
    assert reason(client.heard()) == "request_timeout"
    assert word(wire, EndpointWord.REQUESTS) == 1
    wire.loop.refuse = OSError("refused")
    for backend in wire.backends:
        backend.break_off()
    client.say(GET)
    assert reason(client.heard()) == "upstream_connect"
    assert word(wire, EndpointWord.REQUESTS) == 2, "an attempt to connect is one"
    assert word(wire, EndpointWord.FAILURES) == 1


def test_a_stale_connection_counts_as_a_retry_wherever_it_counts_as_an_attempt(wire: Wire) -> None:
    client = wire.client()
    client.say(get("/retry"))
    wire.backend.say(OK)
    client.say(get("/retry"))
    wire.backend.half_close()
    wire.backend.say(OK)
    assert client.heard() == OK * 2
    assert wire.log()[1]["attempts"] == 2
    assert route_word(wire, "/retry", RouteWord.RETRIES) == 1
    assert word(wire, EndpointWord.REQUESTS) == 2, "what was said to a dead connection is charged to nobody"


def test_fields_of_the_access_log_are_documented(wire: Wire) -> None:
    page = (Path(__file__).parents[3] / "docs" / "accesslog.md").read_text()
    documented = [name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"\w+", row)]
    client = wire.client()
    client.say(GET)
    wire.backend.say(OK)
    (line,) = wire.log()
    assert [*line, "attempts"] == sorted(documented, key=[*line, "attempts"].index)
