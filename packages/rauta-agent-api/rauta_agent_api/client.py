"""RestClient: GatewayQuery over the admin port, one short request a question.

A shell around http.client, the lightest client Python has (the command line starts with it). What an answer means is
decided by the pure `decode`. No redirects, no proxies, no retries: a gateway that does not answer is itself the answer.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple, TypeVar
from urllib.parse import SplitResult, urlencode, urlsplit

import msgspec

from rauta_agent_api import DEFAULT_TIMEOUT, DEFAULT_URL
from rauta_agent_api.errors import STATUSES, AgentApiError
from rauta_agent_api.explanation import Explanation
from rauta_agent_api.rest import JSON, PROBLEM, Response
from rauta_agent_api.selection import find_route
from rauta_agent_api.snapshot import (
    CacheStats,
    FindingSnapshot,
    GatewaySnapshot,
    ListenerSnapshot,
    MetricSnapshot,
    ObjectSnapshot,
    RouteSnapshot,
)

MAX_TIMEOUT = 3600.0  # seconds; sockets refuse what does not fit their clock
MAX_ANSWER = 64 << 20  # bytes; 10,000 routes of 10 backends are 25 MB, and some other server may stream for ever

_URL_FIX = f"give --endpoint (or RAUTA_ADMIN_ENDPOINT) as http://HOST:PORT, such as {DEFAULT_URL}"
_TIMEOUT_FIX = f"give --timeout as seconds, more than 0 and at most {MAX_TIMEOUT:g}"
_REACH_FIX = "start the gateway, or point --endpoint (or RAUTA_ADMIN_ENDPOINT) at its admin port"
_VERSION_FIX = "check that --endpoint is RAUTA's admin port and that client and gateway have the same version"

T = TypeVar("T")


class Endpoint(NamedTuple):
    """Where the API is: a path in the URL is a prefix, as `kubectl proxy` needs it."""

    https: bool
    host: str
    port: int | None
    prefix: str


class RestClient:
    """A GatewayQuery that asks `url`, waiting at most `timeout` seconds for a connection and for each read.

    Raises `usage` at once for a URL or a timeout that cannot work; a method raises `unreachable` when no RAUTA answers.
    """

    def __init__(self, url: str = DEFAULT_URL, timeout: float = DEFAULT_TIMEOUT) -> None:
        if not 0 < timeout <= MAX_TIMEOUT:  # nan is neither
            raise AgentApiError("usage", f"{timeout:g} s is no time to wait", _TIMEOUT_FIX)
        self.url = url.rstrip("/")
        self._endpoint = parse_url(url)
        self._timeout = timeout

    def snapshot(self) -> GatewaySnapshot:
        """See GatewayQuery."""
        return self._get(GatewaySnapshot, "/api/v1/status")

    def list_routes(self, method: str | None = None, path_prefix: str | None = None) -> list[RouteSnapshot]:
        """See GatewayQuery."""
        return self._get(list[RouteSnapshot], "/api/v1/routes", method=method, path_prefix=path_prefix)

    def get_route(self, name_or_pattern: str) -> RouteSnapshot:
        """See GatewayQuery."""
        return find_route(self._get(list[RouteSnapshot], "/api/v1/routes", name=name_or_pattern), name_or_pattern)

    def list_listeners(self) -> list[ListenerSnapshot]:
        """See GatewayQuery."""
        return self._get(list[ListenerSnapshot], "/api/v1/listeners")

    def list_objects(self, kind: str | None = None, name: str | None = None) -> list[ObjectSnapshot]:
        """See GatewayQuery."""
        return self._get(list[ObjectSnapshot], "/api/v1/objects", kind=kind, name=name)

    def list_findings(self, severity: str | None = None) -> list[FindingSnapshot]:
        """See GatewayQuery."""
        return self._get(list[FindingSnapshot], "/api/v1/findings", severity=severity)

    def cache_stats(self) -> CacheStats:
        """See GatewayQuery."""
        return self._get(CacheStats, "/api/v1/cache")

    def metrics_snapshot(self, name_filter: str | None = None) -> list[MetricSnapshot]:
        """See GatewayQuery."""
        return self._get(list[MetricSnapshot], "/api/v1/metrics", name=name_filter)

    def explain(self, method: str, url: str, headers: Sequence[str] = (), listener: str = "") -> Explanation:
        """See GatewayQuery."""
        return self._get(
            Explanation, "/api/v1/explain", method=method, url=url, header=headers, listener=listener or None
        )

    def _get(self, kind: type[T], path: str, /, **parameters: str | Sequence[str] | None) -> T:
        given = {name: value for name, value in parameters.items() if value is not None}
        # An argument that is not UTF-8 goes out as it came.
        query = urlencode(given, doseq=True, errors="surrogateescape")
        target = f"{path}?{query}" if query else path
        try:
            response = self._exchange(self._endpoint.prefix + target)
        except (OSError, HTTPException, UnicodeError) as error:
            raise AgentApiError(
                "unreachable", f"no gateway answers at {self.url}: {self._reason(error)}", _REACH_FIX
            ) from error
        return decode(response, kind, self.url + target)

    def _exchange(self, target: str) -> Response:
        connect = HTTPSConnection if self._endpoint.https else HTTPConnection
        connection = connect(self._endpoint.host, self._endpoint.port, timeout=self._timeout)
        try:
            connection.request("GET", target, headers={"Accept": f"{JSON}, {PROBLEM}", "Connection": "close"})
            answer = connection.getresponse()
            media_type = answer.getheader("Content-Type", "").partition(";")[0].strip().lower()
            return Response(answer.status, media_type, answer.read(MAX_ANSWER + 1))
        finally:
            connection.close()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"nothing within {self._timeout:g} s"
        if isinstance(error, socket.gaierror | UnicodeError):  # the latter for a label that no name can have
            return f"the host name {self._endpoint.host} does not resolve"
        if isinstance(error, OSError):
            return error.strerror or str(error)
        return "what listens there does not speak HTTP"


def parse_url(url: str) -> Endpoint:
    """Take a URL apart. Raises `usage`, naming the flag, for one that cannot be an admin endpoint."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AgentApiError("usage", f"{url!r} is not an endpoint: {error}", _URL_FIX) from error
    if host is None or not _is_usable(url, parts):
        raise AgentApiError("usage", f"{url!r} is not an endpoint", _URL_FIX)
    return Endpoint(parts.scheme == "https", host, port, parts.path.rstrip("/"))


def _is_usable(url: str, parts: SplitResult) -> bool:
    extras = parts.query or parts.fragment or parts.username is not None
    return parts.scheme in ("http", "https") and not extras and url.isascii() and " " not in url and url.isprintable()


def decode(response: Response, kind: type[T], url: str) -> T:
    """Return what the server said as `kind`, or raise what it means: its own problem, or that it is not RAUTA."""
    status, media_type, body = response
    if len(body) > MAX_ANSWER:
        raise AgentApiError(
            "failure", f"the answer of {url} is longer than {MAX_ANSWER >> 20} MiB", "ask for less of it"
        )
    if status != 200 or media_type != JSON:
        raise _refusal(response, url)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AgentApiError("failure", f"the answer of {url} is not what RAUTA sends: {error}", _VERSION_FIX) from error


def _refusal(response: Response, url: str) -> AgentApiError:
    status, media_type, body = response
    if media_type == PROBLEM:
        try:
            return AgentApiError.from_problem(msgspec.json.decode(body, type=dict[str, object]), status)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # said to be a problem but is none: as foreign as any other answer
    said = f"{url} answered {status} as {media_type or 'nothing named'}"
    if status >= 400 and status != 404 and status in STATUSES:
        return AgentApiError(STATUSES[status], said, _VERSION_FIX)
    return AgentApiError("unreachable", f"{said}: that is not RAUTA's admin API", _REACH_FIX)
