"""The routing table of a worker: immutable, replaced whole by one assignment, built by copying only what changed.

Pure. A request goes listener -> host (exact, then longest wildcard, then any) -> path (exact, then longest prefix by
segment) -> rules of that path in their order -> the first whose predicates hold. What it found it keeps to its end,
whatever happens to the table meanwhile.

Two kinds of object are deliberately not part of a table and outlive it (cluster.py): clusters, so that an endpoint
change touches no route, and endpoints, so that connections go on.

A Draft collects one transaction and turns a Table into the next: `stage` in slices of well under a millisecond, nothing
visible until `commit`, which only assigns.

What was decided lately is remembered, by the host it is about, so that a memo dies with what it was decided by. What
all hosts of a worker remember is bounded (Memory), and so is what one entry costs: clients choose the keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakSet

import msgspec

from rauta_common import maglev
from rauta_common.radix import Editor, Radix
from rauta_control import ir
from rauta_control.cluster import Cluster, Clusters, Endpoint, Filling
from rauta_control.head import split_host
from rauta_control.recorder import Counter
from rauta_control.slices import Slices
from rauta_control.treatment import Treatment

MEMO_LIMIT = 8_192  # decisions that a worker remembers before it starts anew; as many older ones stay readable
MEMO_KEY = 256  # bytes of method and path, longer ones are decided each time: 16,384 entries are under 8 MiB
SEEN_LIMIT = 4_096  # Host fields that a listener remembers before it starts anew; split_host bounds their length
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
        "shares",
        "slot",
        "total",
        "treatment",
    )

    def __init__(self, rule: ir.Rule, clusters: dict[str, Cluster]) -> None:
        self.method = rule.method.encode()
        self.path = rule.path.encode()
        self.exact = rule.path_type == "exact"
        self.order = rule.precedence
        self.slot = rule.slot
        self.epoch = rule.epoch
        self.counter: Counter | None = None
        # A share without a cluster refers to nothing valid: it is drawn like any other and answered with 500.
        self.shares = [
            (clusters[share.cluster] if share.cluster else None, share.weight)
            for share in rule.clusters
            if share.weight
        ]
        self.total = sum(weight for _, weight in self.shares)
        # The common case, one cluster, needs no draw.
        self.cluster = self.shares[0][0] if len(self.shares) == 1 else None
        self.label = b'"route":%b,' % msgspec.json.encode(rule.route)
        self.treatment = Treatment.of(rule, clusters)

    def draw(self, chance: float) -> Cluster | None:
        """Return a cluster by weight for a random `chance` in [0, 1); None if no backend of the rule takes requests."""
        ticket = chance * self.total
        for cluster, weight in self.shares:
            ticket -= weight
            if ticket < 0:
                return cluster
        return self.shares[-1][0] if self.shares else None  # rounding may leave a ticket of 0


class Host:
    """The paths of one host name, and what was decided lately."""

    __slots__ = ("memo", "memory", "older", "paths")

    def __init__(self, paths: Radix[tuple[Rule, ...]], memory: Memory) -> None:
        self.paths = paths
        self.memory = memory
        self.memo: dict[bytes, Rule] = {}  # by method and path: `GET/index.html`
        self.older: dict[bytes, Rule] = {}

    def decide(self, method: bytes, path: bytes) -> Rule | None:
        """Return the rule for a request that the memo does not know, and remember it. Misses are not remembered."""
        key = method + path
        rule = self.older.get(key) or self._search(method, path)
        if rule is not None and len(key) <= MEMO_KEY:
            self.memory.count(self)
            self.memo[key] = rule
        return rule

    def _search(self, method: bytes, path: bytes) -> Rule | None:
        for rules in self.paths.match(path):
            for rule in rules:
                if not rule.method or rule.method == method:
                    return rule
        return None


class Memory:
    """What the hosts of a worker remember, in two generations: when the newer is full, the older is forgotten."""

    __slots__ = ("entries", "hosts", "older")

    def __init__(self) -> None:
        self.entries = 0  # of the newer generation, those of hosts that were replaced meanwhile included
        self.older = 0
        self.hosts: set[Host] = set()  # that remember anything

    def __len__(self) -> int:
        return self.entries + self.older

    def count(self, host: Host) -> None:
        """Make room for an entry in the memo of `host`."""
        if self.entries >= MEMO_LIMIT:
            self._turn()
        if not host.memo:
            self.hosts.add(host)
        self.entries += 1

    def forget(self, hosts: Iterable[Host]) -> None:
        """These hosts are served no more; requests in flight may still hold their rules, nobody else may."""
        self.hosts.difference_update(hosts)

    def _turn(self) -> None:
        for host in self.hosts:
            host.older, host.memo = host.memo, {}
        self.hosts = {host for host in self.hosts if host.older}
        self.older, self.entries = self.entries, 0


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
        if len(self.seen) >= SEEN_LIMIT:
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

    __slots__ = ("generation", "listeners", "memory", "resources")

    def __init__(
        self, generation: int, listeners: dict[str, Routes], resources: dict[str, ir.Resource], memory: Memory
    ) -> None:
        self.generation = generation
        self.listeners = listeners
        self.resources = resources
        self.memory = memory  # handed on from table to table

    @classmethod
    def empty(cls) -> Table:
        """Return the table of a worker that was told nothing yet."""
        return cls(-1, {}, {}, Memory())


class Draft:
    """One transaction on a table: `stage`, `fill`, `commit`, `release`, in this order, or `stage` and then drop it.

    `retired` holds, weakly, what the transaction replaces or removes: when it has emptied, no request in flight uses it
    any more. `gone` are the endpoints among it, once released; their idle connections are the caller's to close.
    """

    def __init__(self, base: Table, clusters: Clusters) -> None:
        self.retired: WeakSet[Rule | Endpoint] = WeakSet()
        self.gone: list[Endpoint] = []
        self._memory = base.memory
        self._clusters = clusters
        self._resources = dict(base.resources)
        self._listeners = dict(base.listeners)
        self._names: dict[str, dict[bytes, Host]] = {}  # listeners whose host names are being edited
        self._editors: dict[str, Editor[tuple[Rule, ...]]] = {}  # hosts whose paths are being edited, by IR name
        self._replaced: list[Host] = []
        self._by_name: dict[str, Cluster] = {}
        self._fillings: list[Filling] = []
        self._listed: list[Endpoint] = []  # by clusters that list something else now
        self._leaving: list[object] = []  # what the old table is made of and the new one is not

    def stage(self, upserts: Iterable[ir.Resource], deletes: Iterable[str]) -> Slices[None]:
        """Build everything new beside the old; a key in both is an upsert. Nothing of it is visible yet.

        Raises KeyError if a resource refers to one that is not there, TypeError if a Maglev table is none.
        """
        coming = sorted(upserts, key=_rank)
        going = sorted((self._resources[key] for key in deletes if key in self._resources), key=_rank, reverse=True)
        self._by_name = self._clusters.preview(resource.name for resource in coming if isinstance(resource, ir.Cluster))
        yield
        for count, resource in enumerate(coming, 1):
            self._insert(resource)
            if not count % SLICE:
                yield
        kept = {resource.key for resource in coming}
        for count, resource in enumerate(going, 1):
            if resource.key not in kept:
                self._remove(resource)
            if not count % SLICE:
                yield
        for count, (name, editor) in enumerate(self._editors.items(), 1):
            host = self._host(name)
            self._edit_names(host.listener)[host.hostname.encode()] = Host(editor.freeze(), self._memory)
            if not count % SLICE:
                yield

    def fill(self) -> Slices[None]:
        """Give the clusters their endpoints. Rules of the old table use them from here on, each whole."""
        for count, filling in enumerate(self._fillings, 1):
            self._listed += self._clusters.fill(filling)
            if not count % SLICE:
                yield

    def commit(self, generation: int) -> Table:
        """Return the new table. A few assignments for each listener."""
        for listener, names in self._names.items():
            if listener in self._listeners:
                self._listeners[listener] = Routes(names)
        self._clusters.by_name = self._by_name
        self._memory.forget(self._replaced)
        return Table(generation, self._listeners, self._resources, self._memory)

    def release(self) -> Slices[None]:
        """Let go of what only the old table used, a little at a time: freeing 5,000 routes at once takes 30 ms."""
        for count, endpoint in enumerate(self._listed, 1):
            if self._clusters.release(endpoint):
                self.retired.add(endpoint)
                self.gone.append(endpoint)
            if not count % SLICE:
                yield
        self._leaving += self._replaced
        self._replaced.clear()
        self._editors.clear()
        while self._leaving:
            del self._leaving[-SLICE:]
            yield

    def _insert(self, resource: ir.Resource) -> None:
        old = self._resources.get(resource.key)
        if old is not None:
            self._leaving.append(old)
        match resource:
            case ir.Cluster():
                table = maglev.view(resource.table)
                self._fillings.append((self._by_name[resource.name], resource.endpoints, table))
            case ir.Listener() if old is None:
                self._listeners[resource.name] = Routes({})
            case ir.VirtualHost() if old is None:
                self._edit_paths(resource)
            case ir.Rule():
                if isinstance(old, ir.Rule):
                    self._remove_rule(old)
                self._insert_rule(resource)
        self._resources[resource.key] = resource

    def _remove(self, resource: ir.Resource) -> None:
        match resource:
            case ir.Listener():
                del self._listeners[resource.name]
            case ir.VirtualHost():
                self._edit_paths(resource)
                del self._editors[resource.name]
                self._edit_names(resource.listener).pop(resource.hostname.encode(), None)
            case ir.Rule():
                self._remove_rule(resource)
            case ir.Cluster():
                self._listed += self._by_name.pop(resource.name).endpoints
        self._leaving.append(self._resources.pop(resource.key))

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
        for rule in before:
            if rule not in rules:
                self.retired.add(rule)
                self._leaving.append(rule)
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
            if served is not None:
                self._replaced.append(served)
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
