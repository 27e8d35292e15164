"""Routing, held against a matcher that looks at every rule."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rauta_common import maglev
from rauta_control import ir
from rauta_control.choice import Choice
from rauta_control.cluster import Clusters
from rauta_control.draft import Draft
from rauta_control.hostname import covers
from rauta_control.reasons import Reason, Refused
from rauta_control.slices import finish
from rauta_control.table import Routes, Rule, Table

NAMES = st.sampled_from(["*", "example.com", "*.example.com", "shop.example.com", "*.shop.example.com", "*.com", "x"])
SEGMENTS = st.sampled_from(["", "a", "b", "ab", "c"])
PATHS = st.lists(SEGMENTS, max_size=3).map(lambda segments: "/" + "/".join(segments))
METHODS = st.sampled_from(["", "GET", "POST"])
EXPRESSIONS = st.sampled_from(["/a", "/[ab]", "/.*", "/a/.+", "(/b)?/c", "/a?b?", "[^c]*"])
KINDS: st.SearchStrategy[Literal["exact", "prefix", "regex"]] = st.sampled_from(["exact", "prefix", "prefix", "regex"])
NAMED = st.sampled_from(["one", "two", "three"])
VALUES = st.sampled_from(["x", "y", "X", "x y"])
HEADERS = st.builds(ir.Predicate, NAMED, VALUES) | st.builds(
    ir.Predicate, NAMED, st.sampled_from(["[xX]", "x|y", "x,.*", ".*"]), st.just(True)
)
HOSTS = st.sampled_from(
    ["example.com", "a.example.com", "b.a.example.com", "shop.example.com", "a.shop.example.com", "x", "y", "other.com"]
)

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # beside a busy core


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, ir.Resource]:
    """A small consistent configuration: up to two listeners, their hosts, rules that collide often, two clusters.

    A crowded one has one path only, and so more rules in each other's way.
    """
    resources: list[ir.Resource] = []
    crowded = draw(st.booleans())
    paths, expressions = (st.sampled_from(["/a", "/a", "/"]), st.just("/a?b?")) if crowded else (PATHS, EXPRESSIONS)
    listeners = ["one"] if crowded else draw(st.lists(st.sampled_from(["one", "two"]), unique=True, max_size=2))
    clusters = draw(st.lists(st.sampled_from(["red", "blue"]), unique=True, min_size=1))
    for cluster in clusters:
        ports = draw(st.lists(st.integers(1, 4), unique=True, max_size=3))
        names = [f"192.0.2.1:{port}" for port in ports]
        slots = maglev.build(names, [1] * len(names), 1021) if names else b""
        resources.append(ir.Cluster(cluster, tuple(ir.Endpoint("192.0.2.1", port) for port in ports), slots))
    for listener in listeners:
        resources.append(ir.Listener(listener, "0.0.0.0", 80, 80))
        hostnames = draw(st.lists(NAMES, unique=True, max_size=4))
        for hostname in hostnames:
            wider = [each for each in hostnames if each != hostname and covers(each, hostname)]
            fallback = draw(st.sampled_from(["", *wider]))
            host = ir.VirtualHost(listener, hostname, f"{listener}|{fallback}" if fallback else "")
            resources.append(host)
            for number in range(draw(st.integers(0, 8 if crowded else 4))):
                name = f"{host.name}|{number}"
                kind = draw(KINDS)
                shares = tuple(ir.ClusterWeight(cluster) for cluster in clusters[: draw(st.integers(0, 2))])
                rule = ir.Rule(
                    name, f"route-{number}", host.name, draw(expressions if kind == "regex" else paths), kind, shares
                )
                resources.append(
                    replace(
                        rule,
                        method=draw(METHODS),
                        order=draw(st.integers(0, 2)),
                        headers=tuple(draw(st.lists(HEADERS, max_size=2))) if draw(st.booleans()) else (),
                        query=tuple(draw(st.lists(HEADERS, max_size=2))) if draw(st.booleans()) else (),
                    )
                )
    assert not ir.validate({resource.key: resource for resource in resources})
    return {resource.key: resource for resource in resources}


def apply(
    base: Table, clusters: Clusters, old: dict[str, ir.Resource], new: dict[str, ir.Resource]
) -> tuple[Table, Draft]:
    draft = Draft(base, clusters)
    finish(draft.stage([new[key] for key in new if old.get(key) != new[key]], [key for key in old if key not in new]))
    return complete(draft, base.generation + 1), draft


def complete(draft: Draft, generation: int) -> Table:
    finish(draft.fill())
    built = draft.commit(generation)
    finish(draft.release())
    return built


def build(resources: dict[str, ir.Resource], clusters: Clusters | None = None) -> Table:
    return apply(Table.empty(), clusters or Clusters(), {}, resources)[0]


def host_matches(hostname: str, name: str) -> int:
    """How well a host name of the configuration fits: 0 for not at all, more is better."""
    if hostname == name:
        return 1000
    if hostname == "*":
        return 1
    if hostname.startswith("*.") and name.endswith(hostname[1:]) and len(name) >= len(hostname):
        return 1 + len(hostname)
    return 0


class Asked(NamedTuple):
    """A request: to which listener and host, what it asks for, and the fields and parameters it has, in their order."""

    listener: str
    host: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()

    @property
    def target(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def head(self) -> bytes:
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"{self.method} {self.target} HTTP/1.1\r\nHost: {self.host}\r\n{fields}".encode()


def path_matches(rule: ir.Rule, path: str) -> int:
    """How well the path of a rule fits: 0 for not at all, more is better."""
    if rule.path_type == "exact":
        return 2000 if rule.path == path else 0
    if rule.path_type == "regex":
        return 1000 if re.fullmatch(rule.path, path) else 0
    wanted, given = rule.path.removesuffix("/").split("/"), path.split("/")
    return len(wanted) if given[: len(wanted)] == wanted else 0


def holds(predicate: ir.Predicate, value: str | None) -> bool:
    if value is None:
        return False
    return bool(re.fullmatch(predicate.value, value)) if predicate.regex else predicate.value == value


def fits(rule: ir.Rule, asked: Asked) -> bool:
    fields: dict[str, list[str]] = {}
    for name, value in asked.headers:
        fields.setdefault(name.lower(), []).append(value)
    joined = {name: ", ".join(values) for name, values in fields.items()}
    first = dict(reversed(asked.query))
    return (
        path_matches(rule, asked.path) > 0
        and rule.method in ("", asked.method)
        and all(holds(each, joined.get(each.name)) for each in rule.headers)
        and all(holds(each, first.get(each.name)) for each in rule.query)
    )


def slow(resources: Iterable[ir.Resource], asked: Asked) -> str | None:
    """The oracle: order all rules by precedence and take the first that fits. None: no rule, "": no host."""
    resources = list(resources)
    hosts = [r for r in resources if isinstance(r, ir.VirtualHost) and r.listener == asked.listener]
    host = max(hosts, key=lambda host: host_matches(host.hostname, asked.host), default=None)
    if host is None or not host_matches(host.hostname, asked.host):
        return ""
    while host is not None:
        rules = [r for r in resources if isinstance(r, ir.Rule) and r.host == host.name and fits(r, asked)]
        if rules:
            return min(rules, key=lambda rule: (-path_matches(rule, asked.path), rule.order, *rule.precedence)).name
        host = next((each for each in hosts if each.name == host.fallback), None)
    return None


def fast(built: Table, asked: Asked) -> str | None:
    routes = built.listeners.get(asked.listener) or Routes({})
    found = routes.seen.get(asked.host.encode()) or routes.find(asked.host.encode())
    if found is None:
        return ""
    method, path = asked.method.encode(), asked.path.encode()
    host = routes.host(asked.host.encode())
    assert host is not None
    assert found is (host.always or host)
    assert host.always in {None, host.decide(method, path)}
    rule = host.always or host.memo.get(host.key(method, path)) or host.decide(method, path)
    if isinstance(rule, Choice):
        rule = rule.choose(asked.head, asked.target.encode())
    return None if rule is None else rule.order[1]


FIELDS = st.lists(st.tuples(st.sampled_from(["one", "One", "two", "three", "Other"]), VALUES), max_size=3).map(tuple)
REQUESTS = st.builds(
    Asked, st.sampled_from(["one", "two"]), HOSTS, st.sampled_from(["GET", "POST"]), PATHS, FIELDS, FIELDS
)
ALL_REQUESTS = [
    Asked(listener, host, method, path, fields, fields)
    for listener, host, method, path, fields in itertools.product(
        ["one", "two"],
        ["example.com", "a.example.com", "b.a.example.com", "shop.example.com", "a.shop.example.com", "x", "y"],
        ["GET", "POST"],
        ["/", "/a", "/a/", "/a/b", "/ab", "//", "/b/c", "/c//a"],
        list[tuple[tuple[str, str], ...]]([(), (("one", "x"), ("two", "y"))]),
    )
]


@patient
@given(configurations(), st.lists(REQUESTS, max_size=30))
def test_finds_what_a_search_of_all_rules_finds(resources: dict[str, ir.Resource], requests: list[Asked]) -> None:
    built = build(resources)
    for asked in requests * 2:  # the second time out of the memo
        assert fast(built, asked) == slow(resources.values(), asked)


def test_exact_paths_come_before_expressions_and_those_before_prefixes() -> None:
    rules = [
        replace(rule("expression", "/a.*"), path_type="regex"),
        replace(rule("better", "/a/[bc]", order=-1), path_type="regex"),
        replace(rule("exact", "/a/b"), path_type="exact"),
        rule("prefix", "/a/b/c"),
        rule("root", "/"),
    ]
    built = build(site(*rules))
    found = [fast(built, Asked("l", "h", "GET", path)) for path in ("/a/b", "/a/c", "/a/b/c", "/b", "/xa")]
    assert found == ["exact", "better", "expression", "root", "root"]


def test_what_a_choice_holds_is_bounded() -> None:
    rules = [replace(rule(f"r{n}", "/"), headers=(ir.Predicate("h", str(n)),)) for n in range(40)]
    host = build(site(*rules[:32])).listeners["l"].names[b"*"]
    assert host.decide(b"GET", b"/") is host.memo[b"GET/"]
    crowded = build(site(*rules)).listeners["l"].names[b"*"]
    assert isinstance(crowded.decide(b"GET", b"/"), Choice)
    assert not crowded.memo


def test_a_host_field_with_port_or_trailing_dot_is_the_same_host() -> None:
    built = build(site(rule("r", "/"), hostname="example.com"))
    routes = built.listeners["l"]
    host = routes.names[b"example.com"]
    for field in (b"example.com", b"example.com:8080", b"example.com."):
        assert routes.host(field) is host
        assert routes.find(field) is host.always is routes.seen[field]
    assert routes.find(b"other.com") is None
    assert routes.find(b"") is None


def test_no_host_field_is_served_by_the_host_that_takes_any() -> None:
    routes = build(site(rule("r", "/"))).listeners["l"]
    assert routes.host(b"") is routes.names[b"*"]


@pytest.mark.parametrize("field", [b"a b", b"a@b", b"a,b", b"a:99999", b"." * 200, b"a." * 5000 + b"a"])
def test_a_bad_host_field_is_refused_and_not_remembered(field: bytes) -> None:
    routes = build(site(rule("r", "/"))).listeners["l"]
    with pytest.raises(Refused):
        routes.find(field)
    assert not routes.seen


def test_a_host_that_no_rule_is_for_is_told_from_a_path_that_none_is_for() -> None:
    resources: list[ir.Resource] = [
        ir.VirtualHost("l", "*.example.com"),
        ir.VirtualHost("l", "a.example.com", "l|*.example.com"),
        ir.VirtualHost("l", "b.example.com"),
    ]
    found = {}
    for path_type in ("exact", "regex"):
        wide = replace(rule("wide", "/x"), host="l|*.example.com", path_type=path_type)
        names = build(site() | {each.key: each for each in (*resources, wide)}).listeners["l"].names
        assert all(host.decide(b"GET", b"/") is None for host in names.values())
        found[path_type] = {name: host.missing() for name, host in names.items()}
    assert found["exact"] == found["regex"]
    assert found["exact"] == {
        b"*": Reason.NO_HOST,
        b"*.example.com": Reason.NO_ROUTE,
        b"a.example.com": Reason.NO_ROUTE,
        b"b.example.com": Reason.NO_HOST,
    }


def test_the_whole_server_is_asked_by_the_rules_for_everything() -> None:
    rules = [
        rule("a", "/a"),
        replace(rule("root", "/"), path_type="exact"),
        replace(rule("any", "/.*"), path_type="regex"),
    ]
    asked = Asked("l", "h", "OPTIONS", "*")
    assert fast(build(site(*rules)), asked) is None
    assert fast(build(site(*rules, rule("all", "/"))), asked) == "all"
    get = replace(rule("get", "/"), method="GET")
    assert fast(build(site(*rules, get, rule("all", "/"))), asked) == "all"
    assert fast(build(site(*rules, get)), asked) is None


def test_weights_are_drawn_and_zero_gets_nothing() -> None:
    names = ["red", "blue", "none"]
    by_name = {name: Clusters().make(name) for name in names}
    shares = tuple(ir.ClusterWeight(name, weight) for name, weight in zip(names, (1, 3, 0), strict=True))
    drawn = Rule(ir.Rule("r", "r", "l|*", "/", "prefix", shares), by_name)
    picks = Counter(cluster.name for chance in range(4000) if (cluster := drawn.draw(chance / 4000)))
    assert picks == {"red": 1000, "blue": 3000}
    last = drawn.draw(math.nextafter(1.0, 0.0))
    assert last is not None
    assert last.name == "blue"


def test_a_rule_without_backends_draws_none() -> None:
    assert Rule(ir.Rule("r", "r", "l|*", "/", "prefix", ()), {}).draw(0.5) is None


def test_log_labels_are_json_whatever_the_route_is_called() -> None:
    named = Rule(ir.Rule("r", 'a"\\\n\x00b', "l|*", "/", "prefix", ()), {})
    assert named.label == b'"route":"a\\"\\\\\\n\\u0000b",'


def rule(name: str, path: str, order: int = 0) -> ir.Rule:
    return ir.Rule(name, f"route-{name}", "l|*", path, "prefix", (ir.ClusterWeight("c"),), order=order)


def site(*rules: ir.Rule, hostname: str = "*") -> dict[str, ir.Resource]:
    """One listener, one host, one cluster of one endpoint, and these rules."""
    resources: list[ir.Resource] = [
        ir.Listener("l", "0.0.0.0", 80, 80),
        ir.VirtualHost("l", hostname),
        ir.Cluster("c", (ir.Endpoint("192.0.2.1", 80),), maglev.build(["192.0.2.1:80"], [1], 1021)),
        *(replace(rule, host=f"l|{hostname}") for rule in rules),
    ]
    return {resource.key: resource for resource in resources}


@pytest.mark.parametrize(
    "rules",
    [
        [rule("r", "/a")],
        [replace(rule("r", "/"), path_type="exact")],
        [replace(rule("r", "/"), method="GET"), rule("any", "/", order=1)],
        [replace(rule("r", "/"), headers=(ir.Predicate("h", "x"),)), rule("any", "/", order=1)],
        [rule("r", "/"), rule("a", "/a")],
        [rule("r", "/"), replace(rule("expression", "/a.*"), path_type="regex")],
    ],
)
def test_a_host_has_one_rule_for_everything_only_if_nothing_else_is_to_be_looked_at(rules: list[ir.Rule]) -> None:
    assert build(site(*rules)).listeners["l"].names[b"*"].always is None
    host = build(site(rule("r", "/"), rule("later", "/", order=1))).listeners["l"].names[b"*"]
    assert host.always is host.decide(b"OPTIONS", b"*")
