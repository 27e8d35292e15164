"""What backendRefs lead to: clusters, or the reason why a share of the requests is answered with 500. Pure.

A rule knows its clusters by name and the Service by its ports; endpoints are looked at for the cluster alone, so that
they can change without touching a rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Literal

import msgspec

from rauta_control import gatewayservice, ir
from rauta_control.backendtlspolicy import BackendTLSPolicy
from rauta_control.balance import EXPECTED, parse, table
from rauta_control.derive import Graph
from rauta_control.endpointslice import Endpoint, EndpointSlice
from rauta_control.finding import Finding, finding, strangers
from rauta_control.grants import refusal
from rauta_control.output import Output
from rauta_control.reference import BackendObjectReference
from rauta_control.service import Service, ServicePort
from rauta_control.supported import Ability
from rauta_control.terms import DOMAIN, resolved, strange, terms
from rauta_control.world import SLICES, TLS_POLICIES, Key, find, key_of, objects

Transport = Literal["http", "h2c", "websocket"]

#: By appProtocol (GEP-1911, and the names in common use), what is spoken to the backend.
TRANSPORTS: dict[str, Transport] = {
    "http": "http",
    "tcp": "http",
    "kubernetes.io/h2c": "h2c",
    "h2c": "h2c",
    "http2": "h2c",
    "grpc": "h2c",
    "kubernetes.io/ws": "websocket",
    "ws": "websocket",
}
#: The annotation of a Service that says how its requests are balanced (balance.py).
BALANCE = f"{DOMAIN}/balance"
_KNOWN = {BALANCE, gatewayservice.GATEWAY, gatewayservice.APPLIED}
_NEEDS = {"h2c": Ability.H2C, "websocket": Ability.WEBSOCKET}


class Backend(msgspec.Struct, frozen=True):
    """What a reference leads to: a Service and its port, or why not (a condition's reason, a finding's code)."""

    service: Key
    port: int = 0
    reason: str = ""
    message: str = ""
    code: int = 0

    @property
    def cluster(self) -> str:
        """The name of its cluster; empty if the reference is invalid."""
        return "" if self.reason else cluster_name(self.service, self.port)


def cluster_name(service: Key, port: int) -> str:
    """`namespace/name:port`."""
    return f"{service.path}:{port}"


def backend(q: Graph, source: Key, ref: BackendObjectReference) -> Backend:
    """Resolve a reference of the object `source`."""
    target = Key(ref.kind, ref.namespace or source.namespace, ref.name)
    if (ref.group, ref.kind) != ("", "Service"):
        kind = f"{ref.group}/{ref.kind}" if ref.group else ref.kind
        return Backend(target, reason="InvalidKind", message=f"{kind} is no kind of backend", code=23)
    if text := refusal(q, source, target):
        return Backend(target, reason="RefNotPermitted", message=text, code=22)
    return q.get(_service_port, target, ref.port or 0)


def _service_port(q: Graph, service: Key, number: int) -> Backend:
    found = find(q, Service, service)
    if found is None:
        return Backend(service, number, "BackendNotFound", f"{service} does not exist", 20)
    if found.spec.type == "ExternalName":
        text = f"{service} is of type ExternalName, which is not followed"
        return Backend(service, number, "UnsupportedValue", text, 24)
    port = port_of(found, number)
    if port is None:
        known = ", ".join(str(each.port) for each in found.spec.ports if each.protocol == "TCP") or "none"
        text = f"{service} has no TCP port {number}; it has {known}"
        return Backend(service, number, "BackendNotFound", text, 21)
    transport = transport_of(port)
    if transport is None:
        text = f"{service} speaks {port.app_protocol} on port {number}, which is not supported"
        return Backend(service, number, "UnsupportedProtocol", text, 25)
    for policy in objects(q, BackendTLSPolicy, TLS_POLICIES, service.namespace):
        if policy.covers(service.name, port.name):
            text = f"{key_of(policy)} asks for TLS to {service} on port {number}, which is not supported yet"
            return Backend(service, number, "UnsupportedProtocol", text, 61)
    need = _NEEDS.get(transport)
    if need is not None and need not in terms(q).abilities:
        text = f"{service} speaks {port.app_protocol} on port {number}, but {need.missing}"
        return Backend(service, number, "UnsupportedProtocol", text, 25)
    return Backend(service, number)


def tls_policy_output(q: Graph, key: Key) -> Output:
    """Targets of a policy that are nothing: whoever wrote it believes that requests to them go by TLS only."""
    found = find(q, BackendTLSPolicy, key)
    if found is None:
        return Output()
    return Output(findings=(*strangers(key, found.metadata.annotations), *_targets(q, found, key)))


def _targets(q: Graph, policy: BackendTLSPolicy, key: Key) -> Iterator[Finding]:
    for index, each in enumerate(policy.spec.target_refs):
        path = f"spec.targetRefs[{index}]"
        if (each.group, each.kind) != ("", "Service"):
            yield finding(3, key, path, f'{each.kind} in group "{each.group}" is no backend, only Service in group ""')
            continue
        service = find(q, Service, Key("Service", key.namespace, each.name))
        if service is None:
            yield finding(3, key, path, f"Service {key.namespace}/{each.name} does not exist")
        elif each.section_name is not None and each.section_name not in {port.name for port in service.spec.ports}:
            yield finding(3, key, f"{path}.sectionName", f"the Service has no port of the name {each.section_name}")


def port_of(service: Service, number: int) -> ServicePort | None:
    """The TCP port of that number."""
    return next((each for each in service.spec.ports if (each.port, each.protocol) == (number, "TCP")), None)


def transport_of(port: ServicePort) -> Transport | None:
    """What is spoken on a port; None if we cannot."""
    return TRANSPORTS.get(port.app_protocol.lower()) if port.app_protocol else "http"


def cluster_output(q: Graph, service: Key, number: int) -> Output:
    """The cluster of a Service's port, and what is wrong with its endpoints."""
    found = find(q, Service, service)
    port = port_of(found, number) if found is not None else None
    if found is None or port is None:
        return Output()
    slices = objects(q, EndpointSlice, SLICES, service.namespace, service.name)
    families: set[str] = {each.address_type for each in slices if each.address_type != "FQDN" and each.endpoints}
    family = _family(found, families)
    chosen = [each for each in slices if each.address_type in (family, "FQDN")]
    listed = [pair for each in chosen for pair in _of_slice(each, port)]
    ready = [pair for pair in listed if _ready(pair[0])]
    # Better a pod that is on its way out than no answer: it said that it still serves (KEP-1672).
    usable = ready or [pair for pair in listed if _lingering(pair[0])]
    endpoints = _endpoints(q, usable)
    unknown = sorted({each.addresses[0] for each, _ in usable if not _addresses(q, each.addresses[0])})
    name = cluster_name(service, number)
    balance, unread = _balance(q, found)
    cluster = ir.Cluster(name, endpoints, table(endpoints), transport_of(port) or "http", balance)
    findings = [*_findings(service, port, chosen, endpoints, len(listed), families, unknown)]
    if unread:
        findings.append(finding(60, service, f"metadata.annotations[{BALANCE}]", unread))
    for name in sorted(strange(found.metadata.annotations, _KNOWN)):
        text = f"a Service may have {BALANCE}, not {name}"
        findings.append(finding(39, service, f"metadata.annotations[{name}]", text))
    return Output((cluster,), findings=tuple(findings))


def _balance(q: Graph, service: Service) -> tuple[ir.Balance, str]:
    """The policy of a Service, and what is wrong with the one it asks for."""
    asked = service.metadata.annotations.get(BALANCE)
    if asked is None:
        return terms(q).balance, ""
    try:
        return parse(asked.strip()), ""
    except ValueError:
        return terms(q).balance, f"{asked!r} is none of {EXPECTED}"


def _family(service: Service, families: set[str]) -> str:
    """One family, for double slices are the same pods twice: the Service's first that has any, else IPv4."""
    preferred = (*service.spec.ip_families, "IPv4", "IPv6")
    return next((each for each in preferred if each in families), "IPv4")


def _of_slice(each: EndpointSlice, port: ServicePort) -> Iterator[tuple[Endpoint, int]]:
    """Endpoints with the number of the port that the slice has under the name of the Service's port."""
    for candidate in each.ports:
        if (candidate.name, candidate.protocol) == (port.name, "TCP") and candidate.port is not None:
            yield from ((endpoint, candidate.port) for endpoint in each.endpoints)


def _ready(endpoint: Endpoint) -> bool:
    return endpoint.conditions.ready is not False


def _lingering(endpoint: Endpoint) -> bool:
    return bool(endpoint.conditions.serving) and bool(endpoint.conditions.terminating)


def _endpoints(q: Graph, pairs: Sequence[tuple[Endpoint, int]]) -> tuple[ir.Endpoint, ...]:
    """In the order of their names, so that an order in which slices come changes nothing."""
    found: dict[str, ir.Endpoint] = {}
    for endpoint, port in pairs:
        for address in _addresses(q, endpoint.addresses[0]):
            made = ir.Endpoint(address, port)
            found[made.name] = made
    return tuple(found[name] for name in sorted(found))


def _addresses(q: Graph, address: str) -> tuple[str, ...]:
    try:
        return (str(ip_address(address)),)
    except ValueError:
        return resolved(q, address.lower().removesuffix("."))


def host_names(each: EndpointSlice) -> tuple[str, ...]:
    """The host names of a slice whose addresses are to be looked up."""
    if each.address_type != "FQDN":
        return ()
    return tuple(endpoint.addresses[0].lower().removesuffix(".") for endpoint in each.endpoints)


def _findings(
    service: Key,
    port: ServicePort,
    chosen: Sequence[EndpointSlice],
    endpoints: Sequence[ir.Endpoint],
    listed: int,
    families: set[str],
    unknown: Sequence[str],
) -> Iterator[Finding]:
    if len(families) > 1:
        yield finding(29, service, "", f"endpoints of {' and '.join(sorted(families))}: those of one family are used")
    if endpoints:
        return
    populated = [each for each in chosen if each.endpoints]
    if populated and not listed:
        names = sorted({each.name or "(unnamed)" for slice_ in populated for each in slice_.ports}) or ["none"]
        name = port.name or "(unnamed)"
        text = f"port {port.port} is named {name}, but the EndpointSlices have {', '.join(names)}"
        yield finding(27, service, "spec.ports", text)
    else:
        text = f"{listed} endpoints, none of them ready" if listed else "there are no endpoints"
        if unknown:
            text = f"no address of {', '.join(unknown)} is known; a gateway that runs looks names up"
        yield finding(26, service, "", f"port {port.port}: {text}")
