"""This replica's side of a cluster, whole: follows the objects, takes part in the election, writes statuses. A shell.

replica = Replica(await clusteraccess.find(...), sink)
task = create_task(replica.run())      cancelling it lets go of the Lease
replica.want(change.statuses)          whenever translation changed some, and workers have them
replica.problems()                     for people to read
"""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping

from rauta_control import mentions
from rauta_control.apiclient import ApiClient
from rauta_control.clusteraccess import ClusterAccess
from rauta_control.condition import Status
from rauta_control.ir import Listener
from rauta_control.kinds import KINDS, AnyResource
from rauta_control.kubernetes import Health, Kubernetes, Timing
from rauta_control.leader import Leader
from rauta_control.serviceterms import ServiceTerms
from rauta_control.servicewriter import ServiceWriter
from rauta_control.source import ObjectSink
from rauta_control.statuswriter import StatusWriter
from rauta_control.terms import CONTROLLER
from rauta_control.upkeep import Upkeep
from rauta_control.world import Key
from rauta_control.writeback import WriteBack


def _identity() -> str:
    """A name no other candidate has, nor this one after a restart; people find the pod by it."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


class Replica:
    """`namespaces`: read only these, none: all. `by_name`: read only Secrets and ConfigMaps that are mentioned.
    `services`: keep a Service for each Gateway.
    """

    def __init__(
        self,
        access: ClusterAccess,
        sink: ObjectSink,
        *,
        namespaces: Collection[str] = (),
        by_name: bool = False,
        services: ServiceTerms | None = None,
        controller: str = CONTROLLER,
        identity: str = "",
        timing: Timing | None = None,
    ) -> None:
        self._sink = sink
        timing = timing or Timing()
        self._client = ApiClient(access)
        self.source = Kubernetes(
            self._client,
            self,
            timing,
            namespaces=namespaces,
            by_name=mentions.KINDS if by_name else (),
            references=mentions.mentioned,
            seen=self._seen,
        )
        self.writer = StatusWriter(self.source.store, controller)
        self.leader = Leader(self._client, identity or _identity(), access.namespace, timing, self._leads)
        self._back = WriteBack(self._client, self.writer, self.source.places, self.leader.leading, timing)
        self._services = services
        self._writer: ServiceWriter | None = None
        if services is not None:
            self.upkeep = Upkeep(self.source.store, services)
            self._writer = ServiceWriter(self._client, self.upkeep, self.source.places, self.leader.leading, timing)

    async def run(self) -> None:
        """Do it all until cancelled."""
        async with self._client, asyncio.TaskGroup() as tasks:
            for part in (self.source, self.leader, self._back, self._writer):
                if part is not None:
                    tasks.create_task(part.run())

    def edit(self, changes: Mapping[Key, AnyResource | None]) -> None:
        """See Sink."""
        if self._writer is not None:
            self._writer.edit(changes)
        self._sink.edit(changes)

    def synced(self) -> None:
        """See Sink."""
        self._sink.synced()

    def stand(self, listeners: Iterable[Listener]) -> None:
        """These are the listeners of all Gateways now. Not to be called before `synced` either: Services of Gateways
        without listeners are deleted.
        """
        if self._writer is not None:
            self._writer.stand(listeners)

    def want(self, statuses: Mapping[Key, Status | None]) -> None:
        """These are the statuses now; None: there is none. Not to be called before the sink was told `synced`: what
        translation says of half of the objects would take statuses away.
        """
        self._back.want(statuses)

    def problems(self) -> list[str]:
        """What is wrong between us and the cluster, a sentence each."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        for health in self.source.health():
            if health.error and (health.state != "absent" or KINDS[health.scope.kind].needed):
                yield _read(health)
        for key, found in sorted(self.source.faults().items()):
            yield from (f"{key}: {problem}" for problem in found if problem.level == "error")
        for what, message in self.writer.problems.items():
            yield f"cannot write the status of {what or 'anything'}: {message}"
        if self._services is not None:
            for what, message in self.upkeep.problems.items():
                yield f"cannot write {what or 'Services of Gateways'}: {message}"
            if self.upkeep.homeless:
                own = f"{self._services.namespace}/{self._services.name}"
                yield f"Services of Gateways lead nowhere: no endpoint is known of Service {own} (--own-service)"
        if self.leader.election.error:
            yield f"cannot take part in the election of who writes statuses: {self.leader.election.error}"

    def _seen(self, keys: Collection[Key]) -> None:
        self._back.seen(keys)

    def _leads(self, leads: bool) -> None:
        self._back.leads(leads)
        if self._writer is not None:
            self._writer.leads(leads)


def _read(health: Health) -> str:
    return health.error if health.state == "absent" else f"cannot read {health.scope}: {health.error}"
