"""Service, trimmed to what a gateway reads: its ports, and how it is resolved. Pure.

The rules are the API server's (kubernetes pkg/apis/core/validation, ValidateService) for the fields declared here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import field

from rauta_control.apiresource import Resource, Rules, Trimmed, label_syntax, qualified_key, subdomain_name
from rauta_control.problem import Problem, duplicate, invalid, required
from rauta_control.scalars import LABEL, Port, text

IPFamily = Literal["IPv4", "IPv6"]
Protocol = Literal["TCP", "UDP", "SCTP"]

_PORT_NAME = re.compile(r"(?=[a-z0-9-]{1,15}\Z)(?=.*[a-z])(?!.*--)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


class ServicePort(Trimmed, frozen=True, kw_only=True):
    """A port. `target_port` is a number or the name of a container's port; None means `port`."""

    UNREAD = frozenset({"nodePort"})

    port: Port
    name: Annotated[str, text(0, 63, rf"(?:{LABEL})?", "a port name: lower-case letters, digits and '-'")] = ""
    protocol: Protocol = "TCP"
    target_port: int | str | None = None
    app_protocol: str | None = None


class ServiceSpec(Trimmed, frozen=True, kw_only=True):
    """`cluster_ip` is `None`, the word, for a headless service and empty where no API server assigned one."""

    UNREAD = frozenset(
        {
            "allocateLoadBalancerNodePorts",
            "externalIPs",
            "externalTrafficPolicy",
            "healthCheckNodePort",
            "internalTrafficPolicy",
            "loadBalancerClass",
            "loadBalancerIP",
            "loadBalancerSourceRanges",
            "sessionAffinity",
            "sessionAffinityConfig",
            "trafficDistribution",
        }
    )

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    ports: tuple[ServicePort, ...] = ()
    selector: dict[str, str] = field(default_factory=dict)
    cluster_ip: str = field(name="clusterIP", default="")
    cluster_ips: tuple[str, ...] = field(name="clusterIPs", default=())
    ip_families: tuple[IPFamily, ...] = ()
    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack"] | None = None
    external_name: str = ""
    publish_not_ready_addresses: bool = False


class Ingress(Trimmed, frozen=True, kw_only=True):
    """An address that a load balancer has for the service: an IP address, or a host name."""

    UNREAD = frozenset({"ipMode", "ports"})

    ip: str = ""
    hostname: str = ""


class LoadBalancer(Trimmed, frozen=True, kw_only=True):
    """What a load balancer was made with."""

    ingress: tuple[Ingress, ...] = ()


class ServiceStatus(Trimmed, frozen=True, kw_only=True):
    """What became of a service."""

    UNREAD = frozenset({"conditions"})

    load_balancer: LoadBalancer = LoadBalancer()

    @property
    def addresses(self) -> tuple[Ingress, ...]:
        """All of it that translation reads (reflector.py)."""
        return self.load_balancer.ingress


class Service(Resource, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=False):
    """Namespaced."""

    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


# -- rules


def external_name(spec: ServiceSpec) -> Iterable[Problem]:
    """spec.externalName: required with type ExternalName, a DNS name there."""
    if spec.type != "ExternalName":
        return
    if not spec.external_name:
        yield required("externalName", "must be specified when type is ExternalName")
    else:
        yield from subdomain_name("externalName", spec.external_name.removesuffix("."))
    if spec.cluster_ip == "None":
        yield invalid("clusterIP", "None", "may not be None for an ExternalName service")


def ports_present(spec: ServiceSpec) -> Iterable[Problem]:
    """spec.ports: at least one, but for headless and ExternalName services."""
    if not spec.ports and spec.type != "ExternalName" and spec.cluster_ip != "None":
        yield required("ports")


def ports_distinct(spec: ServiceSpec) -> Iterable[Problem]:
    """spec.ports: named where there are several; unique by name, and by protocol and port."""
    if len(spec.ports) < 2:
        return
    seen: set[object] = set()
    for index, port in enumerate(spec.ports):
        if not port.name:
            yield required(f"ports[{index}].name", "ports are named when there are several")
        elif port.name in seen:
            yield duplicate(f"ports[{index}].name", port.name)
        if (port.protocol, port.port) in seen:
            yield duplicate(f"ports[{index}]", f"{port.protocol} {port.port}")
        seen |= {port.name, (port.protocol, port.port)}


def target_port(port: ServicePort) -> Iterable[Problem]:
    """spec.ports.targetPort: a port number, or a port name (RFC 6335, at most 15 characters with a letter)."""
    target = port.target_port
    if isinstance(target, int) and not 1 <= target <= 65535:
        yield invalid("targetPort", target, "must be between 1 and 65535")
    elif isinstance(target, str) and not _PORT_NAME.fullmatch(target):
        yield invalid(
            "targetPort", target, "must be a number, or a port name of at most 15 characters with a letter in it"
        )


def app_protocol(port: ServicePort) -> Iterable[Problem]:
    """spec.ports.appProtocol: a qualified name such as kubernetes.io/h2c."""
    return qualified_key("appProtocol", port.app_protocol, "an appProtocol") if port.app_protocol is not None else ()


def selector_form(spec: ServiceSpec) -> Iterable[Problem]:
    """spec.selector: labels."""
    return label_syntax(spec.selector, "selector") if spec.selector else ()


RULES: Rules = {
    ServiceSpec: (external_name, ports_present, ports_distinct, selector_form),
    ServicePort: (target_port, app_protocol),
}
