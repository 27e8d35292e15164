"""Clusters and endpoints as a worker holds them: alive across tables, so an endpoint change touches no route.

Pure: nothing here opens or closes a connection; methods return what the caller must close. An endpoint is its address:
the same address in two clusters, or in the next configuration, is the same object, so its connections and counters go
on. Idle connections are used last in, first out: the hot ones stay hot, the rest expire.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from rauta_control import ir
from rauta_control.recorder import Counter

if TYPE_CHECKING:
    from rauta_control.upstream import Upstream

MAX_OPEN = 1_024  # connections to one endpoint from one worker; Envoy's default for a cluster


class Endpoint:
    """One backend address, its idle connections and what was counted. Without `users` it takes no connection back."""

    __slots__ = ("__weakref__", "address", "counter", "epoch", "idle", "label", "name", "open", "port", "slot", "users")

    def __init__(self, endpoint: ir.Endpoint) -> None:
        self.name = endpoint.name
        self.address = endpoint.address
        self.port = endpoint.port
        self.slot = endpoint.slot
        self.epoch = endpoint.epoch
        self.counter: Counter | None = None
        self.idle: list[Upstream] = []
        self.open = 0  # connections and reservations
        self.users = 0  # clusters that list it
        self.label = b'"endpoint":"%b",' % endpoint.name.encode()

    def reserve(self) -> bool:
        """Claim room for a new connection at the moment of the decision to make one; False if there is none."""
        if self.open >= MAX_OPEN:
            return False
        self.open += 1
        return True

    def forget(self) -> None:
        """A connection has closed, or a reservation came to nothing."""
        self.open -= 1


class Cluster:
    """A name that rules refer to, and the endpoints behind it now. `table` has `size` slots, 0 if nothing is there.

    `requests` are those in flight that may be retried, `retries` those of them that are (attempts.py).
    """

    __slots__ = ("endpoints", "name", "requests", "retries", "size", "table")

    def __init__(self, name: str) -> None:
        self.name = name
        self.endpoints: list[Endpoint] = []
        self.table: Sequence[int] = ()
        self.size = 0
        self.requests = self.retries = 0


Filling: TypeAlias = tuple[Cluster, tuple[ir.Endpoint, ...], Sequence[int]]
"""A cluster, what its endpoints become, and its new table."""


class Clusters:
    """The live clusters and endpoints of a worker."""

    def __init__(self) -> None:
        self.by_name: dict[str, Cluster] = {}
        self.endpoints: dict[str, Endpoint] = {}

    def preview(self, names: Iterable[str]) -> dict[str, Cluster]:
        """Return the clusters by name, with new ones, still empty, for those of `names` that are unknown."""
        by_name = dict(self.by_name)
        for name in names:
            if name not in by_name:
                by_name[name] = Cluster(name)
        return by_name

    def fill(self, filling: Filling) -> list[Endpoint]:
        """Give a cluster its new endpoints; return those it had until now, each to be given to `release` later."""
        cluster, resources, table = filling
        before = cluster.endpoints
        cluster.endpoints = [self._use(resource) for resource in resources]
        cluster.table = table
        cluster.size = len(table)
        return before

    def release(self, endpoint: Endpoint) -> bool:
        """One cluster less lists `endpoint`; True if that was the last one, so that it is forgotten."""
        endpoint.users -= 1
        if endpoint.users:
            return False
        del self.endpoints[endpoint.name]
        return True

    def _use(self, resource: ir.Endpoint) -> Endpoint:
        """Return the endpoint of this address, which has one user more."""
        endpoint = self.endpoints.get(resource.name)
        if endpoint is None:
            endpoint = self.endpoints[resource.name] = Endpoint(resource)
        elif (endpoint.slot, endpoint.epoch) != (resource.slot, resource.epoch):
            endpoint.slot, endpoint.epoch, endpoint.counter = resource.slot, resource.epoch, None
        endpoint.users += 1
        return endpoint
