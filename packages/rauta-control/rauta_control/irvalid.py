"""Whether a configuration can be published: what is wrong with its resources, each by itself and among each other. Pure.

Everything is checked that the data plane relies on, so that what passes here cannot fail there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rauta_control import ir, regex
from rauta_control.ir import MAX_NAME, Cluster, Listener, Resource, Rule, Secret, VirtualHost

STATUSES = (301, 302, 303, 307, 308)


def validate(resources: Mapping[str, Resource]) -> list[str]:
    """Return everything wrong with a whole configuration (by resource key), an empty list when it can be published."""
    return [f"{key}: {problem}" for key, resource in resources.items() for problem in faults(key, resource, resources)]


def faults(key: str, resource: Resource, resources: Mapping[str, Resource]) -> Iterator[str]:
    """What is wrong with one resource of a configuration."""
    if key != resource.key:
        yield f"filed under a key that is not its own ({resource.key})"
    if len(resource.name.encode()) > MAX_NAME:
        yield f"name is longer than {MAX_NAME} bytes"
    match resource:
        case Listener():
            yield from _listener(resource, resources)
        case VirtualHost():
            yield from _host(resource, resources)
        case Rule():
            yield from _rule(resource, resources)
        case Cluster():
            yield from _cluster(resource)
        case Secret():
            if not resource.certificates:
                yield "certificates must not be empty"


def _listener(listener: Listener, resources: Mapping[str, Resource]) -> Iterator[str]:
    yield from _port("port", listener.port, lowest=0)
    if bool(listener.tls) != (listener.protocol == "HTTPS"):
        yield "tls must be present exactly when the protocol is HTTPS"
    for name in listener.tls:
        yield from _hostname(name.hostname)
        if not name.secrets:
            yield f"tls: {name.hostname} has no certificate"
        if (name.client == "none") != (not name.authorities):
            yield f"tls: {name.hostname} must have authorities exactly when clients are asked for a certificate"
        for secret in (*name.secrets, *name.authorities):
            yield from _refers("tls", f"secret/{secret}", resources)


def _host(host: VirtualHost, resources: Mapping[str, Resource]) -> Iterator[str]:
    yield from _refers("listener", f"listener/{host.listener}", resources)
    yield from _hostname(host.hostname)
    if host.fallback:
        yield from _refers("fallback", f"host/{host.fallback}", resources)
        listener, _, hostname = host.fallback.rpartition("|")
        if listener != host.listener or len(hostname) >= len(host.hostname):
            yield f"fallback {host.fallback} must be a less specific host of the same listener"


def _rule(rule: Rule, resources: Mapping[str, Resource]) -> Iterator[str]:
    yield from _refers("host", f"host/{rule.host}", resources)
    if rule.path_type == "regex":
        yield from _regex("path", rule.path)
    elif not rule.path.startswith("/"):
        yield f"path {rule.path!r} must start with '/'"
    for field, predicates in (("headers", rule.headers), ("query", rule.query)):
        for predicate in predicates:
            if predicate.regex:
                yield from _regex(f"{field} {predicate.name}", predicate.value)
            if field == "headers" and predicate.name != predicate.name.lower():
                yield f"headers {predicate.name}: must be lower case"
    for share in rule.clusters:
        if bool(share.cluster) == bool(share.fault):
            yield "clusters: a share has either a cluster or a fault"
        elif share.cluster:
            yield from _refers("clusters", f"cluster/{share.cluster}", resources)
        if share.weight < 0:
            yield f"clusters: weight {share.weight} of {share.cluster} must be 0 or more"
        yield from _filters(share.filters, resources)
    yield from _filters(rule.filters, resources)


def _filters(filters: ir.Filters | None, resources: Mapping[str, Resource]) -> Iterator[str]:
    if filters is None:
        return
    for mirror in filters.mirrors:
        yield from _refers("mirrors", f"cluster/{mirror.cluster}", resources)
        if not 0 <= mirror.numerator <= mirror.denominator:
            yield f"mirrors: {mirror.numerator}/{mirror.denominator} is no share"
    if filters.redirect is not None:
        if filters.redirect.status not in STATUSES:
            yield f"redirect: status {filters.redirect.status}"
        if filters.rewrite is not None:
            yield "redirect and rewrite exclude each other"


def _cluster(cluster: Cluster) -> Iterator[str]:
    for endpoint in cluster.endpoints:
        yield from _port(f"endpoint {endpoint.address}: port", endpoint.port, lowest=1)
    names = {endpoint.name for endpoint in cluster.endpoints}
    if len(names) != len(cluster.endpoints):
        yield "endpoints: an address is listed twice"
    if any(endpoint.weight > 0 for endpoint in cluster.endpoints) != bool(cluster.table):
        yield "table must be present exactly when an endpoint has weight"


def _port(field: str, port: int, lowest: int) -> Iterable[str]:
    return () if lowest <= port <= 65535 else (f"{field} {port} is outside {lowest}-65535",)


def _hostname(hostname: str) -> Iterable[str]:
    return () if hostname and hostname == hostname.lower() else ("hostname must be lower case and not empty",)


def _regex(field: str, pattern: str) -> Iterable[str]:
    problem = regex.problem(pattern)
    return (f"{field}: {problem}",) if problem else ()


def _refers(field: str, target: str, resources: Mapping[str, Resource]) -> Iterable[str]:
    return () if target in resources else (f"{field} refers to {target}, which does not exist",)
