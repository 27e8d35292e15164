"""Listeners of Gateways and ListenerSets: every rule once kept and once broken."""

from __future__ import annotations

from typing import Any

import pytest

from rauta_control.specimen_test import ABSENT, complaints

FIRST = "spec.listeners[0]"
CA = {"group": "", "kind": "ConfigMap", "name": "ca"}
VALID = {"validation": {"caCertificateRefs": [CA]}}
KEY_FORM = "a key is an optional DNS prefix and '/', then a name of up to 63 characters"


LISTENERS: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "TLS that passes through",
        {FIRST: {"name": "a", "port": 1, "protocol": "TLS", "tls": {"mode": "Passthrough"}}},
        [],
    ),
    (
        "options instead of certificates",
        {FIRST: {"name": "a", "port": 1, "protocol": "HTTPS", "tls": {"options": {"a": "b"}}}},
        [],
    ),
    ("TLS left to somebody else", {FIRST: {"name": "a", "port": 1, "protocol": "HTTPS"}}, []),
    ("a protocol of one's own", {f"{FIRST}.protocol": "example.com/foo"}, []),
    ("TCP", {f"{FIRST}.protocol": "TCP"}, []),
    (
        "one port for two hosts",
        {f"{FIRST}.hostname": "a", "spec.listeners[2]": {"name": "c", "port": 80, "protocol": "HTTP"}},
        [],
    ),
    (
        "a kind of route that is none",
        {f"{FIRST}.allowedRoutes": {"kinds": [{"kind": "InvalidRoute"}], "namespaces": {"from": "All"}}},
        [],
    ),
    (
        "a selector",
        {
            f"{FIRST}.allowedRoutes.namespaces": {
                "from": "Selector",
                "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
            }
        },
        [],
    ),
    (
        "TLS with HTTP",
        {f"{FIRST}.tls": {"mode": "Passthrough"}},
        [f"{FIRST}.tls: Forbidden: must not be specified for protocol HTTP"],
    ),
    (
        "TLS with UDP, and a host",
        {f"{FIRST}.protocol": "UDP", f"{FIRST}.tls": {"mode": "Passthrough"}, f"{FIRST}.hostname": "a"},
        [
            f"{FIRST}.tls: Forbidden: must not be specified for protocol UDP",
            f"{FIRST}.hostname: Forbidden: must not be specified for protocol UDP",
        ],
    ),
    (
        "a host with TCP",
        {f"{FIRST}.protocol": "TCP", f"{FIRST}.hostname": "a"},
        [f"{FIRST}.hostname: Forbidden: must not be specified for protocol TCP"],
    ),
    (
        "HTTPS that passes through",
        {f"{FIRST}.protocol": "HTTPS", f"{FIRST}.tls": {"mode": "Passthrough"}},
        [f'{FIRST}.tls.mode: Invalid value: "Passthrough": must be Terminate for protocol HTTPS'],
    ),
    (
        "TLS without a mode",
        {f"{FIRST}.protocol": "TLS"},
        [f"{FIRST}.tls: Required value: tls.mode must be set for protocol TLS"],
    ),
    (
        "termination without a certificate",
        {f"{FIRST}.protocol": "TLS", f"{FIRST}.tls": {}},
        [
            f"{FIRST}.tls.certificateRefs: Required value: "
            "certificateRefs or options must be specified when mode is Terminate"
        ],
    ),
    (
        "a name twice",
        {"spec.listeners[1].name": "http"},
        ['spec.listeners[1]: Duplicate value: "http"'],
    ),
    (
        "a port, protocol and host twice",
        {"spec.listeners[2]": {"name": "c", "port": 80, "protocol": "HTTP"}, f"{FIRST}.port": 80},
        [
            'spec.listeners[2]: Invalid value: "c": the combination of port, protocol and hostname must be unique; '
            'listener "http" has it too'
        ],
    ),
    ("no listeners", {"spec.listeners": []}, ["spec.listeners: Invalid value: 0: must have at least 1 items"]),
    (
        "65 listeners",
        {"spec.listeners": [{"name": f"l{i}", "port": i + 1, "protocol": "HTTP"} for i in range(65)]},
        ["spec.listeners: Too many: 65: must have at most 64 items"],
    ),
    ("port 0", {f"{FIRST}.port": 0}, [f"{FIRST}.port: Invalid value: 0: must be between 1 and 65535"]),
    ("no port", {f"{FIRST}.port": ABSENT}, [f"{FIRST}.port: Required value"]),
    (
        "a protocol with a blank",
        {f"{FIRST}.protocol": "HT TP"},
        [
            f'{FIRST}.protocol: Invalid value: "HT TP": must be a protocol such as HTTP, '
            "or a domain-prefixed one such as example.com/bar"
        ],
    ),
    (
        "a name in upper case",
        {f"{FIRST}.name": "Http"},
        [
            f'{FIRST}.name: Invalid value: "Http": must be a name: '
            "lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
        ],
    ),
    (
        "namespaces from nowhere",
        {f"{FIRST}.allowedRoutes.namespaces.from": "same"},
        [
            f'{FIRST}.allowedRoutes.namespaces.from: Unsupported value: "same": '
            'supported values: "All", "Same", "Selector"; did you mean "Same"?'
        ],
    ),
    (
        "an expression without an operator",
        {f"{FIRST}.allowedRoutes.namespaces.selector": {"matchExpressions": [{"key": "a"}]}},
        [f"{FIRST}.allowedRoutes.namespaces.selector.matchExpressions[0].operator: Required value"],
    ),
    (
        "nine kinds",
        {f"{FIRST}.allowedRoutes.kinds": [{"kind": "A"}] * 9},
        [f"{FIRST}.allowedRoutes.kinds: Too many: 9: must have at most 8 items"],
    ),
    (
        "a namespace that is none",
        {
            "spec.listeners[1].protocol": "HTTPS",
            "spec.listeners[1].tls": {"certificateRefs": [{"name": "a", "namespace": "A"}]},
        },
        [
            'spec.listeners[1].tls.certificateRefs[0].namespace: Invalid value: "A": must be a namespace: '
            "lower-case letters, digits and '-', with a letter or digit at both ends"
        ],
    ),
    (
        "rules are applied to what is sound beside what is not",
        {f"{FIRST}.port": 0, "spec.listeners[1].tls.certificateRefs": []},
        [
            f"{FIRST}.port: Invalid value: 0: must be between 1 and 65535",
            "spec.listeners[1].tls.certificateRefs: Required value: "
            "certificateRefs or options must be specified when mode is Terminate",
        ],
    ),
]


@pytest.mark.parametrize("kind", ["Gateway", "ListenerSet"])
@pytest.mark.parametrize(("changes", "said"), [case[1:] for case in LISTENERS], ids=[case[0] for case in LISTENERS])
def test_listeners(kind: str, changes: dict[str, Any], said: list[str]) -> None:
    base = {"spec.listeners[1].tls.certificateRefs": [{"name": "a"}], "spec.listeners[1].protocol": "HTTPS"}
    assert complaints(kind, {f"{FIRST}.port": 80, **base, **changes}) == said
