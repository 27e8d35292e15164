"""Which routes, objects, findings and metrics a question is about. Pure, and the only place that decides it."""

from __future__ import annotations

from collections.abc import Iterable

from rauta_agent_api.errors import AgentApiError
from rauta_agent_api.snapshot import ANY_METHOD, FindingSnapshot, MetricSnapshot, ObjectSnapshot, RouteSnapshot

SEVERITIES = ("error", "warning", "info")  # the worst first
KINDS = ("GatewayClass", "Gateway", "ListenerSet", "HTTPRoute")  # of objects that have a status


def filter_routes(
    routes: Iterable[RouteSnapshot], method: str | None = None, path_prefix: str | None = None
) -> list[RouteSnapshot]:
    """Keep the routes that take `method` (in any case) and whose pattern starts with the characters of `path_prefix`.

    A route for every method takes each of them. None keeps all.
    """
    methods = {ANY_METHOD, method.upper()} if method is not None else None
    return [
        route
        for route in routes
        if (methods is None or route.method in methods)
        and (path_prefix is None or route.pattern.startswith(path_prefix))
    ]


def named_routes(routes: Iterable[RouteSnapshot], name_or_pattern: str) -> list[RouteSnapshot]:
    """Return the route of that name (names are unique), else all of that HTTPRoute, else all with that pattern."""
    routes = list(routes)
    by_name = [route for route in routes if route.name == name_or_pattern]
    by_route = [route for route in routes if route.route and route.route == name_or_pattern]
    return by_name or by_route or [route for route in routes if route.pattern == name_or_pattern]


def find_route(routes: Iterable[RouteSnapshot], name_or_pattern: str) -> RouteSnapshot:
    """Return the one route meant. Raises `not_found`, or `conflict` when several share the pattern."""
    found = named_routes(routes, name_or_pattern)
    if not found:
        raise AgentApiError(
            "not_found",
            f"no route has the name or pattern {name_or_pattern!r}",
            "`rauta routes list` shows the names and patterns there are",
        )
    if len(found) > 1:
        names = ", ".join(route.name for route in found)
        raise AgentApiError(
            "conflict", f"{len(found)} routes have the name or pattern {name_or_pattern!r}", f"name one: {names}"
        )
    return found[0]


def filter_objects(
    objects: Iterable[ObjectSnapshot], kind: str | None = None, name: str | None = None
) -> list[ObjectSnapshot]:
    """Keep the objects of `kind` (in any case) and of `name`, which is `NAME` or `NAMESPACE/NAME`. None keeps all.

    Raises `usage` for a kind that has no status: it is not the same as having no object of that kind.
    """
    if kind is not None and kind.lower() not in (each.lower() for each in KINDS):
        raise AgentApiError("usage", f"{kind!r} is no kind of object with a status", f"give one of {', '.join(KINDS)}")
    return [
        each
        for each in objects
        if (kind is None or each.kind.lower() == kind.lower())
        and (name is None or name in (each.name, f"{each.namespace}/{each.name}"))
    ]


def filter_findings(findings: Iterable[FindingSnapshot], severity: str | None = None) -> list[FindingSnapshot]:
    """Keep the findings at least as bad as `severity`, the worst first. Raises `usage` for one that does not exist."""
    if severity is not None and severity not in SEVERITIES:
        raise AgentApiError("usage", f"{severity!r} is no severity", f"give one of {', '.join(SEVERITIES)}")
    ranks = {name: rank for rank, name in enumerate(SEVERITIES)}
    limit = ranks[severity] if severity is not None else len(SEVERITIES)
    kept = [each for each in findings if ranks.get(each.severity, 0) <= limit]
    return sorted(kept, key=lambda each: ranks.get(each.severity, 0))


def filter_metrics(metrics: Iterable[MetricSnapshot], name_filter: str | None = None) -> list[MetricSnapshot]:
    """Keep the metrics whose name contains `name_filter`. None keeps all."""
    return [metric for metric in metrics if name_filter is None or name_filter in metric.name]
