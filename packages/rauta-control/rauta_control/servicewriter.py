"""Writes the Services and EndpointSlices of Gateways while this replica is the leader. A shell around upkeep.py."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping

from rauta_control.apiclient import APPLY_PATCH, BROKEN, described
from rauta_control.ir import Listener
from rauta_control.kinds import AnyResource
from rauta_control.rounds import Rounds
from rauta_control.upkeep import Upkeep, Write
from rauta_control.world import Key

# Fields that others took over are taken back: the object is RAUTA's, and what it does not apply is left alone.
APPLIER = {"fieldManager": "rauta", "force": "true"}


class ServiceWriter(Rounds[Upkeep]):
    """See rounds.py."""

    def edit(self, changes: Mapping[Key, AnyResource | None]) -> None:
        """These objects are others than before."""
        self._writer.edit(changes)
        self._wake.set()

    def stand(self, listeners: Iterable[Listener]) -> None:
        """These are the listeners of all Gateways now."""
        self._writer.stand(listeners)
        self._wake.set()

    def _begin(self, limit: int) -> list[Coroutine[None, None, None]]:
        return [self._write(write) for write in self._writer.take(self._timing.clock(), limit)]

    async def _write(self, write: Write) -> None:
        path = self._places[write.key.kind].item(write.key)
        clock, chance = self._timing.clock, self._timing.chance
        try:
            if write.document is None:
                conditions = {"preconditions": {"resourceVersion": write.version}}
                answer = await self._client.call("DELETE", path, body=conditions)
            else:
                metadata = write.document["metadata"]
                if write.version:
                    metadata = {**metadata, "resourceVersion": write.version}
                body = {**write.document, "metadata": metadata}
                answer = await self._client.call("PATCH", path, APPLIER, body, APPLY_PATCH)
            self._writer.done(write, answer, clock(), chance())
        except BROKEN as error:
            self._writer.broken(write, described(error), clock(), chance())
