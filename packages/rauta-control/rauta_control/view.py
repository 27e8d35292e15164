"""The gateway as the agent API shows it: a picture (picture.py) and its counters, turned into snapshot types. Pure.

`ControlQuery` is the GatewayQuery of the control process: REST serves it, and through REST the command line and MCP.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import lcm

from rauta_agent_api.explanation import Explanation
from rauta_agent_api.selection import filter_findings, filter_metrics, filter_objects, filter_routes, find_route
from rauta_agent_api.snapshot import (
    ANY_METHOD,
    BackendSnapshot,
    CacheStats,
    FindingSnapshot,
    GatewaySnapshot,
    ListenerSnapshot,
    MetricSnapshot,
    ObjectSnapshot,
    RouteSnapshot,
    WorkerSnapshot,
)
from rauta_control import metrics, objectview
from rauta_control.action import UNSET
from rauta_control.counters import total
from rauta_control.explain import explain
from rauta_control.ir import Cluster, Endpoint, Listener, Rule
from rauta_control.picture import Picture
from rauta_control.question import question
from rauta_control.sharedmem import EndpointWord, RouteWord, Vital
from rauta_control.trials import conditions


class ControlQuery:
    """Answers about one moment of the gateway. Safe on another thread than the one that took the picture."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def snapshot(self) -> GatewaySnapshot:
        """See GatewayQuery."""
        picture = self._picture
        listeners = tuple(self.list_listeners())
        return GatewaySnapshot(
            status=_status(picture, listeners),
            version=picture.version,
            ready=picture.ready,
            uptime_seconds=int(picture.uptime),
            generation=max(0, picture.generation),
            config_age_seconds=picture.config_age,
            route_count=len({resource.route for resource in _rules(picture)}),
            object_count=len(picture.statuses),
            findings=objectview.counts(picture.findings),
            listeners=listeners,
            workers=tuple(_workers(picture)),
            cache_stats=self.cache_stats(),
            problems=(*_refusals(picture), *picture.problems),
        )

    def list_routes(self, method: str | None = None, path_prefix: str | None = None) -> list[RouteSnapshot]:
        """See GatewayQuery."""
        return filter_routes(_routes(self._picture), method, path_prefix)

    def get_route(self, name_or_pattern: str) -> RouteSnapshot:
        """See GatewayQuery."""
        return find_route(self.list_routes(), name_or_pattern)

    def list_listeners(self) -> list[ListenerSnapshot]:
        """See GatewayQuery."""
        listeners = (resource for resource in self._picture.resources.values() if isinstance(resource, Listener))
        return [_listener(self._picture, listener) for listener in listeners]

    def list_objects(self, kind: str | None = None, name: str | None = None) -> list[ObjectSnapshot]:
        """See GatewayQuery."""
        return filter_objects(objectview.objects(self._picture.statuses), kind, name)

    def list_findings(self, severity: str | None = None) -> list[FindingSnapshot]:
        """See GatewayQuery."""
        return filter_findings(objectview.findings(self._picture.findings), severity)

    def cache_stats(self) -> CacheStats:
        """See GatewayQuery."""
        vitals = self._picture.counters.vitals()
        hits, misses = total(vitals, Vital.MEMO_HITS), total(vitals, Vital.MEMO_MISSES)
        return CacheStats(
            hits=hits,
            misses=misses,
            size=total(vitals, Vital.MEMO_SIZE),
            hit_rate=hits / (hits + misses) if hits + misses else 0.0,
        )

    def metrics_snapshot(self, name_filter: str | None = None) -> list[MetricSnapshot]:
        """See GatewayQuery."""
        return filter_metrics(metrics.snapshots(self._picture), name_filter)

    def explain(self, method: str, url: str, headers: Sequence[str] = (), listener: str = "") -> Explanation:
        """See GatewayQuery."""
        picture = self._picture
        return explain(
            picture.resources,
            question(method, url, headers),
            listener=listener,
            bound=picture.bound,
            limits=picture.limits,
            findings=picture.findings,
            generation=max(0, picture.generation),
        )


def shares(pools: Sequence[tuple[int, Sequence[int]]]) -> list[list[int]]:
    """Return each endpoint's weight among all endpoints of a route, given (weight, endpoint weights) of its clusters.

    Whole numbers in the right proportion; the clusters' own weights wherever each has one endpoint: 90 and 10 stay so.
    """
    exact = [
        [Fraction(weight * each, sum(weights)) if any(weights) else Fraction() for each in weights]
        for weight, weights in pools
    ]
    scale = lcm(*(fraction.denominator for pool in exact for fraction in pool))
    return [[int(fraction * scale) for fraction in pool] for pool in exact]


def _status(picture: Picture, listeners: Iterable[ListenerSnapshot]) -> str:
    if picture.draining:
        return "draining"
    if not picture.ready:
        return "starting"
    whole = len(picture.workers) >= picture.expected_workers and not _refusals(picture)
    return "ok" if whole and all(listener.bound for listener in listeners) else "degraded"


def _refusals(picture: Picture) -> list[str]:
    return [
        f"worker {worker.index} does not follow generation {picture.generation}: {worker.refusal}"
        for worker in picture.workers
        if worker.refusal
    ]


def _workers(picture: Picture) -> Iterable[WorkerSnapshot]:
    alive = {worker.index: worker for worker in picture.workers}
    for index, vitals in enumerate(picture.counters.vitals()):
        worker = alive.get(index)
        if worker is None and index >= picture.expected_workers:
            continue  # there were more of them once
        yield WorkerSnapshot(
            index=index,
            pid=worker.pid if worker else None,
            alive=worker is not None,
            generation=max(0, worker.generation) if worker else 0,
            connections=vitals[Vital.CONNECTIONS],
            requests_total=vitals[Vital.REQUESTS],
        )


def _listener(picture: Picture, listener: Listener) -> ListenerSnapshot:
    """The address and port are the real ones once bound, so a port that the kernel chose can be read here."""
    bound = picture.bound.get(listener.name)
    error = bound.error if bound else "not bound yet"
    return ListenerSnapshot(
        name=listener.name,
        address=bound.address if bound else listener.address,
        port=bound.port if bound else listener.port,
        protocol=listener.protocol,
        gateway_refs=listener.gateways,
        bound=not error,
        message=error,
    )


def _rules(picture: Picture) -> Iterable[Rule]:
    return (resource for resource in picture.resources.values() if isinstance(resource, Rule))


def _routes(picture: Picture) -> Iterable[RouteSnapshot]:
    """A match of a route on several hosts or listeners is one line; its name is the route's if that has no other."""
    groups: dict[tuple[str, int, str, str, str], list[Rule]] = {}
    for rule in _rules(picture):
        groups.setdefault((rule.route, rule.index, rule.method, rule.path, rule.path_type), []).append(rule)
    lines: dict[str, int] = {}
    for route, *_ in groups:
        lines[route] = lines.get(route, 0) + 1
    for rules in groups.values():
        yield _route(picture, rules, rules[0].route if lines[rules[0].route] == 1 else rules[0].name)


def _route(picture: Picture, rules: Sequence[Rule], name: str) -> RouteSnapshot:
    first = rules[0]
    places = [rule.host.rpartition("|") for rule in rules]
    hostnames = dict.fromkeys(hostname for _, _, hostname in places if hostname != "*")
    words = picture.counters.route(first.slot, first.epoch)
    filters = [each for each in (first.filters, *(share.filters for share in first.clusters)) if each is not None]
    return RouteSnapshot(
        name=name,
        route=first.route,
        method=first.method or ANY_METHOD,
        pattern=first.path,
        path_type=first.path_type,
        conditions=tuple(conditions(first)),
        hostnames=tuple(hostnames),
        listener=", ".join(dict.fromkeys(listener for listener, _, _ in places)),
        backends=tuple(_backends(picture, first)),
        faults=tuple(_faults(first)),
        has_request_filters=any(each.request or each.rewrite or each.mirrors for each in filters),
        has_response_filters=any(each.response or each.cors for each in filters),
        has_redirect=any(each.redirect is not None for each in filters),
        has_timeout=first.request_timeout != UNSET or first.backend_timeout != UNSET,
        has_retry=first.retry is not None and first.retry.attempts != 0,
        requests_total=words[RouteWord.REQUESTS],
        errors_total=words[RouteWord.STATUS_1XX + 4],
    )


def _faults(rule: Rule) -> Iterable[str]:
    whole = sum(share.weight for share in rule.clusters)
    for share in rule.clusters:
        if share.fault and share.weight:
            yield f"{share.weight} of {whole} requests: {share.fault}"


def _backends(picture: Picture, rule: Rule) -> Iterable[BackendSnapshot]:
    pools: list[tuple[int, Cluster]] = []
    for share in rule.clusters:
        cluster = picture.resources.get(f"cluster/{share.cluster}")
        if isinstance(cluster, Cluster):
            pools.append((share.weight, cluster))
    weights = shares([(weight, [endpoint.weight for endpoint in pool.endpoints]) for weight, pool in pools])
    for (_, pool), each in zip(pools, weights, strict=True):
        for endpoint, weight in zip(pool.endpoints, each, strict=True):
            yield _backend(picture, pool.name, endpoint, weight)


def _backend(picture: Picture, cluster: str, endpoint: Endpoint, weight: int) -> BackendSnapshot:
    words = picture.counters.endpoint(endpoint.slot, endpoint.epoch)
    return BackendSnapshot(
        cluster=cluster,
        address=endpoint.address,
        port=endpoint.port,
        weight=weight,
        is_ipv6=":" in endpoint.address,
        requests_total=words[EndpointWord.REQUESTS],
        failures_total=words[EndpointWord.FAILURES] + words[EndpointWord.STATUS_5XX],
    )
