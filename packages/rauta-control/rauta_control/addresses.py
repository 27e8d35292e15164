"""Which addresses each Gateway is served on. Pure.

Two Gateways never see each other's routes, so each has its own address of the pool; where there are more Gateways than
addresses, one address serves several as long as no two of them want the same port. An address once given is kept: where
a Gateway is served comes first, then what its status says it had, what it asks for, and what is free; among equals the
older Gateway wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

import msgspec

from rauta_control import ir
from rauta_control.classes import ours
from rauta_control.derive import Graph
from rauta_control.gateway import Gateway, GatewayStatusAddress
from rauta_control.listeners import facts, gateway_refused
from rauta_control.placement import Place
from rauta_control.serviceplace import service_place
from rauta_control.terms import held, terms
from rauta_control.world import GATEWAYS, Key, find, members, seniority


class _Claims:
    """Who has which address, and the ports there."""

    def __init__(self) -> None:
        self.ports: dict[str, dict[int, str]] = {}  # by address and port, the Gateway

    def rival(self, address: str, ports: Iterable[int], gateway: str) -> str:
        """The Gateway that has one of these ports on this address, or on one that includes it; empty: nobody."""
        for other, taken in self.ports.items():
            if _overlap(address, other):
                for port in ports:
                    if taken.get(port, gateway) != gateway:
                        return taken[port]
        return ""

    def free(self, address: str) -> bool:
        """Whether nobody has the address at all."""
        return address not in self.ports

    def claim(self, address: str, ports: Iterable[int], gateway: str) -> None:
        """Take the ports of an address."""
        self.ports.setdefault(address, {}).update(dict.fromkeys(ports, gateway))


def place(q: Graph, gateway: Key) -> Place:
    """Where a Gateway of ours is served."""
    if terms(q).services is not None:
        return q.get(service_place, gateway)
    return q.get(_places).get(gateway, Place())


def said(q: Graph, where: Place) -> tuple[GatewayStatusAddress, ...]:
    """What a status says of addresses: those of the Service or those bound; for the wildcard, of this machine."""
    if where.shown is not None:
        return where.shown
    listed = [
        each
        for address in where.addresses
        for each in (terms(q).local if ip_address(address).is_unspecified else (address,))
    ]
    return tuple(GatewayStatusAddress(value=address) for address in dict.fromkeys(listed))


def held_by(resources: Iterable[ir.Resource]) -> dict[str, tuple[str, ...]]:
    """The addresses each Gateway has in a configuration: what Terms.held is after a restart."""
    found: dict[str, dict[str, None]] = {}
    for each in resources:
        if isinstance(each, ir.Listener):
            for gateway in each.gateways:
                found.setdefault(gateway, {})[each.address] = None
    return {gateway: tuple(addresses) for gateway, addresses in found.items()}


def _places(q: Graph) -> dict[Key, Place]:
    gateways = [found for key in members(q, GATEWAYS) if (found := q.get(_claimant, key)) is not None]
    gateways.sort(key=lambda each: each.seniority)
    given, claims = terms(q), _Claims()
    pool = given.pool or (given.wildcard,)
    # A status can be late, and of a Gateway that is served nowhere: nobody who is served gives way to it.
    served_first = sorted(gateways, key=lambda each: not each.served)
    kept = {each.key: _keep(each, pool, given.local, claims) for each in served_first}
    static = {each.key: _ask(each, pool, given.local, claims) for each in gateways}
    settled = {each.key: _settle(each, kept[each.key], static[each.key], pool, claims) for each in gateways}
    return {each.key: _extend(each, settled[each.key], claims) for each in gateways}


class _Claimant(msgspec.Struct, frozen=True):
    key: Key
    seniority: tuple[int, str]
    ports: tuple[int, ...]
    extra: tuple[int, ...]  # ports that only its ListenerSets have
    wanted: tuple[str, ...]  # by value
    any: bool  # whether one of the gateway's choice is wanted
    served: bool  # where it had its addresses; else a status says so
    had: tuple[str, ...]


def _claimant(q: Graph, key: Key) -> _Claimant | None:
    """What counts of a Gateway here, so that other changes of it move nothing; None if it is not served."""
    gateway = find(q, Gateway, key)
    if gateway is None or not ours(q, gateway.spec.gateway_class_name):
        return None
    if gateway_refused(q, gateway):
        return None
    asked = gateway.spec.addresses
    serving = held(q, key.path)
    had = serving or tuple(each.value for each in gateway.status.addresses if each.type == "IPAddress")
    own = {listener.port for listener in gateway.spec.listeners}
    extra = {each.port for each in q.get(facts, key) if not each.refused} - own
    return _Claimant(
        key,
        seniority(gateway),
        tuple(sorted(own)),
        tuple(sorted(extra)),
        tuple(_canonical(each.value) for each in asked if each.value is not None),
        not asked or any(each.value is None for each in asked),
        bool(serving),
        tuple(map(_canonical, had)),
    )


def _keep(each: _Claimant, pool: tuple[str, ...], local: tuple[str, ...], claims: _Claims) -> tuple[str, ...]:
    """What it had, still wants and may have: addresses asked for by value, and one of the pool if any will do."""
    kept = []
    chosen = False
    for address in each.had:
        asked = address in each.wanted and address in (*pool, *local)
        if not asked and (chosen or not each.any or address not in pool):
            continue
        if not claims.rival(address, each.ports, each.key.path):
            claims.claim(address, each.ports, each.key.path)
            kept.append(address)
            chosen |= not asked
    return tuple(kept)


def _ask(each: _Claimant, pool: tuple[str, ...], local: tuple[str, ...], claims: _Claims) -> Mapping[str, str]:
    """For each address asked for by value, why it cannot be had; empty if it can, and is taken."""
    answers = {}
    for address in each.wanted:
        if address not in (*pool, *local):
            answers[address] = "it is no address of this gateway"
        elif rival := claims.rival(address, each.ports, each.key.path):
            answers[address] = f"Gateway {rival} has it, with the same port"
        else:
            claims.claim(address, each.ports, each.key.path)
            answers[address] = ""
    return answers


def _settle(
    each: _Claimant, kept: tuple[str, ...], static: Mapping[str, str], pool: tuple[str, ...], claims: _Claims
) -> Place:
    addresses = [address for address, problem in static.items() if not problem]
    addresses += [address for address in kept if address not in static]
    refused = [f"{address}: {problem}" for address, problem in static.items() if problem]
    if each.any and not any(address not in static for address in addresses):
        address = _choose(each, pool, claims)
        if address is None:
            ports = f"port{'' if len(each.ports) == 1 else 's'} {_listed(each.ports)}"
            text = f"no address of this gateway is free for {ports}"
            return Place(tuple(addresses), "AddressNotAssigned", text)
        claims.claim(address, each.ports, each.key.path)
        addresses.append(address)
    if refused:
        return Place(tuple(addresses), "AddressNotUsable", f"not usable: {'; '.join(refused)}")
    return Place(tuple(addresses))


def _extend(each: _Claimant, settled: Place, claims: _Claims) -> Place:
    """Give the ports of its ListenerSets to a Gateway, after all Gateways have theirs."""
    blocked = set()
    for port in each.extra:
        if any(claims.rival(address, (port,), each.key.path) for address in settled.addresses):
            blocked.add(port)
            continue
        for address in settled.addresses:
            claims.claim(address, (port,), each.key.path)
    return msgspec.structs.replace(settled, blocked=frozenset(blocked))


def _choose(each: _Claimant, pool: tuple[str, ...], claims: _Claims) -> str | None:
    """The first address nobody has, else the first on which nobody has one of the ports."""
    for alone in (True, False):
        for address in pool:
            if (claims.free(address) or not alone) and not claims.rival(address, each.ports, each.key.path):
                return address
    return None


def _overlap(one: str, other: str) -> bool:
    """Whether both cannot be bound to one port. `::` is dual stack and includes everything."""
    if one == other or "::" in (one, other):
        return True
    return "0.0.0.0" in (one, other) and ":" not in one + other


def _canonical(address: str) -> str:
    return str(ip_address(address))


def _listed(ports: tuple[int, ...]) -> str:
    return ", ".join(map(str, ports))
