"""Translation: what objects mean to the data plane (IR) and to whoever wrote them (statuses, findings).

Pure. `translate` does all of it at once. `Translator` keeps what it derived, so that a change costs what depends on it:

    objects -> inputs and indexes -> links of routes -> indexes -> outputs of each object -> clusters and secrets in use

Both run the same rules over the same graph (derive.py), so they agree; a property test holds them to it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from datetime import datetime
from typing import TypeAlias, cast

import msgspec
from msgspec import field

from rauta_control import certificate, world
from rauta_control.backends import cluster_output, host_names, tls_policy_output
from rauta_control.classes import class_output
from rauta_control.condition import Status, stamp
from rauta_control.derive import Graph, Index
from rauta_control.endpointslice import EndpointSlice
from rauta_control.finding import Finding
from rauta_control.gateways import gateway_output, set_output
from rauta_control.grants import grant_output
from rauta_control.hosts import host_output
from rauta_control.ir import Resource
from rauta_control.kinds import AnyResource
from rauta_control.output import Output, Slot
from rauta_control.routes import Links, route_links, route_output
from rauta_control.slices import Slices, finish
from rauta_control.terms import Terms, tell
from rauta_control.world import Key, key_of

Rule: TypeAlias = Callable[..., Output]

#: By kind, the rules whose results an object of it has.
RULES: dict[str, tuple[Rule, ...]] = {
    "GatewayClass": (class_output,),
    "Gateway": (gateway_output,),
    "ListenerSet": (set_output,),
    "HTTPRoute": (route_output,),
    "ReferenceGrant": (grant_output,),
    "BackendTLSPolicy": (tls_policy_output,),
}
_NOTHING = Output()


class Translation(msgspec.Struct, frozen=True):
    """The whole result. `hosts` are the names of endpoints whose addresses Terms.names should have."""

    resources: Mapping[str, Resource]
    statuses: Mapping[Key, Status]
    findings: tuple[Finding, ...]
    hosts: frozenset[str] = frozenset()


class Change(msgspec.Struct, frozen=True):
    """What an update changed. A status of None: there is none any more. `findings` says whether they are others now."""

    upserts: dict[str, Resource] = field(default_factory=dict)
    deletes: frozenset[str] = frozenset()
    statuses: dict[Key, Status | None] = field(default_factory=dict)
    findings: bool = False


def translate(
    objects: Iterable[AnyResource],
    terms: Terms,
    now: datetime,
    previous: Mapping[Key, Status] | None = None,
) -> Translation:
    """Translate everything. `previous` are the statuses of before where the objects themselves do not have them."""
    translator = Translator(terms, previous)
    translator.update({key_of(each): each for each in objects}, now)
    return translator.translation()


class Translator:
    """A translation that is kept up to date. Objects are never changed, and neither is what was handed out."""

    def __init__(self, terms: Terms, previous: Mapping[Key, Status] | None = None) -> None:
        self.resources: dict[str, Resource] = {}
        self.statuses: dict[Key, Status] = {}
        self._previous: dict[Key, Status] = dict(previous or {})
        self._objects: dict[Key, AnyResource] = {}
        self._outputs: dict[Slot, Output] = {}
        self._names: dict[Key, tuple[str, ...]] = {}  # host names of endpoints, by EndpointSlice
        self._needs: dict[Hashable, frozenset[Slot]] = {}  # what a route or Gateway needs of clusters and secrets
        self._needed: dict[Slot, int] = {}
        self._terms = terms
        self._graph = Graph()
        self._indexes = {
            name: Index(self._graph, name) for name in (*world.INDEXES.values(), "attached", "hosts", "claims")
        }
        self._moved: dict[str, set[Hashable]] = {}  # keys of indexes whose inputs are to be set
        self._before: dict[str, Resource | None] = {}  # of this update: what resources and statuses were
        self._stated: dict[Key, Status | None] = {}
        self._found = False  # whether this update changed findings
        tell(self._graph, terms)

    def update(self, objects: Mapping[Key, AnyResource | None], now: datetime, terms: Terms | None = None) -> Change:
        """Make these the objects of their keys (None: it is gone), and `terms` what else counts."""
        return finish(self.updating(objects, now, terms))

    def updating(
        self, objects: Mapping[Key, AnyResource | None], now: datetime, terms: Terms | None = None
    ) -> Slices[Change]:
        """Do what `update` does in slices; in between nothing may be asked of the translator."""
        self._before, self._stated, self._found = {}, {}, False
        if terms is not None:
            tell(self._graph, terms, self._terms)
            self._terms = terms
        for key, resource in objects.items():
            self._set(key, resource)
            yield
        yield from self._graph.spreading()
        yield from self._settle()
        for (route,) in self._graph.stale(route_links):
            key = cast("Key", route)
            self._link(key, self._graph.get(route_links, key))
            yield
        yield from self._settle()
        yield from self._derive(_OF_OBJECTS, now)
        yield from self._derive(_OF_NEEDS, now)
        yield from self._graph.sweep()
        return (yield from self._change())

    def translation(self) -> Translation:
        """Everything, as it is now."""
        return Translation(dict(self.resources), dict(self.statuses), tuple(sorted(self.findings())), self.hosts)

    def unresolved(self, names: Container[str]) -> set[str]:
        """The Services (as their clusters begin, `cluster/namespace/name`) with a host name that is not in `names`."""
        found = set()
        for key, hosts in self._names.items():
            each = self._objects.get(key)
            if isinstance(each, EndpointSlice) and not all(host in names for host in hosts):
                found.add(f"cluster/{each.namespace}/{each.service}")
        return found

    def findings(self) -> set[Finding]:
        """Everything found, as it is now."""
        return {found for output in self._outputs.values() for found in output.findings}

    def object(self, key: Key) -> AnyResource | None:
        """The object of a key, as it was last translated."""
        return self._objects.get(key)

    @property
    def hosts(self) -> frozenset[str]:
        """The names of endpoints whose addresses Terms.names should have."""
        return frozenset(name for names in self._names.values() for name in names)

    def _set(self, key: Key, resource: AnyResource | None) -> None:
        self._graph.put(key, resource)
        self._names.pop(key, None)
        if key.kind in world.INDEXES:
            place = world.place(resource) if resource is not None else None
            self._emit(world.INDEXES[key.kind], key, [] if place is None else [(place, key)])
        if isinstance(resource, EndpointSlice) and (names := host_names(resource)):
            self._names[key] = names
        if resource is None:
            self._objects.pop(key, None)
            self._forget(key)
            return
        self._objects[key] = resource
        for rule in RULES.get(key.kind, ()):
            self._graph.pin(rule, key)
        if key.kind == "HTTPRoute":
            self._graph.pin(route_links, key)

    def _forget(self, key: Key) -> None:
        """Drop everything that was made of an object."""
        for rule in RULES.get(key.kind, ()):
            self._graph.unpin(rule, key)
            self._replace((rule, (key,)), _NOTHING)
            self._need((rule, key), frozenset())
        if key.kind == "HTTPRoute":
            self._graph.unpin(route_links, key)
            self._link(key, Links())
        self._state(key, None)
        self._previous.pop(key, None)

    def _link(self, key: Key, links: Links) -> None:
        """Say in the indexes what a route has to do with others."""
        self._emit("attached", key, [(section, key) for section in links.attached])
        self._emit("hosts", key, [(host, key) for host in links.hosts])
        self._emit("claims", key, links.claims)
        clusters, hosts = (
            ((cluster_output, each) for each in links.clusters),
            ((host_output, each) for each in links.hosts),
        )
        self._need(key, frozenset[Slot]((*clusters, *hosts)))

    def _derive(self, rules: tuple[Rule, ...], now: datetime) -> Slices[None]:
        for rule in rules:
            for args in self._graph.stale(rule):
                output: Output = self._graph.get(rule, *args)
                self._replace((rule, args), output)
                self._need((rule, *args), output.needs)
                if rule in _OF_OBJECTS:
                    self._state(cast("Key", args[0]), output.status, now)
                yield

    def _replace(self, slot: Slot, output: Output) -> None:
        old = self._outputs.pop(slot, _NOTHING)
        if output != _NOTHING:
            self._outputs[slot] = output
        new = {each.key: each for each in output.resources}
        for resource in old.resources:
            if resource.key not in new:
                self._before.setdefault(resource.key, self.resources.pop(resource.key, None))
        for key, resource in new.items():
            self._before.setdefault(key, self.resources.get(key))
            self.resources[key] = resource
        self._found |= old.findings != output.findings

    def _state(self, key: Key, status: Status | None, now: datetime | None = None) -> None:
        old = self.statuses.get(key)
        self._stated.setdefault(key, old)
        if status is None or now is None:
            self.statuses.pop(key, None)
            return
        previous = old or self._previous.get(key) or getattr(self._objects.get(key), "status", None)
        self.statuses[key] = stamp(status, previous, now)

    def _need(self, who: Hashable, slots: frozenset[Slot]) -> None:
        """Keep what somebody needs, and drop what nobody needs any more."""
        old = self._needs.pop(who, frozenset())
        if slots:
            self._needs[who] = slots
        for slot in slots - old:
            self._needed[slot] = self._needed.get(slot, 0) + 1
            self._graph.pin(slot[0], *slot[1])
        for slot in old - slots:
            self._needed[slot] -= 1
            if not self._needed[slot]:
                del self._needed[slot]
                self._graph.unpin(slot[0], *slot[1])
                self._replace(slot, _NOTHING)

    def _emit(self, index: str, emitter: Key, pairs: Iterable[tuple[Hashable, Hashable]]) -> None:
        self._moved.setdefault(index, set()).update(self._indexes[index].emit(emitter, pairs))

    def _settle(self) -> Slices[None]:
        moved, self._moved = self._moved, {}
        for index, keys in moved.items():
            yield from self._indexes[index].settle(keys)
        yield from self._graph.spreading()

    def _change(self) -> Slices[Change]:
        upserts: dict[str, Resource] = {}
        deletes = set()
        for name, before in self._before.items():
            resource = self.resources.get(name)
            if resource is None:
                if before is not None:
                    deletes.add(name)
            elif resource != before:
                upserts[name] = resource
            yield
        statuses: dict[Key, Status | None] = {}
        for key, old in self._stated.items():
            if (status := self.statuses.get(key)) != old:
                statuses[key] = status
            yield
        return Change(upserts, frozenset(deletes), statuses, self._found)


_OF_OBJECTS = tuple(rule for rules in RULES.values() for rule in rules)

_OF_NEEDS: tuple[Rule, ...] = (host_output, cluster_output, certificate.secret_output)
