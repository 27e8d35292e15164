"""Which rule a request gets, by the IR and by the specification read literally: the same for random ones.

The matcher on the one side looks at manifests only and at every match of every route; that on the other side reads
nothing but the IR, in the way the data plane does.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control import ir
from rauta_control.admission import Admitted, admit
from rauta_control.hostname import closest
from rauta_control.kinds import AnyResource
from rauta_control.supported import EXPRESSED
from rauta_control.terms import Terms
from rauta_control.translate import translate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
API = "gateway.networking.k8s.io/v1"
HOSTNAMES = ["*.example", "a.example", "*.a.example", "b.a.example", "other.test"]
HOSTS = ["example", "a.example", "x.example", "b.a.example", "c.a.example", "d.c.a.example", "other.test", "none.test"]
PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/b"]
EXPRESSIONS = ["/a.*", "/[ab]", "/a(/b)?"]
FIELDS = ["one", "two"]
CREATED = [None, "2025-01-01T00:00:00Z", "2025-06-01T00:00:00Z"]


class Request(NamedTuple):
    host: str
    path: str
    method: str
    headers: frozenset[str]
    query: frozenset[str]


@st.composite
def matches(draw: st.DrawFn, paths: list[str]) -> dict[str, Any]:
    kind = draw(st.sampled_from(["Exact", "PathPrefix", "PathPrefix", "RegularExpression"]))
    values = EXPRESSIONS if kind == "RegularExpression" else paths
    match: dict[str, Any] = {"path": {"type": kind, "value": draw(st.sampled_from(values))}}
    if draw(st.booleans()):
        match["method"] = draw(st.sampled_from(["GET", "POST"]))
    for field in ("headers", "queryParams"):
        if names := draw(st.sets(st.sampled_from(FIELDS))):
            match[field] = [{"name": name, "value": "1"} for name in sorted(names)]
    return match


@st.composite
def routes(draw: st.DrawFn, listeners: list[str], hostnames: list[str], paths: list[str]) -> dict[str, Any]:
    parents: list[dict[str, Any]] = [{"name": "gw"}]
    if draw(st.booleans()):
        sections = draw(st.lists(st.sampled_from(listeners), min_size=1, unique=True))
        parents = [{"name": "gw", "sectionName": name} for name in sections]
    created = draw(st.sampled_from(CREATED))
    rule = st.fixed_dictionaries({"matches": st.lists(matches(paths), min_size=1, max_size=2)})
    return {
        "apiVersion": API,
        "kind": "HTTPRoute",
        "metadata": {"name": "", **({"creationTimestamp": created} if created else {})},
        "spec": {
            "parentRefs": parents,
            "hostnames": draw(st.lists(st.sampled_from(hostnames), unique=True, max_size=2)) if hostnames else [],
            "rules": draw(st.lists(rule, min_size=1, max_size=2)),
        },
    }


World: TypeAlias = tuple[list[dict[str, Any]], list[dict[str, Any]]]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Listeners and routes: of many host names and paths, or of one, where they are in each other's way."""
    crowded = draw(st.booleans())
    hostnames = (
        [""] if crowded else draw(st.lists(st.sampled_from(["", *HOSTNAMES]), min_size=1, max_size=3, unique=True))
    )
    listeners: list[dict[str, Any]] = [
        {"name": f"l{number}", "port": 80, "protocol": "HTTP", **({"hostname": name} if name else {})}
        for number, name in enumerate(hostnames)
    ]
    names = [each["name"] for each in listeners]
    route = routes(names, [], ["/a"]) if crowded else routes(names, HOSTNAMES, PATHS)
    found = draw(st.lists(route, max_size=4))
    for number, each in enumerate(found):
        each["metadata"]["name"] = f"r{number}"
    return listeners, found


REQUESTS = st.builds(
    Request,
    st.sampled_from(HOSTS),
    st.sampled_from(["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/abc", "/b"]),
    st.sampled_from(["GET", "POST", "PUT"]),
    st.frozensets(st.sampled_from(FIELDS)),
    st.frozensets(st.sampled_from(FIELDS)),
)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.lists(REQUESTS, min_size=5, max_size=20))
def test_the_ir_says_what_the_specification_says(world: World, requests: list[Request]) -> None:
    listeners, found = world
    gateway = {
        "apiVersion": API,
        "kind": "Gateway",
        "metadata": {"name": "gw"},
        "spec": {"gatewayClassName": "rauta", "listeners": listeners},
    }
    objects = [admitted(document) for document in (gateway, *found)]
    resources = translate(objects, Terms(class_name="rauta", abilities=EXPRESSED), NOW).resources
    for request in requests:
        assert by_ir(dict(resources), request) == by_specification(listeners, found, request), request


def by_specification(
    listeners: list[dict[str, Any]], found: list[dict[str, Any]], request: Request
) -> tuple[str, int, int] | None:
    """GatewaySpec.listeners (isolation), HTTPRouteSpec.hostnames, HTTPRouteRule.matches (precedence)."""
    serving = [each for each in listeners if named(each.get("hostname"), request.host)]
    if not serving:
        return None
    listener = max(serving, key=lambda each: weight(each.get("hostname")))
    ranked = []
    for route in found:
        if not any(ref.get("sectionName") in (None, listener["name"]) for ref in route["spec"]["parentRefs"]):
            continue
        wanted = [name for name in route["spec"]["hostnames"] if named(name, request.host)]
        if route["spec"]["hostnames"] and not wanted:
            continue
        # The host name in common is the narrower one of the listener's and the route's.
        host = max(weight(name) for name in [listener.get("hostname"), *wanted])
        for index, rule in enumerate(route["spec"]["rules"]):
            for number, match in enumerate(rule["matches"]):
                if fits(match, request):
                    rank = (*(-value for value in host), *precedence(match), *seniority(route), index, number)
                    ranked.append((rank, (route["metadata"]["name"], index, number)))
    return min(ranked)[1] if ranked else None


def named(hostname: str | None, host: str) -> bool:
    if hostname is None:
        return True
    return host.endswith(hostname[1:]) if hostname.startswith("*") else host == hostname


def weight(hostname: str | None) -> tuple[int, int]:
    if hostname is None:
        return 0, 0
    return (0 if hostname.startswith("*") else len(hostname)), len(hostname)


def fits(match: dict[str, Any], request: Request) -> bool:
    kind, value = match["path"]["type"], match["path"]["value"]
    if kind == "Exact":
        path = request.path == value
    elif kind == "RegularExpression":
        path = re.fullmatch(value, request.path) is not None
    else:
        segments, asked = value.rstrip("/").split("/"), request.path.split("/")
        path = asked[: len(segments)] == segments
    return (
        path
        and match.get("method") in (None, request.method)
        and all(each["name"] in request.headers for each in match.get("headers", ()))
        and all(each["name"] in request.query for each in match.get("queryParams", ()))
    )


def precedence(match: dict[str, Any]) -> tuple[int, int, int, int, int]:
    """HTTPRouteRule.matches; the place of expressions, which it leaves open, is between exact paths and prefixes."""
    kind = ["Exact", "RegularExpression", "PathPrefix"].index(match["path"]["type"])
    length = len(match["path"]["value"].rstrip("/")) if kind == 2 else 0
    method = "method" in match
    return kind, -length, not method, -len(match.get("headers", ())), -len(match.get("queryParams", ()))


def seniority(route: dict[str, Any]) -> tuple[str, str]:
    return route["metadata"].get("creationTimestamp") or "", route["metadata"]["name"]


def by_ir(resources: dict[str, ir.Resource], request: Request) -> tuple[str, int, int] | None:
    hosts = {each.hostname: each for each in resources.values() if isinstance(each, ir.VirtualHost)}
    name = closest(request.host, hosts)
    while name:
        host = hosts[name]
        rules = [each for each in resources.values() if isinstance(each, ir.Rule) and each.host == host.name]
        for rule in sorted(rules, key=lambda rule: rule.tried):
            if applies(rule, request):
                index, number = divmod(rule.index, 128)
                return rule.route.partition("/")[2], index, number
        name = host.fallback.rpartition("|")[2]
    return None


def applies(rule: ir.Rule, request: Request) -> bool:
    match rule.path_type:
        case "exact":
            path = request.path == rule.path
        case "regex":
            path = re.fullmatch(rule.path, request.path) is not None
        case "prefix":
            path = rule.path == "/" or f"{request.path}/".startswith(f"{rule.path}/")
    return (
        path
        and rule.method in ("", request.method)
        and all(each.name in request.headers for each in rule.headers)
        and all(each.name in request.query for each in rule.query)
    )


def admitted(document: dict[str, Any]) -> AnyResource:
    verdict = admit(document)
    assert isinstance(verdict, Admitted), verdict
    return verdict.resource
