"""Has somebody write to the API server while this replica is the leader: a few at a time, again when there is more.

A shell around whoever decides what to write (statuswriter.py, upkeep.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Protocol

from rauta_control.kubernetes import Timing

PARALLEL = 8  # writes under way; more wait for the same etcd


class Writer(Protocol):
    """Who decides."""

    @property
    def busy(self) -> bool:
        """Whether there may be something to write now."""

    @property
    def next_due(self) -> float | None:
        """When to ask again if nothing else happens."""

    def restart(self) -> None:
        """Look at everything: it is this replica now that writes."""


class Rounds:
    """`start` begins at most so many writes; `leading` is asked before every round."""

    def __init__(
        self,
        writer: Writer,
        start: Callable[[int], Iterable[Coroutine[None, None, None]]],
        leading: Callable[[], bool],
        timing: Timing,
    ) -> None:
        self._writer = writer
        self._begin = start
        self._leading = leading
        self._timing = timing
        self._wake = asyncio.Event()
        self._led = False
        self._flying = 0

    def wake(self) -> None:
        """Something happened."""
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                leading = self._leading()
                if leading and not self._led:
                    self._writer.restart()
                self._led = leading
                if leading:
                    self._start(tasks)
                    if self._writer.busy and self._flying < PARALLEL:
                        await asyncio.sleep(0)
                        continue
                await self._wait(self._writer.next_due if leading else None)

    def _start(self, tasks: asyncio.TaskGroup) -> None:
        for write in self._begin(PARALLEL - self._flying):
            self._flying += 1
            tasks.create_task(self._fly(write))

    async def _fly(self, write: Coroutine[None, None, None]) -> None:
        try:
            await write
        finally:
            self._flying -= 1
            self._wake.set()

    async def _wait(self, due: float | None) -> None:
        """Wait for something to happen, or until `due`."""
        if due is None:
            await self._wake.wait()
            return
        alarm = asyncio.ensure_future(self._timing.sleep(max(0.0, due - self._timing.clock())))
        alarm.add_done_callback(self._rung)
        try:
            await self._wake.wait()
        finally:
            alarm.cancel()

    def _rung(self, alarm: asyncio.Future[None]) -> None:
        if not alarm.cancelled():
            self._wake.set()
