"""Taking turns: drives sliced work (slices.py) on an event loop so that everything else there gets its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from rauta_control.slices import Slices

T = TypeVar("T")

TURN = 0.002  # seconds of work before others get a turn


async def in_turns(slices: Slices[T], turn: float = TURN, took: Callable[[float], None] = lambda _: None) -> T:
    """Do the work of `slices` in turns of about `turn` seconds and return its result, or raise what it raises.

    `took` is told the seconds of each turn, which can be more than `turn` by the length of a slice.
    """
    started = monotonic()
    while True:
        try:
            next(slices)
        except StopIteration as done:
            took(monotonic() - started)
            result: T = done.value
            return result
        seconds = monotonic() - started
        if seconds >= turn:
            took(seconds)
            await asyncio.sleep(0)
            started = monotonic()
