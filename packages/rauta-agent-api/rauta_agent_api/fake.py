"""FakeGateway: a GatewayQuery that answers from a picture, for tests and for trying a client without a gateway.

Pure. The default picture is a healthy standalone gateway after a few thousand requests; give another to show another.
Objects and findings are there to be listed, and not counted in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from rauta_agent_api.explanation import EndpointShare, Explanation, HostTrial, ListenerTrial, Outcome, RuleTrial
from rauta_agent_api.selection import filter_findings, filter_metrics, filter_objects, filter_routes, find_route
from rauta_agent_api.snapshot import (
    BackendSnapshot,
    CacheStats,
    ConditionSnapshot,
    FindingSnapshot,
    GatewaySnapshot,
    ListenerSnapshot,
    MetricSnapshot,
    MetricValue,
    ObjectSnapshot,
    PartSnapshot,
    RouteSnapshot,
    WorkerSnapshot,
)

ROUTES = (
    RouteSnapshot(
        name="standalone/route-0",
        method="ALL",
        pattern="/api",
        listener="http",
        backends=(
            BackendSnapshot(
                cluster="standalone/v1",
                address="127.0.0.1",
                port=9001,
                weight=90,
                requests_total=9_031,
                failures_total=3,
            ),
            BackendSnapshot(
                cluster="standalone/v2", address="::1", port=9002, weight=10, is_ipv6=True, requests_total=969
            ),
        ),
        requests_total=9_997,
        errors_total=2,
    ),
    RouteSnapshot(
        name="standalone/route-1",
        method="GET",
        pattern="/health",
        path_type="exact",
        hostnames=("shop.example.com", "*.example.org"),
        listener="http",
        backends=(BackendSnapshot(cluster="standalone/v1", address="127.0.0.1", port=9001, requests_total=120),),
        requests_total=120,
    ),
)

SNAPSHOT = GatewaySnapshot(
    status="ok",
    version="0.1.0",
    ready=True,
    uptime_seconds=7_384,
    generation=3,
    config_age_seconds=94.0,
    route_count=len(ROUTES),
    listeners=(
        ListenerSnapshot(name="http", address="0.0.0.0", port=8080, protocol="HTTP", gateway_refs=("default/rauta",)),
    ),
    workers=(
        WorkerSnapshot(index=0, pid=4711, alive=True, generation=3, connections=14, requests_total=5_201),
        WorkerSnapshot(index=1, pid=4712, alive=True, generation=3, connections=11, requests_total=4_916),
    ),
    cache_stats=CacheStats(hits=9_876, misses=241, size=241, hit_rate=9_876 / 10_117),
)

_ACCEPTED = ConditionSnapshot(type="Accepted", status="True", reason="Accepted", since="2026-01-01T00:00:00Z")

OBJECTS = (
    ObjectSnapshot(
        kind="Gateway",
        namespace="default",
        name="rauta",
        addresses=("10.0.0.1",),
        conditions=(_ACCEPTED, ConditionSnapshot(type="Programmed", status="True", reason="Programmed")),
        parts=(PartSnapshot(name="http", attached_routes=1, conditions=(_ACCEPTED,)),),
    ),
    ObjectSnapshot(
        kind="HTTPRoute",
        namespace="default",
        name="shop",
        parts=(
            PartSnapshot(
                name="Gateway default/rauta",
                conditions=(
                    _ACCEPTED,
                    ConditionSnapshot(
                        type="ResolvedRefs",
                        status="False",
                        reason="BackendNotFound",
                        message="Service default/cart does not exist",
                    ),
                ),
            ),
        ),
    ),
)

FINDINGS = (
    FindingSnapshot(
        code="RAUTA-CFG-020",
        severity="error",
        kind="HTTPRoute",
        namespace="default",
        name="shop",
        path="spec.rules[0].backendRefs[0]",
        message="Service default/cart does not exist",
        advice="create the Service, or correct namespace and name",
    ),
    FindingSnapshot(
        code="RAUTA-CFG-071",
        severity="warning",
        kind="Deployment",
        name="cart.yaml#2",
        path="kind",
        message="Deployment (apps/v1) is not read",
        place="cart.yaml#2",
    ),
)

EXPLANATION = Explanation(
    verdict="forwarded to standalone/v1 (1 endpoint), by standalone/route-1",
    generation=3,
    method="GET",
    url="http://shop.example.com:8080/health",
    host="shop.example.com:8080",
    path="/health",
    listeners=(
        ListenerTrial(name="http", address="0.0.0.0", port=8080, protocol="HTTP", chosen=True, why="port 8080"),
    ),
    hosts=(HostTrial(hostname="shop.example.com", chosen=True, why="the exact name"),),
    rules=(
        RuleTrial(
            name="standalone/route-1",
            route="standalone/route-1",
            hostname="shop.example.com",
            method="GET",
            pattern="/health",
            path_type="exact",
            matches=True,
            chosen=True,
            why="the only one that matches",
        ),
    ),
    route="standalone/route-1",
    rule="standalone/route-1",
    retry_attempts=1,
    outcomes=(
        Outcome(
            action="forwarded",
            cluster="standalone/v1",
            weight=1,
            balance="maglev",
            host="shop.example.com:8080",
            target="/health",
            endpoints=(EndpointShare(address="127.0.0.1", port=9001, share=1.0),),
        ),
    ),
)

METRICS = (
    MetricSnapshot(
        name="rauta_requests_total",
        help="Requests answered",
        metric_type="counter",
        values=(
            MetricValue(labels={"route": "standalone/route-0", "code": "200"}, value=9_995),
            MetricValue(labels={"route": "standalone/route-0", "code": "502"}, value=2),
            MetricValue(labels={"route": "standalone/route-1", "code": "200"}, value=120),
        ),
    ),
    MetricSnapshot(
        name="rauta_uptime_seconds",
        help="Time since the gateway started",
        metric_type="gauge",
        values=(MetricValue(labels={}, value=7384.25),),
    ),
)


class FakeGateway:
    """A gateway that does nothing but answer questions about the picture it was given."""

    def __init__(
        self,
        snapshot: GatewaySnapshot = SNAPSHOT,
        routes: Sequence[RouteSnapshot] = ROUTES,
        metrics: Sequence[MetricSnapshot] = METRICS,
        objects: Sequence[ObjectSnapshot] = OBJECTS,
        findings: Sequence[FindingSnapshot] = FINDINGS,
        explanation: Explanation = EXPLANATION,
    ) -> None:
        self._explanation = explanation
        self._objects = objects
        self._findings = findings
        self._snapshot = snapshot
        self._routes = routes
        self._metrics = metrics

    def snapshot(self) -> GatewaySnapshot:
        """See GatewayQuery."""
        return self._snapshot

    def list_routes(self, method: str | None = None, path_prefix: str | None = None) -> list[RouteSnapshot]:
        """See GatewayQuery."""
        return filter_routes(self._routes, method, path_prefix)

    def get_route(self, name_or_pattern: str) -> RouteSnapshot:
        """See GatewayQuery."""
        return find_route(self._routes, name_or_pattern)

    def list_listeners(self) -> list[ListenerSnapshot]:
        """See GatewayQuery."""
        return list(self._snapshot.listeners)

    def list_objects(self, kind: str | None = None, name: str | None = None) -> list[ObjectSnapshot]:
        """See GatewayQuery."""
        return filter_objects(self._objects, kind, name)

    def list_findings(self, severity: str | None = None) -> list[FindingSnapshot]:
        """See GatewayQuery."""
        return filter_findings(self._findings, severity)

    def cache_stats(self) -> CacheStats:
        """See GatewayQuery."""
        return self._snapshot.cache_stats or CacheStats(hits=0, misses=0, size=0, hit_rate=0.0)

    def metrics_snapshot(self, name_filter: str | None = None) -> list[MetricSnapshot]:
        """See GatewayQuery."""
        return filter_metrics(self._metrics, name_filter)

    def explain(self, method: str, url: str, headers: Sequence[str] = (), listener: str = "") -> Explanation:  # noqa: ARG002
        """See GatewayQuery. Every request gets the same, but says what was asked."""
        return replace(self._explanation, method=method.upper(), url=url)
