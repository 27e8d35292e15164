"""Fine deadlines: a wheel of 10 ms buckets, and one timer of the loop while there is anything in it. Pure.

For what the sweep (sweep.py) is too coarse for: timeouts of routes, which are milliseconds, and the wait before another
try. No timer is made for a request: it is put into a bucket, and taken out in one step when it is over. What is due
later than a second waits in a bucket it shares with everything else that is, and finds its own when that one is due: so
a thousand streams with an hour to go cost one turn a second.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Protocol

GRAIN = 100  # buckets a second: nothing is early, and nothing later than a bucket and a turn of the loop
NEVER = float("inf")
_MARGIN = 0.001  # seconds; the loop's timers may be up to a millisecond early


class Timed(Protocol):
    """Something with a deadline `due`, in seconds of the wheel's clock; `bucket` is the wheel's own, 0 at first."""

    due: float
    bucket: int

    def lapse(self) -> None:
        """The deadline has passed; the wheel has forgotten this."""


class Timer(Protocol):
    """What `call_at` returns."""

    def cancel(self) -> None:
        """Do not call."""


class Wheel:
    """The fine deadlines of a worker. `clock` and `call_at` are those of its loop."""

    def __init__(self, clock: Callable[[], float], call_at: Callable[[float, Callable[[], None]], Timer]) -> None:
        self._clock = clock
        self._call_at = call_at
        self._buckets: dict[int, set[Timed]] = {}
        self._timer: Timer | None = None
        self._next = 0  # the bucket that the timer is set for

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def set(self, entry: Timed, due: float) -> None:
        """Have `entry.lapse` called at `due`, instead of what was set before; NEVER: forget it."""
        if entry.bucket:
            self.clear(entry)
        entry.due = due
        if due == NEVER:
            return
        current = int(self._clock() * GRAIN)
        number = max(ceil(due * GRAIN), current + 1)
        if number > current + GRAIN:
            number = (current // GRAIN + 1) * GRAIN
        entry.bucket = number
        bucket = self._buckets.get(number)
        if bucket is None:
            self._buckets[number] = {entry}
            self._wake(number)
        else:
            bucket.add(entry)

    def clear(self, entry: Timed) -> None:
        """Forget `entry`, if it is known."""
        bucket = self._buckets.get(entry.bucket)
        if bucket is not None:
            bucket.discard(entry)
            if not bucket:
                del self._buckets[entry.bucket]
        entry.bucket = 0

    def _wake(self, number: int) -> None:
        if self._timer is not None:
            if self._next <= number:
                return
            self._timer.cancel()
        self._next = number
        self._timer = self._call_at(number / GRAIN + _MARGIN, self._turn)

    def _turn(self) -> None:
        """Call what is due."""
        self._timer = None
        now = self._clock()
        try:
            for number in sorted(number for number in self._buckets if number <= now * GRAIN):
                while bucket := self._buckets.get(number):
                    entry = next(iter(bucket))
                    self.clear(entry)
                    if entry.due <= now:
                        entry.lapse()
                    else:
                        self.set(entry, entry.due)
        finally:
            if self._buckets:
                self._wake(min(self._buckets))
