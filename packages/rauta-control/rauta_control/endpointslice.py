"""EndpointSlice, trimmed to what a gateway reads: the addresses behind a service, and whether they are ready. Pure.

The rules are the API server's (kubernetes pkg/apis/discovery/validation). Two of them hold only in a cluster: files may
name loopback addresses and plain host names, since nothing else can say where a laptop's backend listens.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated, Literal

from msgspec import Meta

from rauta_control.apiresource import Resource, Rules, Trimmed, qualified_key, subdomain_name
from rauta_control.problem import Problem, duplicate, invalid
from rauta_control.scalars import LABEL, Port, text

#: The label that names the service a slice belongs to.
SERVICE_LABEL = "kubernetes.io/service-name"

_LOCAL_MULTICAST = {4: ip_network("224.0.0.0/24"), 6: ip_network("ff02::/16")}


class EndpointPort(Trimmed, frozen=True, kw_only=True):
    """A port of every endpoint of the slice, found by the name of the service's port. No `port` means any."""

    port: Port | None = None
    name: Annotated[str, text(0, 63, rf"(?:{LABEL})?", "a port name: lower-case letters, digits and '-'")] = ""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    app_protocol: str | None = None


class EndpointConditions(Trimmed, frozen=True, kw_only=True):
    """None is unknown, which means ready and serving, and not terminating."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Trimmed, frozen=True, kw_only=True):
    """One backend; only its first address is used, as everywhere in Kubernetes."""

    UNREAD = frozenset({"deprecatedTopology", "hints", "hostname", "targetRef"})

    addresses: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
    conditions: EndpointConditions = EndpointConditions()
    zone: str | None = None
    node_name: str | None = None


class EndpointSlice(Resource, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=False):
    """Namespaced. `endpoints` all have the ports of the slice."""

    address_type: Literal["IPv4", "IPv6", "FQDN"]
    endpoints: Annotated[tuple[Endpoint, ...], Meta(max_length=1000)] = ()
    ports: Annotated[tuple[EndpointPort, ...], Meta(max_length=20000)] = ()

    @property
    def service(self) -> str:
        """The service's name; empty if the slice names none."""
        return self.metadata.labels.get(SERVICE_LABEL, "")


# -- rules


def addresses_of_type(slice_: EndpointSlice) -> Iterable[Problem]:
    """endpoints.addresses: of the addressType, and addresses a pod can have."""
    check = _fqdn if slice_.address_type == "FQDN" else _ip
    for index, endpoint in enumerate(slice_.endpoints):
        for place, address in enumerate(endpoint.addresses):
            yield from check(f"endpoints[{index}].addresses[{place}]", address, slice_.address_type)


def ports_distinct(slice_: EndpointSlice) -> Iterable[Problem]:
    """ports: unique names; the empty one is a name too."""
    seen = set()
    for index, port in enumerate(slice_.ports):
        if port.name in seen:
            yield duplicate(f"ports[{index}].name", port.name)
        seen.add(port.name)


def app_protocol(port: EndpointPort) -> Iterable[Problem]:
    """ports.appProtocol: a qualified name such as kubernetes.io/h2c."""
    return qualified_key("appProtocol", port.app_protocol, "an appProtocol") if port.app_protocol is not None else ()


def _fqdn(path: str, address: str, _: str) -> Iterable[Problem]:
    yield from subdomain_name(path, address.removesuffix("."))
    if "." not in address.removesuffix("."):
        yield invalid(path, address, "must be a domain of at least two labels", judge="cluster")


def _ip(path: str, address: str, family: str) -> Iterable[Problem]:
    try:
        ip: IPv4Address | IPv6Address | None = ip_address(address)
    except ValueError:
        ip = None
    if ip is None or "%" in address:
        yield invalid(path, address, f"must be an {family} address; host names need addressType FQDN")
    elif f"IPv{ip.version}" != family:
        yield invalid(path, address, f"must be an {family} address, as addressType says")
    elif ip.is_unspecified or ip.is_link_local or ip in _LOCAL_MULTICAST[ip.version]:
        yield invalid(path, address, "may not be unspecified, link-local or link-local multicast")
    elif ip.is_loopback:
        yield invalid(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)", judge="cluster")


RULES: Rules = {
    EndpointSlice: (addresses_of_type, ports_distinct),
    EndpointPort: (app_protocol,),
}
