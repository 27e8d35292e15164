"""Clusters and endpoints as a worker holds them: alive across tables, so an endpoint change touches no route.

Pure: nothing here opens or closes a connection; methods return what the caller must close. An endpoint is its address:
the same address in two clusters, or in the next configuration, is the same object, so its connections and counters go
on. Idle connections are used last in, first out: the hot ones stay hot, the rest expire.

Which endpoint a request goes to is the cluster's policy (ir.Balance). Maglev keeps a flow with its endpoint, and while
all endpoints are available that is one look into a table, which the hot path does by itself; everything else is `pick`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeAlias

from rauta_common.hashing import flow_hash
from rauta_control import field, ir
from rauta_control.balancer import Available, Member, usable
from rauta_control.recorder import CLEAN, Counter
from rauta_control.shape import NONE
from rauta_control.slices import Slices

if TYPE_CHECKING:
    from rauta_control.upstream import Upstream

STEPS = 8  # slots that a flow tries before, where most are not to be used, any other is drawn for it

_DEFAULT = ir.Balance()


class Endpoint:
    """One backend address, its idle connections and what was counted.

    `unavailable` is why no request should go there (balancer.py), changed by `mark` and `clear` alone.
    """

    __slots__ = (
        "__weakref__",
        "address",
        "counter",
        "epoch",
        "idle",
        "label",
        "name",
        "open",
        "port",
        "shape",
        "slot",
        "unavailable",
        "users",
        "words",
    )

    def __init__(self, endpoint: ir.Endpoint) -> None:
        self.name = endpoint.name
        self.address = endpoint.address
        self.port = endpoint.port
        self.count(endpoint.slot, endpoint.epoch)
        self.idle: list[Upstream] = []
        self.open = 0  # connections and reservations
        self.users: dict[Cluster, int] = {}  # clusters that list it, or did and were not given to `release` yet
        self.unavailable = 0
        self.shape = NONE  # of the heads of its responses (upstream.py)
        self.label = b'"endpoint":"%b",' % endpoint.name.encode()

    def count(self, slot: int, epoch: int) -> None:
        """Be counted in this slot from now on."""
        self.slot = slot
        self.epoch = epoch
        self.counter: Counter | None = None  # once there is anything to count,
        self.words = CLEAN  # whose words these are then

    def reserve(self, limit: int) -> bool:
        """Claim room for a new connection at the moment of the decision to make one; False if `limit` are open."""
        if self.open >= limit:
            return False
        self.open += 1
        return True

    def forget(self) -> None:
        """A connection has closed, or a reservation came to nothing."""
        self.open -= 1

    @property
    def busy(self) -> int:
        """Requests of this worker that are with the endpoint or on their way: a connection carries one at a time."""
        return self.open - len(self.idle)

    def mark(self, why: int) -> None:
        """Let requests go elsewhere while this bit is set."""
        self._set(self.unavailable | why)

    def clear(self, why: int) -> None:
        """Take the bit back."""
        self._set(self.unavailable & ~why)

    def _set(self, unavailable: int) -> None:
        if unavailable != self.unavailable:
            self.unavailable = unavailable
            for cluster in self.users:
                cluster.refresh()


class Cluster:
    """A name that rules refer to, and the endpoints behind it now.

    `slots` is the size of `table` if that alone says where a flow of a connection goes: to
    `endpoints[table[flow % slots]]`. It is 0 if there is nothing or more to it: ask `pick`. `requests` are those in
    flight that may be retried, `retries` those of them that are (attempts.py).
    """

    __slots__ = (
        "_available",
        "_chance",
        "_turn",
        "_weights",
        "balance",
        "endpoints",
        "name",
        "requests",
        "retries",
        "slots",
        "table",
    )

    def __init__(self, name: str, chance: Callable[[], float]) -> None:
        self.name = name
        self.endpoints: list[Endpoint] = []
        self.table: Sequence[int] = ()
        self.slots = 0
        self.requests = self.retries = 0
        self.balance = _DEFAULT
        self._weights: Sequence[int] = ()
        self._available: Available | None = None  # made when it is needed
        self._chance = chance
        self._turn = -1

    def fill(
        self, endpoints: list[Endpoint], weights: Sequence[int], table: Sequence[int], balance: ir.Balance
    ) -> None:
        """Replace everything but the name."""
        self.endpoints = endpoints
        self.table = table
        self.balance = balance
        self._weights = weights
        self.refresh()

    def refresh(self) -> None:
        """An endpoint was marked or cleared, or came or went."""
        self._available = None
        alone = self.balance == _DEFAULT and not any(endpoint.unavailable for endpoint in self.endpoints)
        self.slots = len(self.table) if alone else 0

    def flow(self, connection: int, client: bytes, head: bytes) -> int:
        """Return the hash by which `pick` keeps requests together, here those that have in common what `balance` says.

        `connection` is the hash of the client's address and port, which stands in where a request lacks the field or
        cookie; `client` its address; `head` ends in the CRLF of its last field line.
        """
        match self.balance.key:
            case "flow":
                return connection
            case "ip":
                return flow_hash(client)
            case "header":
                value = field.value(head, head.lower(), field.needle(self.balance.name))
            case "cookie":
                value = field.cookie(head, head.lower(), self.balance.name.encode())
        return flow_hash(value) if value else connection

    def pick(self, flow: int, tried: Collection[Endpoint] = ()) -> Endpoint | None:
        """Return the endpoint for a request, one not in `tried` if there is any; None only if there is no endpoint."""
        if self.slots and not tried:
            return self.endpoints[self.table[flow % self.slots]]
        available = self._available
        if available is None:
            members: list[Member] = [pair for pair in zip(self.endpoints, self._weights, strict=True) if pair[1]]
            if not members:
                return None
            available = self._available = Available(usable(members))
        match self.balance.policy:
            case "maglev":
                return self._walk(flow, available, tried)
            case "least-request":
                return available.without(tried).least(self._chance(), self._chance())
            case "round-robin" if tried:
                return available.without(tried).draw(self._chance())  # a retry is nobody's turn
            case "round-robin":
                # The first turn is drawn: workers in step would send all that they have to the same endpoint.
                self._turn = int(self._chance() * len(available.members)) if self._turn < 0 else self._turn + 1
                return available.turn(self._turn)

    def _walk(self, flow: int, available: Available, tried: Collection[Endpoint]) -> Endpoint:
        """Walk the table from the slot of the flow, each flow with its own stride (the size is prime).

        So the flows of an endpoint that may not be used spread over all others by weight, and always go the same way.
        To the next slot each would be no fair share: what follows an endpoint's slots is not evenly dealt.
        """
        table, endpoints = self.table, self.endpoints
        size = len(table)
        mixed = flow * _MIX & 0xFFFF_FFFF
        stride = 1 + mixed % (size - 1)
        for step in range(STEPS):
            endpoint = endpoints[table[(flow + step * stride) % size]]
            if endpoint in available.endpoints and endpoint not in tried:
                return endpoint
        return available.without(tried).draw(mixed / 0x1_0000_0000)


# A prime near 2^32 / golden ratio (Knuth, TAOCP 6.4): what is made with it is independent of the slot of a flow.
_MIX = 0x9E37_79B1

Filling: TypeAlias = tuple[Cluster, ir.Cluster, Sequence[int]]
"""A cluster, what it becomes, and its new table."""


Listed: TypeAlias = tuple[Cluster, Endpoint]
"""That a cluster lists an endpoint."""


def listed(cluster: Cluster) -> list[Listed]:
    """Return what a cluster lists now."""
    return [(cluster, endpoint) for endpoint in cluster.endpoints]


class Clusters:
    """The live clusters and endpoints of a worker. `chance` is random in [0, 1); by default it is not, for tests."""

    def __init__(self, chance: Callable[[], float] = lambda: 0.0) -> None:
        self._chance = chance
        self.by_name: dict[str, Cluster] = {}
        self.endpoints: dict[str, Endpoint] = {}

    def make(self, name: str) -> Cluster:
        """Return a new cluster, still empty."""
        return Cluster(name, self._chance)

    def filling(self, filling: Filling) -> Slices[list[Listed]]:
        """Give a cluster its new endpoints, at the end and at once, an endpoint at a time until then.

        Returns those it had until now, each to be given to `release` later.
        """
        cluster, resource, table = filling
        endpoints = []
        for endpoint in resource.endpoints:
            endpoints.append(self._use(endpoint, cluster))
            yield
        before = listed(cluster)
        cluster.fill(endpoints, [endpoint.weight for endpoint in resource.endpoints], table, resource.balance)
        return before

    def release(self, one: Listed) -> bool:
        """A cluster does not list an endpoint any more; True if no other does, so that it is forgotten."""
        cluster, endpoint = one
        endpoint.users[cluster] -= 1
        if not endpoint.users[cluster]:
            del endpoint.users[cluster]
        if endpoint.users:
            return False
        del self.endpoints[endpoint.name]
        return True

    def _use(self, resource: ir.Endpoint, cluster: Cluster) -> Endpoint:
        """Return the endpoint of this address, which `cluster` lists from now on."""
        endpoint = self.endpoints.get(resource.name)
        if endpoint is None:
            endpoint = self.endpoints[resource.name] = Endpoint(resource)
        elif (endpoint.slot, endpoint.epoch) != (resource.slot, resource.epoch):
            endpoint.count(resource.slot, resource.epoch)
        endpoint.users[cluster] = endpoint.users.get(cluster, 0) + 1
        return endpoint
