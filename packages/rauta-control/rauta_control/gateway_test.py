"""Gateway: defaults, and every rule once kept and once broken; those of listeners are in gatewaylisteners_test.py."""

from __future__ import annotations

from typing import Any

import pytest

from rauta_control.admission import CLUSTER
from rauta_control.gateway import is_ip
from rauta_control.specimen_test import ABSENT, admitted, complaints

FIRST = "spec.listeners[0]"
CA = {"group": "", "kind": "ConfigMap", "name": "ca"}
VALID = {"validation": {"caCertificateRefs": [CA]}}
KEY_FORM = "a key is an optional DNS prefix and '/', then a name of up to 63 characters"


def test_defaults() -> None:
    gateway = admitted("Gateway", {"spec.addresses": [{}], "spec.allowedListeners": {}})
    plain, secure = gateway.spec.listeners
    assert (plain.hostname, plain.tls, plain.allowed_routes.namespaces.from_) == (None, None, "Same")
    assert secure.tls.mode == "Terminate"
    assert (secure.tls.certificate_refs[0].group, secure.tls.certificate_refs[0].kind) == ("", "Secret")
    assert (gateway.spec.addresses[0].type, gateway.spec.addresses[0].value) == ("IPAddress", None)
    assert gateway.spec.allowed_listeners.namespaces.from_ == "None"
    assert admitted("Gateway").spec.allowed_listeners is None


def test_a_gateway_nobody_has_seen_is_pending() -> None:
    status = admitted("Gateway").status
    assert [(c.type, c.status, c.reason) for c in status.conditions] == [
        ("Accepted", "Unknown", "Pending"),
        ("Programmed", "Unknown", "Pending"),
    ]
    assert admitted("Gateway", {"status": {"addresses": [{"value": "10.0.0.1"}]}}, CLUSTER).status.addresses
    assert not admitted("Gateway", {"status": {"addresses": [{"value": "10.0.0.1"}]}}).status.addresses


def test_modes_of_client_validation_have_a_default() -> None:
    gateway = admitted("Gateway", {"spec.tls": {"frontend": {"default": VALID}}})
    assert gateway.spec.tls.frontend.default.validation.mode == "AllowValidOnly"


GATEWAYS: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "addresses of all types",
        {
            "spec.addresses": [
                {"value": "10.0.0.1"},
                {"value": "fd00::1"},
                {"type": "Hostname", "value": "*.a"},
                {"type": "NamedAddress", "value": "A b"},
                {"type": "a.io/b"},
            ]
        },
        [],
    ),
    ("two without a value", {"spec.addresses": [{}, {}]}, []),
    (
        "one value, two types",
        {
            "spec.addresses": [
                {"type": "Hostname", "value": "a"},
                {"type": "NamedAddress", "value": "a"},
                {"type": "NamedAddress", "value": "a"},
            ]
        },
        [],
    ),
    (
        "an IP twice",
        {"spec.addresses": [{"value": "10.0.0.1"}, {}, {"value": "10.0.0.1"}]},
        ['spec.addresses[2].value: Duplicate value: "10.0.0.1"'],
    ),
    (
        "a host twice",
        {"spec.addresses": [{"type": "Hostname", "value": "a"}] * 2},
        ['spec.addresses[1].value: Duplicate value: "a"'],
    ),
    (
        "an IP that is none",
        {"spec.addresses": [{"value": "10.0.0"}]},
        ['spec.addresses[0].value: Invalid value: "10.0.0": must be an IPv4 or IPv6 address when type is IPAddress'],
    ),
    (
        "an empty IP",
        {"spec.addresses": [{"value": ""}]},
        ['spec.addresses[0].value: Invalid value: "": must be an IPv4 or IPv6 address when type is IPAddress'],
    ),
    (
        "a host that is none",
        {"spec.addresses": [{"type": "Hostname", "value": "A"}]},
        ['spec.addresses[0].value: Invalid value: "A": must be a lower-case host name when type is Hostname'],
    ),
    (
        "a type that is none",
        {"spec.addresses": [{"type": "ip"}]},
        [
            (
                'spec.addresses[0].type: Invalid value: "ip": '
                "must be IPAddress, Hostname, NamedAddress or a domain-prefixed type"
            )
        ],
    ),
    (
        "a type the CRD's pattern lets pass, for it is anchored at one end only",
        {"spec.addresses": [{"type": "MyIPAddress2"}]},
        [],
    ),
    ("17 addresses", {"spec.addresses": [{}] * 17}, ["spec.addresses: Too many: 17: must have at most 16 items"]),
    (
        "infrastructure",
        {
            "spec.infrastructure": {
                "labels": {"a.io/b": "c"},
                "annotations": {"A": "any text at all"},
                "parametersRef": {"group": "a.io", "kind": "A", "name": "a"},
            }
        },
        [],
    ),
    (
        "a label key",
        {"spec.infrastructure": {"labels": {"a/b/c": "d"}}},
        [f'spec.infrastructure.labels[a/b/c]: Invalid value: "a/b/c": {KEY_FORM}'],
    ),
    (
        "an annotation key",
        {"spec.infrastructure": {"annotations": {"-a": "b"}}},
        [f'spec.infrastructure.annotations[-a]: Invalid value: "-a": {KEY_FORM}'],
    ),
    (
        "a key of 64 characters",
        {"spec.infrastructure": {"labels": {"a" * 64: "b"}}},
        [f'spec.infrastructure.labels[{"a" * 64}]: Invalid value: "{"a" * 64}": {KEY_FORM}'],
    ),
    (
        "a label value",
        {"spec.infrastructure": {"labels": {"a": "b c"}}},
        [
            (
                'spec.infrastructure.labels[a]: Invalid value: "b c": must be a label value: '
                "letters, digits, '-', '_' and '.', or empty"
            )
        ],
    ),
    (
        "nine labels",
        {"spec.infrastructure": {"labels": {f"a{i}": "" for i in range(9)}}},
        ["spec.infrastructure.labels: Too many: 9: must have at most 8 properties"],
    ),
    (
        "parameters without a kind",
        {"spec.infrastructure": {"parametersRef": {"group": "", "name": "a"}}},
        ["spec.infrastructure.parametersRef.kind: Required value"],
    ),
    ("listeners from Same", {"spec.allowedListeners": {"namespaces": {"from": "Same"}}}, []),
    (
        "listeners from nowhere",
        {"spec.allowedListeners": {"namespaces": {"from": "Any"}}},
        [
            (
                'spec.allowedListeners.namespaces.from: Unsupported value: "Any": supported values: '
                '"All", "None", "Same", "Selector"'
            )
        ],
    ),
    (
        "client certificates, by port",
        {"spec.tls": {"frontend": {"default": {}, "perPort": [{"port": 443, "tls": VALID}, {"port": 444, "tls": {}}]}}},
        [],
    ),
    (
        "a port twice",
        {"spec.tls": {"frontend": {"default": {}, "perPort": [{"port": 443, "tls": {}}] * 2}}},
        ['spec.tls.frontend.perPort[1]: Duplicate value: "443"'],
    ),
    ("no default", {"spec.tls": {"frontend": {"perPort": []}}}, ["spec.tls.frontend.default: Required value"]),
    (
        "no authorities",
        {"spec.tls": {"frontend": {"default": {"validation": {"caCertificateRefs": []}}}}},
        ["spec.tls.frontend.default.validation.caCertificateRefs: Invalid value: 0: must have at least 1 items"],
    ),
    (
        "an authority without a kind",
        {"spec.tls": {"frontend": {"default": {"validation": {"caCertificateRefs": [{"group": "", "name": "a"}]}}}}},
        ["spec.tls.frontend.default.validation.caCertificateRefs[0].kind: Required value"],
    ),
    ("a client certificate", {"spec.tls": {"backend": {"clientCertificateRef": {"name": "a", "namespace": "b"}}}}, []),
    ("a scope", {"spec.defaultScope": "All"}, []),
    ("no class", {"spec.gatewayClassName": ABSENT}, ["spec.gatewayClassName: Required value"]),
    (
        "an empty class",
        {"spec.gatewayClassName": ""},
        ['spec.gatewayClassName: Invalid value: "": must be at least 1 characters long'],
    ),
    (
        "a misspelt field",
        {"spec.listeners[0].hostName": "a"},
        [
            (
                "warning: spec.listeners[0].hostName: "
                'unknown field "spec.listeners[0].hostName", ignored; did you mean "hostname"?'
            )
        ],
    ),
]


@pytest.mark.parametrize(("changes", "said"), [case[1:] for case in GATEWAYS], ids=[case[0] for case in GATEWAYS])
def test_gateways(changes: dict[str, Any], said: list[str]) -> None:
    assert complaints("Gateway", changes) == said


def test_a_prefix_of_253_characters_is_one_too_many_here() -> None:
    prefix = ".".join(["a" * 62] * 4)
    assert complaints("Gateway", {"spec.infrastructure": {"labels": {f"{prefix}/b": ""}}}) == []
    (said,) = complaints("Gateway", {"spec.infrastructure": {"labels": {f"{prefix}aa/b": ""}}})
    assert said.endswith("a key's prefix must be shorter than 253 characters")


STATUS: list[tuple[dict[str, Any], str]] = [
    (
        {"addresses": [{"value": "10"}]},
        'status.addresses[0].value: Invalid value: "10": must be an IPv4 or IPv6 address',
    ),
    ({"addresses": [{"type": "Hostname", "value": "A"}]}, 'status.addresses[0].value: Invalid value: "A": must be a'),
    ({"listeners": [{"name": "a", "attachedRoutes": 0, "conditions": []}] * 2}, "status.listeners[1]: Duplicate value"),
    ({"listeners": [{"name": "a", "conditions": []}]}, "status.listeners[0].attachedRoutes: Required value"),
    ({"conditions": [{"type": "A"}]}, "status.conditions[0].status: Required value"),
]


@pytest.mark.parametrize(("status", "begins"), STATUS)
def test_statuses(status: dict[str, Any], begins: str) -> None:
    assert any(line.startswith(begins) for line in complaints("Gateway", {"status": status}, CLUSTER))


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ("10.0.0.1", True),
        ("::", True),
        ("::ffff:1.2.3.4", True),
        ("010.0.0.1", False),
        ("fe80::1%eth0", False),
        ("1", False),
    ],
)
def test_addresses_are_read_as_go_reads_them(value: str, *, is_one: bool) -> None:
    assert is_ip(value) is is_one
