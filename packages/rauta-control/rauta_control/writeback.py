"""Writes statuses to the API server while this replica is the leader: a few at a time, retried until they are there.

A shell around statuswriter.py, which decides what to write and when.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime

from rauta_control.apiclient import BROKEN, MERGE_PATCH, ApiClient, described
from rauta_control.condition import Status
from rauta_control.discovery import Place
from rauta_control.kubernetes import Timing
from rauta_control.rounds import Rounds
from rauta_control.statuswriter import StatusWriter, Write
from rauta_control.world import Key

MANAGER = {"fieldManager": "rauta"}


def _now() -> datetime:
    return datetime.now(UTC)


class WriteBack(Rounds[StatusWriter]):
    """See rounds.py; `wall` is the time that statuses show."""

    def __init__(
        self,
        client: ApiClient,
        writer: StatusWriter,
        places: Mapping[str, Place],
        leading: Callable[[], bool],
        timing: Timing,
        wall: Callable[[], datetime] = _now,
    ) -> None:
        super().__init__(client, writer, places, leading, timing)
        self._wall = wall

    def want(self, statuses: Mapping[Key, Status | None]) -> None:
        """These are the statuses now; None: there is none."""
        self._writer.want(statuses)
        self._wake.set()

    def seen(self, keys: Iterable[Key]) -> None:
        """These objects are others than before."""
        self._writer.seen(keys)
        self._wake.set()

    def _begin(self, limit: int) -> list[Coroutine[None, None, None]]:
        return [self._write(write) for write in self._writer.take(self._timing.clock(), self._wall(), limit)]

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
