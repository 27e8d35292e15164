"""Conditions: made without a time while translating, stamped when they leave. Pure.

`lastTransitionTime` moves when a condition's status does and at no other time (else status writes never end), so what a
condition was before is an input of stamping, and time is not one of translation.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from rauta_control.apiresource import EPOCH, Condition
from rauta_control.gateway import GatewayStatus, ListenerStatus
from rauta_control.gatewayclass import GatewayClassStatus
from rauta_control.httproute import RouteParentStatus, RouteStatus
from rauta_control.listenerset import ListenerSetStatus

Status: TypeAlias = GatewayClassStatus | GatewayStatus | ListenerSetStatus | RouteStatus

MAX_MESSAGE = 32_768  # metav1.Condition


def condition(kind: str, holds: bool, reason: str, message: str, generation: int) -> Condition:
    """A condition that has no time yet."""
    status: Literal["True", "False"] = "True" if holds else "False"
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message[:MAX_MESSAGE],
        last_transition_time=EPOCH,
        observed_generation=generation,
    )


def resolved_refs(reason: str, message: str, generation: int) -> Condition:
    """The condition ResolvedRefs: true if there is no reason why it is not."""
    if reason:
        return condition("ResolvedRefs", False, reason, message, generation)
    return condition("ResolvedRefs", True, "ResolvedRefs", "all references are resolved", generation)


def stamp(status: Status, previous: Status | None, now: datetime) -> Status:
    """`status` with times: of `previous` where a condition's status is as it was, `now` where it is not."""
    if isinstance(status, RouteStatus):
        before = {_parent(item): item for item in previous.parents} if isinstance(previous, RouteStatus) else {}
        return RouteStatus(parents=tuple(_stamped(item, before.get(_parent(item)), now) for item in status.parents))
    stamped: Status = _stamped(status, previous, now)
    if isinstance(stamped, GatewayStatus | ListenerSetStatus):
        old = {item.name: item for item in getattr(previous, "listeners", ())}
        listeners: tuple[ListenerStatus, ...] = tuple(
            _stamped(item, old.get(item.name), now) for item in stamped.listeners
        )
        stamped = msgspec.structs.replace(stamped, listeners=listeners)
    return stamped


def _parent(item: RouteParentStatus) -> tuple[Any, ...]:
    return (*msgspec.structs.astuple(item.parent_ref), item.controller_name)


def _stamped(part: Any, previous: Any, now: datetime) -> Any:
    old: Iterable[Condition] = previous.conditions if previous is not None else ()
    times = {(item.type, item.status): item.last_transition_time for item in old}
    conditions = tuple(
        msgspec.structs.replace(item, last_transition_time=times.get((item.type, item.status), now))
        for item in part.conditions
    )
    return msgspec.structs.replace(part, conditions=conditions)
