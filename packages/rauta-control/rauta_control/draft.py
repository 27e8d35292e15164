"""How one routing table becomes the next (table.py): a transaction, built beside what serves, then put in its place.

Pure. A Draft is staged in slices of well under a millisecond, so that requests are served in between: nothing here
may take time by the size of the configuration in one go, but to copy or free a flat dict of it (10,000 routes: 0.3 ms).
What it does not change it shares with the old table, and nothing of it is visible until `commit`, which only assigns.
"""

from __future__ import annotations

from bisect import bisect, bisect_left
from collections import deque
from collections.abc import Iterable
from itertools import chain
from weakref import WeakSet

from rauta_common import maglev
from rauta_common.radix import Editor, Radix
from rauta_control import ir
from rauta_control.cluster import Cluster, Clusters, Endpoint, Filling, Listed, listed
from rauta_control.slices import Slices
from rauta_control.table import Host, Routes, Rule, Table

SLICE = 16  # resources built between two yields: about 0.2 ms
GLANCES = 512  # resources or hosts that are only looked at between two yields

# What is referred to comes before what refers to it.
_RANKS: dict[type[ir.Resource], int] = {ir.Cluster: 0, ir.Secret: 0, ir.Listener: 1, ir.VirtualHost: 2, ir.Rule: 3}


class _Site:
    """A host that is being edited."""

    __slots__ = ("built", "expressions", "paths")

    def __init__(self, served: Host | None) -> None:
        self.paths: Editor[tuple[Rule, ...]] = (served.paths if served else Radix()).edit()
        self.expressions = {rule.order: rule for rule in (served.expressions if served else ())}
        self.built: Host | None = None


class Draft:
    """One transaction on a table: `stage`, `fill`, `commit`, `release`, in this order, or `stage` and then drop it.

    `retired` holds, weakly, what the transaction replaces or removes: when it has emptied, no request in flight uses it
    any more. `gone` are the endpoints among it, once released; their idle connections are the caller's to close.
    """

    def __init__(self, base: Table, clusters: Clusters) -> None:
        self.retired: WeakSet[Rule | Endpoint] = WeakSet()
        self.gone: list[Endpoint] = []
        self._base: Table | None = base
        self._memory = base.memory
        self._clusters = clusters
        self._resources = dict(base.resources)
        self._listeners = dict(base.listeners)
        self._names: dict[str, dict[bytes, Host]] = {}  # listeners whose host names are being edited
        self._sites: dict[str, _Site] = {}  # hosts that are being edited, by IR name
        self._replaced: list[Host] = []
        self._followed: set[Host] = set()  # those of them that others may fall back to
        self._by_name: dict[str, Cluster] = {}
        self._fillings: list[Filling] = []
        self._listed: list[Listed] = []  # by clusters that list something else now
        self._leaving: deque[object] = deque()  # what the old table is made of and the new one is not

    def stage(self, upserts: Iterable[ir.Resource], deletes: Iterable[str]) -> Slices[None]:
        """Build everything new beside the old; a key in both is an upsert. Nothing of it is visible yet.

        Raises KeyError if a resource refers to one that is not there, TypeError if a Maglev table is none.
        """
        ranked: tuple[list[ir.Resource], ...] = ([], [], [], [])
        for count, resource in enumerate(upserts, 1):
            ranked[_RANKS[type(resource)]].append(resource)
            if not count % GLANCES:
                yield
        going: dict[str, ir.Resource] = {}
        for count, key in enumerate(deletes, 1):
            if (old := self._resources.get(key)) is not None:
                going[key] = old
            if not count % GLANCES:
                yield
        yield
        self._by_name = dict(self._clusters.by_name)
        yield
        for count, resource in enumerate(chain(*ranked), 1):
            going.pop(resource.key, None)
            self._insert(resource)
            if not count % SLICE or _compiles(resource):
                yield
        for rank in reversed(range(len(ranked))):  # what refers to something goes before that
            for count, resource in enumerate(going.values(), 1):
                if _RANKS[type(resource)] == rank:
                    self._remove(resource)
                if not count % SLICE:
                    yield
        for count, name in enumerate(self._sites, 1):
            self._build(name)
            if not count % SLICE:
                yield
        yield from self._build_followers()

    def fill(self) -> Slices[None]:
        """Give the clusters their endpoints. Rules of the old table use them from here on, each whole."""
        for filling in self._fillings:
            self._listed += yield from self._clusters.filling(filling)
            yield

    def commit(self, generation: int) -> Table:
        """Return the new table. A few assignments for each listener."""
        for listener, names in self._names.items():
            if listener in self._listeners:
                self._listeners[listener] = Routes(names)
        self._clusters.by_name = self._by_name
        return Table(generation, self._listeners, self._resources, self._memory)

    def release(self) -> Slices[None]:
        """Let go of what only the old table used, a little at a time: freeing 5,000 routes at once takes 30 ms.

        Whoever holds the old table, or what was staged, lets go of that before.
        """
        while self._listed:
            for one in self._listed[-SLICE:]:
                if self._clusters.release(one):
                    self.retired.add(one[1])
                    self.gone.append(one[1])
            del one, self._listed[-SLICE:]
            yield
        while self._fillings:
            del self._fillings[-SLICE:]
            yield
        dicts: list[object] = [routes.names for routes in self._base.listeners.values()] if self._base else []
        dicts += [self._base.resources] if self._base else []
        self._base = None
        while dicts:
            dicts.pop()
            yield
        while self._sites:
            for _ in range(min(SLICE, len(self._sites))):
                self._leaving += self._sites.popitem()[1].paths.replaced
            yield
        for start in range(0, len(self._replaced), SLICE):
            self._memory.forget(self._replaced[start : start + SLICE])
            yield
        self._followed.clear()
        self._leaving.extendleft(reversed(self._replaced))  # a host before the nodes of its tree
        self._replaced.clear()
        while self._leaving:
            for _ in range(min(SLICE, len(self._leaving))):
                self._leaving.popleft()
            yield

    def _insert(self, resource: ir.Resource) -> None:
        old = self._resources.get(resource.key)
        if old is not None:
            self._leaving.append(old)
        match resource:
            case ir.Cluster():
                cluster = self._by_name.get(resource.name)
                if cluster is None:
                    cluster = self._by_name[resource.name] = self._clusters.make(resource.name)
                self._fillings.append((cluster, resource, maglev.view(resource.table)))
            case ir.Listener() if old is None:
                self._listeners[resource.name] = Routes({})
            case ir.VirtualHost():
                self._edit(resource)
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
                self._edit(resource)
                del self._sites[resource.name]
                self._edit_names(resource.listener).pop(resource.hostname.encode(), None)
            case ir.Rule():
                self._remove_rule(resource)
            case ir.Cluster():
                self._listed += listed(self._by_name.pop(resource.name))
        self._leaving.append(self._resources.pop(resource.key))

    def _insert_rule(self, resource: ir.Rule) -> None:
        rule = Rule(resource, self._by_name)
        site = self._edit(self._host(resource.host))
        if rule.expression:
            site.expressions[rule.order] = rule
        else:
            path = resource.path.encode()
            rules = site.paths.get(path, exact=rule.exact) or ()
            at = bisect(rules, rule.order, key=_order)
            site.paths.insert(path, (*rules[:at], rule, *rules[at:]), exact=rule.exact)

    def _remove_rule(self, resource: ir.Rule) -> None:
        site = self._edit(self._host(resource.host))
        if resource.path_type == "regex":
            self._retire(site.expressions.pop(resource.precedence))
            return
        path, exact = resource.path.encode(), resource.path_type == "exact"
        rules = site.paths.get(path, exact=exact) or ()
        at = bisect_left(rules, resource.precedence, key=_order)
        self._retire(rules[at])
        if len(rules) > 1:
            site.paths.insert(path, (*rules[:at], *rules[at + 1 :]), exact=exact)
        else:
            site.paths.remove(path, exact=exact)

    def _retire(self, rule: Rule) -> None:
        self.retired.add(rule)
        self._leaving.append(rule)

    def _build_followers(self) -> Slices[None]:
        """Replace, although nothing but its memo changes, each host that falls back to one that was replaced."""
        count = 0
        for listener, names in self._names.items() if self._followed else ():
            routes = self._listeners.get(listener)
            for hostname, host in routes.names.items() if routes else ():
                count += 1
                if host.falls_back_to(self._followed) and names.get(hostname) is host:
                    self._build(f"{listener}|{hostname.decode()}")
                    count += GLANCES // SLICE
                if count >= GLANCES:
                    count = 0
                    yield

    def _build(self, name: str) -> Host:
        """Return the host of that name, made anew if it or one that it falls back to is; that one comes first."""
        host = self._host(name)
        names, hostname = self._edit_names(host.listener), host.hostname.encode()
        site = self._sites.get(name)
        if site is None:
            served = names[hostname]
            if not served.falls_back_to(self._followed):
                return served
            self._replaced.append(served)
            paths, expressions = served.paths, served.expressions
        elif site.built is not None:
            return site.built
        else:
            paths, expressions = site.paths.freeze(), _sorted(site.expressions.values())
        fallback = self._build(host.fallback) if host.fallback else None
        built = names[hostname] = Host(paths, self._memory, expressions, fallback, host.section)
        if site is not None:
            site.built = built
        return built

    def _host(self, name: str) -> ir.VirtualHost:
        host = self._resources[f"host/{name}"]
        assert isinstance(host, ir.VirtualHost)  # noqa: S101 - for the type checker
        return host

    def _edit(self, host: ir.VirtualHost) -> _Site:
        site = self._sites.get(host.name)
        if site is None:
            served = self._edit_names(host.listener).get(host.hostname.encode())
            if served is not None:
                self._replaced.append(served)
                if host.hostname.startswith("*"):  # nothing falls back to an exact name
                    self._followed.add(served)
            site = self._sites[host.name] = _Site(served)
        return site

    def _edit_names(self, listener: str) -> dict[bytes, Host]:
        names = self._names.get(listener)
        if names is None:
            routes = self._listeners.get(listener)
            names = self._names[listener] = dict(routes.names) if routes else {}
        return names


def _sorted(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(rules, key=_order))


def _order(rule: Rule) -> tuple[ir.Place, str]:
    return rule.order


def _compiles(resource: ir.Resource) -> bool:
    """Whether it has expressions, which take their time."""
    return isinstance(resource, ir.Rule) and (
        resource.path_type == "regex" or any(each.regex for each in (*resource.headers, *resource.query))
    )
