"""Virtual time for tests of the cluster side: what sleeps, sleeps in it."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from datetime import UTC, datetime

from rauta_control.kubernetes import Timing


class Pace:
    """Virtual time: `until` lets it run, fifty times as fast as the real one, while it waits for a condition."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        chances = random.Random(1)  # noqa: S311 - no secret
        self.timing = Timing(lambda: self.now, self.sleep, chances.random, self.wall)

    def wall(self) -> datetime:
        return datetime.fromtimestamp(1_790_000_000 + self.now, UTC)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, len(self.slept), future))
        await future

    def advance(self, seconds: float) -> None:
        self.now += seconds
        while self._sleepers and self._sleepers[0][0] <= self.now:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

    async def until(self, condition: Callable[[], object], pace: float = 0.05) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.001)
                self.advance(pace)

    async def settle(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        end = self.now + seconds
        await self.until(lambda: self.now >= end)
