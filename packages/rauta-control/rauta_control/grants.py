"""Whether an object may refer to one in another namespace: ReferenceGrant. Pure."""

from __future__ import annotations

from rauta_control.apiresource import GATEWAY_GROUP
from rauta_control.derive import Graph
from rauta_control.referencegrant import ReferenceGrant
from rauta_control.world import GRANTS, Key, find, members


def permitted(q: Graph, source: Key, target: Key, target_group: str = "") -> bool:
    """Whether `source`, of a Gateway API kind, may refer to `target`: in its own namespace always, else by a grant."""
    if source.namespace == target.namespace:
        return True
    return q.get(_granted, source.kind, source.namespace, target, target_group)


def _granted(q: Graph, kind: str, namespace: str, target: Key, group: str) -> bool:
    for key in members(q, GRANTS, target.namespace):
        grant = find(q, ReferenceGrant, key.namespace, key.name)
        if grant is None:
            continue
        source = any(
            (item.group, item.kind, item.namespace) == (GATEWAY_GROUP, kind, namespace) for item in grant.spec.from_
        )
        if source and any(
            (item.group, item.kind) == (group, target.kind) and item.name in (None, target.name)
            for item in grant.spec.to
        ):
            return True
    return False
