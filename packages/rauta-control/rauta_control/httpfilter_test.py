"""Filters of an HTTPRoute: every rule kept and broken, for a rule's filters and for a backend's."""

from __future__ import annotations

from typing import Any

import pytest

from rauta_control.admission import CLUSTER
from rauta_control.httpfilter import MEMBERS, HTTPRouteFilter
from rauta_control.specimen_test import admitted, complaints

RULE = "spec.rules[0].filters"
BACKEND = "spec.rules[0].backendRefs[0].filters"
SERVICE = {"name": "a", "port": 80}

#: A sound body of each filter type.
BODIES: dict[str, dict[str, Any]] = {
    "RequestHeaderModifier": {"set": [{"name": "a", "value": "b"}]},
    "ResponseHeaderModifier": {"remove": ["a"]},
    "RequestMirror": {"backendRef": SERVICE},
    "RequestRedirect": {"statusCode": 307},
    "URLRewrite": {"hostname": "a.example.com"},
    "CORS": {"allowOrigins": ["https://a.example.com"]},
    "ExternalAuth": {"protocol": "HTTP", "backendRef": SERVICE, "http": {}},
    "ExtensionRef": {"group": "a.io", "kind": "A", "name": "a"},
}


def item(kind: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": kind, MEMBERS[kind]: BODIES[kind] if body is None else body}


def said_of(*filters: dict[str, Any], where: str = BACKEND) -> list[str]:
    return [line.replace(where, "filters") for line in complaints("HTTPRoute", {where: list(filters)})]


def test_every_type_has_a_member_and_every_member_a_field() -> None:
    fields = set(HTTPRouteFilter.__struct_encode_fields__) - {"type"}
    assert set(MEMBERS.values()) == fields
    assert set(MEMBERS) == set(BODIES)


@pytest.mark.parametrize("kind", MEMBERS)
def test_a_type_with_its_member_is_sound(kind: str) -> None:
    assert said_of(item(kind)) == []


@pytest.mark.parametrize("kind", MEMBERS)
def test_a_type_without_its_member_is_not(kind: str) -> None:
    assert said_of({"type": kind}) == [
        f"filters[0].{MEMBERS[kind]}: Required value: must be specified when type is {kind}"
    ]


@pytest.mark.parametrize("kind", MEMBERS)
def test_a_member_of_another_type_is_refused(kind: str) -> None:
    other = "CORS" if kind != "CORS" else "URLRewrite"
    said = said_of({**item(other), MEMBERS[kind]: BODIES[kind]})
    detail = f"must not be set when type is {other}; it belongs to type {kind}"
    assert said == [f"filters[0].{MEMBERS[kind]}: Forbidden: {detail}"]


@pytest.mark.parametrize("where", [RULE, BACKEND])
@pytest.mark.parametrize("kind", ["CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "URLRewrite"])
def test_some_types_cannot_be_repeated(kind: str, where: str) -> None:
    said = said_of(item(kind), item("RequestMirror"), item(kind), where=where)
    assert said == [f'filters: Invalid value: "{kind}": this filter cannot be repeated']


def test_nor_can_a_redirect() -> None:
    said = said_of(item("RequestRedirect"), item("RequestRedirect"))
    assert said == ['filters: Invalid value: "RequestRedirect": this filter cannot be repeated']


@pytest.mark.parametrize("kind", ["RequestMirror", "ExternalAuth", "ExtensionRef"])
def test_others_can(kind: str) -> None:
    assert said_of(item(kind), item(kind)) == []


def test_no_redirect_beside_a_rewrite() -> None:
    said = said_of(item("URLRewrite"), item("RequestRedirect"))
    assert said == [
        'filters: Invalid value: "URLRewrite": may not be used together with RequestRedirect in one list of filters'
    ]


CASES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    (
        "several operations",
        "RequestHeaderModifier",
        {"set": [{"name": "a", "value": "b"}], "add": [{"name": "a", "value": "c"}], "remove": ["a"]},
        [],
    ),
    (
        "set twice",
        "RequestHeaderModifier",
        {"set": [{"name": "a", "value": "b"}] * 2},
        ['set[1]: Duplicate value: "a"'],
    ),
    (
        "add twice",
        "ResponseHeaderModifier",
        {"add": [{"name": "a", "value": "b"}] * 2},
        ['add[1]: Duplicate value: "a"'],
    ),
    ("remove twice", "RequestHeaderModifier", {"remove": ["a", "b", "a"]}, ['remove[2]: Duplicate value: "a"']),
    (
        "17 headers",
        "RequestHeaderModifier",
        {"remove": [str(i) for i in range(17)]},
        ["remove: Too many: 17: must have at most 16 items"],
    ),
    (
        "an empty value",
        "RequestHeaderModifier",
        {"set": [{"name": "a", "value": ""}]},
        ['set[0].value: Invalid value: "": must be at least 1 characters long'],
    ),
    (
        "a line break",
        "ResponseHeaderModifier",
        {"set": [{"name": "a", "value": "b\nc"}]},
        ['set[0].value: Invalid value: "b\\nc": must not contain control characters'],
    ),
    ("a tab between words", "ResponseHeaderModifier", {"set": [{"name": "a", "value": "b\tc"}]}, []),
    (
        "a value beyond ASCII",
        "ResponseHeaderModifier",
        {"set": [{"name": "a", "value": "ä"}]},
        ['set[0].value: Invalid value: "ä": must be printable ASCII without blanks at the ends or two in a row'],
    ),
    (
        "a blank at the end",
        "ResponseHeaderModifier",
        {"set": [{"name": "a", "value": "b "}]},
        ['set[0].value: Invalid value: "b ": must be printable ASCII without blanks at the ends or two in a row'],
    ),
    ("a full path", "URLRewrite", {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/a"}}, []),
    ("an empty prefix", "URLRewrite", {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": ""}}, []),
    (
        "no full path",
        "URLRewrite",
        {"path": {"type": "ReplaceFullPath"}},
        ["path.replaceFullPath: Required value: must be specified when type is ReplaceFullPath"],
    ),
    (
        "no prefix",
        "RequestRedirect",
        {"path": {"type": "ReplacePrefixMatch"}},
        ["path.replacePrefixMatch: Required value: must be specified when type is ReplacePrefixMatch"],
    ),
    (
        "a prefix for a full path",
        "RequestRedirect",
        {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/a", "replacePrefixMatch": "/b"}},
        ['path.type: Invalid value: "ReplaceFullPath": must be ReplacePrefixMatch when replacePrefixMatch is set'],
    ),
    (
        "a full path for a prefix",
        "URLRewrite",
        {"path": {"type": "ReplacePrefixMatch", "replaceFullPath": "/a", "replacePrefixMatch": "/b"}},
        ['path.type: Invalid value: "ReplacePrefixMatch": must be ReplaceFullPath when replaceFullPath is set'],
    ),
    (
        "a wildcard host",
        "URLRewrite",
        {"hostname": "*.example.com"},
        ['hostname: Invalid value: "*.example.com": must be a lower-case host name without a wildcard'],
    ),
    (
        "a status that redirects",
        "RequestRedirect",
        {"statusCode": 308, "scheme": "https", "port": 8443, "hostname": "a"},
        [],
    ),
    (
        "a status that does not",
        "RequestRedirect",
        {"statusCode": 300},
        ["statusCode: Unsupported value: 300: supported values: 301, 302, 303, 307, 308"],
    ),
    (
        "a scheme in upper case",
        "RequestRedirect",
        {"scheme": "HTTPS"},
        ['scheme: Unsupported value: "HTTPS": supported values: "http", "https"; did you mean "https"?'],
    ),
    ("a mirror of a tenth", "RequestMirror", {"backendRef": SERVICE, "percent": 10}, []),
    (
        "a mirror of a fraction",
        "RequestMirror",
        {"backendRef": SERVICE, "fraction": {"numerator": 1, "denominator": 1}},
        [],
    ),
    (
        "both",
        "RequestMirror",
        {"backendRef": SERVICE, "percent": 10, "fraction": {"numerator": 1}},
        ["fraction: Forbidden: only one of percent and fraction may be specified"],
    ),
    (
        "more than all",
        "RequestMirror",
        {"backendRef": SERVICE, "percent": 101},
        ["percent: Invalid value: 101: must be between 0 and 100"],
    ),
    (
        "more than the whole",
        "RequestMirror",
        {"backendRef": SERVICE, "fraction": {"numerator": 101}},
        ["fraction.numerator: Invalid value: 101: must be at most the denominator, 100"],
    ),
    (
        "a mirror without a port",
        "RequestMirror",
        {"backendRef": {"name": "a"}},
        ["backendRef.port: Required value: a reference to a Service must have a port"],
    ),
    ("nothing to mirror to", "RequestMirror", {}, ["backendRef: Required value"]),
    (
        "any origin",
        "CORS",
        {"allowOrigins": ["*"], "allowMethods": ["*"], "allowHeaders": ["*"], "allowCredentials": True},
        [],
    ),
    (
        "origins of all forms",
        "CORS",
        {"allowOrigins": ["http://a", "https://*.a.com:8080", "https://*", "http://*:80"]},
        [],
    ),
    (
        "an origin with a path",
        "CORS",
        {"allowOrigins": ["https://a/b"]},
        [
            (
                'allowOrigins[0]: Invalid value: "https://a/b": '
                "must be '*' or an origin such as https://*.example.com:8443, without a path"
            )
        ],
    ),
    (
        "a star among origins",
        "CORS",
        {"allowOrigins": ["*", "https://a"]},
        ['allowOrigins: Invalid value: "*": cannot stand beside other values'],
    ),
    (
        "a star among methods",
        "CORS",
        {"allowMethods": ["GET", "*"]},
        ['allowMethods: Invalid value: "*": cannot stand beside other values'],
    ),
    (
        "a star among headers",
        "CORS",
        {"allowHeaders": ["a", "*"]},
        ['allowHeaders: Invalid value: "*": cannot stand beside other values'],
    ),
    (
        "sets",
        "CORS",
        {
            "allowOrigins": ["https://a"] * 2,
            "allowMethods": ["GET"] * 2,
            "allowHeaders": ["a"] * 2,
            "exposeHeaders": ["a"] * 2,
        },
        [
            f'{name}[1]: Duplicate value: "{value}"'
            for name, value in (
                ("allowOrigins", "https://a"),
                ("allowMethods", "GET"),
                ("allowHeaders", "a"),
                ("exposeHeaders", "a"),
            )
        ],
    ),
    ("no age", "CORS", {"maxAge": 0}, ["maxAge: Invalid value: 0: must be between 1 and 2147483647"]),
    (
        "by gRPC",
        "ExternalAuth",
        {
            "protocol": "GRPC",
            "backendRef": SERVICE,
            "grpc": {"allowedHeaders": ["a"]},
            "forwardBody": {"maxSize": 1024},
        },
        [],
    ),
    (
        "gRPC unsaid",
        "ExternalAuth",
        {"protocol": "GRPC", "backendRef": SERVICE},
        ["grpc: Required value: must be specified when protocol is GRPC"],
    ),
    (
        "HTTP unsaid",
        "ExternalAuth",
        {"protocol": "HTTP", "backendRef": SERVICE},
        ["http: Required value: must be specified when protocol is HTTP"],
    ),
    (
        "gRPC said of HTTP",
        "ExternalAuth",
        {"protocol": "HTTP", "backendRef": SERVICE, "http": {}, "grpc": {}},
        ['protocol: Invalid value: "HTTP": must be GRPC when grpc is set'],
    ),
    (
        "HTTP said of gRPC",
        "ExternalAuth",
        {"protocol": "GRPC", "backendRef": SERVICE, "http": {}, "grpc": {}},
        ['protocol: Invalid value: "GRPC": must be HTTP when http is set'],
    ),
    (
        "an authorizer without a port",
        "ExternalAuth",
        {"protocol": "HTTP", "backendRef": {"name": "a"}, "http": {}},
        ["backendRef.port: Required value: a reference to a Service must have a port"],
    ),
    (
        "sets of headers",
        "ExternalAuth",
        {
            "protocol": "HTTP",
            "backendRef": SERVICE,
            "http": {"allowedHeaders": ["a", "a"], "allowedResponseHeaders": ["b", "b"]},
        },
        ['http.allowedHeaders[1]: Duplicate value: "a"', 'http.allowedResponseHeaders[1]: Duplicate value: "b"'],
    ),
    (
        "a set of headers by gRPC",
        "ExternalAuth",
        {"protocol": "GRPC", "backendRef": SERVICE, "grpc": {"allowedHeaders": ["a", "a"]}},
        ['grpc.allowedHeaders[1]: Duplicate value: "a"'],
    ),
    (
        "a path with a blank",
        "ExternalAuth",
        {"protocol": "HTTP", "backendRef": SERVICE, "http": {"path": "/a b"}},
        ['http.path: Invalid value: "/a b": must be a path of valid characters'],
    ),
    ("an extension without a group", "ExtensionRef", {"kind": "A", "name": "a"}, ["group: Required value"]),
]


@pytest.mark.parametrize(("kind", "body", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bodies(kind: str, body: dict[str, Any], said: list[str]) -> None:
    assert said_of(item(kind, body)) == [f"filters[0].{MEMBERS[kind]}.{line}" for line in said]


def test_defaults() -> None:
    filters = [
        item("RequestRedirect", {}),
        item("CORS", {}),
        item("RequestMirror", {"backendRef": SERVICE, "fraction": {"numerator": 1}}),
    ]
    redirect, cors, mirror = admitted("HTTPRoute", {BACKEND: filters}).spec.rules[0].backend_refs[0].filters
    assert redirect.request_redirect.status_code == 302
    assert cors.cors.max_age == 5
    assert mirror.request_mirror.fraction.denominator == 100


def test_a_header_value_of_the_standard_channel_is_only_warned_about_in_a_cluster() -> None:
    change = {RULE: [item("ResponseHeaderModifier", {"set": [{"name": "a", "value": "b  c"}]})]}
    (said,) = complaints("HTTPRoute", change, CLUSTER)
    assert said.startswith("warning: spec.rules[0].filters[0].responseHeaderModifier.set[0].value: ")
    broken = {RULE: [item("ResponseHeaderModifier", {"set": [{"name": "a", "value": "b\r\nc"}]})]}
    (said,) = complaints("HTTPRoute", broken, CLUSTER)
    assert said.startswith("spec.rules")
