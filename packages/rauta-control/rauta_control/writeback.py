"""Writes statuses to the API server while this replica is the leader: a few at a time, retried until they are there.

A shell around statuswriter.py, which decides what to write and when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from rauta_control.apiclient import BROKEN, MERGE_PATCH, ApiClient, described
from rauta_control.condition import Status
from rauta_control.discovery import Place
from rauta_control.kubernetes import Timing
from rauta_control.statuswriter import StatusWriter, Write
from rauta_control.world import Key

PARALLEL = 8  # writes under way; more wait for the same etcd
MANAGER = {"fieldManager": "rauta"}


def _now() -> datetime:
    return datetime.now(UTC)


class WriteBack:
    """`leading` is asked before every round; `places` says where kinds are served."""

    def __init__(
        self,
        client: ApiClient,
        writer: StatusWriter,
        places: Mapping[str, Place],
        leading: Callable[[], bool],
        timing: Timing,
        wall: Callable[[], datetime] = _now,
    ) -> None:
        self._client = client
        self._writer = writer
        self._places = places
        self._leading = leading
        self._timing = timing
        self._wall = wall
        self._wake = asyncio.Event()
        self._led = False
        self._flying = 0

    def want(self, statuses: Mapping[Key, Status | None]) -> None:
        """These are the statuses now; None: there is none."""
        self._writer.want(statuses)
        self._wake.set()

    def seen(self, keys: Iterable[Key]) -> None:
        """These objects are others than before."""
        self._writer.seen(keys)
        self._wake.set()

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
        for write in self._writer.take(self._timing.clock(), self._wall(), PARALLEL - self._flying):
            self._flying += 1
            tasks.create_task(self._write(write))

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

    async def _write(self, write: Write) -> None:
        key, place = write.key, self._places[write.key.kind]
        clock, chance, writer = self._timing.clock, self._timing.chance, self._writer
        try:
            answer = await self._client.call("PATCH", place.status(key), MANAGER, write.body, MERGE_PATCH)
            if writer.done(key, answer, clock(), chance()):
                found = await self._client.call("GET", place.item(key))
                if found.status in {200, 404}:
                    writer.found(key, found.body if found.status == 200 else None)
                else:
                    writer.broken(key, found.message, clock(), chance())
        except BROKEN as error:
            writer.broken(key, described(error), clock(), chance())
        finally:
            self._flying -= 1
            self._wake.set()
