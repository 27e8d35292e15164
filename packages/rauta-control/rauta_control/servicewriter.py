"""Writes the Services and EndpointSlices of Gateways while this replica is the leader. A shell around upkeep.py."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping

from rauta_control.apiclient import APPLY_PATCH, BROKEN, ApiClient, described
from rauta_control.discovery import Place
from rauta_control.ir import Listener
from rauta_control.kinds import AnyResource
from rauta_control.kubernetes import Timing
from rauta_control.rounds import Rounds
from rauta_control.upkeep import Upkeep, Write
from rauta_control.world import Key

# Fields that others took over are taken back: the object is RAUTA's, and what it does not apply is left alone.
APPLIER = {"fieldManager": "rauta", "force": "true"}


class ServiceWriter:
    """`leading` is asked before every round; `places` says where kinds are served."""

    def __init__(
        self,
        client: ApiClient,
        upkeep: Upkeep,
        places: Mapping[str, Place],
        leading: Callable[[], bool],
        timing: Timing,
    ) -> None:
        self._client = client
        self._upkeep = upkeep
        self._places = places
        self._timing = timing
        self._rounds = Rounds(upkeep, self._start, leading, timing)

    def edit(self, changes: Mapping[Key, AnyResource | None]) -> None:
        """These objects are others than before."""
        self._upkeep.edit(changes)
        self._rounds.wake()

    def stand(self, listeners: Iterable[Listener]) -> None:
        """These are the listeners of all Gateways now."""
        self._upkeep.stand(listeners)
        self._rounds.wake()

    def leads(self, _: bool) -> None:
        """`leading` has come to be true or false."""
        self._rounds.wake()

    async def run(self) -> None:
        """Write until cancelled."""
        await self._rounds.run()

    def _start(self, limit: int) -> list[Coroutine[None, None, None]]:
        return [self._write(write) for write in self._upkeep.take(self._timing.clock(), limit)]

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
            self._upkeep.done(write, answer, clock(), chance())
        except BROKEN as error:
            self._upkeep.broken(write, described(error), clock(), chance())
