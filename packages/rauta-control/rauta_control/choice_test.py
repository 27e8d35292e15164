"""What is neither method nor path and decides all the same: fields and parameters, over fake transports."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rauta_control import downstream, ir
from rauta_control.choice import parameters
from rauta_control.fakewire_test import CONFIGURATION, GET, OK, Wire, cluster, get, reason

CANARY = ir.Predicate("x-canary", "Yes")
PAGE = ir.Predicate("p g", "[0-9]+", regex=True)
PORTS = {"both": 8002, "canary": 8003, "page": 8004}


@pytest.mark.parametrize(
    ("request_head", "chosen"),
    [
        (get("/p", "X-CANARY:Yes"), "canary"),
        (get("/p?p+g=1&p+g=x", "x-canary: \t Yes "), "both"),
        (get("/p?q&p%20g=%31"), "page"),
        (get("/p?p+g=x&p+g=1", "X-Canary: Yes"), "canary"),
        (get("/p", "X-Canary: Yes", "x-Canary: no"), ""),
        (get("/p?P+G=1", "X-Canary: yes"), ""),
        (get("/p?x=p+g=1", "X: X-Canary: Yes"), ""),
        (get("/p?p+g=1%0A"), ""),
    ],
)
def test_header_fields_and_query_parameters_decide(wire: Wire, request_head: bytes, chosen: str) -> None:
    wire.publish(
        ir.Listener("l", "0.0.0.0", 80, 80),
        ir.VirtualHost("l", "*"),
        *(cluster(name, port) for name, port in PORTS.items()),
        rule("page", query=(PAGE,)),
        rule("canary", headers=(CANARY,)),
        rule("both", headers=(CANARY,), query=(PAGE,)),
    )
    client = wire.client()
    for _ in range(2):  # the second time out of the memo
        client.say(request_head)
        if not chosen:
            assert reason(client.heard()) == "no_route"
            assert wire.log()[-1].get("route") is None
            continue
        assert wire.backend.heard().startswith(request_head[:-2])
        wire.backend.say(OK)
        assert client.heard() == OK
        assert wire.log()[-1]["endpoint"] == f"192.0.2.1:{PORTS[chosen]}"
        assert wire.log()[-1]["route"] == chosen


@pytest.mark.parametrize("options", ["X-Canary", "keep-alive, te , x-canary", "close,X-CANARY"])
def test_what_connection_names_decides_nothing_as_no_backend_sees_it(wire: Wire, options: str) -> None:
    wire.publish(*CONFIGURATION, rule("c"), rule("canary", headers=(CANARY,)), cluster("canary", 8003))
    wire.client().say(get("/p", "X-Canary: Yes", f"Connection: {options}"))
    assert b"canary" not in wire.backend.heard().lower()
    assert wire.backend.port == 8001


@pytest.mark.parametrize(("target", "option"), [("/p", "GET /p HTTP/1.1"), ("/p?:", "get /p?")])
def test_connection_cannot_name_the_request_line(wire: Wire, target: str, option: str) -> None:
    wire.publish(*CONFIGURATION, rule("c"), rule("canary", headers=(CANARY,)), cluster("canary", 8003))
    head = f"GET {target} HTTP/1.1\r\nX-Canary: Yes\r\nHost: h\r\nConnection: {option}\r\n\r\n"
    wire.client().say(head.encode())
    assert b"\r\nX-Canary: Yes\r\n" in wire.backend.heard()
    assert wire.backend.port == 8003


def test_the_options_of_a_connection_take_no_field_away(wire: Wire) -> None:
    wire.publish(*CONFIGURATION, rule("canary", headers=(CANARY,)), cluster("canary", 8003))
    wire.client().say(get("/p", "X-Canary: Yes", "Connection: keep-alive, Upgrade, X-Other"))
    assert wire.backend.port == 8003


@pytest.mark.parametrize(
    ("field", "value", "chosen"),
    [
        ("X-Forwarded-For", "10.1.2.3", "c"),
        ("X-Forwarded-Proto", "https", "c"),
        ("X-Forwarded-Host", "inside", "c"),
        ("X-Forwarded-Port", "443", "c"),
        ("X-Forwarded", "for=10.1.2.3", "c"),
        ("Forwarded", "for=10.1.2.3", "c"),
        ("X-Real-IP", "10.1.2.3", "c"),
        ("X-Forwarded-For", "198.51.100.7", "trusting"),
        ("X-Forwarded-Proto", "http", "trusting"),
        ("X-Forwarded-Host", "h", "trusting"),
    ],
)
@pytest.mark.parametrize("says", ["", "10.1.2.3", "https", "inside", "443", "for=10.1.2.3"])
def test_what_a_stranger_says_of_where_it_comes_from_decides_nothing(
    wire: Wire, field: str, value: str, chosen: str, says: str
) -> None:
    wire.publish(
        *CONFIGURATION, rule("c"), cluster("trusting", 8009), rule("trusting", (ir.Predicate(field.lower(), value),))
    )
    client = wire.client()
    client.say(get("/p", *((f"{field}: {says}",) if says else ())))
    wire.backend.say(OK)
    assert client.heard() == OK
    assert wire.log()[-1]["route"] == chosen


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        (("one",), "usable"),
        (("two, words",), "c"),
        (("one", "two"), "c"),
        (("one", "two, words"), "c"),
        (("two, words", "one"), "c"),
        (("one", "one"), "c"),
        ((), "c"),
    ],
)
def test_the_request_id_that_is_matched_is_forwarded_and_logged(wire: Wire, said: tuple[str, ...], chosen: str) -> None:
    clients = ir.Predicate("x-request-id", "one|.*, .*", regex=True)
    wire.publish(*CONFIGURATION, rule("c"), cluster("usable", 8009), rule("usable", (clients,)))
    client = wire.client()
    client.say(get("/p", *(f"X-Request-Id: {each}" for each in said)))
    heard = wire.backend.heard()
    wire.backend.say(OK)
    assert client.heard() == OK
    logged = wire.log()[-1]
    assert (logged["route"], logged["request_id"] == "one") == (chosen, chosen == "usable")
    assert re.findall(rb"(?i)x-request-id: (.*)\r\n", heard) == [logged["request_id"].encode()]


def test_a_request_id_that_is_made_can_be_matched(wire: Wire) -> None:
    made = ir.Predicate("x-request-id", "[0-9a-f]{32}", regex=True)
    wire.publish(*CONFIGURATION, rule("c"), cluster("made", 8009), rule("made", (made,)))
    wire.client().say(get("/p", "X-Request-Id: two words"))
    wire.backend.heard()
    assert wire.backend.port == 8009


@pytest.mark.parametrize(
    ("request_head", "status", "code"),
    [
        (get("/p?p+g=" + "x" * 8_000), 200, ""),
        (get("/p", "X-Canary: " + "a" * 8_192), 200, ""),
        (get("/p", "X-Canary: " + "a" * 8_193), 431, "head_too_large"),
        (get("/p?v=" + "x" * 700), 414, "target_too_long"),  # of an expression with many states
        (get("/long/" + "x" * 700), 414, "target_too_long"),
        (get("/p", "X-Other: " + "a" * 8_193), 200, ""),
    ],
)
def test_a_value_too_long_for_an_expression_is_refused_whatever_the_rule(
    wire: Wire, request_head: bytes, status: int, code: str
) -> None:
    costly = "((a?){300}a{300})*"
    path = ir.Rule("path", "path", "l|*", "/long/" + costly, "regex", (), slot=0, epoch=1)
    rules = (
        rule("header", (ir.Predicate("x-canary", "[^a]*", regex=True),)),
        rule("page", query=(PAGE, PAGE)),
        rule("query", query=(ir.Predicate("v", costly, regex=True),)),
    )
    wire.publish(*CONFIGURATION, rule("c"), *(replace(each, clusters=()) for each in rules), path)
    client = wire.client()
    client.say(request_head)
    if status == 200:
        wire.backend.say(OK)
    client.heard()
    assert wire.statuses() == [(status, code)]
    client.say(get("/p"))  # the next request is served
    wire.backend.say(OK)
    assert client.heard() == OK


def test_a_newline_does_not_escape_an_expression_for_everything(wire: Wire) -> None:
    anything = ir.Predicate("debug", ".*", regex=True)
    wire.publish(*CONFIGURATION, replace(rule("c", query=(anything,)), clusters=()))
    client = wire.client()
    client.say(get("/p?debug=1%0A2"))
    assert reason(client.heard()) == "no_backends"


def test_an_invalid_share_of_the_requests_is_answered_with_500(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = (ir.ClusterWeight("c"), ir.ClusterWeight("", fault="BackendNotFound: no such Service"))
    wire.publish(*(replace(each, clusters=shares) if isinstance(each, ir.Rule) else each for each in CONFIGURATION))
    client = wire.client()
    monkeypatch.setattr(downstream, "random", lambda: 0.75)
    client.say(GET)
    assert reason(client.heard()) == "backend_invalid"
    monkeypatch.setattr(downstream, "random", lambda: 0.25)
    client.say(GET)
    wire.backend.say(OK)
    assert client.heard() == OK
    assert wire.statuses() == [(500, "backend_invalid"), (200, "")]


@settings(deadline=None)
@given(st.text("ab=&+%2BfC3;?", max_size=20))
def test_parameters_are_what_the_standard_library_reads_but_the_first_counts(query: str) -> None:
    pairs = parse_qsl(query, keep_blank_values=True, encoding="latin-1")
    expected = {name.encode("latin-1"): value.encode("latin-1") for name, value in reversed(pairs)}
    found = parameters(b"/path?" + query.encode())
    found.pop(b"", None)
    expected.pop(b"", None)
    assert found == expected


def test_a_query_of_nothing_but_separators_is_one_parameter() -> None:
    assert parameters(b"/?" + b"&" * 8_000) == {b"": b""}
    assert parameters(b"/?" + b"a&" * 4_000 + b"a=b") == {b"a": b""}


def test_without_a_query_there_are_no_parameters() -> None:
    assert parameters(b"/a=b&c") == parameters(b"/?") == {b"": b""}


def rule(name: str, headers: tuple[ir.Predicate, ...] = (), query: tuple[ir.Predicate, ...] = ()) -> ir.Rule:
    made = ir.Rule(name, name, "l|*", "/p", "prefix", (ir.ClusterWeight(name),), slot=0, epoch=1)
    return replace(made, order=ir.order("", len(headers), len(query)), headers=headers, query=query)
