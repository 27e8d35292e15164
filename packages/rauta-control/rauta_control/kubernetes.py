"""A cluster as the source of objects: follows every kind RAUTA reads and hands what changes to a sink.

A shell around reflector.py, which decides. Each kind in each scope has a task of its own, so that what happens to one,
a refusal or a slow answer, happens to no other. A kind the API server does not have is skipped, reported, and looked
for again; it may come with the next `kubectl apply` of CRDs. One that was there is gone only if discovery says so too.

    source = Kubernetes(access, sink)
    await source.run()      until cancelled; `source.store`, `source.health()` and `source.faults()` at any time
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import msgspec

from rauta_control import discovery
from rauta_control.apianswer import Answer
from rauta_control.apiclient import BROKEN, ApiClient, described
from rauta_control.backoff import Backoff
from rauta_control.discovery import Place
from rauta_control.kinds import KINDS, AnyResource, KindEntry
from rauta_control.problem import Problem
from rauta_control.reflector import Edits, Held, Reflector, Scope
from rauta_control.slices import Slices
from rauta_control.source import ObjectSink
from rauta_control.turns import in_turns
from rauta_control.world import Key

RECHECK = 10.0  # seconds until a kind the server does not have is looked for again
FRESH = 5.0  # seconds for which what a server has is not asked again

State: TypeAlias = Literal["listing", "following", "failing", "absent"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind in one scope is followed. Times are those of the source's clock; `error` is empty if all is well."""

    scope: Scope
    state: State
    error: str = ""
    failed_at: float | None = None
    succeeded_at: float | None = None
    lists: int = 0


def _now() -> datetime:
    return datetime.now(UTC)


class Timing(msgspec.Struct, frozen=True):
    """Where time and chance come from. `clock` is monotonic; `wall` is the time that statuses and Leases show."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    wall: Callable[[], datetime] = _now


class Kubernetes:
    """The objects of a cluster. `namespaces` restricts what is read of namespaced kinds; none: all.

    `by_name` are kinds of which only the objects are read that `references` finds in others, each with a watch of its
    own, so that no permission to list the kind is needed. `seen` is told of objects with a status when anything of them
    changed, even what translation does not read.
    """

    def __init__(
        self,
        client: ApiClient,
        sink: ObjectSink,
        timing: Timing,
        *,
        kinds: Mapping[str, KindEntry] = KINDS,
        namespaces: Collection[str] = (),
        by_name: Collection[str] = (),
        references: Callable[[AnyResource], Iterable[Key]] = lambda _: (),
        seen: Callable[[Collection[Key]], None] = lambda _: None,
    ) -> None:
        self.store: dict[Key, Held] = {}
        self.places: dict[str, Place] = {}
        self._client = client
        self._sink = sink
        self._timing = timing
        self._kinds = kinds
        self._by_name = frozenset(by_name)
        self._references = references
        self._seen = seen
        self._named: dict[Key, frozenset[Key]] = {}  # by the object that refers to them
        self._named_changed = asyncio.Event()
        self._reflectors: dict[Scope, Reflector] = {}
        self._missing: dict[Scope, Health] = {}  # of scopes without a reflector
        self._served: dict[str, tuple[float, dict[str, Place]]] = {}  # by apiVersion, and when it was asked
        self._asking: dict[str, asyncio.Lock] = {}
        self._synced = False
        self._scopes = {
            Scope(kind, namespace)
            for kind, entry in kinds.items()
            if kind not in self._by_name
            for namespace in (namespaces if entry.namespaced and namespaces else ("",))
        }
        self._unsettled = self._scopes | {Scope(kind) for kind in self._by_name}

    async def run(self) -> None:
        """Follow everything until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for scope in self._scopes:
                tasks.create_task(self._scope(scope))
            if self._by_name:
                tasks.create_task(self._follow_named())

    def health(self) -> list[Health]:
        """How each kind is followed, sorted by kind and scope."""
        found = {scope: _health(each) for scope, each in self._reflectors.items()} | self._missing
        return sorted(found.values(), key=lambda each: str(each.scope))

    def faults(self) -> dict[Key, tuple[Problem, ...]]:
        """Objects with faults. Of one that could not be taken at all the last good one counts."""
        return {key: found for each in self._reflectors.values() for key, found in each.faults.items()}

    async def _scope(self, scope: Scope) -> None:
        """Follow one kind in one scope for ever, whether it is there or not."""
        timing = self._timing
        while True:
            place = await self._located(scope)
            if place is not None:
                self._missing.pop(scope, None)
                self.places[scope.kind] = place
                await self._follow(Reflector(scope, self._kinds[scope.kind], place, self.store))
                self._served.clear()
                continue
            self._forget(scope)
            served = " and ".join(self._kinds[scope.kind].served)
            error = f"the API server has no {scope.kind} ({served}); install the CRDs of Gateway API to use it"
            self._missing[scope] = Health(scope=scope, state="absent", error=error, failed_at=timing.clock())
            self._settle(scope)
            await timing.sleep(RECHECK * (1 - timing.chance() / 4))

    async def _located(self, scope: Scope) -> Place | None:
        """Where the server has the kind; None if it says that it does not."""
        timing, backoff = self._timing, Backoff()
        while True:
            try:
                return await self._place(scope.kind)
            except (*BROKEN, msgspec.MsgspecError, _RefusedError) as error:
                self._missing[scope] = Health(
                    scope=scope, state="failing", error=described(error), failed_at=timing.clock()
                )
                await timing.sleep(backoff.failed(timing.chance()))

    async def _follow(self, reflector: Reflector) -> None:
        """Do what a reflector asks for until the server says that there is no such kind, or until cancelled."""
        timing = self._timing
        if reflector.scope in self._reflectors:
            reflector.succeed(self._reflectors[reflector.scope])
        self._reflectors[reflector.scope] = reflector
        while not reflector.absent:
            wait = reflector.due - timing.clock()
            if wait > 0:
                await timing.sleep(wait)
            await self._step(reflector)
            if reflector.settled:
                self._settle(reflector.scope)

    def _forget(self, scope: Scope) -> None:
        """Take away the objects of a scope that is not followed any more. (Not when all ends: then they stay.)"""
        self._missing.pop(scope, None)
        reflector = self._reflectors.pop(scope, None)
        if reflector is not None:
            self._edit(reflector.clear())

    async def _step(self, reflector: Reflector) -> None:
        clock, chance = self._timing.clock, self._timing.chance
        ask = reflector.ask(chance())
        opened: float | None = None
        try:
            if not ask.watch:
                answer = await self._client.call("GET", ask.path, ask.params)
                if answer.status == 200:
                    await self._take(reflector, reflector.page(answer.body, clock()))
                else:
                    self._refuse(reflector, answer)
                return
            async with self._client.stream(ask.path, ask.params) as stream:
                if isinstance(stream, Answer):
                    self._refuse(reflector, stream)
                    return
                opened = clock()
                reflector.opened(opened)
                while reflector.watching and (data := await stream.read()):
                    await self._take(reflector, reflector.events(data, clock()))
            reflector.ended(clock() - opened, clock(), chance())
        except (*BROKEN, msgspec.MsgspecError) as error:
            lasted = 0.0 if opened is None else clock() - opened
            reflector.broken(described(error), lasted, clock(), chance())

    def _refuse(self, reflector: Reflector, answer: Answer) -> None:
        reflector.refused(
            answer.status, answer.message, answer.retry_after, self._timing.clock(), self._timing.chance()
        )

    async def _take(self, reflector: Reflector, edits: Slices[Edits]) -> None:
        self._edit(await in_turns(edits))
        if reflector.seen:
            seen, reflector.seen = reflector.seen, set()
            self._seen(seen)

    def _edit(self, edits: Edits) -> None:
        if not edits:
            return
        self._sink.edit(edits)
        if self._by_name:
            for key, resource in edits.items():
                named = frozenset() if resource is None else frozenset(self._references(resource))
                if named != self._named.pop(key, frozenset()):
                    self._named_changed.set()
                if named:
                    self._named[key] = named

    def _settle(self, scope: Scope) -> None:
        self._unsettled.discard(scope)
        if self._by_name:
            self._named_changed.set()
        self._check_synced()

    def _check_synced(self) -> None:
        if not self._unsettled and not self._synced:
            self._synced = True
            self._sink.synced()

    async def _follow_named(self) -> None:
        """Follow each object that is referred to by name, and no other."""
        following: dict[Key, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                wanted = {key for named in self._named.values() for key in named if key.kind in self._by_name}
                for key in following.keys() - wanted:
                    following.pop(key).cancel()
                    self._forget(Scope(*key))
                    self._unsettled.discard(Scope(*key))
                for key in wanted - following.keys():
                    if not self._synced:
                        self._unsettled.add(Scope(*key))
                    following[key] = tasks.create_task(self._scope(Scope(*key)))
                if not self._unsettled & self._scopes:  # nobody left who might refer to more
                    self._unsettled -= {Scope(kind) for kind in self._by_name}
                    self._check_synced()
                self._named_changed.clear()
                await self._named_changed.wait()

    async def _place(self, kind: str) -> Place | None:
        """Where the server has a kind. Raises one of BROKEN, or for an answer that makes no sense."""
        for version in self._kinds[kind].served:
            place = (await self._resources(version)).get(kind)
            if place is not None:
                return place
        return None

    async def _resources(self, version: str) -> dict[str, Place]:
        async with self._asking.setdefault(version, asyncio.Lock()):
            asked, found = self._served.get(version, (-FRESH, {}))
            if self._timing.clock() - asked < FRESH:
                return found
            answer = await self._client.call("GET", discovery.root(version))
            if answer.status not in {200, 404}:
                raise _RefusedError(answer.message)
            found = discovery.located(version, answer.body) if answer.status == 200 else {}
            self._served[version] = (self._timing.clock(), found)
            return found


class _RefusedError(Exception):
    """The server did not say what it has."""


def _health(reflector: Reflector) -> Health:
    state: State = "following" if reflector.settled else "listing"
    return Health(
        scope=reflector.scope,
        state="failing" if reflector.error else state,
        error=reflector.error,
        failed_at=reflector.failed_at,
        succeeded_at=reflector.succeeded_at,
        lists=reflector.lists,
    )
