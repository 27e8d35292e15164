"""Statuses and findings as the agent API shows them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from rauta_agent_api.snapshot import ConditionSnapshot, FindingCounts, FindingSnapshot, ObjectSnapshot, PartSnapshot
from rauta_control.apiresource import Condition
from rauta_control.condition import Status
from rauta_control.finding import Finding
from rauta_control.gateway import GatewayStatus, ListenerStatus
from rauta_control.httproute import RouteParentStatus, RouteStatus
from rauta_control.listenerset import ListenerSetStatus
from rauta_control.world import Key


def objects(statuses: Mapping[Key, Status]) -> list[ObjectSnapshot]:
    """The objects with their conditions, by kind, namespace and name."""
    return [_object(key, statuses[key]) for key in sorted(statuses)]


def findings(found: Iterable[Finding]) -> list[FindingSnapshot]:
    """The findings, by object."""
    return [
        FindingSnapshot(
            code=each.code,
            severity=each.severity.value,
            kind=each.object.kind,
            namespace=each.object.namespace,
            name=each.object.name,
            path=each.path,
            message=each.message,
            advice=each.advice,
            place=each.place,
        )
        for each in sorted(found)
    ]


def counts(found: Iterable[Finding]) -> FindingCounts:
    """How many there are of each severity."""
    return FindingCounts(**Counter(each.severity.value for each in found))


def _object(key: Key, status: Status) -> ObjectSnapshot:
    conditions = () if isinstance(status, RouteStatus) else _conditions(status.conditions)
    addresses = tuple(each.value for each in status.addresses) if isinstance(status, GatewayStatus) else ()
    return ObjectSnapshot(
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        addresses=addresses,
        conditions=conditions,
        parts=tuple(_parts(key, status)),
    )


def _parts(key: Key, status: Status) -> Iterator[PartSnapshot]:
    if isinstance(status, RouteStatus):
        yield from (_parent(key, each) for each in status.parents)
    elif isinstance(status, GatewayStatus | ListenerSetStatus):
        yield from map(_listener, status.listeners)


def _listener(status: ListenerStatus) -> PartSnapshot:
    return PartSnapshot(
        name=status.name, attached_routes=status.attached_routes, conditions=_conditions(status.conditions)
    )


def _parent(route: Key, status: RouteParentStatus) -> PartSnapshot:
    ref = status.parent_ref
    section = f" {ref.section_name}" if ref.section_name else ""
    port = f" port {ref.port}" if ref.port else ""
    name = f"{ref.kind} {ref.namespace or route.namespace}/{ref.name}{section}{port}"
    return PartSnapshot(name=name, conditions=_conditions(status.conditions))


def _conditions(conditions: Iterable[Condition]) -> tuple[ConditionSnapshot, ...]:
    return tuple(
        ConditionSnapshot(
            type=each.type,
            status=each.status,
            reason=each.reason,
            message=each.message,
            since=each.last_transition_time.isoformat(timespec="seconds").replace("+00:00", "Z"),
            observed_generation=each.observed_generation,
        )
        for each in conditions
    )
