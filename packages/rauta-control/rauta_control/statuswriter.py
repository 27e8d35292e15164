"""Which statuses to write, when, and what an answer means for the next one. Pure; writeback.py does the writing.

Level-triggered: a key that may need writing is looked at when its turn comes, against what is wanted and what is there
by then. So nothing is written twice, what changed back is not written at all, and an answer that was lost costs a look.

    want, seen, restart  ->  keys to look at  ->  take: writes under way  ->  done: there, or to look at again

Numbers of attached routes are written at most every second and a half while they keep moving; everything else at once.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from rauta_control.apianswer import Answer
from rauta_control.backoff import Backoff
from rauta_control.condition import Status
from rauta_control.reflector import Held
from rauta_control.statusdiff import difference, newest_generation
from rauta_control.terms import CONTROLLER
from rauta_control.world import Key

SCAN = 50  # keys looked at in one go: about 2 ms
FIRST_INTERVAL = 0.1  # seconds between two writes of numbers of routes, doubled while they keep moving
LONGEST_INTERVAL = 1.5


class Write(NamedTuple):
    """A status to merge into an object; `body` names the version it is for, so that it meets no other."""

    key: Key
    body: dict[str, Any]


class There(NamedTuple):
    """A status as an answer of the API server showed it, newer than the store's."""

    version: str
    generation: int
    status: bytes


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    generation: int = 0


class _Answer(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()
    status: msgspec.Raw = msgspec.Raw(b"")


class _Pace(NamedTuple):
    """Of the numbers of one object: when they were written last, and how long to wait until the next time."""

    last: float
    interval: float


class StatusWriter:
    """Keeps `store`, the objects as they are watched, saying what is wanted. Times are monotonic seconds."""

    def __init__(self, store: Mapping[Key, Held], controller: str = CONTROLLER) -> None:
        self.problems: dict[Key | str, str] = {}  # statuses that cannot be written, by object or kind
        self.written = 0
        self._store = store
        self._controller = controller
        self._wanted: dict[Key, Status] = {}
        self._routes: dict[Key, None] = {}  # to look at, in this order
        self._first: dict[Key, None] = {}  # to look at before those: Gateways and the like are few, and waited for
        self._later: list[tuple[float, Key]] = []  # a heap; an entry counts while `_postponed` says the same
        self._postponed: dict[Key, float] = {}
        self._flying: dict[Key, bool] = {}  # under way, and whether to look again when it is done
        self._there: dict[Key, There] = {}
        self._paces: dict[Key, _Pace] = {}
        self._pauses: dict[str, tuple[float, Backoff]] = {}  # by kind, and of everything: ""

    def want(self, statuses: Mapping[Key, Status | None]) -> None:
        """These are the statuses now; None: there is none, and what is there is left alone."""
        for key, status in statuses.items():
            if status is None:
                self._wanted.pop(key, None)
                self._forget(key)
            else:
                self._wanted[key] = status
                self._look(key)

    def seen(self, keys: Iterable[Key]) -> None:
        """These objects are others than before: somebody may have changed what we wrote."""
        for key in keys:
            if key in self._wanted:
                self._look(key)

    def restart(self) -> None:
        """Look at everything: it is this replica now that writes."""
        self._pauses.clear()
        self._later.clear()
        self._postponed.clear()
        for key in self._wanted:
            self._look(key)

    def take(self, now: float, wall: datetime, limit: int) -> list[Write]:
        """At most `limit` writes to do now, for each of which `done` is to be called. Looks at a few keys only: call
        again while `busy`.
        """
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if self._postponed.get(key) == due:
                del self._postponed[key]
                self._look(key)
        writes: list[Write] = []
        for _ in range(SCAN):
            if len(writes) >= limit or not self.busy:
                break
            queue = self._first or self._routes
            key = next(iter(queue))
            del queue[key]
            write = self._examine(key, now, wall)
            if write is not None:
                self._flying[key] = False
                writes.append(write)
        return writes

    @property
    def busy(self) -> bool:
        """Whether there are keys to look at now."""
        return bool(self._first or self._routes)

    @property
    def next_due(self) -> float | None:
        """When to call `take` again if nothing else happens."""
        return self._later[0][0] if self._later else None

    def done(self, key: Key, answer: Answer, now: float, chance: float) -> bool:
        """Take the answer to a write; return whether to fetch the object for `found`, because it is not as known."""
        status = answer.status
        if status == 409:
            return True
        again = self._flying.pop(key, False)
        if status == 200:
            self.written += 1
            self._took(key, answer.body)
        elif status == 404:
            self._forget(key)  # gone; if it comes back it will be seen
        elif status in {401, 403}:
            self._pause(key.kind, answer.message, None, now, chance)
            again = True
        elif status == 429 or status >= 500:
            self._pause("", answer.message, answer.retry_after, now, chance)
            again = True
        else:
            self.problems[key] = answer.message  # it will not be taken later either, until something changes
        if again:
            self._look(key)
        return False

    def broken(self, key: Key, error: str, now: float, chance: float) -> None:
        """There was no answer to a write: it may have been done or not."""
        self._flying.pop(key, None)
        self._pause("", error, None, now, chance)
        self._look(key)

    def found(self, key: Key, body: bytes | None) -> None:
        """Take an object as it is right now; None if there is none."""
        self._flying.pop(key, None)
        if body is None:
            self._there.pop(key, None)
        else:
            self._took(key, body)
            self._look(key)

    def _took(self, key: Key, body: bytes) -> None:
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except msgspec.MsgspecError:
            return  # the watch will say what is there
        self._there[key] = There(answer.metadata.resource_version, answer.metadata.generation, bytes(answer.status))
        for scope in (key, key.kind, ""):
            self.problems.pop(scope, None)
        for kind in (key.kind, ""):
            self._pauses.pop(kind, None)

    def _look(self, key: Key) -> None:
        if key in self._flying:
            self._flying[key] = True
        elif key.kind.endswith("Route"):
            self._routes[key] = None
        else:
            self._first[key] = None

    def _examine(self, key: Key, now: float, wall: datetime) -> Write | None:
        wanted, there = self._wanted.get(key), self._current(key)
        if wanted is None or there is None:
            return None
        until = max(self._pauses[kind][0] if kind in self._pauses else now for kind in (key.kind, ""))
        if until > now:
            self._postpone(key, until)
            return None
        generation = newest_generation(wanted)
        if generation and generation < there.generation:
            return None  # of an object that has moved on: translation is about to
        found = difference(wanted, there.status, self._controller, wall)
        if found is None:
            self.problems.pop(key, None)
            return None
        if not self._paced(key, found.counts, now):
            return None
        return Write(key, {"metadata": {"resourceVersion": there.version}, "status": found.status})

    def _paced(self, key: Key, counts: bool, now: float) -> bool:
        """Whether it is time to write; else it is looked at when it is."""
        if not counts:
            return True
        pace = self._paces.get(key, _Pace(-math.inf, FIRST_INTERVAL))
        due = pace.last + pace.interval
        if now < due:
            self._postpone(key, due)
            return False
        moving = now < due + LONGEST_INTERVAL
        self._paces[key] = _Pace(now, min(LONGEST_INTERVAL, pace.interval * 2) if moving else FIRST_INTERVAL)
        return True

    def _current(self, key: Key) -> There | None:
        """What is there, by the newer of the watch and the last answer."""
        held = self._store.get(key)
        if held is None:
            self._forget(key)
            return None
        answered = self._there.get(key)
        if answered is not None and _newer(answered.version, held.version):
            return answered
        self._there.pop(key, None)
        return There(held.version, held.resource.metadata.generation, held.status)

    def _forget(self, key: Key) -> None:
        self._there.pop(key, None)
        self._paces.pop(key, None)
        self.problems.pop(key, None)

    def _pause(self, kind: str, message: str, retry_after: float | None, now: float, chance: float) -> None:
        until, backoff = self._pauses.get(kind, (0.0, Backoff()))
        if until <= now:  # several writes were under way: they fail of the same thing, and count once
            self._pauses[kind] = (now + backoff.failed(chance, asked=retry_after), backoff)
        self.problems[kind] = message

    def _postpone(self, key: Key, until: float) -> None:
        if until < self._postponed.get(key, math.inf):
            self._postponed[key] = until
            heapq.heappush(self._later, (until, key))


def _newer(one: str, other: str) -> bool:
    """Whether a version is newer than another. They are numbers (KEP-5504); of others the watched one counts."""
    return one.isdigit() and other.isdigit() and int(one) > int(other)
