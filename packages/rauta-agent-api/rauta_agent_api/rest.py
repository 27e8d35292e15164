"""The REST face of a gateway as a pure function: the target of a GET request in, status and JSON out.

The admin server serves this, the fake one too, and client.py is its other half. It does not know about sockets,
methods other than GET, or who may ask.

    /api/v1/status
    /api/v1/routes?method=&path_prefix=&name=      name: a route's name, else its pattern; [] when there is none
    /api/v1/listeners
    /api/v1/objects?kind=&name=                    name: NAME or NAMESPACE/NAME
    /api/v1/findings?severity=                     of this severity at least
    /api/v1/cache
    /api/v1/metrics?name=                          name: part of a metric's name
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from rauta_agent_api.errors import AgentApiError
from rauta_agent_api.query import GatewayQuery
from rauta_agent_api.selection import named_routes
from rauta_agent_api.snapshot import RouteSnapshot

JSON = "application/json"
PROBLEM = "application/problem+json"

Parameters: TypeAlias = Mapping[str, str]


class Response(NamedTuple):
    """What to send: HTTP status, content type, body."""

    status: int
    content_type: str
    body: bytes


class Path(NamedTuple):
    """A path's answer, and the query parameters it understands."""

    answer: Callable[[GatewayQuery, Parameters], object]
    parameters: tuple[str, ...] = ()


def _routes(gateway: GatewayQuery, parameters: Parameters) -> list[RouteSnapshot]:
    routes = gateway.list_routes(parameters.get("method"), parameters.get("path_prefix"))
    return named_routes(routes, parameters["name"]) if "name" in parameters else routes


PATHS: dict[str, Path] = {
    "/api/v1/status": Path(lambda gateway, _: gateway.snapshot()),
    "/api/v1/routes": Path(_routes, ("method", "path_prefix", "name")),
    "/api/v1/listeners": Path(lambda gateway, _: gateway.list_listeners()),
    "/api/v1/objects": Path(
        lambda gateway, parameters: gateway.list_objects(parameters.get("kind"), parameters.get("name")),
        ("kind", "name"),
    ),
    "/api/v1/findings": Path(
        lambda gateway, parameters: gateway.list_findings(parameters.get("severity")), ("severity",)
    ),
    "/api/v1/cache": Path(lambda gateway, _: gateway.cache_stats()),
    "/api/v1/metrics": Path(lambda gateway, parameters: gateway.metrics_snapshot(parameters.get("name")), ("name",)),
}


def respond(gateway: GatewayQuery, target: str) -> Response:
    """Answer `GET target` (a path with its query, percent-encoded). An error becomes its problem+json."""
    try:
        return Response(200, JSON, msgspec.json.encode(_answer(gateway, target)))
    except AgentApiError as error:
        return Response(error.status, PROBLEM, msgspec.json.encode(error.to_problem()))


def _answer(gateway: GatewayQuery, target: str) -> object:
    path, _, query = target.partition("?")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    found = PATHS.get(path)
    if found is None:
        raise AgentApiError("not_found", f"there is no {path}", f"ask for one of {', '.join(PATHS)}")
    unknown = sorted(parameters.keys() - found.parameters)
    if unknown:  # a filter that is not understood must not be answered with everything
        known = ", ".join(found.parameters) or "none"
        raise AgentApiError("usage", f"{path} has no parameter {unknown[0]!r}", f"parameters of {path}: {known}")
    return found.answer(gateway, parameters)
