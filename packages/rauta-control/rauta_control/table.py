"""The routing table of a worker: immutable, replaced whole by one assignment, built by copying only what changed.

Pure. A request goes listener -> host (exact, then longest wildcard, then any) -> path (exact, then longest prefix by
segment) -> rules of that path in their order -> the first whose predicates hold. What it found it keeps to its end, whatever
happens to the table meanwhile.

Two kinds of object are deliberately not part of a table and outlive it (cluster.py): clusters, so that an endpoint change
touches no route, and endpoints, so that connections go on.

A Draft collects one transaction and turns a Table into the next: `stage` in slices of well under a millisecond, nothing
visible until `commit`, which only assigns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import random

import msgspec

from rauta_common.radix import Editor, Radix
from rauta_control import ir
from rauta_control.cluster import Cluster, Clusters, Endpoint
from rauta_control.head import split_host
from rauta_control.recorder import Counter
from rauta_control.slices import Slices

MEMO_LIMIT = 4_096  # entries of a memo before it starts anew; the older half stays readable
SLICE = 32  # resources built between two yields: about 0.3 ms

_ANY = b"*"
_RANKS: dict[type[ir.Resource], int] = {ir.Cluster: 0, ir.Secret: 0, ir.Listener: 1, ir.VirtualHost: 2, ir.Rule: 3}


class Rule:
    """One rule as requests use it. `shares` are (cluster, weight); `label` is its part of an access log line."""

    __slots__ = (
        "__weakref__",
        "cluster",
        "counter",
        "epoch",
        "exact",
        "label",
        "method",
        "order",
        "path",
        "route",
        "shares",
        "slot",
        "total",
    )

    def __init__(self, rule: ir.Rule, clusters: dict[str, Cluster]) -> None:
        self.route = rule.route
        self.method = rule.method.encode()
        self.path = rule.path.encode()
        self.exact = rule.path_type == "exact"
        self.order = rule.precedence
        self.slot = rule.slot
        self.epoch = rule.epoch
        self.counter: Counter | None = None
        # A share without a cluster refers to nothing valid: it is drawn like any other, and answered with 500.
        self.shares = [
            (clusters[share.cluster] if share.cluster else None, share.weight) for share in rule.clusters if share.weight
        ]
        self.total = sum(weight for _, weight in self.shares)
        # The common case, one cluster, needs no draw.
        self.cluster = self.shares[0][0] if len(self.shares) == 1 else None
        self.label = b'"route":%b,' % msgspec.json.encode(rule.route)

    def draw(self) -> Cluster | None:
        """Return a cluster by weight, None if the rule has no backend that takes requests."""
        if self.cluster is not None or not self.shares:
            return self.cluster
        ticket = random() * self.total  # noqa: S311 - shares, not secrets
        for cluster, weight in self.shares:
            ticket -= weight
            if ticket < 0:
                return cluster
        return self.shares[-1][0]


class Host:
    """The paths of one host name, and what was decided lately: memos live and die with the host they are about."""

    __slots__ = ("memo", "older", "paths")

    def __init__(self, paths: Radix[tuple[Rule, ...]]) -> None:
        self.paths = paths
        self.memo: dict[bytes, Rule] = {}
        self.older: dict[bytes, Rule] = {}

    def decide(self, method: bytes, path: bytes) -> Rule | None:
        """Return the rule for a request that the memo does not know, and remember it. Misses are not remembered."""
        key = method + path
        rule = self.older.get(key) or self._search(method, path)
        if rule is not None:
            if len(self.memo) >= MEMO_LIMIT:
                self.older = self.memo
                self.memo = {}
            self.memo[key] = rule
        return rule

    def _search(self, method: bytes, path: bytes) -> Rule | None:
        for rules in self.paths.match(path):
            for rule in rules:
                if not rule.method or rule.method == method:
                    return rule
        return None


class Routes:
    """The host names of one listener. `seen` maps Host fields as clients send them to (host, X-Forwarded-Host line)."""

    __slots__ = ("names", "seen")

    def __init__(self, names: dict[bytes, Host]) -> None:
        self.names = names
        self.seen: dict[bytes, tuple[Host, bytes]] = {}

    def find(self, field: bytes) -> tuple[Host, bytes] | None:
        """Return what serves a Host field that `seen` does not know, and remember it. Raises Refused(BAD_HOST)."""
        host = self._search(split_host(field)) if field else self.names.get(_ANY)
        if host is None:
            return None
        if len(self.seen) >= MEMO_LIMIT:
            self.seen = {}
        found = self.seen[field] = (host, b"X-Forwarded-Host: %b\r\n" % field if field else b"")
        return found

    def _search(self, name: bytes) -> Host | None:
        """Gateway API: an exact name before a wildcard, a longer wildcard before a shorter one."""
        names = self.names
        host = names.get(name)
        while host is None:
            _, dot, name = name.partition(b".")
            if not dot:
                return names.get(_ANY)
            host = names.get(b"*." + name)
        return host


class Table:
    """Everything a worker decides by, at one generation. Listeners by name; `resources` is what it was built from."""

    __slots__ = ("generation", "listeners", "resources")

    def __init__(self, generation: int, listeners: dict[str, Routes], resources: dict[str, ir.Resource]) -> None:
        self.generation = generation
        self.listeners = listeners
        self.resources = resources


EMPTY = Table(-1, {}, {})


class Draft:
    """One transaction on a table. Use: `yield from stage(...)`, then `commit()`; or drop it, and nothing has changed."""

    def __init__(self, base: Table, clusters: Clusters, *, replace: bool = False) -> None:
        self._base = base
        self._clusters = clusters
        self._resources: dict[str, ir.Resource] = {} if replace else dict(base.resources)
        self._listeners: dict[str, Routes] = {} if replace else dict(base.listeners)
        self._names: dict[str, dict[bytes, Host]] = {}  # listeners whose host names are being edited
        self._editors: dict[str, Editor[tuple[Rule, ...]]] = {}  # hosts whose paths are being edited, by IR name
        self._replace = replace
        self._by_name: dict[str, Cluster] = {}
        self._changed_clusters: list[ir.Cluster] = []
        self.retired: list[Rule | Endpoint] = []  # what requests in flight may still hold after the commit

    def stage(self, upserts: Iterable[ir.Resource], deletes: Iterable[str]) -> Slices[None]:
        """Build everything new beside the old. Raises KeyError if a resource refers to one that is not there."""
        coming = sorted(upserts, key=_rank)
        going = sorted((self._resources[key] for key in deletes if key in self._resources), key=_rank, reverse=True)
        self._changed_clusters = [resource for resource in coming if isinstance(resource, ir.Cluster)]
        names = [cluster.name for cluster in self._changed_clusters]
        self._by_name = self._clusters.preview(names, replace=self._replace)
        if self._replace:
            self.retired += [
                rule for host in _hosts(self._base) for _, _, rules in host.paths.items() for rule in rules
            ]
        for count, resource in enumerate(coming, 1):
            self._insert(resource)
            if not count % SLICE:
                yield
        for resource in going:
            self._remove(resource)
            yield

    def commit(self, generation: int) -> Table:
        """Return the new table and bring the clusters up to date: both become visible in the same step."""
        for host_name, editor in self._editors.items():
            host = self._host(host_name)
            self._edit_names(host.listener)[host.hostname.encode()] = Host(editor.freeze())
        for listener, names in self._names.items():
            if listener in self._listeners:
                self._listeners[listener] = Routes(names)
        self.retired += self._clusters.update(self._by_name, self._changed_clusters)
        return Table(generation, self._listeners, self._resources)

    def _insert(self, resource: ir.Resource) -> None:
        old = self._resources.get(resource.key)
        match resource:
            case ir.Listener() if resource.name not in self._listeners:
                self._listeners[resource.name] = Routes({})
            case ir.VirtualHost() if old is None:
                self._edit_paths(resource)
            case ir.Rule():
                if isinstance(old, ir.Rule):
                    self._remove(old)
                self._insert_rule(resource)
        self._resources[resource.key] = resource

    def _remove(self, resource: ir.Resource) -> None:
        match resource:
            case ir.Listener():
                del self._listeners[resource.name]
            case ir.VirtualHost():
                self._editors.pop(resource.name, None)
                self._edit_names(resource.listener).pop(resource.hostname.encode(), None)
            case ir.Rule():
                self._remove_rule(resource)
            case ir.Cluster():
                del self._by_name[resource.name]
        del self._resources[resource.key]

    def _insert_rule(self, resource: ir.Rule) -> None:
        rule = Rule(resource, self._by_name)
        paths = self._edit_paths(self._host(resource.host))
        rules = (*(paths.get(rule.path, exact=rule.exact) or ()), rule)
        paths.insert(rule.path, tuple(sorted(rules, key=_order)), exact=rule.exact)

    def _remove_rule(self, resource: ir.Rule) -> None:
        paths = self._edit_paths(self._host(resource.host))
        path, exact = resource.path.encode(), resource.path_type == "exact"
        before = paths.get(path, exact=exact) or ()
        rules = tuple(rule for rule in before if rule.order != resource.precedence)
        self.retired += [rule for rule in before if rule not in rules]
        if rules:
            paths.insert(path, rules, exact=exact)
        else:
            paths.remove(path, exact=exact)

    def _host(self, name: str) -> ir.VirtualHost:
        host = self._resources[f"host/{name}"]
        assert isinstance(host, ir.VirtualHost)  # noqa: S101 - for the type checker
        return host

    def _edit_paths(self, host: ir.VirtualHost) -> Editor[tuple[Rule, ...]]:
        editor = self._editors.get(host.name)
        if editor is None:
            served = self._edit_names(host.listener).get(host.hostname.encode())
            editor = self._editors[host.name] = (served.paths if served else Radix()).edit()
        return editor

    def _edit_names(self, listener: str) -> dict[bytes, Host]:
        names = self._names.get(listener)
        if names is None:
            routes = self._listeners.get(listener)
            names = self._names[listener] = dict(routes.names) if routes else {}
        return names


def _order(rule: Rule) -> tuple[ir.Place, str]:
    return rule.order


def _rank(resource: ir.Resource) -> int:
    """What is referred to comes before what refers to it."""
    return _RANKS[type(resource)]


def _hosts(table: Table) -> Iterator[Host]:
    for routes in table.listeners.values():
        yield from routes.names.values()
