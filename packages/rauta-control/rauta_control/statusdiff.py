"""What to write into an object's status so that it says what translation wants it to say, and nothing else. Pure.

Ours are: entries of a route under our controllerName, and the fields of the status of a Gateway, GatewayClass or
ListenerSet that is ours, but for conditions with the domain of somebody else. All else stays as it is, byte for byte.

The time of a condition comes from what is there, never from who translated it: a replica that becomes the leader, or
starts anew, finds nothing to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from rauta_control.apiresource import GATEWAY_GROUP, Condition
from rauta_control.condition import Status, stamp
from rauta_control.gateway import GatewayStatus
from rauta_control.httproute import RouteParentStatus, RouteStatus
from rauta_control.listenerset import ListenerSetStatus
from rauta_control.terms import DOMAIN


class Difference(msgspec.Struct, frozen=True):
    """`status` is to be merged into what is there. `counts`: nothing but numbers of routes and sets moved."""

    status: dict[str, Any]
    counts: bool = False


def difference(wanted: Status, current: bytes, controller: str, now: datetime) -> Difference | None:
    """Compare with the JSON of a status, empty if there is none; None: there is nothing to write."""
    given = msgspec.json.decode(current) if current else None
    there: dict[str, Any] = given if isinstance(given, dict) else {}
    now = now.replace(microsecond=0)  # metav1.Time has none
    if isinstance(wanted, RouteStatus):
        return _of_route(wanted, there, controller, now)
    before = _converted(type(wanted), there)
    after: Any = stamp(wanted, before, now)
    if before is not None:
        foreign = tuple(each for each in before.conditions if _foreign(each))
        after = msgspec.structs.replace(after, conditions=(*after.conditions, *foreign))
        if after == before and there:
            return None
    return Difference(_plain(after), before is not None and _countless(after) == _countless(before))


def newest_generation(status: Status) -> int:
    """The generation that a status is about; 0 if it says nothing."""
    parts = status.parents if isinstance(status, RouteStatus) else (status,)
    return max((each.observed_generation for part in parts for each in part.conditions), default=0)


def _of_route(wanted: RouteStatus, there: Mapping[str, Any], controller: str, now: datetime) -> Difference | None:
    entries: list[Any] = there.get("parents") or []
    own = [each for each in entries if isinstance(each, dict) and each.get("controllerName") == controller]
    converted = [_converted(RouteParentStatus, each) for each in own]
    before = RouteStatus(parents=tuple(each for each in converted if each is not None))
    after = stamp(wanted, before, now)
    if len(before.parents) == len(own) and after == before:
        return None
    others = [each for each in entries if each not in own]
    return Difference({"parents": [*others, *_plain(after)["parents"]]})


def _converted(kind: type[Any], there: Mapping[str, Any]) -> Any:
    """The part that the struct knows, None if that is not what it should be. What others add is not ours to judge."""
    known = {each.encode_name for each in msgspec.structs.fields(kind)}
    try:
        return msgspec.convert({name: value for name, value in there.items() if name in known}, kind)
    except msgspec.ValidationError:
        return None


def _foreign(condition: Condition) -> bool:
    domain, slash, _ = condition.type.rpartition("/")
    return bool(slash) and domain not in {DOMAIN, GATEWAY_GROUP}


def _countless(status: Any) -> Any:
    if isinstance(status, GatewayStatus):
        status = msgspec.structs.replace(status, attached_listener_sets=0)
    if isinstance(status, GatewayStatus | ListenerSetStatus):
        listeners = tuple(msgspec.structs.replace(each, attached_routes=0) for each in status.listeners)
        return msgspec.structs.replace(status, listeners=listeners)
    return status


def _plain(part: Any) -> Any:
    """As JSON has it, without nulls; empty lists are written out, for they replace what is there."""
    value = msgspec.to_builtins(part) if isinstance(part, msgspec.Struct) else part
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
