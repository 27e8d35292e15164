"""Writes to the API server while this replica is the leader: a few at a time, again when there is more.

What servicewriter.py and writeback.py have in common: each is a shell around somebody who decides what to write.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from rauta_control.apiclient import ApiClient
from rauta_control.discovery import Place
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


W = TypeVar("W", bound=Writer)


class Rounds(ABC, Generic[W]):
    """`leading` is asked before every round; `places` says where kinds are served."""

    def __init__(
        self,
        client: ApiClient,
        writer: W,
        places: Mapping[str, Place],
        leading: Callable[[], bool],
        timing: Timing,
    ) -> None:
        self._client = client
        self._writer = writer
        self._places = places
        self._leading = leading
        self._timing = timing
        self._wake = asyncio.Event()
        self._led = False
        self._flying = 0

    @abstractmethod
    def _begin(self, limit: int) -> Iterable[Coroutine[None, None, None]]:
        """Take at most so many of the writes that are due: each goes from being sent to having told the writer."""

    def leads(self, _: bool) -> None:
        """`leading` has come to be true or false."""
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
