"""Explain says what the proxy does: held against the routing table, and against a worker, for random requests."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rauta_control import ir
from rauta_control.action import Cors, Filters, HeaderEdit, Mirror, PathEdit, Redirect, Retry, Rewrite
from rauta_control.explain import explain
from rauta_control.fakewire_test import OK, MakeWire, Wire, cluster, status
from rauta_control.limits import Limits
from rauta_control.question import question
from rauta_control.table_test import REQUESTS, Asked, build, configurations, slow

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@patient
@given(configurations(), st.lists(REQUESTS, max_size=10))
def test_it_finds_the_rule_that_requests_get(resources: dict[str, ir.Resource], requests: list[Asked]) -> None:
    for asked in requests:
        if f"listener/{asked.listener}" not in resources:
            continue
        fields = [f"{name}: {value}" for name, value in asked.headers]
        url = f"http://{asked.host}{asked.target}"
        found = explain(resources, question(asked.method, url, fields), listener=asked.listener)
        rule = slow(resources.values(), asked)
        assert found.rule == (rule or "")
        if not rule:
            routes = build(resources).listeners[asked.listener]
            host = routes.host(asked.host.encode())
            missing = routes.missing(b"") if host is None else host.missing()
            assert found.outcomes[0].reason == missing.code
        matching = [each for each in found.rules if each.matches]
        assert [each.name for each in found.rules if each.chosen] == [each.name for each in matching[:1]]
        assert [each.name for each in matching[:1]] == ([rule] if rule else [])
        assert all(
            each.lost_by == ("order" if each.matches else each.lost_by) for each in found.rules if not each.chosen
        )
        assert all(each.why for each in found.rules)
        assert sum(each.share for each in found.outcomes) == pytest.approx(1)
        assert found.verdict


EDITS = HeaderEdit((("X-Set", "new"),), (("X-Add", "b"),), ("X-Gone",))
FEATURES: tuple[ir.Resource, ...] = (
    ir.Listener("l", "0.0.0.0", 80, 80),
    ir.VirtualHost("l", "*"),
    ir.VirtualHost("l", "h.example", "l|*"),
    cluster("c", 8001),
    cluster("empty"),
)
ONE = (ir.ClusterWeight("c"),)
REWRITE = Filters(EDITS, EDITS, rewrite=Rewrite("in.example", PathEdit("/v2", prefix=True)))
RULES = {
    "/plain": ir.Rule("", "", "", "", "prefix", ONE),
    "/edit": ir.Rule("", "", "", "", "prefix", ONE, filters=Filters(EDITS, EDITS)),
    "/rewrite": ir.Rule("", "", "", "", "prefix", ONE, filters=REWRITE),
    "/share": ir.Rule("", "", "", "", "prefix", (ir.ClusterWeight("c", 1, REWRITE),), filters=Filters(EDITS)),
    "/moved": ir.Rule(
        "", "", "", "", "prefix", (ir.ClusterWeight("c", 1, Filters(EDITS, EDITS, Redirect(302, "http", 8080))),)
    ),
    "/mirror": ir.Rule("", "", "", "", "prefix", ONE, filters=Filters(mirrors=(Mirror("empty"),))),
    "/go": ir.Rule(
        "",
        "",
        "",
        "",
        "prefix",
        (),
        filters=Filters(redirect=Redirect(301, "https", 0, "new.example", PathEdit("/n", True))),
    ),
    "/cors": ir.Rule("", "", "", "", "prefix", ONE, filters=Filters(cors=Cors(("https://a.example",), ("GET",)))),
    "/nothing": ir.Rule("", "", "", "", "prefix", ()),
    "/zero": ir.Rule("", "", "", "", "prefix", (ir.ClusterWeight("c", 0),)),
    "/fault": ir.Rule("", "", "", "", "prefix", (ir.ClusterWeight("", 1, fault="Service x does not exist"),)),
    "/empty": ir.Rule("", "", "", "", "prefix", (ir.ClusterWeight("empty"),)),
    "/re/x+": ir.Rule("", "", "", "", "regex", ONE),
    "/late": ir.Rule("", "", "", "", "exact", ONE, request_timeout=5000, retry=Retry(3, (503,))),
    "/env": ir.Rule("", "", "", "", "prefix", ONE, headers=(ir.Predicate("x-set", "a"),), method="POST"),
}
FEATURES += tuple(
    replace(rule, name=path, route=f"ns{path}", host="l|h.example", path=path, slot=slot, epoch=1)
    for slot, (path, rule) in enumerate(RULES.items())
)
CONFIGURATION = {resource.key: resource for resource in FEATURES}

LINES = st.lists(
    st.sampled_from(
        [
            "X-Set: a",
            "x_set: b",
            "X-Gone: 1",
            "X-Add: a",
            "Origin: https://a.example",
            "Origin: https://b.example",
            "Access-Control-Request-Method: GET",
            "Connection: x-gone",
            "Connection: content-type",
            "X-Forwarded-For: 1.2.3.4",
            "X-Request-Id: abc",
            "Max-Forwards: 0",
            "Host: h.example",
            "Host: h_.example:99999",
            "Content-Length: 0",
            "Transfer-Encoding: gzip",
            "Expect: 100-continue",
        ]
    ),
    max_size=4,
    unique=True,
)
SENT = st.tuples(
    st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "TRACE", "CONNECT", "NONSENSE"]),
    st.sampled_from(["h.example", "H.Example:80", "h.example.", "other.example", "a@b", "[::1]"]),
    st.sampled_from([*RULES, "/", "/re/xxx", "/re/y"]),
    st.sampled_from(
        ["", "/", "/a//b", "?q=1&%2f", "/%41/../b?x", "/%2e%2e/x", "/..%2fx", "%zz", "/%5c", "/" + "x" * 300]
    ),
    LINES,
)


Sent: TypeAlias = tuple[str, str, str, str, list[str]]


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    wire = make_wire(FEATURES)
    wire.limit(max_target_bytes=256)
    return wire


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(sent=SENT)
def test_it_says_what_a_worker_does(wire: Wire, sent: Sent) -> None:
    agree(wire, sent)


PREFLIGHT = "Access-Control-Request-Method: GET"


@pytest.mark.parametrize("origin", ["a", "b"])
@pytest.mark.parametrize("path", RULES)
def test_it_says_what_a_worker_does_for_every_rule(wire: Wire, path: str, origin: str) -> None:
    lines = ["X-Set: a", "x_set: b", "X-Gone: 1", f"Origin: https://{origin}.example"]
    for method, more in (("GET", []), ("POST", []), ("OPTIONS", []), ("OPTIONS", [PREFLIGHT])):
        agree(wire, (method, "h.example", path, "/a?b" if path != "/late" else "", [*lines, *more]))


def agree(wire: Wire, sent: Sent) -> None:
    """Explain a request, send it, and compare."""
    method, host, path, rest, lines = sent
    asked = question(method, f"http://h.example{path}{rest}", [f"Host: {host}", *lines])
    told = explain(CONFIGURATION, asked, limits=Limits(max_target_bytes=256))
    (outcome,) = told.outcomes
    client = wire.client()
    client.say(asked.head)
    wire.loop.settle()
    if outcome.action == "forwarded":
        head = b"".join(end.heard() for end in wire.backends)
        assert head.startswith(f"{method} {outcome.target} HTTP/1.1\r\n".encode())
        assert f"\r\nHost: {outcome.host}\r\n".encode() in head
        for step in outcome.steps:
            for change in step.effect.split("; ") if step.filter == "request_headers" else ():
                verb, _, line = change.partition(" ")
                if verb in {"adds", "removes"}:
                    assert (f"\r\n{line}\r\n".encode() in head) == (verb == "adds")
        wire.backend.say(OK if method != "HEAD" else OK.removesuffix(b"ok"))
        wire.loop.settle()
        assert status(client.heard()) == 200
    else:
        assert b"".join(end.heard() for end in wire.backends) == b""
        head = client.heard().partition(b"\r\n\r\n")[0] + b"\r\n"
        assert status(head) == outcome.status
        assert f"\r\nx-rauta-reason: {outcome.reason}\r\n".encode() in head
        assert not outcome.location or f"\r\nLocation: {outcome.location}\r\n".encode() in head
    client.break_off()
    wire.loop.settle()
    assert wire.log()[-1]["reason"] == outcome.reason
    if outcome.action == "forwarded" or told.route:
        assert wire.log()[-1]["route"] == told.route
