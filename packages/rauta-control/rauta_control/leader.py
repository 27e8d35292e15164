"""Takes part in an election until it ends, then lets go of the Lease. A shell around lease.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rauta_control.apiclient import BROKEN, ApiClient, described
from rauta_control.kubernetes import Timing
from rauta_control.lease import VERSION, Election, Request

NAME = "rauta-status-writer"
PATIENCE = 5.0  # seconds for one request: half of the time for which a leader may go without


class Leader:
    """`changed` is called with True when this replica begins to lead, and with False when it ends."""

    def __init__(
        self,
        client: ApiClient,
        identity: str,
        namespace: str,
        timing: Timing,
        changed: Callable[[bool], None],
    ) -> None:
        self.election = Election(identity, namespace, NAME)
        self._client = client
        self._timing = timing
        self._changed = changed
        self._folder = f"/apis/{VERSION}/namespaces/{namespace}/leases"
        self._path = f"{self._folder}/{NAME}"
        self._led = False

    def leading(self) -> bool:
        """Whether this replica leads, now."""
        return self.election.leading(self._timing.clock())

    async def run(self) -> None:
        """Take part until cancelled."""
        timing, election = self._timing, self.election
        try:
            while True:
                request = election.ask(timing.clock(), timing.wall())
                try:
                    await self._do(request)
                except BROKEN as error:
                    election.failed(described(error), timing.clock())
                self._tell()
                await timing.sleep(max(0.0, election.due - timing.clock()))
        finally:
            await self._release()

    async def _do(self, request: Request) -> None:
        path = self._folder if request.method == "POST" else self._path
        async with asyncio.timeout(PATIENCE):
            answer = await self._client.call(request.method, path, body=request.body)
        self.election.answered(request, answer, self._timing.clock())

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                for _ in range(2):  # a renewal that was under way may have made it another version
                    request = self.election.release(self._timing.wall())
                    self._tell()
                    if request is None:
                        return
                    answer = await self._client.call(request.method, self._path, body=request.body)
                    if answer.status != 409:
                        return
                    await self._do(Request("GET"))
        except BROKEN:
            pass  # then the others wait until it has run out

    def _tell(self) -> None:
        leads = self.leading()
        if leads != self._led:
            self._led = leads
            self._changed(leads)
