"""GatewayQuery: everything that can be asked of a gateway, whoever asks and wherever the answer comes from.

Pure. The control process answers from memory, `RestClient` over HTTP, `FakeGateway` from a fixed picture; the command
line, MCP, REST and the dashboard know only this protocol. Methods are synchronous, because the answers are in memory or
one request away. Every method may raise `AgentApiError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rauta_agent_api.explanation import Explanation
from rauta_agent_api.snapshot import (
    CacheStats,
    FindingSnapshot,
    GatewaySnapshot,
    ListenerSnapshot,
    MetricSnapshot,
    ObjectSnapshot,
    RouteSnapshot,
)


class GatewayQuery(Protocol):
    """Questions to one gateway; none of them changes it."""

    def snapshot(self) -> GatewaySnapshot:
        """Return the gateway as a whole: readiness, generation, workers, listeners and counts."""
        ...

    def list_routes(self, method: str | None = None, path_prefix: str | None = None) -> list[RouteSnapshot]:
        """Return the routes in the order in which they are configured, or those that `filter_routes` would keep."""
        ...

    def get_route(self, name_or_pattern: str) -> RouteSnapshot:
        """Return the route of that name, else the one of that HTTPRoute or with that pattern.

        Raises `not_found`, or `conflict` when several routes share it (they differ in host, method or conditions).
        """
        ...

    def list_listeners(self) -> list[ListenerSnapshot]:
        """Return every listener that the configuration asks for, bound or not."""
        ...

    def list_objects(self, kind: str | None = None, name: str | None = None) -> list[ObjectSnapshot]:
        """Return the objects with a status, by kind, namespace and name, or those that `filter_objects` would keep."""
        ...

    def list_findings(self, severity: str | None = None) -> list[FindingSnapshot]:
        """Return what there is to say about objects and documents, the worst first, or of this severity at least."""
        ...

    def cache_stats(self) -> CacheStats:
        """Return the statistics of the route cache, all zero before the first request."""
        ...

    def metrics_snapshot(self, name_filter: str | None = None) -> list[MetricSnapshot]:
        """Return the metrics by name, or those that `filter_metrics` would keep."""
        ...

    def explain(self, method: str, url: str, headers: Sequence[str] = (), listener: str = "") -> Explanation:
        """Return what a request would get, and why; nothing is sent anywhere.

        `method` is taken in any case; `url` is as a client would send it, http unless it says https; `headers` are
        `name: value`. `listener` is the name of one, or a Gateway as `namespace/name`; empty: those of the URL's port.
        Raises `usage` for what no client could send, `not_found` for a listener that does not exist.
        """
        ...
