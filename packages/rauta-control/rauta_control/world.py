"""The objects that translation looks at: how rules read them from a graph, and the sets they are found by. Pure.

Everything is read through these functions, so that everything read is known (derive.py). An object that is not there is
read too: whoever looked for it is told when it comes.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from rauta_control.apiresource import GATEWAY_GROUP, Resource
from rauta_control.backendtlspolicy import BackendTLSPolicy
from rauta_control.derive import Graph
from rauta_control.endpointslice import EndpointSlice
from rauta_control.gateway import Gateway
from rauta_control.kinds import AnyResource
from rauta_control.listenerset import ListenerSet
from rauta_control.namespace import NAME_LABEL, Namespace
from rauta_control.referencegrant import ReferenceGrant

R = TypeVar("R", bound=Resource)

GATEWAYS = "gateways"  # all of them
GRANTS = "grants"  # by the namespace they are in
SLICES = "slices"  # by namespace and service
TLS_POLICIES = "backendtlspolicies"  # by the namespace they are in
SETS = "listenersets"  # by the Gateway they name
#: By kind, the index its objects are in.
INDEXES = {
    "Gateway": GATEWAYS,
    "ReferenceGrant": GRANTS,
    "BackendTLSPolicy": TLS_POLICIES,
    "EndpointSlice": SLICES,
    "ListenerSet": SETS,
}


class Key(NamedTuple):
    """What an object is known by. Cluster-scoped objects have an empty namespace."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"

    @classmethod
    def of_path(cls, kind: str, path: str) -> Key:
        """The key of a namespaced object."""
        namespace, _, name = path.partition("/")
        return cls(kind, namespace, name)

    @property
    def path(self) -> str:
        """`namespace/name`, or `name` of a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(resource: Resource) -> Key:
    """The key of an object."""
    return Key(resource.kind, resource.namespace, resource.name)


def find(q: Graph, struct: type[R], key: Key) -> R | None:
    """The object of a key, if there is one; `struct` is that of its kind."""
    found = q.read(key)
    return found if isinstance(found, struct) else None


def members(q: Graph, index: str, *key: str) -> list[Key]:
    """The keys of the objects that an index has under `key`, sorted."""
    return sorted(q.read((index, key)) or ())


def objects(q: Graph, struct: type[R], index: str, *key: str) -> list[R]:
    """The objects themselves, in the same order."""
    return [each for found in members(q, index, *key) if (each := find(q, struct, found)) is not None]


def labels(q: Graph, namespace: str) -> dict[str, str]:
    """The labels of a namespace. One that is not among the objects (files need not give it) has that of its name."""
    found = find(q, Namespace, Key("Namespace", "", namespace))
    return found.metadata.labels if found is not None else {NAME_LABEL: namespace}


def place(resource: AnyResource) -> tuple[str, ...] | None:
    """Where in the index of its kind (INDEXES) an object is found; None if nowhere."""
    match resource:
        case Gateway():
            return ()
        case ReferenceGrant() | BackendTLSPolicy():
            return (resource.namespace,)
        case EndpointSlice() if resource.service:
            return (resource.namespace, resource.service)
        case ListenerSet() if (gateway := parent(resource)) is not None:
            return (gateway.namespace, gateway.name)
    return None


def parent(listener_set: ListenerSet) -> Key | None:
    """The Gateway that a ListenerSet names; None if it names something else."""
    ref = listener_set.spec.parent_ref
    if (ref.group, ref.kind) != (GATEWAY_GROUP, "Gateway"):
        return None
    return Key("Gateway", ref.namespace or listener_set.namespace, ref.name)


def age(resource: Resource) -> int:
    """When an object was created, in seconds since 1970; 0 where nothing says so, as in files."""
    created = resource.metadata.creation_timestamp
    return 0 if created is None else int(created.timestamp())


def seniority(resource: Resource) -> tuple[int, str]:
    """Sorts objects that compete: the older one, then the one that comes first by `namespace/name`."""
    return age(resource), f"{resource.namespace}/{resource.name}"
