"""The intermediate representation: what the data plane is told, keyed by stable names, with no Kubernetes type in it.

Pure. A configuration is a flat set of resources. Each has a kind and a name that survives every change that is not a
change of identity, so a transaction is "these keys became this, those keys are gone" and a worker rebuilds only what
hangs on them:

    listener      a socket to accept on
    virtual host  one host name (exact, `*.suffix` or `*`) on a listener
    rule          one path match on one virtual host, and the clusters that share its requests
    cluster       the endpoints behind a name, with the Maglev table that picks among them

A resource validates itself; what is invalid is never published. `slot` and `epoch` are not the translator's: publishing
assigns them (slots.py), so that counters keep their meaning over restarts.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

MAX_NAME = 512  # bytes; names are log fields and metric labels


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


class Listener(msgspec.Struct, frozen=True, array_like=True, tag="listener"):
    """A socket to accept on. `port` is bound; `spec_port` is the port the configuration named, seen by users."""

    name: str
    address: str
    port: int
    spec_port: int
    protocol: Literal["HTTP"] = "HTTP"
    gateways: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`listener/NAME`."""
        return f"listener/{self.name}"


class VirtualHost(msgspec.Struct, frozen=True, array_like=True, tag="host"):
    """A host name served on a listener: lower case, `*` for any, `*.example.com` for every name below example.com."""

    listener: str
    hostname: str

    @property
    def name(self) -> str:
        """`LISTENER|HOSTNAME`, what a rule refers to."""
        return f"{self.listener}|{self.hostname}"

    @property
    def key(self) -> str:
        """`host/LISTENER|HOSTNAME`."""
        return f"host/{self.name}"


class ClusterWeight(msgspec.Struct, frozen=True, array_like=True):
    """A share of a rule's requests: `weight` / (sum of the rule's weights) of them go to `cluster`."""

    cluster: str
    weight: int = 1


class Rule(msgspec.Struct, frozen=True, array_like=True, tag="rule"):
    """One path match on one virtual host.

    `route` is the name that users know, shared by all rules made from one route; counters and log lines carry it.
    `path` is a normalised request path (path.py). `method` empty means any. Of the rules of one path the lowest `order`
    wins.
    """

    name: str
    route: str
    host: str
    path: str
    path_type: Literal["exact", "prefix"]
    clusters: tuple[ClusterWeight, ...]
    method: str = ""
    order: int = 0
    slot: int = -1
    epoch: int = 0

    @property
    def key(self) -> str:
        """`rule/NAME`."""
        return f"rule/{self.name}"


class Cluster(msgspec.Struct, frozen=True, array_like=True, tag="cluster"):
    """The endpoints behind a name. `table` is a Maglev table (rauta_common.maglev) over their order, empty if none."""

    name: str
    endpoints: tuple[Endpoint, ...]
    table: bytes = b""

    @property
    def key(self) -> str:
        """`cluster/NAME`."""
        return f"cluster/{self.name}"


Resource: TypeAlias = Listener | VirtualHost | Rule | Cluster


def validate(resources: dict[str, Resource]) -> list[str]:
    """Return everything wrong with a whole configuration (by resource key), an empty list when it can be published."""
    problems: list[str] = []
    for key, resource in resources.items():
        if key != resource.key:
            problems.append(f"{key}: filed under a key that is not its own ({resource.key})")
        if len(resource.name.encode()) > MAX_NAME:
            problems.append(f"{key}: name is longer than {MAX_NAME} bytes")
        match resource:
            case Listener():
                problems += _ports(key, "port", resource.port, lowest=0)
            case VirtualHost():
                problems += _refers(key, "listener", f"listener/{resource.listener}", resources)
                if resource.hostname != resource.hostname.lower() or not resource.hostname:
                    problems.append(f"{key}: hostname must be lower case and not empty")
            case Rule():
                problems += _rule(key, resource, resources)
            case Cluster():
                problems += _cluster(key, resource)
    return problems


def _rule(key: str, rule: Rule, resources: dict[str, Resource]) -> list[str]:
    problems = _refers(key, "host", f"host/{rule.host}", resources)
    if not rule.path.startswith("/"):
        problems.append(f"{key}: path {rule.path!r} must start with '/'")
    for share in rule.clusters:
        problems += _refers(key, "clusters", f"cluster/{share.cluster}", resources)
        if share.weight < 0:
            problems.append(f"{key}: clusters: weight {share.weight} of {share.cluster} must be 0 or more")
    return problems


def _cluster(key: str, cluster: Cluster) -> list[str]:
    problems: list[str] = []
    for endpoint in cluster.endpoints:
        problems += _ports(key, f"endpoint {endpoint.address}: port", endpoint.port, lowest=1)
    names = {endpoint.name for endpoint in cluster.endpoints}
    if len(names) != len(cluster.endpoints):
        problems.append(f"{key}: endpoints: an address is listed twice")
    if any(endpoint.weight > 0 for endpoint in cluster.endpoints) != bool(cluster.table):
        problems.append(f"{key}: table must be present exactly when an endpoint has weight")
    return problems


def _ports(key: str, field: str, port: int, lowest: int) -> list[str]:
    return [] if lowest <= port <= 65535 else [f"{key}: {field} {port} is outside {lowest}-65535"]


def _refers(key: str, field: str, target: str, resources: dict[str, Resource]) -> list[str]:
    return [] if target in resources else [f"{key}: {field} refers to {target}, which does not exist"]
