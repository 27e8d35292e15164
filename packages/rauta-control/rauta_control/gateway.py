"""Gateway: where traffic comes in. Its structs, and what its CRD's validation asks beyond types. Pure.

Listener and what hangs on it are shared with ListenerSet; the rules cite the CRD of Gateway API v1.6.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from rauta_control.apiresource import (
    MAX_KEY,
    Conditions,
    Part,
    Resource,
    Rules,
    conditions_unique,
    pending,
)
from rauta_control.problem import Problem, duplicate, entry, forbidden, invalid, repeated, required
from rauta_control.reference import CACertificateRefs, LocalObjectReference, RouteGroupKind, SecretObjectReference
from rauta_control.scalars import (
    SUBDOMAIN,
    AddressType,
    AnnotationValue,
    Hostname,
    Int32,
    LabelValue,
    ObjectName,
    Port,
    Protocol,
    SectionName,
)

PLAIN = ("HTTP", "TCP", "UDP")  # protocols that carry no TLS
NAMELESS = ("TCP", "UDP")  # protocols that carry no host name

_HOSTNAME = re.compile(rf"(?:\*\.)?{SUBDOMAIN}")
_KEY = re.compile(rf"(?:{SUBDOMAIN}/)?(?:[A-Za-z0-9][-A-Za-z0-9_.]{{0,61}})?[A-Za-z0-9]")


class LabelSelectorRequirement(Part, frozen=True, kw_only=True):
    """One expression. The CRD does not restrict the operator; who evaluates it must."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Part, frozen=True, kw_only=True):
    """All of the labels and all of the expressions; empty selects everything."""

    match_labels: dict[str, str] = field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class RouteNamespaces(Part, frozen=True, kw_only=True):
    """The namespaces whose routes may attach."""

    from_: Literal["All", "Selector", "Same"] = field(name="from", default="Same")
    selector: LabelSelector | None = None


class AllowedRoutes(Part, frozen=True, kw_only=True):
    """Which routes may attach; no kinds means those the protocol implies."""

    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: Annotated[tuple[RouteGroupKind, ...], Meta(max_length=8)] = ()


class ListenerTLS(Part, frozen=True, kw_only=True):
    """How a listener answers a ClientHello."""

    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: Annotated[tuple[SecretObjectReference, ...], Meta(max_length=64)] = ()
    options: Annotated[dict[str, AnnotationValue], Meta(max_length=16)] = field(default_factory=dict)


class Listener(Part, frozen=True, kw_only=True):
    """A port, a protocol and the host names served there."""

    name: SectionName
    port: Port
    protocol: Protocol
    hostname: Hostname | None = None
    tls: ListenerTLS | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()


Listeners = Annotated[tuple[Listener, ...], Meta(min_length=1, max_length=64)]


class GatewayAddress(Part, frozen=True, kw_only=True):
    """An address asked for; without a value, any of that type."""

    type: AddressType = "IPAddress"
    value: Annotated[str, Meta(max_length=253)] | None = None


class GatewayInfrastructure(Part, frozen=True, kw_only=True):
    """What the objects made for a Gateway carry."""

    labels: Annotated[dict[str, LabelValue], Meta(max_length=8)] = field(default_factory=dict)
    annotations: Annotated[dict[str, AnnotationValue], Meta(max_length=16)] = field(default_factory=dict)
    parameters_ref: LocalObjectReference | None = None


class ListenerNamespaces(Part, frozen=True, kw_only=True):
    """The namespaces whose ListenerSets may attach."""

    from_: Literal["All", "Selector", "Same", "None"] = field(name="from", default="None")
    selector: LabelSelector | None = None


class AllowedListeners(Part, frozen=True, kw_only=True):
    """Which ListenerSets may attach."""

    namespaces: ListenerNamespaces = ListenerNamespaces()


class FrontendValidation(Part, frozen=True, kw_only=True):
    """How client certificates are checked."""

    ca_certificate_refs: CACertificateRefs
    mode: Literal["AllowValidOnly", "AllowInsecureFallback"] = "AllowValidOnly"


class FrontendTLSConfig(Part, frozen=True, kw_only=True):
    """TLS towards clients."""

    validation: FrontendValidation | None = None


class PortTLSConfig(Part, frozen=True, kw_only=True):
    """TLS towards clients on one port."""

    port: Port
    tls: FrontendTLSConfig


class GatewayFrontendTLS(Part, frozen=True, kw_only=True):
    """TLS towards clients, by port where it differs."""

    default: FrontendTLSConfig
    per_port: Annotated[tuple[PortTLSConfig, ...], Meta(max_length=64)] = ()


class GatewayBackendTLS(Part, frozen=True, kw_only=True):
    """TLS towards backends."""

    client_certificate_ref: SecretObjectReference | None = None


class GatewayTLS(Part, frozen=True, kw_only=True):
    """TLS of the Gateway as a whole."""

    backend: GatewayBackendTLS | None = None
    frontend: GatewayFrontendTLS | None = None


class GatewaySpec(Part, frozen=True, kw_only=True):
    """`default_scope` is in the experimental channel only."""

    gateway_class_name: ObjectName
    listeners: Listeners
    addresses: Annotated[tuple[GatewayAddress, ...], Meta(max_length=16)] = ()
    infrastructure: GatewayInfrastructure | None = None
    allowed_listeners: AllowedListeners | None = None
    tls: GatewayTLS | None = None
    default_scope: Literal["All", "None"] | None = None


class GatewayStatusAddress(Part, frozen=True, kw_only=True):
    """An address in use."""

    type: AddressType = "IPAddress"
    value: Annotated[str, Meta(min_length=1, max_length=253)]


class ListenerStatus(Part, frozen=True, kw_only=True):
    """What the controller says of one listener."""

    name: SectionName
    attached_routes: Int32
    conditions: Conditions
    supported_kinds: Annotated[tuple[RouteGroupKind, ...], Meta(max_length=8)] = ()


class GatewayStatus(Part, frozen=True, kw_only=True):
    """What the controller says of the Gateway."""

    addresses: Annotated[tuple[GatewayStatusAddress, ...], Meta(max_length=16)] = ()
    conditions: Conditions = pending("Accepted", "Programmed")
    listeners: Annotated[tuple[ListenerStatus, ...], Meta(max_length=64)] = ()
    attached_listener_sets: Int32 = 0


class Gateway(Resource, frozen=True, kw_only=True, tag=True):
    """Namespaced."""

    spec: GatewaySpec
    status: GatewayStatus = GatewayStatus()


# -- rules of a listener


def tls_forbidden(listener: Listener) -> Iterable[Problem]:
    """listeners: no tls with HTTP, TCP or UDP."""
    if listener.tls is not None and listener.protocol in PLAIN:
        yield forbidden("tls", f"must not be specified for protocol {listener.protocol}")


def https_terminates(listener: Listener) -> Iterable[Problem]:
    """listeners: with HTTPS the tls mode is Terminate."""
    if listener.protocol == "HTTPS" and listener.tls is not None and listener.tls.mode != "Terminate":
        yield invalid("tls.mode", listener.tls.mode, "must be Terminate for protocol HTTPS")


def tls_mode_set(listener: Listener) -> Iterable[Problem]:
    """listeners: with TLS there is a tls mode, that is: there is tls, for mode has a default."""
    if listener.protocol == "TLS" and listener.tls is None:
        yield required("tls", "tls.mode must be set for protocol TLS")


def hostname_forbidden(listener: Listener) -> Iterable[Problem]:
    """listeners: no hostname with TCP or UDP."""
    if listener.hostname is not None and listener.protocol in NAMELESS:
        yield forbidden("hostname", f"must not be specified for protocol {listener.protocol}")


def terminate_has_certificates(tls: ListenerTLS) -> Iterable[Problem]:
    """tls: with mode Terminate there are certificateRefs or options."""
    if tls.mode == "Terminate" and not tls.certificate_refs and not tls.options:
        yield required("certificateRefs", "certificateRefs or options must be specified when mode is Terminate")


def listeners_distinct(listeners: Sequence[Listener]) -> Iterable[Problem]:
    """listeners: unique names (also the list-map key), and unique combinations of port, protocol and hostname."""
    yield from repeated("listeners", listeners, "name")
    first: dict[tuple[int, str, str | None], str] = {}
    for index, listener in enumerate(listeners):
        key = (listener.port, listener.protocol, listener.hostname)
        if key in first:
            detail = (
                f'the combination of port, protocol and hostname must be unique; listener "{first[key]}" has it too'
            )
            yield invalid(f"listeners[{index}]", listener.name, detail)
        else:
            first[key] = listener.name


def spec_listeners_distinct(spec: Any) -> Iterable[Problem]:
    """listeners_distinct, of the spec of a Gateway or ListenerSet."""
    return listeners_distinct(spec.listeners)


# -- rules of a Gateway


def ip_form(address: GatewayAddress | GatewayStatusAddress) -> Iterable[Problem]:
    """addresses: the value of an IPAddress has the format ipv4 or ipv6."""
    if address.type == "IPAddress" and address.value is not None and not is_ip(address.value):
        yield invalid("value", address.value, "must be an IPv4 or IPv6 address when type is IPAddress")


def hostname_form(address: GatewayAddress | GatewayStatusAddress) -> Iterable[Problem]:
    """addresses: the value of a Hostname has the form of one."""
    if address.type == "Hostname" and address.value is not None and not _HOSTNAME.fullmatch(address.value):
        yield invalid("value", address.value, "must be a lower-case host name when type is Hostname")


def addresses_distinct(spec: GatewaySpec) -> Iterable[Problem]:
    """addresses: values of IPAddress are unique, and so are those of Hostname."""
    seen: set[tuple[str, str]] = set()
    for index, address in enumerate(spec.addresses):
        if address.value is None or address.type not in {"IPAddress", "Hostname"}:
            continue
        key = (address.type, address.value)
        if key in seen:
            yield duplicate(f"addresses[{index}].value", address.value)
        seen.add(key)


def infrastructure_keys(infrastructure: GatewayInfrastructure) -> Iterable[Problem]:
    """infrastructure.labels and .annotations: qualified keys, with a prefix of fewer than 253 characters."""
    yield from _keys("labels", infrastructure.labels)
    yield from _keys("annotations", infrastructure.annotations)


def ports_distinct(frontend: GatewayFrontendTLS) -> Iterable[Problem]:
    """tls.frontend.perPort: one entry a port (also the list-map key)."""
    return repeated("perPort", frontend.per_port, "port")


def status_listeners_distinct(status: Any) -> Iterable[Problem]:
    """status.listeners: a list-map with the key `name`."""
    return repeated("listeners", status.listeners, "name")


def is_ip(value: str) -> bool:
    """As Go parses addresses: no leading zeros, no zone."""
    try:
        ip_address(value)
    except ValueError:
        return False
    return "%" not in value


def _keys(path: str, values: Mapping[str, str]) -> Iterable[Problem]:
    for key in values:
        if len(key) > MAX_KEY or not _KEY.fullmatch(key):
            yield invalid(
                entry(path, key), key, "a key is an optional DNS prefix and '/', then a name of up to 63 characters"
            )
        elif len(key.split("/")[0]) >= 253:
            yield invalid(entry(path, key), key, "a key's prefix must be shorter than 253 characters")


RULES: Rules = {
    Listener: (tls_forbidden, https_terminates, tls_mode_set, hostname_forbidden),
    ListenerTLS: (terminate_has_certificates,),
    GatewaySpec: (spec_listeners_distinct, addresses_distinct),
    GatewayAddress: (ip_form, hostname_form),
    GatewayStatusAddress: (ip_form, hostname_form),
    GatewayInfrastructure: (infrastructure_keys,),
    GatewayFrontendTLS: (ports_distinct,),
    GatewayStatus: (conditions_unique, status_listeners_distinct),
    ListenerStatus: (conditions_unique,),
}
