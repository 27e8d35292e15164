"""Reads what the workers counted out of the shared words (sharedmem.py). Pure over the memoryview it is given.

A counter is the sum over the blocks of all workers. A block with another epoch was written for an earlier owner of the
slot, so it counts nothing. Words are read one at a time, each whole, while workers write on: two may be a tick apart
(100 ms).
"""

from __future__ import annotations

from itertools import accumulate

from rauta_control.sharedmem import (
    ENDPOINT_WORDS,
    ENDPOINTS,
    MAX_WORKERS,
    PID_SHIFT,
    ROUTE_WORDS,
    ROUTES,
    VITALS_WORDS,
    EndpointWord,
    RouteWord,
    Vital,
    worker_base,
)

BUCKETS = 32  # of a route's histogram


class Counters:
    """The shared words of the workers 0 to `workers` - 1. Untouched pages of others stay untouched."""

    def __init__(self, words: memoryview, workers: int) -> None:
        self._words = words
        self._bases = [worker_base(index) for index in range(workers)]

    def vitals(self) -> list[list[int]]:
        """Return the vitals of each worker, indexed by Vital."""
        return [self._words[base : base + VITALS_WORDS].tolist() for base in self._bases]

    def route(self, slot: int, epoch: int) -> list[int]:
        """Return the words of a route, indexed by RouteWord; the one in the place of the epoch means nothing."""
        return self._sum(ROUTES + slot * ROUTE_WORDS, ROUTE_WORDS, epoch)

    def endpoint(self, slot: int, epoch: int) -> list[int]:
        """Return the words of an endpoint, indexed by EndpointWord; the one in the place of the epoch means nothing.

        ACTIVE is what is with the workers that live; one that died, or is there no more, has left its own behind.
        """
        offset = ENDPOINTS + slot * ENDPOINT_WORDS
        found = self._sum(offset, ENDPOINT_WORDS, epoch)
        found[EndpointWord.ACTIVE] = 0
        for base in self._bases:
            pid, active = divmod(self._words[base + offset + EndpointWord.ACTIVE], 1 << PID_SHIFT)
            if active and pid == self._words[base + Vital.PID] and self._words[base + offset] == epoch:
                found[EndpointWord.ACTIVE] += active
        return found

    def _sum(self, offset: int, size: int, epoch: int) -> list[int]:
        words = self._words
        starts = (base + offset for base in self._bases)
        blocks = [words[start : start + size].tolist() for start in starts if words[start] == epoch]
        if len(blocks) == 1:
            return blocks[0]
        return [sum(column) for column in zip(*blocks, strict=True)] or [0] * size


def blocks_used(words: memoryview) -> int:
    """Return how many blocks, from the first on, were ever written: a worker that is gone for good still counts."""
    bases = [worker_base(index) for index in range(MAX_WORKERS)]
    return max((index + 1 for index, base in enumerate(bases) if any(words[base : base + VITALS_WORDS])), default=0)


def total(vitals: list[list[int]], vital: int) -> int:
    """Return the sum of one vital, by its word, over the workers."""
    return sum(words[vital] for words in vitals)


def drained(vitals: list[list[int]], generation: int) -> int:
    """Return the lowest generation up to which every living worker has drained; `generation` if none lives."""
    return min((words[Vital.DRAINED] - 1 for words in vitals if words[Vital.PID]), default=generation)


def cumulative(route: list[int]) -> list[int]:
    """Return the histogram of a route's durations: item k counts requests under 2**k microseconds."""
    return list(accumulate(route[RouteWord.BUCKETS : RouteWord.BUCKETS + BUCKETS]))
