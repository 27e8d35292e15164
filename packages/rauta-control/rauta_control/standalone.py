"""Standalone mode: from the routes on the command line to the resources of the data plane. Pure.

Every route is attached to every listener. Names derive from what a user wrote (address, host and path, backends), not
from its place in the list, so an edit changes only what it is about. Routes with the same backends share a cluster, and
a change of addresses touches clusters only: `plan` makes everything else, `clusters` follows the addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

import msgspec

from rauta_control import balance, ir, options
from rauta_control.messages import Bound
from rauta_control.routespec import Address, BackendSpec, RouteSpec
from rauta_control.settings import Settings
from rauta_control.slices import Slices, finish

PREFIX = "standalone"  # of every name, where a namespace stands in Kubernetes


@dataclass(slots=True)
class Plan:
    """What routes need: the `resources` by key, without the clusters. `listeners` are among them.

    `clusters` are the backends of each cluster by name, `users` the names of the clusters by host name or address;
    `balance` is the policy of all clusters.
    """

    resources: dict[str, ir.Resource] = field(default_factory=dict)
    listeners: list[ir.Listener] = field(default_factory=list)
    clusters: dict[str, tuple[BackendSpec, ...]] = field(default_factory=dict)
    users: dict[str, set[str]] = field(default_factory=dict)
    balance: ir.Balance = field(default_factory=ir.Balance)


def translate(
    settings: Settings, addresses: Mapping[str, tuple[str, ...]], secrets: Sequence[ir.Secret] = ()
) -> dict[str, ir.Resource]:
    """Return all resources of `settings`, where the hosts of backends have these `addresses`."""
    made = finish(plan(settings, secrets))
    return made.resources | finish(clusters(made, made.clusters, addresses, {}))


def plan(settings: Settings, secrets: Sequence[ir.Secret] = ()) -> Slices[Plan]:
    """Plan the listeners and routes of `settings`, a route at a time. Without `secrets` there are no TLS listeners."""
    made = Plan(balance=settings.balance)
    tls = (ir.ServerName("*", tuple(secret.name for secret in secrets)),) if secrets else ()
    binds = [(address, ()) for address in settings.bind] + [(address, tls) for address in settings.tls_bind if tls]
    made.listeners = listeners = list(_listeners(binds, settings.addresses))
    made.resources.update((secret.key, secret) for secret in secrets)
    made.resources.update((listener.key, listener) for listener in listeners)
    for spec in settings.routes:
        _add_route(made, listeners, spec, settings.upgrades)
        yield
    return made


def unbound(made: Plan, bound: Mapping[str, Bound]) -> list[str]:
    """Say of each listener that could not be bound by which flag it was asked for, and why it could not."""
    texts = []
    for listener in made.listeners:
        answer = bound.get(listener.name)
        if answer is not None and answer.error:
            flag = options.TLS_BIND if listener.tls else options.FROM
            where = Address(listener.address, listener.port)
            texts.append(f"{flag.name} {where}: {answer.error} (set by {flag.name} or {flag.variable})")
    return texts


def reachable(made: Plan, bound: Mapping[str, Bound], *, every: bool) -> bool:
    """Whether clients reach listeners: with `every` each of them, otherwise at least one if there are any."""
    failed = len(unbound(made, bound))
    return not failed or (not every and failed < len(made.listeners))


def clusters(
    made: Plan, names: Iterable[str], addresses: Mapping[str, tuple[str, ...]], held: Mapping[str, ir.Resource]
) -> Slices[dict[str, ir.Resource]]:
    """Make the clusters of these names, one at a time; `held` are the resources published last, by key.

    A cluster is every address of its backends. While one of its host names has never had any, as when control was
    restarted and the name server is down, it stays as it is held: old addresses are better than none. (In a pool of
    several names that also holds back what became of the others.)
    """
    resources: dict[str, ir.Resource] = {}
    for name in names:
        backends = made.clusters[name]
        key = f"cluster/{name}"
        old = held.get(key)
        if old is None or all(addresses.get(backend.host) for backend in backends):
            found = [ir.Endpoint(address, b.port) for b in backends for address in addresses.get(b.host, ())]
            endpoints = tuple({endpoint.name: endpoint for endpoint in found}.values())
            resources[key] = ir.Cluster(name, endpoints, balance.table(endpoints), balance=made.balance)
        elif isinstance(old, ir.Cluster):
            resources[key] = msgspec.structs.replace(old, balance=made.balance)
        yield
    return resources


def _listeners(
    binds: Iterable[tuple[Address, tuple[ir.ServerName, ...]]], addresses: tuple[str, ...]
) -> Iterable[ir.Listener]:
    """A listener for each address to bind; those of port 0 may repeat, so they are numbered."""
    names: dict[str, int] = {}
    for asked, tls in binds:
        wildcard = ip_address(asked.host).is_unspecified
        for host in addresses if wildcard and addresses else (asked.host,):
            name = f"{PREFIX}/{Address(host, asked.port)}"
            count = names[name] = names.get(name, 0) + 1
            if count > 1 and asked.port:
                continue  # 0.0.0.0:80 and [::]:80 replaced by the same addresses
            unique = name if count == 1 else f"{name}#{count}"
            protocol: Literal["HTTP", "HTTPS"] = "HTTPS" if tls else "HTTP"
            yield ir.Listener(unique, host, asked.port, asked.port, protocol, (PREFIX,), tls)


def _add_route(made: Plan, listeners: Iterable[ir.Listener], spec: RouteSpec, upgrades: tuple[str, ...]) -> None:
    host = spec.host or "*"
    route = ir.bounded(f"{PREFIX}/{host}{spec.path}")
    shares = _shares(made, spec.backends)
    for listener in listeners:
        virtual_host = ir.VirtualHost(listener.name, host)
        name = ir.bounded(f"{virtual_host.name}{spec.path}")
        rule = ir.Rule(name, route, virtual_host.name, spec.path, "prefix", shares, upgrades=upgrades)
        made.resources[virtual_host.key] = virtual_host
        made.resources[rule.key] = rule


def _shares(made: Plan, backends: tuple[BackendSpec, ...]) -> tuple[ir.ClusterWeight, ...]:
    """With weights each backend is a cluster, drawn for each request; without, all are one, in which flows stick."""
    groups: list[tuple[tuple[BackendSpec, ...], int]] = [(backends, 1)]
    if backends[0].weight is not None:
        groups = [((backend,), backend.weight or 0) for backend in backends]
    shares = []
    for members, weight in groups:
        name = ir.bounded(f"{PREFIX}/" + ",".join(str(Address(b.host, b.port)) for b in members))
        made.clusters[name] = members
        for backend in members:
            made.users.setdefault(backend.host, set()).add(name)
        shares.append(ir.ClusterWeight(name, weight))
    return tuple(shares)
