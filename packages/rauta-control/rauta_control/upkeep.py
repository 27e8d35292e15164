"""Which Services and EndpointSlices of Gateways to write or delete, and when. Pure; servicewriter.py does it.

Level-triggered, as statuswriter.py is: a Gateway is looked at when its turn comes, its objects as they should be
against those that are there. Only objects of this installation are touched, and only as a version that was seen.

    edit, stand, restart  ->  Gateways to look at  ->  take: writes under way  ->  done, or to look at again
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from rauta_control import gatewayservice
from rauta_control.apianswer import Answer
from rauta_control.backoff import Backoff
from rauta_control.endpointslice import EndpointSlice
from rauta_control.gateway import Gateway
from rauta_control.gatewayservice import APPLIED, Document
from rauta_control.ir import Listener
from rauta_control.kinds import AnyResource
from rauta_control.parameters import parameters_key, service_type
from rauta_control.reflector import Held
from rauta_control.secret import ConfigMap
from rauta_control.service import Service
from rauta_control.serviceterms import ServiceTerms
from rauta_control.world import Key

SCAN = 20  # Gateways looked at in one go: about 2 ms
PEACE = 60.0  # seconds after which whoever changes an object again is not at war with us


class Write(NamedTuple):
    """An object to apply; without a document, one to delete. `version` is the one that is there, empty: none is."""

    gateway: Key
    key: Key
    document: Document | None
    version: str


class _Attempt(NamedTuple):
    """The last write of an object: what was written, and when the same may be written again."""

    digest: str
    due: float
    backoff: Backoff


class Upkeep:
    """Keeps `store`, the objects as they are watched, as Gateways want them. Times are monotonic seconds."""

    def __init__(self, store: Mapping[Key, Held], terms: ServiceTerms) -> None:
        self.problems: dict[Key | str, str] = {}  # objects that cannot be written
        self.written = 0
        self._store = store
        self._terms = terms
        self._gateways: dict[Key, Gateway] = {}
        self._targets: dict[Key, dict[int, int]] | None = None  # by Gateway; None while nothing was translated
        self._pods: dict[Key, EndpointSlice] = {}  # of RAUTA's own Service
        self._made: dict[Key, dict[Key, None]] = {}  # objects of this installation, by Gateway
        self._maker: dict[Key, Key] = {}  # the Gateway of each
        self._queue: dict[Key, None] = {}  # Gateways to look at, in this order
        self._later: list[tuple[float, Key]] = []  # a heap
        self._flying: dict[Key, int] = {}  # writes under way, by Gateway
        self._again: set[Key] = set()  # Gateways to look at when those are done
        self._attempts: dict[Key, _Attempt] = {}
        self._blamed: dict[Key, set[Key]] = {}  # objects that there was a problem with, by Gateway
        self._until = 0.0  # nothing is written before
        self._backoff = Backoff()

    def edit(self, changes: Mapping[Key, AnyResource | None]) -> None:
        """These objects are others than before; None: it is gone."""
        for key, resource in changes.items():
            match key.kind:
                case "Gateway":
                    self._gateways.pop(key, None)
                    if isinstance(resource, Gateway):
                        self._gateways[key] = resource
                    self._look(key)
                case "ConfigMap":
                    for gateway, each in self._gateways.items():
                        if parameters_key(each) == key:
                            self._look(gateway)
                case "Service" | "EndpointSlice":
                    self._met(key, resource)

    def stand(self, listeners: Iterable[Listener]) -> None:
        """These are the listeners of all Gateways now."""
        targets: dict[Key, dict[int, int]] = {}
        for each in listeners:
            for path in each.gateways:
                targets.setdefault(Key.of_path("Gateway", path), {})[each.spec_port] = each.port
        old, self._targets = self._targets, targets
        for key in targets.keys() | (self._made.keys() if old is None else old.keys()):
            if old is None or targets.get(key) != old.get(key):
                self._look(key)

    def restart(self) -> None:
        """Look at everything: it is this replica now that writes."""
        self._until = 0.0
        self._attempts.clear()
        for key in (*self._gateways, *self._made):
            self._look(key)

    def take(self, now: float, limit: int) -> list[Write]:
        """The writes to do now, for each of which `done` or `broken` is to be called: those of as few Gateways as give
        `limit`. Looks at a few Gateways only: call again while `busy`.
        """
        while self._later and self._later[0][0] <= now:
            self._look(heapq.heappop(self._later)[1])
        if self._targets is None:
            return []
        if now < self._until:
            self._postpone()
            return []
        writes: list[Write] = []
        for _ in range(SCAN):
            if len(writes) >= limit or not self._queue:
                break
            gateway = next(iter(self._queue))
            del self._queue[gateway]
            found = [each for each in self._examine(gateway) if self._may(each, now)]
            if found:
                self._flying[gateway] = len(found)
            writes += found
        return writes

    @property
    def busy(self) -> bool:
        """Whether there are Gateways to look at now."""
        return bool(self._queue) and self._targets is not None

    @property
    def next_due(self) -> float | None:
        """When to call `take` again if nothing else happens."""
        return self._later[0][0] if self._later else None

    @property
    def homeless(self) -> bool:
        """Whether there are Gateways to reach, and no pod is known that serves them."""
        return bool(self._targets) and not any(each.endpoints for each in self._pods.values())

    def done(self, write: Write, answer: Answer, now: float, chance: float) -> None:
        """Take the answer to a write. What came of it is seen when the watch tells."""
        status = answer.status
        if status in {200, 201, 202}:
            self.written += 1
            self.problems.pop(write.key, None)
            self.problems.pop("", None)
            self._backoff.reset()
        elif status == 404 and write.document is None:
            pass  # gone already
        elif status == 409:
            self._again.add(write.gateway)  # it is not as it was seen: the watch is about to tell
        elif status == 429 or status >= 500:
            self._pause(answer.message, answer.retry_after, now, chance)
            self._again.add(write.gateway)
        else:
            self._blame(write.gateway, write.key, answer.message)
            self._again.add(write.gateway)
        self._landed(write.gateway)

    def broken(self, write: Write, error: str, now: float, chance: float) -> None:
        """There was no answer to a write: it may have been done or not."""
        self._pause(error, None, now, chance)
        self._again.add(write.gateway)
        self._landed(write.gateway)

    def _met(self, key: Key, resource: AnyResource | None) -> None:
        """Take note of a Service or EndpointSlice: of RAUTA's own, of one that was made for a Gateway."""
        terms = self._terms
        own = isinstance(resource, EndpointSlice) and (resource.namespace, resource.service) == (
            terms.namespace,
            terms.name,
        )
        if own or key in self._pods:
            self._pods.pop(key, None)
            if own and isinstance(resource, EndpointSlice) and resource.address_type != "FQDN":
                self._pods[key] = resource
            for gateway in self._targets or ():
                self._look(gateway)
        name = gatewayservice.made_for(resource.metadata, terms) if resource is not None else ""
        old, new = self._maker.pop(key, None), Key("Gateway", key.namespace, name) if name else None
        if resource is None:
            self._attempts.pop(key, None)
            self.problems.pop(key, None)
        if old is not None:
            self._made[old].pop(key, None)
            if not self._made[old]:
                del self._made[old]
            self._look(old)
        if new is not None:
            self._maker[key] = new
            self._made.setdefault(new, {})[key] = None
            self._look(new)

    def _examine(self, gateway: Key) -> Iterator[Write]:
        """What is to be written of a Gateway's objects."""
        wanted, made = self._wanted(gateway), self._made.get(gateway, {})
        blamed = self._blamed.pop(gateway, set())
        for key in blamed - wanted.keys() - made.keys():
            self.problems.pop(key, None)  # nobody wants it any more
        if left := blamed & self.problems.keys():
            self._blamed[gateway] = left
        for key, document in wanted.items():
            held = self._store.get(key)
            if held is None:
                yield Write(gateway, key, document, "")
                continue
            there = held.resource
            if gatewayservice.made_for(there.metadata, self._terms) != gateway.name:
                self._blame(gateway, key, f"it is there already, and was not made for {gateway}")
            elif isinstance(there, Service | EndpointSlice) and gatewayservice.stands(document, there):
                self.problems.pop(key, None)
            else:
                yield Write(gateway, key, document, held.version)
        for key in made.keys() - wanted.keys():
            if (held := self._store.get(key)) is not None:
                yield Write(gateway, key, None, held.version)

    def _blame(self, gateway: Key, key: Key, problem: str) -> None:
        self.problems[key] = problem
        self._blamed.setdefault(gateway, set()).add(key)

    def _wanted(self, key: Key) -> dict[Key, Document]:
        gateway, targets = self._gateways.get(key), (self._targets or {}).get(key)
        if gateway is None or not targets:
            return {}
        terms = self._terms
        where = parameters_key(gateway)
        held = self._store.get(where) if where is not None else None
        found = held.resource if held is not None and isinstance(held.resource, ConfigMap) else None
        service = gatewayservice.service(gateway, terms, service_type(found, terms), targets)
        slices = gatewayservice.slices(gateway, terms, targets, self._pods.values())
        return {gatewayservice.service_key(gateway): service, **slices}

    def _may(self, write: Write, now: float) -> bool:
        """Whether to write now: the same again only after a while, for somebody may be writing against us."""
        digest = write.document["metadata"]["annotations"][APPLIED] if write.document is not None else ""
        last = self._attempts.get(write.key)
        if last is None or last.digest != digest or now > last.due + PEACE:
            backoff = Backoff()
        elif now >= last.due:
            backoff = last.backoff
        else:
            heapq.heappush(self._later, (last.due, write.gateway))
            return False
        self._attempts[write.key] = _Attempt(digest, now + backoff.failed(0.0), backoff)
        return True

    def _look(self, gateway: Key) -> None:
        if gateway in self._flying:
            self._again.add(gateway)
        else:
            self._queue[gateway] = None

    def _landed(self, gateway: Key) -> None:
        self._flying[gateway] -= 1
        if self._flying[gateway]:
            return
        del self._flying[gateway]
        if gateway in self._again:
            self._again.discard(gateway)
            self._look(gateway)

    def _pause(self, message: str, retry_after: float | None, now: float, chance: float) -> None:
        if self._until <= now:  # several writes were under way: they fail of the same thing, and count once
            self._until = now + self._backoff.failed(chance, asked=retry_after)
        self.problems[""] = message

    def _postpone(self) -> None:
        """Look at everything later."""
        for gateway in self._queue:
            heapq.heappush(self._later, (self._until, gateway))
        self._queue.clear()
