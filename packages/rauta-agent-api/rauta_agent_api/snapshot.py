"""What a gateway says about itself: frozen read models, the same in Python, JSON, the command line and MCP.

Pure. Field names are the wire names, in the order in which they are written. Counters count since the gateway started
and survive the restart of a worker. What identifies a thing is required; all else has a default, and unknown fields are
ignored, so that an older and a newer version understand each other.
"""

from __future__ import annotations

import msgspec

ANY_METHOD = "ALL"  # the `method` of a route that takes every method


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    """The route cache: remembered routing decisions, summed over the workers."""

    hits: int
    """Decisions taken from the cache."""
    misses: int
    """Decisions that were computed."""
    size: int
    """Decisions remembered now."""
    hit_rate: float
    """hits / (hits + misses), 0 to 1; 0 before the first request."""


class ListenerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A socket that the configuration asks for."""

    name: str = ""
    """Stable name, unique in the gateway."""
    address: str = ""
    """The IP address to bind, without brackets; `::` and `0.0.0.0` are all interfaces."""
    port: int
    """The port bound."""
    protocol: str
    """As in the Gateway API: `HTTP`."""
    gateway_refs: tuple[str, ...] = ()
    """The Gateways it serves, as `namespace/name`."""
    bound: bool = True
    """Whether the socket is open and accepting."""
    message: str = ""
    """Why it is not bound; empty when it is."""


class WorkerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process, or the empty place of one that died."""

    index: int
    """Its slot, from 0; a replacement takes the same one."""
    pid: int | None = None
    """Process id; None when the slot is empty."""
    alive: bool = False
    """Whether the process runs and reports."""
    generation: int = 0
    """The newest configuration it has acknowledged; 0 for none."""
    connections: int = 0
    """Client connections open now."""
    requests_total: int = 0
    """Requests answered in this slot."""


class FindingCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many findings there are of each severity."""

    error: int = 0
    """Requests fail, or something is not served."""
    warning: int = 0
    """Something that was written has no effect."""
    info: int = 0
    """Worth knowing."""


class GatewaySnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway as a whole."""

    status: str
    """`ok`, `starting` (not ready yet), `degraded` (serves, but a worker or a listener is missing) or `draining`."""
    version: str = ""
    """RAUTA's version, such as `0.1.0`."""
    ready: bool = False
    """Whether every worker has acknowledged a complete configuration; stays true from then on."""
    uptime_seconds: int = 0
    """Seconds since the gateway started."""
    generation: int = 0
    """The newest configuration published; 0 before the first. A worker with a lower one is behind."""
    config_age_seconds: float | None = None
    """Seconds since that configuration was published; None before the first."""
    route_count: int = 0
    """Routes configured."""
    object_count: int = 0
    """Objects of manifests or a cluster that have a status: Gateways, HTTPRoutes and so on."""
    findings: FindingCounts = FindingCounts()
    """What there is to say about the objects and documents; `list_findings` says it."""
    open_circuits: int | None = None
    """Circuit breakers that let nothing through now; None of a gateway that has no circuit breakers."""
    exhausted_rate_limiters: int | None = None
    """Rate limiters without a token now; None of a gateway that has no rate limiters."""
    listeners: tuple[ListenerSnapshot, ...] = ()
    workers: tuple[WorkerSnapshot, ...] = ()
    """By index."""
    cache_stats: CacheStats | None = None
    """None when it is not known."""
    problems: tuple[str, ...] = ()
    """What an operator should look at, a sentence each: a reload that was refused, a name that does not resolve."""


class BackendSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint behind a route."""

    cluster: str = ""
    """The group of endpoints it belongs to; a route splits its requests among clusters by weight."""
    address: str
    """IP address, without brackets."""
    port: int
    weight: int = 1
    """Its share: weight / sum of the weights of the route's backends; 0 receives nothing."""
    is_ipv6: bool = False
    is_draining: bool = False
    """Whether it finishes what it has and receives nothing new."""
    health_score: float | None = None
    """0 (failing) to 1 (healthy); None when it is not checked."""
    requests_total: int = 0
    """Attempts at it, with a connection or without: requests, retries and copies."""
    failures_total: int = 0
    """Of these, how many failed: no connection, a broken or late answer, or a 5xx."""


class RouteSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A match and where its requests go."""

    name: str = ""
    """Stable id, unique in the gateway, such as `standalone/route-0`."""
    route: str = ""
    """The HTTPRoute it is of, `namespace/name`, or the `--route`: what the access log and the metrics call it."""
    method: str
    """The method it takes, upper case; `ALL` for every one."""
    pattern: str
    """The path it matches."""
    path_type: str = "prefix"
    """`exact`, `regex` for an expression, or `prefix`: whole segments, so `/api` matches `/api/v1` but not `/apis`."""
    conditions: tuple[str, ...] = ()
    """What else it asks of a request: `header NAME=VALUE` or `query NAME=VALUE`, with `~` before an expression."""
    hostnames: tuple[str, ...] = ()
    """Host names it serves, `*.example.com` for every name below; empty for all."""
    listener: str = ""
    """The name of the listener it is attached to."""
    backends: tuple[BackendSnapshot, ...] = ()
    faults: tuple[str, ...] = ()
    """Why requests are answered with 500 instead of being sent to a backend, and what share of them."""
    has_request_filters: bool = False
    """Whether requests are changed or copied on their way."""
    has_response_filters: bool = False
    """Whether responses are changed on their way."""
    has_redirect: bool = False
    """Whether it answers with a redirect instead of asking a backend."""
    has_timeout: bool = False
    has_retry: bool = False
    requests_total: int = 0
    """Requests that `route` has taken: all matches of one HTTPRoute are counted together."""
    errors_total: int = 0
    """Of these, how many were answered with a 5xx, by a backend or by RAUTA."""


class MetricValue(msgspec.Struct, frozen=True, kw_only=True):
    """One sample of a metric."""

    labels: dict[str, str]
    value: float
    """Finite; the unit is the suffix of the metric's name, as `_seconds` or `_bytes`."""


class MetricSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A metric as `/metrics` exposes it, with all its samples."""

    name: str
    help: str = ""
    metric_type: str = "untyped"
    """`counter`, `gauge`, `histogram` or `untyped`."""
    values: tuple[MetricValue, ...] = ()


class ConditionSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of a status, as in Kubernetes."""

    type: str
    """Such as `Accepted`, `Programmed`, `ResolvedRefs`."""
    status: str
    """`True`, `False` or `Unknown`."""
    reason: str = ""
    message: str = ""
    since: str = ""
    """When the status became what it is, RFC 3339."""
    observed_generation: int = 0
    """The generation of the object that it speaks of; 0 for objects from files."""


class PartSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an object with conditions of its own: a listener, or a parent that a route is attached to."""

    name: str
    """The name of the listener, or `Gateway namespace/name` with the listener or port if the route names one."""
    attached_routes: int | None = None
    """Of a listener, the routes attached; None for a parent."""
    conditions: tuple[ConditionSnapshot, ...] = ()


class ObjectSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An object of manifests or a cluster, and what has become of it."""

    kind: str
    namespace: str = ""
    """Empty for a cluster-scoped object."""
    name: str
    addresses: tuple[str, ...] = ()
    """Of a Gateway, where it is served."""
    conditions: tuple[ConditionSnapshot, ...] = ()
    """Of the object as a whole; a route has conditions only for each parent."""
    parts: tuple[PartSnapshot, ...] = ()


class FindingSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody should know about what they wrote."""

    code: str
    """Such as `RAUTA-CFG-020`; its meaning never changes."""
    severity: str
    """`error` (requests fail or nothing is served), `warning` (something has no effect) or `info`."""
    kind: str
    """The kind of the object, or `Document` for what is no object."""
    namespace: str = ""
    name: str
    path: str = ""
    """The field, as users write it: `spec.rules[0].backendRefs[0]`; empty for the whole object."""
    message: str
    advice: str = ""
    """What to do."""
    place: str = ""
    """The document, `FILE#NUMBER`, where the document is what is wrong."""


class ValidationSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What manifests would become, without a gateway."""

    objects: tuple[ObjectSnapshot, ...] = ()
    findings: tuple[FindingSnapshot, ...] = ()
    """The worst first."""
