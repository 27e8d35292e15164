"""HTTPRoute: defaults, and every rule once kept and once broken."""

from __future__ import annotations

from typing import Any

import pytest

from rauta_control.admission import CLUSTER
from rauta_control.httproute import HTTPPathMatch, HTTPRouteMatch, HTTPRouteRule
from rauta_control.problem import quote
from rauta_control.specimen_test import ABSENT, admitted, complaints

RULE = "spec.rules[0]"
PATH = "spec.rules[0].matches[0].path"
HEADERS = "spec.rules[0].matches[0].headers"
PREFIX = {"path": {"type": "PathPrefix", "value": "/a"}}


def replace_prefix(kind: str) -> dict[str, Any]:
    member = {"RequestRedirect": "requestRedirect", "URLRewrite": "urlRewrite"}[kind]
    return {"type": kind, member: {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}}}


def backend(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"name": "cart", "port": 80, "filters": list(filters)}


def test_a_route_without_rules_matches_everything() -> None:
    route = admitted("HTTPRoute", {"spec.rules": ABSENT})
    assert route.spec.rules == (
        HTTPRouteRule(matches=(HTTPRouteMatch(path=HTTPPathMatch(type="PathPrefix", value="/")),)),
    )


def test_a_rule_without_matches_matches_everything_and_an_empty_list_stays_empty() -> None:
    assert admitted("HTTPRoute", {f"{RULE}.matches": ABSENT}).spec.rules[0].matches == (HTTPRouteMatch(),)
    assert admitted("HTTPRoute", {f"{RULE}.matches": []}).spec.rules[0].matches == ()


def test_a_match_has_a_path_even_if_it_looks_at_headers_only() -> None:
    match = (
        admitted("HTTPRoute", {f"{RULE}.matches[0]": {"headers": [{"name": "a", "value": "b"}]}})
        .spec.rules[0]
        .matches[0]
    )
    assert (match.path.type, match.path.value, match.headers[0].type) == ("PathPrefix", "/", "Exact")


def test_references_get_their_group_and_kind() -> None:
    route = admitted("HTTPRoute")
    parent, target = route.spec.parent_refs[0], route.spec.rules[0].backend_refs[0]
    assert (parent.group, parent.kind) == ("gateway.networking.k8s.io", "Gateway")
    assert (target.group, target.kind, target.weight) == ("", "Service", 1)


def test_null_is_absent() -> None:
    assert admitted("HTTPRoute", {"spec.rules": None, "spec.hostnames": None}).spec.rules == (HTTPRouteRule(),)


SOUND: list[tuple[str, dict[str, Any]]] = [
    ("as it is", {}),
    ("no parents, hosts or rules", {"spec": {}}),
    ("an expression is no path", {PATH: {"type": "RegularExpression", "value": "a//b#%2F/.."}}),
    ("a prefix with a slash at its end", {f"{PATH}.value": "/a/"}),
    ("dots that are no dot segments", {f"{PATH}.value": "/..a/...b/.c"}),
    ("percent-encoding of anything but a slash", {f"{PATH}.value": "/caf%C3%A9"}),
    ("128 matches", {"spec.rules": [{"matches": [PREFIX] * 64}] * 2}),
    ("16 rules", {"spec.rules": [{}] * 16}),
    ("a weight of zero", {f"{RULE}.backendRefs[0].weight": 0}),
    (
        "another kind of backend without a port",
        {f"{RULE}.backendRefs[0]": {"group": "x.io", "kind": "Service", "name": "a"}},
    ),
    ("two parents that differ by name", {"spec.parentRefs": [{"name": "a"}, {"name": "b"}]}),
    ("two parents that differ by namespace", {"spec.parentRefs": [{"name": "a"}, {"name": "a", "namespace": "b"}]}),
    ("two sections of one parent", {"spec.parentRefs": [{"name": "a", "sectionName": s} for s in ("x", "y")]}),
    ("two ports of one parent", {"spec.parentRefs": [{"name": "a", "port": p} for p in (80, 81)]}),
    ("one header in both cases", {HEADERS: [{"name": "A", "value": "x"}, {"name": "a", "value": "x"}]}),
    ("names for some rules", {"spec.rules": [{"name": "a"}, {}, {"name": "b"}, {}]}),
    ("a redirect without backends", {RULE: {"filters": [{"type": "RequestRedirect", "requestRedirect": {}}]}}),
    ("a replaced prefix of the one prefix match", {f"{RULE}.filters": [replace_prefix("URLRewrite")]}),
    ("a replaced prefix of the default match", {RULE: {"filters": [replace_prefix("URLRewrite")]}}),
    ("equal timeouts", {f"{RULE}.timeouts": {"request": "1s", "backendRequest": "1000ms"}}),
    ("no limit for the whole", {f"{RULE}.timeouts": {"request": "0s", "backendRequest": "1h"}}),
    ("only a backend timeout", {f"{RULE}.timeouts": {"backendRequest": "1m30s"}}),
    ("no retries", {f"{RULE}.retry": {"attempts": 0}}),
    ("retries", {f"{RULE}.retry": {"codes": [500, 503], "attempts": 3, "backoff": "100ms"}}),
    (
        "a permanent cookie that ends",
        {f"{RULE}.sessionPersistence": {"absoluteTimeout": "1h", "cookieConfig": {"lifetimeType": "Permanent"}}},
    ),
    ("sessions by header", {f"{RULE}.sessionPersistence": {"type": "Header"}}),
    ("default gateways", {"spec.useDefaultGateways": "All"}),
    ("a wildcard host", {"spec.hostnames": ["*.example.com", "xn--caf-dma.example.com"]}),
    ("a status, dropped from a file whatever it says", {"status": {"parents": "?"}}),
]


@pytest.mark.parametrize("changes", [case[1] for case in SOUND], ids=[case[0] for case in SOUND])
def test_sound(changes: dict[str, Any]) -> None:
    assert complaints("HTTPRoute", changes) == []


def path_case(value: str, *details: str) -> tuple[str, dict[str, Any], list[str]]:
    said = [f"{PATH}.value: Invalid value: {quote(value)}: {detail} when type is PathPrefix" for detail in details]
    return f"path {value!r}", {f"{PATH}.value": value}, said


UNCLEAR_PREFIX = "with path.replacePrefixMatch the rule must have exactly one match, of type PathPrefix"
SEVERAL = "sectionName or port must be specified in every reference when there are several to the same parent"
SAME = "sectionName or port must be unique when there are several references to the same parent"

BROKEN: list[tuple[str, dict[str, Any], list[str]]] = [
    path_case("a", "must be an absolute path, beginning with '/',"),
    path_case("/a//b", "must not contain '//'"),
    path_case("/a/./b", "must not contain '/./'"),
    path_case("/a/../b", "must not contain '/../'"),
    path_case("/a%2fb", "must not contain '%2f'"),
    path_case("/a%2Fb", "must not contain '%2F'"),
    path_case("/a#b", "must not contain '#'", "must be valid path characters, others percent-encoded,"),
    path_case("/a/..", "must not end with '/..'"),
    path_case("/a/.", "must not end with '/.'"),
    path_case("/a b", "must be valid path characters, others percent-encoded,"),
    path_case("/café", "must be valid path characters, others percent-encoded,"),
    path_case("/a%2", "must be valid path characters, others percent-encoded,"),
    path_case("/a\n", "must be valid path characters, others percent-encoded,"),
    path_case(
        "",
        "must be an absolute path, beginning with '/',",
        "must be valid path characters, others percent-encoded,",
    ),
    (
        "exact paths too",
        {PATH: {"type": "Exact", "value": "a"}},
        [f"{PATH}.value: Invalid value: \"a\": must be an absolute path, beginning with '/', when type is Exact"],
    ),
    (
        "a type of path that is none",
        {f"{PATH}.type": "Prefix"},
        [
            f'{PATH}.type: Unsupported value: "Prefix": supported values: "Exact", "PathPrefix", "RegularExpression"; '
            'did you mean "PathPrefix"?'
        ],
    ),
    (
        "a method in lower case",
        {f"{RULE}.matches[0].method": "get"},
        [
            f'{RULE}.matches[0].method: Unsupported value: "get": supported values: "CONNECT", "DELETE", "GET", '
            '"HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"; did you mean "GET"?'
        ],
    ),
    (
        "a header twice",
        {HEADERS: [{"name": "a", "value": "x"}, {"name": "a", "value": "y"}]},
        [f'{HEADERS}[1]: Duplicate value: "a"'],
    ),
    (
        "a query parameter twice",
        {f"{RULE}.matches[0].queryParams": [{"name": "a", "value": "x"}, {"name": "a", "value": "y"}]},
        [f'{RULE}.matches[0].queryParams[1]: Duplicate value: "a"'],
    ),
    (
        "a header name with a blank",
        {HEADERS: [{"name": "a b", "value": "x"}]},
        [f'{HEADERS}[0].name: Invalid value: "a b": must be a header name: letters, digits and !#$%&\'*+-.^_`|~'],
    ),
    (
        "a header value that could end the field",
        {HEADERS: [{"name": "a", "value": "x\r\nb: y"}]},
        [f'{HEADERS}[0].value: Invalid value: "x\\r\\nb: y": must not contain control characters'],
    ),
    (
        "a header value the experimental channel refuses",
        {HEADERS: [{"name": "a", "value": "x  y"}]},
        [
            (
                f'{HEADERS}[0].value: Invalid value: "x  y": '
                "must be printable ASCII without blanks at the ends or two in a row"
            )
        ],
    ),
    (
        "an empty query value",
        {f"{RULE}.matches[0].queryParams": [{"name": "a", "value": ""}]},
        [f'{RULE}.matches[0].queryParams[0].value: Invalid value: "": must be at least 1 characters long'],
    ),
    (
        "129 matches",
        {"spec.rules": [{"matches": [PREFIX] * 64}, {"matches": [PREFIX] * 64}, {}]},
        ["spec.rules: Invalid value: 129: the total number of matches across all rules in a route must be at most 128"],
    ),
    ("17 rules", {"spec.rules": [{}] * 17}, ["spec.rules: Too many: 17: must have at most 16 items"]),
    ("no rules at all", {"spec.rules": []}, ["spec.rules: Invalid value: 0: must have at least 1 items"]),
    ("65 matches", {f"{RULE}.matches": [{}] * 65}, [f"{RULE}.matches: Too many: 65: must have at most 64 items"]),
    (
        "a rule's name twice",
        {"spec.rules": [{"name": "a"}, {"name": "b"}, {"name": "a"}]},
        ['spec.rules[2].name: Duplicate value: "a"'],
    ),
    (
        "a Service without a port",
        {f"{RULE}.backendRefs[0].port": ABSENT},
        [f"{RULE}.backendRefs[0].port: Required value: a reference to a Service must have a port"],
    ),
    (
        "a port out of range",
        {f"{RULE}.backendRefs[0].port": 65536},
        [f"{RULE}.backendRefs[0].port: Invalid value: 65536: must be between 1 and 65535"],
    ),
    (
        "a port in quotes",
        {f"{RULE}.backendRefs[0].port": "80"},
        [f'{RULE}.backendRefs[0].port: Invalid value: "string": must be of type integer'],
    ),
    (
        "a weight out of range",
        {f"{RULE}.backendRefs[0].weight": -1},
        [f"{RULE}.backendRefs[0].weight: Invalid value: -1: must be between 0 and 1000000"],
    ),
    (
        "a redirect beside backends",
        {f"{RULE}.filters": [{"type": "RequestRedirect", "requestRedirect": {}}]},
        [f"{RULE}.filters: Forbidden: RequestRedirect must not be used together with backendRefs"],
    ),
    (
        "a replaced prefix of an exact match",
        {PATH: {"type": "Exact", "value": "/a"}, f"{RULE}.filters": [replace_prefix("URLRewrite")]},
        [f'{RULE}.filters: Invalid value: "URLRewrite": {UNCLEAR_PREFIX}'],
    ),
    (
        "a redirect with a replaced prefix of two matches",
        {RULE: {"matches": [PREFIX, PREFIX], "filters": [replace_prefix("RequestRedirect")]}},
        [f'{RULE}.filters: Invalid value: "RequestRedirect": {UNCLEAR_PREFIX}'],
    ),
    (
        "a replaced prefix of no match, for a backend",
        {f"{RULE}.matches": [], f"{RULE}.backendRefs": [backend(replace_prefix("URLRewrite"))]},
        [f'{RULE}.backendRefs[0].filters: Invalid value: "URLRewrite": {UNCLEAR_PREFIX}'],
    ),
    (
        "a redirect with a replaced prefix, for a backend",
        {f"{RULE}.matches": [], f"{RULE}.backendRefs": [backend(replace_prefix("RequestRedirect"))]},
        [f'{RULE}.backendRefs[0].filters: Invalid value: "RequestRedirect": {UNCLEAR_PREFIX}'],
    ),
    (
        "the same for two backends, where the CRD does not look",
        {f"{RULE}.matches": [], f"{RULE}.backendRefs": [backend(replace_prefix("URLRewrite"))] * 2},
        [
            f'warning: {RULE}.backendRefs[{index}].filters: Invalid value: "URLRewrite": {UNCLEAR_PREFIX}'
            for index in (0, 1)
        ],
    ),
    (
        "a backend's timeout longer than the whole",
        {f"{RULE}.timeouts": {"request": "1s", "backendRequest": "1001ms"}},
        [f'{RULE}.timeouts.backendRequest: Invalid value: "1001ms": cannot be longer than request, 1s'],
    ),
    (
        "a duration without a unit",
        {f"{RULE}.timeouts": {"request": "10"}},
        [f'{RULE}.timeouts.request: Invalid value: "10": must be a duration such as 10s, 1m30s or 250ms (GEP-2257)'],
    ),
    (
        "a duration that YAML took for a number",
        {f"{RULE}.timeouts": {"request": 10}},
        [f'{RULE}.timeouts.request: Invalid value: "integer": must be of type string'],
    ),
    (
        "retries of what is no failure, twice",
        {f"{RULE}.retry": {"codes": [200, 500, 500], "attempts": -1}},
        [
            f"{RULE}.retry.codes[0]: Invalid value: 200: must be between 400 and 599",
            f"{RULE}.retry.attempts: Invalid value: -1: must be at least 0",
        ],
    ),
    ("a code twice", {f"{RULE}.retry": {"codes": [500, 500]}}, [f'{RULE}.retry.codes[1]: Duplicate value: "500"']),
    (
        "a permanent cookie without an end",
        {f"{RULE}.sessionPersistence": {"cookieConfig": {"lifetimeType": "Permanent"}}},
        [
            f"{RULE}.sessionPersistence.absoluteTimeout: Required value: "
            "must be specified when cookieConfig.lifetimeType is Permanent"
        ],
    ),
    (
        "a cookie for sessions by header",
        {f"{RULE}.sessionPersistence": {"type": "Header", "cookieConfig": {}}},
        [f"{RULE}.sessionPersistence.cookieConfig: Forbidden: can only be set with type Cookie"],
    ),
    (
        "one parent twice",
        {"spec.parentRefs": [{"name": "a"}, {"name": "a"}]},
        [f'spec.parentRefs[1]: Invalid value: "a": {SAME}'],
    ),
    (
        "a parent as a whole and a section of it",
        {"spec.parentRefs": [{"name": "a"}, {"name": "a", "sectionName": "x"}]},
        [f'spec.parentRefs[1]: Invalid value: "a": {SEVERAL}'],
    ),
    (
        "a section of a parent and a port of it",
        {"spec.parentRefs": [{"name": "a", "sectionName": "x"}, {"name": "a", "port": 80}]},
        [f'spec.parentRefs[1]: Invalid value: "a": {SEVERAL}'],
    ),
    (
        "one section twice",
        {"spec.parentRefs": [{"name": "a", "sectionName": "x"}] * 2},
        [f'spec.parentRefs[1]: Invalid value: "a": {SAME}'],
    ),
    (
        "33 parents",
        {"spec.parentRefs": [{"name": f"a{i}"} for i in range(33)]},
        ["spec.parentRefs: Too many: 33: must have at most 32 items"],
    ),
    (
        "a host with a port",
        {"spec.hostnames": ["example.com:80"]},
        [
            'spec.hostnames[0]: Invalid value: "example.com:80": must be a lower-case host name, '
            "optionally with one wildcard label first (*.example.com)"
        ],
    ),
    (
        "a wildcard inside",
        {"spec.hostnames": ["a.*.com"]},
        [
            'spec.hostnames[0]: Invalid value: "a.*.com": must be a lower-case host name, '
            "optionally with one wildcard label first (*.example.com)"
        ],
    ),
    (
        "a host that is too long",
        {"spec.hostnames": ["a" * 254]},
        ["spec.hostnames[0]: Too long: may not be more than 253 characters"],
    ),
    (
        "a backend without a name",
        {f"{RULE}.backendRefs[0].name": ABSENT},
        [f"{RULE}.backendRefs[0].name: Required value"],
    ),
    ("no spec", {"spec": ABSENT}, ["spec: Required value"]),
    ("a list for an object", {"spec": []}, ['spec: Invalid value: "array": must be of type object']),
    ("an object for a list", {"spec.rules": {}}, ['spec.rules: Invalid value: "object": must be of type array']),
    (
        "a misspelt field",
        {f"{RULE}.matchs": []},
        [f'warning: {RULE}.matchs: unknown field "{RULE}.matchs", ignored; did you mean "matches"?'],
    ),
]


@pytest.mark.parametrize(("changes", "said"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_broken(changes: dict[str, Any], said: list[str]) -> None:
    assert complaints("HTTPRoute", changes) == said


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = complaints(
        "HTTPRoute",
        {
            "spec.hostnames": ["UPPER"],
            "spec.rules[1]": {"matches": [{"path": {"value": "a"}}], "timeouts": {"request": "1"}, "filtrs": []},
            f"{RULE}.backendRefs[0].port": ABSENT,
        },
    )
    assert [line.split(": ")[0] for line in said] == [
        "spec.hostnames[0]",
        "spec.rules[1].timeouts.request",
        "warning",
        "spec.rules[1].matches[0].path.value",
        "spec.rules[0].backendRefs[0].port",
    ]


def test_the_status_of_a_cluster_is_read_and_checked() -> None:
    entry = {"parentRef": {"name": "gw"}, "controllerName": "a.io/b", "conditions": []}
    said = complaints("HTTPRoute", {"status": {"parents": [entry]}}, CLUSTER)
    assert said == ["status.parents[0].conditions: Invalid value: 0: must have at least 1 items"]
    assert complaints("HTTPRoute", {"status": {}}, CLUSTER) == ["status.parents: Required value"]


def test_what_only_the_experimental_channel_refuses_is_a_warning_in_a_cluster() -> None:
    rules = [{"name": "a"}, {"name": "a"}]
    assert complaints("HTTPRoute", {"spec.rules": rules}, CLUSTER) == [
        'warning: spec.rules[1].name: Duplicate value: "a"'
    ]
