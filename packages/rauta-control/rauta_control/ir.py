"""The intermediate representation: what the data plane is told, keyed by stable names, with no Kubernetes type in it.

Pure. A configuration is a flat set of resources. Each has a kind and a name that survives every change that is not a
change of identity, so a transaction is "these keys became this, those keys are gone" and a worker rebuilds only what
hangs on them:

    secret        a certificate chain and its key, or a bundle of authorities; listeners name it, only here are its bytes
    listener      a socket to accept on, and the certificates it answers with
    virtual host  one host name (exact, `*.suffix` or `*`) on a listener
    rule          one match on one virtual host, what is done to its requests, and the clusters that share them
    cluster       the endpoints behind a name, with the Maglev table that picks among them

A resource validates itself (irvalid.py); what is invalid is never published. `slot` and `epoch` are not the
translator's: publishing assigns them (slots.py), so that counters keep their meaning over restarts.

What a resource can say is more than the data plane does yet; supported.py is the list of what it does.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

MAX_NAME = 512  # bytes; names are log fields and metric labels

UNSET = -1  # of a number of milliseconds or attempts: left to the gateway. 0 of milliseconds: no limit


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
    """PEM: a certificate chain, leaf first, and its private key; without a key, a bundle of certificate authorities."""

    name: str
    certificates: bytes
    private_key: bytes = b""

    @property
    def key(self) -> str:
        """`secret/NAME`."""
        return f"secret/{self.name}"

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


class ServerName(msgspec.Struct, frozen=True, array_like=True):
    """How a TLS listener answers a ClientHello for a host name (exact, `*.suffix`, `*`); the most specific entry counts.

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


class HeaderEdit(msgspec.Struct, frozen=True, array_like=True):
    """Changes of header fields: replace, append to what is there, drop. Names are compared without case."""

    replace: tuple[tuple[str, str], ...] = ()
    append: tuple[tuple[str, str], ...] = ()
    drop: tuple[str, ...] = ()


class PathEdit(msgspec.Struct, frozen=True, array_like=True):
    """A new path, or (`prefix`) a new beginning in place of the rule's path. Segments stay whole."""

    path: str
    prefix: bool = False


class Redirect(msgspec.Struct, frozen=True, array_like=True):
    """An answer that sends the client elsewhere. `port` 0: not written. `hostname` empty and `path` None: as requested."""

    status: int
    scheme: str
    port: int
    hostname: str = ""
    path: PathEdit | None = None


class Rewrite(msgspec.Struct, frozen=True, array_like=True):
    """A changed target for the backend. `hostname` empty and `path` None: as requested."""

    hostname: str = ""
    path: PathEdit | None = None


class Mirror(msgspec.Struct, frozen=True, array_like=True):
    """`numerator` of `denominator` requests are copied to `cluster`, whose answers are dropped."""

    cluster: str
    numerator: int = 1
    denominator: int = 1


class Cors(msgspec.Struct, frozen=True, array_like=True):
    """Cross-origin answers. Origins may have a wildcard host (`https://*.example.com`) or be `*`; `max_age` in seconds."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 5


class Filters(msgspec.Struct, frozen=True, array_like=True):
    """What is done to requests and responses. `fault`: nothing is done and the answer is 500, for the reason given."""

    request: HeaderEdit | None = None
    response: HeaderEdit | None = None
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None
    fault: str = ""


class Retry(msgspec.Struct, frozen=True, array_like=True):
    """When a failed request is tried again: at most `attempts` more times, after `backoff` ms. UNSET: as the gateway does."""

    attempts: int = UNSET
    codes: tuple[int, ...] = ()
    backoff: int = UNSET


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
    regex, an expression (RE2) for all of it. `method` empty means any. Among rules of one path the lowest `precedence`
    wins. `request_timeout` and `backend_timeout` are milliseconds.
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

    @property
    def key(self) -> str:
        """`rule/NAME`."""
        return f"rule/{self.name}"

    @property
    def precedence(self) -> tuple[int, int, str, int, str]:
        """Sorts the rules of one path: by `order`, then the older route, its name, and the place within it."""
        return (self.order, self.created, self.route, self.index, self.name)


class Cluster(msgspec.Struct, frozen=True, array_like=True, tag="cluster"):
    """The endpoints behind a name. `table` is a Maglev table (rauta_common.maglev) over their order, empty if none."""

    name: str
    endpoints: tuple[Endpoint, ...]
    table: bytes = b""
    protocol: Literal["http", "h2c", "websocket"] = "http"

    @property
    def key(self) -> str:
        """`cluster/NAME`."""
        return f"cluster/{self.name}"


Resource: TypeAlias = Secret | Listener | VirtualHost | Rule | Cluster


def order(method: str, headers: int, query: int) -> int:
    """`Rule.order` of a match: one with a method before one without, then more headers, then more query parameters."""
    return (0 if method else 1) << 10 | (31 - min(headers, 31)) << 5 | (31 - min(query, 31))


def bounded(name: str, digest: str) -> str:
    """Return `name`, or if it is too long for a name its beginning and `digest`, which stands for all of it."""
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1 - len(digest)]}~{digest}"
