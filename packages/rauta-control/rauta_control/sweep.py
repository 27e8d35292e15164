"""Deadlines without timers: every connection has a number, `deadline`, and a sweep looks at each once a second.

Pure. Setting a timer for each request would make and drop an object each time; setting a number costs nothing. A tick
(100 ms) looks at a tenth of the connections, so a thousand of them cost it some 10 us and nobody is over a second late.
"""

from __future__ import annotations

from typing import Protocol

TICKS = 10  # ticks until every connection has been looked at


class Expiring(Protocol):
    """Something with a deadline in monotonic seconds; `expire` is called once it has passed, until it moves or goes."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""


class Sweep:
    """The connections of a worker, in TICKS parts."""

    def __init__(self) -> None:
        self._parts: list[set[Expiring]] = [set() for _ in range(TICKS)]
        self._turn = 0

    def add(self, connection: Expiring) -> None:
        """Look after `connection` from now on."""
        min(self._parts, key=len).add(connection)

    def discard(self, connection: Expiring) -> None:
        """Forget `connection`, if it is known."""
        for part in self._parts:
            part.discard(connection)

    def tick(self, now: float) -> None:
        """Expire what is due in the next part."""
        part = self._parts[self._turn]
        self._turn = (self._turn + 1) % TICKS
        for connection in [connection for connection in part if connection.deadline <= now]:
            if connection.deadline <= now:  # another one may have moved it: a request that is tried again, on this one
                connection.expire()

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)
