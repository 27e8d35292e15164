"""Writes statuses to the API server while this replica is the leader: a few at a time, retried until they are there.

A shell around statuswriter.py, which decides what to write and when.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping

from rauta_control.apiclient import BROKEN, MERGE_PATCH, described
from rauta_control.condition import Status
from rauta_control.rounds import Rounds
from rauta_control.statuswriter import StatusWriter, Write
from rauta_control.world import Key

MANAGER = {"fieldManager": "rauta"}


class WriteBack(Rounds[StatusWriter]):
    """See rounds.py."""

    def want(self, statuses: Mapping[Key, Status | None]) -> None:
        """These are the statuses now; None: there is none."""
        self._writer.want(statuses)
        self._wake.set()

    def seen(self, keys: Iterable[Key]) -> None:
        """These objects are others than before."""
        self._writer.seen(keys)
        self._wake.set()

    def _begin(self, limit: int) -> list[Coroutine[None, None, None]]:
        due = self._writer.take(self._timing.clock(), self._timing.wall(), limit)
        return [self._write(write) for write in due]

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
