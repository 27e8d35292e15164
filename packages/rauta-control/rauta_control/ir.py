"""The intermediate representation: what the data plane is told, keyed by stable names, with no Kubernetes type in it.

Pure. A configuration is a flat set of resources. Each has a kind and a name that survives every change that is not a
change of identity, so a transaction is "these keys became this, those keys are gone" and a worker rebuilds only what
hangs on them:

    secret        a certificate chain and its key, or a bundle of authorities; listeners name it, its bytes are here
    listener      a socket to accept on, and the certificates it answers with
    virtual host  one host name (exact, `*.suffix` or `*`) on a listener
    rule          one match on one virtual host, what is done to its requests, and the clusters that share them
    cluster       the endpoints behind a name, with the Maglev table that picks among them

A resource validates itself; what is invalid is never published. `slot` and `epoch` are not the
translator's: publishing assigns them (slots.py), so that counters keep their meaning over restarts.

What a resource can say is more than the data plane does yet; supported.py is the list of what it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from rauta_common import hashing
from rauta_control import handshake, regex
from rauta_control.action import UNSET, Filters, Retry
from rauta_control.hostname import covers
from rauta_control.slices import Slices, finish

MAX_NAME = 512  # bytes; names are log fields and metric labels
Place: TypeAlias = tuple[int, int, str, int]
_PATHS = {"exact": 0, "regex": 1, "prefix": 2}

REDIRECTS = (301, 302, 303, 307, 308)


class Endpoint(msgspec.Struct, frozen=True, array_like=True):
    """One address behind a cluster. `address` is an IP literal without brackets; `weight` 0 receives nothing."""

    address: str
    port: int
    weight: int = 1
    slot: int = -1
    epoch: int = 0

    @property
    def name(self) -> str:
        """`10.0.0.1:80` or `[::1]:80`, the identity under which the endpoint is counted."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Secret(msgspec.Struct, frozen=True, array_like=True, tag="secret"):
    """PEM: a certificate chain, leaf first, and its private key; without a key, a bundle of certificate authorities.

    `hostnames` are those that the leaf is for (lower case, `*.` for one label), `key_type` the kind of its key: `RSA`,
    `EC` or another.
    """

    name: str
    certificates: bytes
    private_key: bytes = b""
    hostnames: tuple[str, ...] = ()
    key_type: str = ""

    @property
    def key(self) -> str:
        """`secret/NAME`."""
        return f"secret/{self.name}"

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


class ServerName(msgspec.Struct, frozen=True, array_like=True):
    """How a TLS listener answers a ClientHello for a host name (exact, `*.suffix`, `*`); the most specific counts.

    `client` says whether a client certificate issued by one of `authorities` is needed: not asked for, required, or
    asked for and the connection accepted whatever it is.
    """

    hostname: str
    secrets: tuple[str, ...]
    authorities: tuple[str, ...] = ()
    client: Literal["none", "required", "optional"] = "none"


class Listener(msgspec.Struct, frozen=True, array_like=True, tag="listener"):
    """A socket to accept on. `port` is bound; `spec_port` is the port the configuration named, seen by users."""

    name: str
    address: str
    port: int
    spec_port: int
    protocol: Literal["HTTP", "HTTPS"] = "HTTP"
    gateways: tuple[str, ...] = ()
    tls: tuple[ServerName, ...] = ()

    @property
    def key(self) -> str:
        """`listener/NAME`."""
        return f"listener/{self.name}"


class VirtualHost(msgspec.Struct, frozen=True, array_like=True, tag="host"):
    """A host name served on a listener: lower case, `*` for any, `*.example.com` for every name below example.com.

    Where no rule of it matches, those of `fallback` are asked, the next less specific host of the same `section`; empty
    means 404. `section` is the part of the configuration it belongs to: a request that reaches a host of another
    section than its TLS server name selected was misdirected (421).
    """

    listener: str
    hostname: str
    fallback: str = ""
    section: str = ""

    @property
    def name(self) -> str:
        """`LISTENER|HOSTNAME`, what a rule refers to."""
        return f"{self.listener}|{self.hostname}"

    @property
    def key(self) -> str:
        """`host/LISTENER|HOSTNAME`."""
        return f"host/{self.name}"


class Predicate(msgspec.Struct, frozen=True, array_like=True):
    """A header (name in lower case) or query parameter that must be there: equal to `value`, or matched by it whole."""

    name: str
    value: str
    regex: bool = False


class ClusterWeight(msgspec.Struct, frozen=True, array_like=True):
    """A share of a rule's requests: `weight` / (sum of the rule's weights) of them go to `cluster`.

    An invalid share has no cluster but a `fault`, which names what it refers to and why that is invalid: 500.
    """

    cluster: str
    weight: int = 1
    filters: Filters | None = None
    fault: str = ""


class Rule(msgspec.Struct, frozen=True, array_like=True, tag="rule"):
    """One match on one virtual host.

    `route` is the name that users know, shared by all rules made from one route; counters and log lines carry it, and
    `section` is the name of its rule where the user gave one. `path` is a normalised request path (path.py); of type
    regex, an expression (RE2) for all of it. An exact path is tried before expressions, and those before prefixes,
    longer ones first: a prefix often catches the rest (Envoy Gateway, Contour and nginx do so, the Gateway API leaves
    it open). `method` empty means any. Among rules of one path, and among expressions, the lowest `precedence` wins.
    `request_timeout` and `backend_timeout` are milliseconds.
    """

    name: str
    route: str
    host: str
    path: str
    path_type: Literal["exact", "prefix", "regex"]
    clusters: tuple[ClusterWeight, ...]
    method: str = ""
    order: int = 0
    slot: int = -1
    epoch: int = 0
    created: int = 0  # seconds since 1970; older routes win
    index: int = 0  # of the match among all of its route: earlier ones win
    headers: tuple[Predicate, ...] = ()
    query: tuple[Predicate, ...] = ()
    filters: Filters | None = None
    request_timeout: int = UNSET
    backend_timeout: int = UNSET
    retry: Retry | None = None
    section: str = ""
    upgrades: tuple[str, ...] = ()  # protocols offered besides websocket, lower case (handshake.py)

    @property
    def key(self) -> str:
        """`rule/NAME`."""
        return f"rule/{self.name}"

    @property
    def precedence(self) -> tuple[Place, str]:
        """Sorts the rules of one path: by `order`, then the older route, its name, and the place within it."""
        return (self.order, self.created, self.route, self.index), self.name

    @property
    def tried(self) -> tuple[int, int, str, tuple[Place, str]]:
        """Sorts the rules of a host as they are tried: exact paths, expressions, longer prefixes; then precedence."""
        path = {"exact": self.path, "regex": "", "prefix": self.path.removesuffix("/")}[self.path_type]
        return _PATHS[self.path_type], -len(path) if self.path_type == "prefix" else 0, path, self.precedence


class Balance(msgspec.Struct, frozen=True, array_like=True):
    """How a cluster picks an endpoint for a request, always by weight.

    maglev: by consistent hashing, so that requests with the same `key` stay together: `flow` is the client's address
    and port (a connection), `ip` its address, `header` and `cookie` the value of the one called `name`.
    least-request: the one with fewer requests in flight, of two that are drawn. round-robin: in turns.
    """

    policy: Literal["maglev", "least-request", "round-robin"] = "maglev"
    key: Literal["flow", "ip", "header", "cookie"] = "flow"
    name: str = ""


class Cluster(msgspec.Struct, frozen=True, array_like=True, tag="cluster"):
    """The endpoints behind a name. `table` is a Maglev table (rauta_common.maglev) over their order, empty if none."""

    name: str
    endpoints: tuple[Endpoint, ...]
    table: bytes = b""
    protocol: Literal["http", "h2c", "websocket"] = "http"
    balance: Balance = Balance()

    @property
    def key(self) -> str:
        """`cluster/NAME`."""
        return f"cluster/{self.name}"


Resource: TypeAlias = Secret | Listener | VirtualHost | Rule | Cluster


def order(method: str, headers: int, query: int) -> int:
    """`Rule.order` of a match: one with a method before one without, then more headers, then more query parameters."""
    return (0 if method else 1) << 10 | (31 - min(headers, 31)) << 5 | (31 - min(query, 31))


def bounded(name: str, limit: int = MAX_NAME) -> str:
    """Return `name`, or if it is longer than `limit` characters its beginning and a digest of all of it."""
    return name if len(name) <= limit else f"{name[: limit - 17]}~{hashing.digest(name.encode()):016x}"


def validate(resources: Mapping[str, Resource]) -> list[str]:
    """Return everything wrong with a whole configuration (by resource key), an empty list when it can be published."""
    found = finish(validating(resources, resources))
    return [f"{key}: {problem}" for key, problems in found.items() for problem in problems]


def validating(some: Mapping[str, Resource], everything: Mapping[str, Resource]) -> Slices[dict[str, list[str]]]:
    """Return everything wrong with `some` resources of a configuration, by key, a resource at a time."""
    problems: dict[str, list[str]] = {}
    for key, resource in some.items():
        if found := list(faults(key, resource, everything)):
            problems[key] = found
        yield
    return problems


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
        if listener != host.listener or hostname == host.hostname or not covers(hostname, host.hostname):
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
    if problem := handshake.fault(rule.upgrades):
        yield f"upgrades: expected {problem}"


def _filters(filters: Filters | None, resources: Mapping[str, Resource]) -> Iterator[str]:
    if filters is None:
        return
    for mirror in filters.mirrors:
        yield from _refers("mirrors", f"cluster/{mirror.cluster}", resources)
        if not 0 <= mirror.numerator <= mirror.denominator:
            yield f"mirrors: {mirror.numerator}/{mirror.denominator} is no share"
    if filters.redirect is not None:
        if filters.redirect.status not in REDIRECTS:
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
    balance = cluster.balance
    if balance.key != "flow" and balance.policy != "maglev":
        yield f"balance: {balance.policy} has no key"
    if bool(balance.name) != (balance.key in ("header", "cookie")):
        yield f"balance: key {balance.key} must have a name exactly if it is header or cookie"


def _port(field: str, port: int, lowest: int) -> Iterable[str]:
    return () if lowest <= port <= 65535 else (f"{field} {port} is outside {lowest}-65535",)


def _hostname(hostname: str) -> Iterable[str]:
    return () if hostname and hostname == hostname.lower() else ("hostname must be lower case and not empty",)


def _regex(field: str, pattern: str) -> Iterable[str]:
    problem = regex.problem(pattern)
    return (f"{field}: {problem}",) if problem else ()


def _refers(field: str, target: str, resources: Mapping[str, Resource]) -> Iterable[str]:
    return () if target in resources else (f"{field} refers to {target}, which does not exist",)
