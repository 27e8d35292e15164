"""The routing table of a worker: immutable, replaced whole by one assignment, built by copying only what changed.

Pure. A request goes listener -> host (exact, then longest wildcard, then any) -> path (exact, then expressions, then
longest prefix by segment) -> rules of that path in their order -> the first whose conditions hold (choice.py); where
none does, on to the next less specific host that the configuration names. What it found it keeps to its end, whatever
happens to the table meanwhile.

Two kinds of object are deliberately not part of a table and outlive it (cluster.py): clusters, so that an endpoint
change touches no route, and endpoints, so that connections go on. How a table becomes the next is draft.py's.

What was decided lately is remembered, by the host it is about, so that a memo dies with what it was decided by: a host
is replaced with any host that it falls back to. What all hosts of a worker remember is bounded (Memory), and so is what
one entry costs: clients choose the keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import TypeAlias

import msgspec

from rauta_common.radix import Radix
from rauta_control import ir, regex
from rauta_control.choice import Choice, Conditions
from rauta_control.cluster import Cluster
from rauta_control.handshake import offered
from rauta_control.head import split_host
from rauta_control.reasons import Reason, Refused
from rauta_control.recorder import CLEAN, Counter
from rauta_control.treatment import Treatment

MEMO_LIMIT = 8_192  # decisions that a worker remembers before it starts anew; as many older ones stay readable
MEMO_KEY = 256  # bytes of a key, longer ones are decided each time: 16,384 entries are under 8 MiB
SEEN_LIMIT = 4_096  # Host fields that a listener remembers beside one a name; split_host bounds their length
CHOICE_LIMIT = 32  # rules in a decision that is remembered: with the limits above they are under 6 MiB

_WHOLE = 1 << 30  # slashes: no path has so many
_ANY = b"*"
_SERVER = b"*"  # in the place of a path: OPTIONS asks the server itself (RFC 9110 9.3.7)
_serials = count()


class _Hot:
    """What most requests read of their Rule. Slots of a base come first: these share a line of the processor's cache.

    With thousands of rules in use nothing of one is in a cache when its next request comes, and each line costs 0.3 us.
    """

    __slots__ = ("cluster", "label", "treatment", "words")


class Rule(_Hot):
    """One rule as requests use it. `shares` are (cluster, weight); `label` is its part of an access log line.

    `conditions` is None if method and path are all it asks for; `expression` is what a path must match, if it is one.
    `nobody` is why RAUTA answers a request for which `draw` returns None.
    """

    __slots__ = (
        "__weakref__",
        "conditions",
        "counter",
        "epoch",
        "exact",
        "expression",
        "method",
        "nobody",
        "order",
        "shares",
        "slot",
        "total",
        "upgrades",
    )

    def __init__(self, rule: ir.Rule, clusters: dict[str, Cluster]) -> None:
        self.method = rule.method.encode()
        self.exact = rule.path_type == "exact"
        self.expression = regex.test(rule.path, Reason.TARGET_TOO_LONG) if rule.path_type == "regex" else None
        self.conditions = Conditions.of(rule)
        self.order = rule.precedence
        self.slot = rule.slot
        self.epoch = rule.epoch
        self.counter: Counter | None = None
        self.words = CLEAN  # then those of the counter
        # A share without a cluster refers to nothing valid: it is drawn like any other and answered with 500.
        self.shares = [
            (clusters[share.cluster] if share.cluster else None, share.weight)
            for share in rule.clusters
            if share.weight
        ]
        self.total = sum(weight for _, weight in self.shares)
        self.nobody = Reason.BACKEND_INVALID if self.shares else Reason.NO_BACKENDS
        # The common case, one cluster, needs no draw.
        self.cluster = self.shares[0][0] if len(self.shares) == 1 else None
        self.label = b'"route":%b,' % msgspec.json.encode(rule.route)
        self.treatment = Treatment.of(rule, clusters)
        self.upgrades = offered(rule.upgrades)

    def draw(self, chance: float) -> Cluster | None:
        """Return a cluster by weight for a random `chance` in [0, 1); None if no backend of the rule takes requests."""
        ticket = chance * self.total
        for cluster, weight in self.shares:
            ticket -= weight
            if ticket < 0:
                return cluster
        return self.shares[-1][0] if self.shares else None  # rounding may leave a ticket of 0


Decision: TypeAlias = Rule | Choice


class Host:
    """The paths of one host name, and what was decided lately. `section` as in ir.VirtualHost.

    `always` is the rule that takes whatever comes, if there is nothing else to look at, as for most hosts with a route
    of their own: nothing is to be decided then. `expressions` are the rules whose path is one; where no rule of this
    host matches, `fallback` is asked. `depth`: after so many slashes nothing of a path matters to any of them.
    """

    __slots__ = ("always", "depth", "expressions", "fallback", "memo", "memory", "older", "paths", "section")

    def __init__(
        self,
        paths: Radix[tuple[Rule, ...]],
        memory: Memory,
        expressions: tuple[Rule, ...] = (),
        fallback: Host | None = None,
        section: str = "",
    ) -> None:
        self.paths = paths
        self.expressions = expressions
        self.fallback = fallback
        self.section = section
        self.always = None if expressions else _for_everything(paths)
        self.depth: int = _WHOLE if expressions else max(paths.depth, 0 if fallback is None else fallback.depth)
        self.memory = memory
        self.memo: dict[bytes, Decision] = {}  # by `key`
        self.older: dict[bytes, Decision] = {}

    def key(self, method: bytes, path: bytes) -> bytes:
        """Return what decides of a request: `GET/users/` for `/users/me` where no rule has a path of more segments."""
        depth = self.depth
        if depth < _WHOLE:
            parts = path.split(b"/", depth)
            if len(parts) > depth and (rest := len(parts[-1])):
                return method + path[:-rest]
        return method + path

    def decide(self, method: bytes, path: bytes) -> Decision | None:
        """Return the decision on a request that the memo does not know, and remember it. Misses are not remembered.

        Raises Refused(TARGET_TOO_LONG) for a path that an expression cannot be matched against.
        """
        key = self.key(method, path)
        decision = self.older.get(key)
        if decision is None:
            rules = self._search(method, path)
            if not rules:
                return None
            decision = rules[0] if rules[0].conditions is None else Choice(rules)
            if len(rules) > CHOICE_LIMIT:
                return decision
        if len(key) <= MEMO_KEY:
            self.memory.count(self)
            self.memo[key] = decision
        return decision

    def missing(self) -> Reason:
        """Why `decide` has nothing: listeners have a host for their own name, whether a route is attached or not."""
        host: Host | None = self
        while host is not None:
            if len(host.paths) or host.expressions:
                return Reason.NO_ROUTE
            host = host.fallback
        return Reason.NO_HOST

    def falls_back_to(self, hosts: set[Host]) -> bool:
        """Whether one of `hosts` is asked where no rule of this one matches."""
        host = self.fallback
        while host is not None and host not in hosts:
            host = host.fallback
        return host is not None

    def tried(self, path: bytes) -> list[tuple[Rule, ...]]:
        """Return rules by path as they are tried: the exact one, expressions, then prefixes, longest first."""
        groups = self.paths.match(b"" if path == _SERVER else path)  # below which nothing is but the prefix `/`
        if self.expressions:
            groups.insert(1 if groups and groups[0][0].exact else 0, self.expressions)
        return groups

    def _search(self, method: bytes, path: bytes) -> list[Rule]:
        """Return the rules for a method and path, best first, up to the first that asks for nothing more."""
        found = []
        host: Host | None = self
        while host is not None:
            for rules in host.tried(path):
                for rule in rules:
                    if (not rule.method or rule.method == method) and (not rule.expression or rule.expression(path)):
                        found.append(rule)
                        if rule.conditions is None:
                            return found
            host = host.fallback
        return found


def _for_everything(paths: Radix[tuple[Rule, ...]]) -> Rule | None:
    """Return the rule that takes every request, if the paths are just the prefix `/` and it asks for nothing more."""
    for rules in paths.match(b"") if len(paths) == 1 else ():
        if rules[0].conditions is None and not rules[0].method:
            return rules[0]
    return None


Served: TypeAlias = Host | Rule
"""What serves a Host field: a host, or at once the rule that takes whatever comes for it (`Host.always`)."""


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


class Room:
    """For what all sections of a listener remember of Host fields together: however many there are, it is one's."""

    __slots__ = ("entries", "memos")

    def __init__(self) -> None:
        self.entries = 0
        self.memos: list[dict[bytes, Served]] = []  # that have any

    def count(self, memo: dict[bytes, Served], limit: int) -> None:
        """Make room for an entry in a memo; when there are `limit` of them, all are forgotten."""
        if self.entries >= limit:
            for each in self.memos:
                each.clear()
            self.memos.clear()
            self.entries = 0
        if not memo:
            self.memos.append(memo)
        self.entries += 1


class Routes:
    """The host names of one listener. `seen` is by Host fields as clients send them.

    `serial` tells it from all others without holding it, which would hold rules that requests in flight do not use.
    """

    __slots__ = ("names", "room", "seen", "serial")

    def __init__(self, names: dict[bytes, Host], room: Room | None = None) -> None:
        self.names = names
        self.room = room or Room()
        self.serial = next(_serials)
        self.seen: dict[bytes, Served] = {}

    def find(self, field: bytes) -> Served | None:
        """Return what serves a Host field that `seen` does not know, and remember it. Raises Refused(BAD_HOST)."""
        host = self.host(field)
        if host is None:
            return None
        self.room.count(self.seen, SEEN_LIMIT + len(self.names))
        found = self.seen[field] = host.always or host
        return found

    def host(self, field: bytes) -> Host | None:
        """Return the host that serves a Host field. Raises Refused(BAD_HOST)."""
        return self._search(split_host(field) if field else b"")

    def missing(self, field: bytes) -> Reason:  # noqa: ARG002 - SectionRoutes looks at it
        """Why `find` has nothing for a Host field."""
        return Reason.NO_HOST

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


class SectionRoutes(Routes):
    """The same for the connections whose TLS server name selected one `section`: all other hosts are out of reach."""

    __slots__ = ("section",)

    def __init__(self, routes: Routes, section: str) -> None:
        super().__init__(routes.names, routes.room)
        self.section = section

    def missing(self, field: bytes) -> Reason:
        """Gateway API: 421 for a host that another listener serves."""
        elsewhere = super()._search(split_host(field) if field else b"")
        return Reason.NO_HOST if elsewhere is None else Reason.MISDIRECTED

    def _search(self, name: bytes) -> Host | None:
        host = super()._search(name)
        return host if host is not None and host.section == self.section else None


class NoRoutes(Routes):
    """Nothing, for `reason`, which ends the connection: there will be nothing for it, but for a new one perhaps."""

    __slots__ = ("reason",)

    def __init__(self, reason: Reason) -> None:
        super().__init__({})
        self.reason = reason

    def host(self, field: bytes) -> Host | None:  # noqa: ARG002 - see Routes
        """Raise Refused(reason)."""
        raise Refused(self.reason)


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
