"""Follows a Kubernetes cluster and says there what became of its objects. A shell.

Looks for the way to the cluster until there is one, then lets a Replica (replica.py) do the work. What it last told of
stays when the cluster is out of reach, and so does what is served.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping, Sequence

from rauta_control import clusteraccess
from rauta_control.backoff import Backoff
from rauta_control.clusteraccess import AccessError, ClusterAccess
from rauta_control.condition import Status
from rauta_control.ir import Listener
from rauta_control.kinds import AnyResource
from rauta_control.log import Log
from rauta_control.replica import Replica
from rauta_control.settings import Settings
from rauta_control.source import Fault, Sink
from rauta_control.troubles import Troubles
from rauta_control.world import Key

LOOK = 1.0  # seconds between two looks at what is wrong


class ClusterSource:
    """One cluster, as the settings at the start name it."""

    def __init__(self, settings: Settings, sink: Sink, log: Log) -> None:
        self._settings = settings
        self._sink = sink
        self._replica: Replica | None = None
        self._statuses: dict[Key, Status | None] = {}  # that the replica was not told yet
        self._stood: Sequence[Listener] | None = None  # what the replica was told last
        self._synced = False
        self._faults: tuple[Fault, ...] = ()
        self._troubles = Troubles(log, "cluster", "cluster: solved")

    @property
    def problems(self) -> list[str]:
        """What is wrong between us and the cluster, a sentence each."""
        return self._troubles.present

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        self._replica = replica = Replica(
            await self._find(),
            self,
            namespaces=self._settings.namespaces,
            by_name=self._settings.secrets_by_name,
            services=self._settings.services,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(replica.run())
            while True:
                self._troubles.report((), replica.problems())
                self._judge(replica)
                await asyncio.sleep(LOOK)

    def edit(self, objects: Mapping[Key, AnyResource | None]) -> None:
        """See Sink."""
        self._sink.edit(objects)

    def synced(self) -> None:
        """See Sink."""
        self._synced = True
        self._sink.synced()

    def want(self, statuses: Mapping[Key, Status | None]) -> None:
        """These statuses changed, as they are to be shown; None: there is none any more."""
        self._statuses.update(statuses)
        if self._synced and self._replica is not None and self._statuses:
            told, self._statuses = self._statuses, {}
            self._replica.want(told)

    def stand(self, listeners: Sequence[Listener]) -> None:
        """These are the listeners of all Gateways now; the same list: nothing changed."""
        if self._synced and self._replica is not None and listeners is not self._stood:
            self._stood = listeners
            self._replica.stand(listeners)

    async def _find(self) -> ClusterAccess:
        backoff = Backoff()
        while True:
            try:
                return await clusteraccess.find(self._settings.kubeconfig, os.environ)
            except AccessError as error:
                self._troubles.report((), [str(error)])
                await asyncio.sleep(backoff.failed(random.random()))  # noqa: S311 - spreads load

    def _judge(self, replica: Replica) -> None:
        """Tell what is wrong with objects: admission by an API server lets through what older rules allowed."""
        found = replica.source.faults()
        faults = tuple(Fault(str(key), str(key), problem, key) for key in sorted(found) for problem in found[key])
        if faults != self._faults:
            self._faults = faults
            self._sink.report(faults)
