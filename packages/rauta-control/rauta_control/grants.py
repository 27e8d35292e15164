"""Whether an object may refer to one in another namespace: ReferenceGrant. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from rauta_control.apiresource import GATEWAY_GROUP
from rauta_control.derive import Graph
from rauta_control.finding import finding, strangers
from rauta_control.output import Output
from rauta_control.problem import nearest
from rauta_control.referencegrant import ReferenceGrant
from rauta_control.world import GRANTS, Key, find, objects

#: The group of each kind that refers, or is referred to, across namespaces.
SOURCES = dict.fromkeys(
    ("Gateway", "ListenerSet", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"), GATEWAY_GROUP
)
TARGETS = dict.fromkeys(("Service", "Secret", "ConfigMap"), "")


def refusal(q: Graph, source: Key, target: Key) -> str:
    """Why `source`, of a Gateway API kind, may not refer to `target`; empty: it may, by a grant or in its namespace."""
    if source.namespace == target.namespace or q.get(_granted, source.kind, source.namespace, target):
        return ""
    return f"no ReferenceGrant permits {source} to use {target}"


def grant_output(q: Graph, key: Key) -> Output:
    """What of a grant can permit nothing, because no such kind is in the group."""
    found = find(q, ReferenceGrant, key)
    if found is None:
        return Output()
    slips = [
        (f"spec.from[{index}]", _slip(each.group, each.kind, SOURCES)) for index, each in enumerate(found.spec.from_)
    ]
    slips += [(f"spec.to[{index}]", _slip(each.group, each.kind, TARGETS)) for index, each in enumerate(found.spec.to)]
    strange = strangers(key, found.metadata.annotations)
    return Output(findings=(*strange, *(finding(59, key, path, text) for path, text in slips if text)))


def _slip(group: str, kind: str, known: Mapping[str, str]) -> str:
    """What seems to be meant instead of this group and kind; empty where it may be meant as it is."""
    meant = kind if kind in known else nearest(kind, known)
    if not meant or (group, kind) == (known[meant], meant) or (group != known[meant] and "." in group):
        return ""
    return f'there is no kind {kind} in group "{group}"; did you mean {meant} in group "{known[meant]}"?'


def _granted(q: Graph, kind: str, namespace: str, target: Key) -> bool:
    for grant in objects(q, ReferenceGrant, GRANTS, target.namespace):
        source = any(
            (item.group, item.kind, item.namespace) == (GATEWAY_GROUP, kind, namespace) for item in grant.spec.from_
        )
        if source and any(
            (item.group, item.kind) == (TARGETS[target.kind], target.kind) and item.name in (None, target.name)
            for item in grant.spec.to
        ):
            return True
    return False
