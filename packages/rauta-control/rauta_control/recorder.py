"""What a worker counts: local arrays on the hot path, copied to its shared words every tick.

Adding to an element of an array costs half of adding to a word of shared memory, so requests touch arrays only, and a
tick (100 ms) copies those that changed, oldest first and at most BATCH of them: copies are made of memory that nobody
used for long, so that requests spread over ten thousand routes would pay more for being copied than for being counted.
A counter starts from what the words hold, so a worker's death loses a tick, or four seconds if so many changed. No I/O
beyond the memoryview it is given; see sharedmem.py for the layout.
"""

from __future__ import annotations

from array import array
from collections import deque
from itertools import repeat
from weakref import WeakValueDictionary

from rauta_control.sharedmem import (
    COUNTERS,
    DIRTY,
    ENDPOINT_WORDS,
    ENDPOINTS,
    MAX_ENDPOINTS,
    MAX_ROUTES,
    ROUTE_WORDS,
    ROUTES,
    VITALS_WORDS,
    RouteWord,
    Vital,
    worker_base,
)

BATCH = 256  # counters copied a tick, up to 3 us each
CLEAN = array("Q", bytes(8 * ENDPOINT_WORDS))  # the words of whoever has no counter yet: nobody adds to them

_FIRST_STATUS, _LAST_STATUS = RouteWord.STATUS_1XX, RouteWord.STATUS_1XX + 5


class Counter:
    """The local copy of one slot's words. Writers call Recorder.touch if words[DIRTY] is 0, and add to the others.

    Those on the hot path hold `words` themselves: where many routes are in use, each object on the way there is a miss
    of the caches.
    """

    __slots__ = ("__weakref__", "base", "words")

    def __init__(self, base: int, words: array[int]) -> None:
        self.base = base
        self.words = words


class Recorder:
    """All counters of one worker. `vitals` is indexed by sharedmem.Vital."""

    def __init__(self, words: memoryview, index: int) -> None:
        self._words = words
        self._base = worker_base(index)
        self._routes: WeakValueDictionary[tuple[int, int], Counter] = WeakValueDictionary()
        self._endpoints: WeakValueDictionary[tuple[int, int], Counter] = WeakValueDictionary()
        self._heirs: WeakValueDictionary[int, Counter] = WeakValueDictionary()  # by base: of the last owner of a slot
        self._dirty: deque[Counter] = deque()
        self.vitals = words[self._base : self._base + VITALS_WORDS].tolist()
        self.vitals[:COUNTERS] = [0] * COUNTERS

    def route(self, slot: int, epoch: int) -> Counter:
        """Return the counter of a route's slot; rules of one route share it."""
        if not 0 <= slot < MAX_ROUTES:
            raise ValueError(f"route slot {slot} is outside the shared words")
        return self._open(self._routes, slot, epoch, ROUTES + slot * ROUTE_WORDS, ROUTE_WORDS)

    def endpoint(self, slot: int, epoch: int) -> Counter:
        """Return the counter of an endpoint's slot."""
        if not 0 <= slot < MAX_ENDPOINTS:
            raise ValueError(f"endpoint slot {slot} is outside the shared words")
        return self._open(self._endpoints, slot, epoch, ENDPOINTS + slot * ENDPOINT_WORDS, ENDPOINT_WORDS)

    def _open(
        self, counters: WeakValueDictionary[tuple[int, int], Counter], slot: int, epoch: int, offset: int, size: int
    ) -> Counter:
        counter = counters.get((slot, epoch))
        if counter is None:
            base = self._base + offset
            words = array("Q", self._words[base : base + size])
            if words[0] != epoch:  # the slot had another owner: start from nothing
                words = array("Q", (epoch, *repeat(0, size - 1)))
            counter = counters[slot, epoch] = Counter(base, words)
            heir = self._heirs.get(base)
            if heir is None or heir.words[0] < epoch:
                self._heirs[base] = counter
        return counter

    def touch(self, counter: Counter) -> None:
        """Have `counter`, of which that is not known yet, copied at one of the next flushes."""
        counter.words[DIRTY] = 1
        self._dirty.append(counter)

    def flush(self, heartbeat: int) -> None:
        """Copy to the shared words what changed longest ago; `heartbeat` is the monotonic time in ns."""
        self._copy(BATCH)
        self.vitals[Vital.HEARTBEAT] = heartbeat
        self._words[self._base : self._base + VITALS_WORDS] = memoryview(array("Q", self.vitals))

    def close(self, heartbeat: int) -> None:
        """Copy everything that changed: the last call."""
        self._copy(len(self._dirty))
        self.flush(heartbeat)

    def _copy(self, limit: int) -> None:
        shared = self._words
        dirty = self._dirty
        for _ in range(min(limit, len(dirty))):
            counter = dirty.popleft()
            words = counter.words
            words[DIRTY] = 0
            if (self._heirs.get(counter.base) or counter) is not counter:
                continue  # a request in flight, of a former owner: the slot counts for another one now
            if len(words) == ROUTE_WORDS:
                words[RouteWord.REQUESTS] = sum(words[_FIRST_STATUS:_LAST_STATUS])
            shared[counter.base : counter.base + len(words)] = memoryview(words)
