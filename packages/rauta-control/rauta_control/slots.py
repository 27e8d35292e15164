"""The slot directory: which words of the shared memory belong to which route and endpoint. Pure.

A name keeps its slot while any resource uses it, so its counters go on through every edit. The slot of a name that went
is quarantined until no worker has a request in flight that could still count there, then it is given away with a new
epoch, the generation of the assignment, so that no counter ever mixes two owners (sharedmem.py).

Slots and epochs live in the resources themselves, so a restarted control rebuilds the directory from the last state. It
cannot know when slots were freed: gaps below the highest one count as freed by that state, those above as never used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from msgspec.structs import replace

from rauta_control.ir import Cluster, Resource, Rule
from rauta_control.sharedmem import MAX_ENDPOINTS, MAX_ROUTES
from rauta_control.slices import Slices, finish


class SlotsFullError(Exception):
    """More names than slots; the message says how many and why. Nothing was assigned."""


@dataclass(slots=True)
class Owner:
    """Who has a slot: `users` counts the resources that name it."""

    slot: int
    epoch: int
    users: int = 0


class Directory:
    """The slots of one kind. `owners` maps the names that live to their slots."""

    def __init__(self, kind: str, capacity: int) -> None:
        self.owners: dict[str, Owner] = {}
        self._kind = kind
        self._capacity = capacity
        self._fresh = 0  # from here on no slot was ever given
        self._free: list[int] = []  # a heap: low slots first keeps the touched memory dense
        self._quarantine: deque[tuple[int, int]] = deque()  # (generation that freed it, slot), oldest first

    def restore(self, name: str, slot: int, epoch: int) -> None:
        """Give back what `name` had; `seal` follows after the last one."""
        self.owners.setdefault(name, Owner(slot, epoch)).users += 1

    def seal(self, generation: int) -> None:
        """Count every gap between restored slots as freed by `generation`."""
        taken = {owner.slot for owner in self.owners.values()}
        self._fresh = max(taken, default=-1) + 1
        self._quarantine.extend((generation, slot) for slot in range(self._fresh) if slot not in taken)

    def make_room(self, names: set[str], drained: int) -> None:
        """Release what is drained; raise SlotsFullError unless all of `names` will find a slot."""
        while self._quarantine and self._quarantine[0][0] <= drained:
            heappush(self._free, self._quarantine.popleft()[1])
        wanted = sum(name not in self.owners for name in names)
        room = len(self._free) + self._capacity - self._fresh
        if wanted > room:
            raise SlotsFullError(
                f"{wanted} more {self._kind} do not fit: of {self._capacity} slots {len(self.owners)} are in use and "
                f"{len(self._quarantine)} wait for requests in flight on older configurations"
            )

    def take(self, name: str, generation: int) -> Owner:
        """Return the owner record of `name`, which has one user more."""
        owner = self.owners.get(name)
        if owner is None:
            if self._free:
                slot = heappop(self._free)
            else:
                slot = self._fresh
                self._fresh += 1
            owner = self.owners[name] = Owner(slot, generation)
        owner.users += 1
        return owner

    def leave(self, name: str, generation: int) -> None:
        """Take one user from `name`; the last one sends its slot into quarantine."""
        owner = self.owners[name]
        owner.users -= 1
        if not owner.users:
            del self.owners[name]
            self._quarantine.append((generation, owner.slot))


class SlotDirectory:
    """Both kinds, kept in step with the resources. Generations passed in only grow."""

    def __init__(self, routes: int = MAX_ROUTES) -> None:
        self.routes = Directory("routes", routes)
        self.endpoints = Directory("endpoints", MAX_ENDPOINTS)
        self._names: dict[str, tuple[str, ...]] = {}  # by resource key, what it holds

    @classmethod
    def restored(cls, resources: Iterable[Resource], generation: int) -> SlotDirectory:
        """Rebuild the directory from the resources of a state, which have their slots."""
        directory = cls()
        for resource in resources:
            if isinstance(resource, Rule):
                directory.routes.restore(resource.route, resource.slot, resource.epoch)
            elif isinstance(resource, Cluster):
                for endpoint in resource.endpoints:
                    directory.endpoints.restore(endpoint.name, endpoint.slot, endpoint.epoch)
            directory._names[resource.key] = _names(resource)
        directory.routes.seal(generation)
        directory.endpoints.seal(generation)
        return directory

    def assign(
        self, changed: Mapping[str, Resource], deleted: Iterable[str], generation: int, drained: int
    ) -> dict[str, Resource]:
        """Do all of `assigning` at once."""
        return finish(self.assigning(changed, deleted, generation, drained))

    def assigning(
        self, changed: Mapping[str, Resource], deleted: Iterable[str], generation: int, drained: int
    ) -> Slices[dict[str, Resource]]:
        """Return `changed` with slots and epochs as of `generation`, in slices.

        `drained` is the lowest generation up to which every worker has drained. Raises SlotsFullError before anything
        is assigned.
        """
        routes: set[str] = set()
        endpoints: set[str] = set()
        for resource in changed.values():
            (routes if isinstance(resource, Rule) else endpoints).update(_names(resource))
            yield
        self.routes.make_room(routes, drained)
        self.endpoints.make_room(endpoints, drained)
        assigned: dict[str, Resource] = {}
        left: list[tuple[str, tuple[str, ...]]] = [(key, self._names.pop(key, ())) for key in deleted]
        for key, resource in changed.items():
            assigned[key] = self._take(resource, generation)
            left.append((key, self._names.get(key, ())))
            self._names[key] = _names(resource)
            yield
        for key, names in left:  # after every take, so that a name that moves keeps its slot
            directory = self.routes if key.startswith("rule/") else self.endpoints
            for name in names:
                directory.leave(name, generation)
            yield
        return assigned

    def _take(self, resource: Resource, generation: int) -> Resource:
        if isinstance(resource, Rule):
            owner = self.routes.take(resource.route, generation)
            return replace(resource, slot=owner.slot, epoch=owner.epoch)
        if isinstance(resource, Cluster):
            owners = [self.endpoints.take(endpoint.name, generation) for endpoint in resource.endpoints]
            return replace(
                resource,
                endpoints=tuple(
                    replace(endpoint, slot=owner.slot, epoch=owner.epoch)
                    for endpoint, owner in zip(resource.endpoints, owners, strict=True)
                ),
            )
        return resource


def _names(resource: Resource) -> tuple[str, ...]:
    if isinstance(resource, Rule):
        return (resource.route,)
    if isinstance(resource, Cluster):
        return tuple(endpoint.name for endpoint in resource.endpoints)
    return ()
