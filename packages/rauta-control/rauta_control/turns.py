"""Taking turns: drives sliced work (slices.py) on an event loop so that everything else there gets its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic, thread_time
from typing import TypeVar

from rauta_control.slices import Slices

T = TypeVar("T")

TURN = 0.001  # seconds of work before others get a turn


class Longest:
    """The longest turns so far, in seconds: on the clock, and computed, which need not be one turn.

    The clock says how long others had to wait. On a machine with more to do than cores it mostly says that the process
    was not running; what was computed says how long the turn itself is.
    """

    __slots__ = ("clock", "computed")

    def __init__(self) -> None:
        self.clock = 0.0
        self.computed = 0.0

    def took(self, clock: float, computed: float) -> None:
        """There was a turn of this length."""
        self.clock = max(self.clock, clock)
        self.computed = max(self.computed, computed)


async def in_turns(slices: Slices[T], turn: float = TURN, took: Callable[[float, float], None] = lambda *_: None) -> T:
    """Do the work of `slices` in turns of about `turn` seconds and return its result, or raise what it raises.

    `took` is told the seconds of each turn, which can be more than `turn` by the length of a slice: on the clock, and
    of this thread's CPU time.
    """
    started, used = monotonic(), thread_time()
    while True:
        try:
            next(slices)
        except StopIteration as done:
            took(monotonic() - started, thread_time() - used)
            result: T = done.value
            return result
        seconds = monotonic() - started
        if seconds >= turn:
            took(seconds, thread_time() - used)
            await asyncio.sleep(0)
            started, used = monotonic(), thread_time()
