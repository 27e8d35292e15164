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
    /api/v1/explain?url=&method=&header=&listener=  header: `NAME: VALUE`, any number of them; method: GET by default
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qsl

import msgspec

from rauta_agent_api.errors import AgentApiError
from rauta_agent_api.explanation import Explanation
from rauta_agent_api.query import GatewayQuery
from rauta_agent_api.selection import named_routes
from rauta_agent_api.snapshot import RouteSnapshot

JSON = "application/json"
PROBLEM = "application/problem+json"


class Parameters(dict[str, list[str]]):
    """The query of a request: the values of each name, in their order."""

    def one(self, name: str) -> str | None:
        """Return the value of a parameter that cannot be repeated, None without."""
        return self[name][0] if name in self else None


class Response(NamedTuple):
    """What to send: HTTP status, content type, body."""

    status: int
    content_type: str
    body: bytes


class Path(NamedTuple):
    """A path's answer, and the query parameters it understands; any number of those that are `repeatable`."""

    answer: Callable[[GatewayQuery, Parameters], object]
    parameters: tuple[str, ...] = ()
    repeatable: tuple[str, ...] = ()


def _routes(gateway: GatewayQuery, parameters: Parameters) -> list[RouteSnapshot]:
    routes = gateway.list_routes(parameters.one("method"), parameters.one("path_prefix"))
    name = parameters.one("name")
    return routes if name is None else named_routes(routes, name)


def _explain(gateway: GatewayQuery, parameters: Parameters) -> Explanation:
    url = parameters.one("url")
    if url is None:
        raise AgentApiError("usage", "url: missing", "give the URL of the request, percent-encoded")
    method, listener = parameters.one("method") or "GET", parameters.one("listener") or ""
    return gateway.explain(method, url, parameters.get("header", ()), listener)


PATHS: dict[str, Path] = {
    "/api/v1/status": Path(lambda gateway, _: gateway.snapshot()),
    "/api/v1/routes": Path(_routes, ("method", "path_prefix", "name")),
    "/api/v1/listeners": Path(lambda gateway, _: gateway.list_listeners()),
    "/api/v1/objects": Path(
        lambda gateway, parameters: gateway.list_objects(parameters.one("kind"), parameters.one("name")),
        ("kind", "name"),
    ),
    "/api/v1/findings": Path(
        lambda gateway, parameters: gateway.list_findings(parameters.one("severity")), ("severity",)
    ),
    "/api/v1/cache": Path(lambda gateway, _: gateway.cache_stats()),
    "/api/v1/metrics": Path(lambda gateway, parameters: gateway.metrics_snapshot(parameters.one("name")), ("name",)),
    "/api/v1/explain": Path(_explain, ("url", "method", "header", "listener"), repeatable=("header",)),
}


def respond(gateway: GatewayQuery, target: str) -> Response:
    """Answer `GET target` (a path with its query, percent-encoded). An error becomes its problem+json."""
    try:
        return Response(200, JSON, msgspec.json.encode(_answer(gateway, target)))
    except AgentApiError as error:
        return Response(error.status, PROBLEM, msgspec.json.encode(error.to_problem()))


def _answer(gateway: GatewayQuery, target: str) -> object:
    path, _, query = target.partition("?")
    parameters = Parameters()
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters.setdefault(name, []).append(value)
    found = PATHS.get(path)
    if found is None:
        raise AgentApiError("not_found", f"there is no {path}", f"ask for one of {', '.join(PATHS)}")
    unknown = sorted(parameters.keys() - found.parameters)
    if unknown:  # a filter that is not understood must not be answered with everything
        known = ", ".join(found.parameters) or "none"
        raise AgentApiError("usage", f"{path} has no parameter {unknown[0]!r}", f"parameters of {path}: {known}")
    for name, values in parameters.items():
        if len(values) > 1 and name not in found.repeatable:
            raise AgentApiError("usage", f"{path} has parameter {name!r} {len(values)} times", "give it once")
    return found.answer(gateway, parameters)
