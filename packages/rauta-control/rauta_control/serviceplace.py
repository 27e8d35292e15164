"""Where a Gateway is served that has a Service of its own: the ports behind it, and the addresses it was given. Pure.

Every Gateway binds all addresses of the pods and is told apart from others by its target ports, so two Gateways may
have the same ports. What its status says of addresses is the Service's to know.
"""

from __future__ import annotations

import msgspec

from rauta_control import gatewayservice
from rauta_control.classes import ours
from rauta_control.derive import Graph
from rauta_control.gateway import Gateway, GatewayStatusAddress
from rauta_control.listeners import facts, gateway_refused
from rauta_control.placement import Place
from rauta_control.service import Service
from rauta_control.serviceterms import ServiceTerms
from rauta_control.targetports import Claim, assign
from rauta_control.terms import terms
from rauta_control.world import GATEWAYS, Key, find, members, seniority

NO_ADDRESS = 55  # the finding
NO_PORT = 56
MAX_ADDRESSES = 16  # of a status


def service_place(q: Graph, key: Key) -> Place:
    """Where a Gateway is served."""
    services, gateway = terms(q).services, find(q, Gateway, key)
    if services is None or gateway is None or q.get(_claim, key) is None:
        return Place()
    targets = q.get(_targets).get(key.path, {})
    left = [port for port in _ports(q, key) if port not in targets]
    if left:
        ports = ", ".join(map(str, left))
        text = f"no target port is free for {ports}: give more than {services.targets} with --target-ports"
        return Place(reason="AddressNotAssigned", message=text, shown=(), code=NO_PORT)
    place = Place((terms(q).wildcard,), targets=targets, shown=())
    where, service = gatewayservice.service_key(gateway), _service(q, gateway, services)
    if isinstance(service, str):
        return _lacks(place, f"{where} {service}")
    shown = _addresses(service)
    if not shown:
        return _lacks(place, f"{where} of type {service.spec.type} has no address yet")
    asked = [each.value for each in gateway.spec.addresses if each.value is not None]
    if asked:
        text = f"not usable: {', '.join(asked)}: addresses are those of {where}"
        return msgspec.structs.replace(place, reason="AddressNotUsable", message=text, shown=shown)
    return msgspec.structs.replace(place, shown=shown)


def _lacks(place: Place, message: str) -> Place:
    return msgspec.structs.replace(place, reason="AddressNotAssigned", message=message, code=NO_ADDRESS)


def _targets(q: Graph) -> dict[str, dict[int, int]]:
    services = terms(q).services
    claims = [found for key in members(q, GATEWAYS) if (found := q.get(_claim, key)) is not None]
    claims.sort(key=lambda each: each[0])
    return assign([claim for _, claim in claims], services.targets) if services is not None else {}


def _claim(q: Graph, key: Key) -> tuple[tuple[int, str], Claim] | None:
    """The ports of a Gateway with its place among others; None if it is not served."""
    services, gateway = terms(q).services, find(q, Gateway, key)
    if (
        services is None
        or gateway is None
        or not ours(q, gateway.spec.gateway_class_name)
        or gateway_refused(q, gateway)
    ):
        return None
    service = _service(q, gateway, services)
    published = {} if isinstance(service, str) else gatewayservice.published(service)
    return seniority(gateway), Claim(key.path, _ports(q, key), published)


def _ports(q: Graph, key: Key) -> tuple[int, ...]:
    return tuple(sorted({each.port for each in q.get(facts, key) if not each.refused}))


def _service(q: Graph, gateway: Gateway, services: ServiceTerms) -> Service | str:
    """The Service of a Gateway, or what is the matter with it."""
    where = gatewayservice.service_key(gateway)
    found = find(q, Service, where)
    if found is None:
        return "is not there yet"
    if gatewayservice.made_for(found.metadata, services) != gateway.name:
        return "is there already, and is not the one that RAUTA would make for this Gateway"
    return found


def _addresses(service: Service) -> tuple[GatewayStatusAddress, ...]:
    """Of a load balancer those that it was given; of other types those within the cluster."""
    if service.spec.type != "LoadBalancer":
        inside = service.spec.cluster_ips or (service.spec.cluster_ip,)
        return tuple(GatewayStatusAddress(value=each) for each in inside if each and each != "None")
    found = [
        GatewayStatusAddress(value=each.ip) if each.ip else GatewayStatusAddress(type="Hostname", value=each.hostname)
        for each in service.status.load_balancer.ingress
        if each.ip or each.hostname
    ]
    return tuple(found[:MAX_ADDRESSES])
