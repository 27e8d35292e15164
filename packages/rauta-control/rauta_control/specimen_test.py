"""A sound document of each kind, and ways to spoil one: what tests of admission and translation start from.

Pure. Paths are those of problems: `specimen("HTTPRoute", {"spec.rules[0].name": "a"})` is a route with that name.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rauta_control.admission import FILES, Admitted, Policy, admit
from rauta_control.apiresource import GATEWAY_V1, Resource

ABSENT: Final = object()  # as a value: the field is taken out

_SELF_SIGNED = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="

DOCUMENTS: dict[str, dict[str, Any]] = {
    "GatewayClass": {
        "apiVersion": GATEWAY_V1,
        "kind": "GatewayClass",
        "metadata": {"name": "rauta"},
        "spec": {"controllerName": "rauta.dev/gateway-controller"},
    },
    "Gateway": {
        "apiVersion": GATEWAY_V1,
        "kind": "Gateway",
        "metadata": {"name": "gw"},
        "spec": {
            "gatewayClassName": "rauta",
            "listeners": [
                {"name": "http", "port": 80, "protocol": "HTTP"},
                {
                    "name": "https",
                    "port": 443,
                    "protocol": "HTTPS",
                    "hostname": "*.example.com",
                    "tls": {"certificateRefs": [{"name": "certificate"}]},
                },
            ],
        },
    },
    "HTTPRoute": {
        "apiVersion": GATEWAY_V1,
        "kind": "HTTPRoute",
        "metadata": {"name": "shop"},
        "spec": {
            "parentRefs": [{"name": "gw"}],
            "hostnames": ["shop.example.com"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/cart"}}],
                    "backendRefs": [{"name": "cart", "port": 80}],
                }
            ],
        },
    },
    "ListenerSet": {
        "apiVersion": GATEWAY_V1,
        "kind": "ListenerSet",
        "metadata": {"name": "more"},
        "spec": {
            "parentRef": {"name": "gw"},
            "listeners": [
                {"name": "http", "port": 8080, "protocol": "HTTP"},
                {"name": "other", "port": 8081, "protocol": "HTTP"},
            ],
        },
    },
    "BackendTLSPolicy": {
        "apiVersion": GATEWAY_V1,
        "kind": "BackendTLSPolicy",
        "metadata": {"name": "cart"},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "cart", "sectionName": "https"}],
            "validation": {"hostname": "cart.example.com", "wellKnownCACertificates": "System"},
        },
    },
    "ReferenceGrant": {
        "apiVersion": GATEWAY_V1,
        "kind": "ReferenceGrant",
        "metadata": {"name": "routes-to-services"},
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "shop"}],
            "to": [{"group": "", "kind": "Service"}],
        },
    },
    "Service": {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "cart"},
        "spec": {"selector": {"app": "cart"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    },
    "EndpointSlice": {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "cart-1", "labels": {"kubernetes.io/service-name": "cart"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 8080}],
    },
    "Secret": {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "certificate"},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": _SELF_SIGNED, "tls.key": _SELF_SIGNED},
    },
    "ConfigMap": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "authorities"},
        "data": {"ca.crt": "-----BEGIN CERTIFICATE-----"},
    },
    "Namespace": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
}

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def specimen(kind: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A sound document with `changes`; missing objects on the way are made, an index at the end of a list appends."""
    document = copy.deepcopy(DOCUMENTS[kind])
    for path, value in (changes or {}).items():
        steps = [int(index) if index else name for name, index in _STEP.findall(path)]
        _put(document, steps, copy.deepcopy(value) if value is not ABSENT else ABSENT)
    return document


def complaints(kind: str, changes: Mapping[str, Any] | None = None, policy: Policy = FILES) -> list[str]:
    """What admission says of that document, line by line; nothing if it is sound. Warnings are marked as such."""
    verdict = admit(specimen(kind, changes), policy)
    problems = verdict.warnings if isinstance(verdict, Admitted) else verdict.problems
    return [f"{'warning: ' if problem.level == 'warning' else ''}{problem}" for problem in problems]


def admitted(kind: str, changes: Mapping[str, Any] | None = None, policy: Policy = FILES) -> Any:
    """The object made of that document, which must be sound."""
    verdict = admit(specimen(kind, changes), policy)
    if isinstance(verdict, Admitted):
        return verdict.resource
    raise ValueError("; ".join(map(str, verdict.problems)))


def dump(resource: Resource) -> dict[str, Any]:
    """The object as a document, defaults written out; what is empty where the default is empty is left out."""
    return {"apiVersion": resource.api_version, "kind": resource.kind, **_fields(resource)}


def _put(holder: Any, steps: list[int | str], value: Any) -> None:
    step, *rest = steps
    if isinstance(holder, list) and step == len(holder):
        holder.append({})
    if rest:
        if isinstance(holder, dict):
            holder.setdefault(step, [] if isinstance(rest[0], int) else {})
        _put(holder[step], rest, value)
    elif value is ABSENT:
        del holder[step]
    else:
        holder[step] = value


def _fields(part: msgspec.Struct) -> dict[str, Any]:
    found = {}
    for item in msgspec.structs.fields(part):
        value = getattr(part, item.name)
        if value or (item.default_factory is msgspec.NODEFAULT and value != item.default):
            found[item.encode_name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _fields(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return msgspec.to_builtins(value)
