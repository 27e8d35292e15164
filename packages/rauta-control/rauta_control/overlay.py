"""What translation says of a Gateway, with what became of it: whether its sockets are open and workers have it. Pure.

Translation says Programmed where a configuration was made (gateways.py). It is true only once every listening socket is
bound and every worker acknowledged the configuration; until then it is Pending, and where a socket cannot be bound it
is PortUnavailable, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from rauta_control.apiresource import Condition
from rauta_control.condition import condition
from rauta_control.finding import Finding, finding
from rauta_control.gateway import Gateway, GatewayStatus, ListenerStatus
from rauta_control.ir import Listener
from rauta_control.kinds import AnyResource
from rauta_control.listenerset import ListenerSet, ListenerSetStatus
from rauta_control.messages import Bound
from rauta_control.world import Key, key_of, parent

PROGRAMMED = "Programmed"
UNAVAILABLE = "PortUnavailable"
PENDING = "Pending"
WAITING = "not every worker has acknowledged the configuration yet"
OPENING = "the socket is not open yet"


class Ground(msgspec.Struct, frozen=True):
    """What a Gateway stands on: for each port of its listeners why it is not open (empty: it is), and whether every
    worker acknowledged its sockets.
    """

    ports: Mapping[int, str]
    acknowledged: bool = True


def ground(sockets: Iterable[Listener], bound: Mapping[str, Bound], *, acknowledged: bool) -> Ground:
    """What the `sockets` of a Gateway make; of several for one port, on several addresses, the worst counts."""
    ports: dict[int, str] = {}
    for socket in sockets:
        answer = bound.get(socket.name)
        why = OPENING if answer is None else answer.error
        if why or socket.spec_port not in ports:
            ports[socket.spec_port] = why
    return Ground(ports, acknowledged)


def overlaid(
    resource: Gateway | ListenerSet, status: GatewayStatus | ListenerSetStatus, under: Ground
) -> GatewayStatus | ListenerSetStatus:
    """The status as it is to be shown."""
    ports = {each.name: each.port for each in resource.spec.listeners}
    listeners = tuple(_listener(each, under.ports.get(ports.get(each.name, 0), ""), under) for each in status.listeners)
    pairs = list(zip(status.listeners, listeners, strict=True))
    worst = [now for before, now in pairs if _holds(before.conditions) and not _holds(now.conditions)]
    broken = [each for each in worst if _why(each.conditions).reason == UNAVAILABLE]
    text = "; ".join(f"listener {each.name}: {_why(each.conditions).message}" for each in broken or worst)
    if broken:
        conditions = _instead(status.conditions, UNAVAILABLE, text)
    elif worst or not under.acknowledged:
        conditions = _instead(status.conditions, PENDING, text or WAITING)
    else:
        conditions = status.conditions
    return msgspec.structs.replace(status, conditions=conditions, listeners=listeners)


def failures(
    resource: Gateway | ListenerSet, status: GatewayStatus | ListenerSetStatus, under: Ground
) -> Iterator[Finding]:
    """A finding for each listener that would be served, if only its socket could be bound."""
    made = {each.name for each in status.listeners if _holds(each.conditions)}
    for index, each in enumerate(resource.spec.listeners):
        why = under.ports.get(each.port, "")
        if each.name in made and why and why != OPENING:
            yield finding(48, key_of(resource), f"spec.listeners[{index}].port", f"port {each.port}: {why}")


def gateway_of(resource: AnyResource | None) -> Key | None:
    """The Gateway on whose sockets an object stands; None for what stands on none."""
    if isinstance(resource, Gateway):
        return key_of(resource)
    if isinstance(resource, ListenerSet):
        return parent(resource)
    return None


def _listener(status: ListenerStatus, why: str, under: Ground) -> ListenerStatus:
    if why:
        reason = PENDING if why == OPENING else UNAVAILABLE
    elif under.acknowledged:
        return status
    else:
        reason, why = PENDING, WAITING
    return msgspec.structs.replace(status, conditions=_instead(status.conditions, reason, why))


def _instead(conditions: tuple[Condition, ...], reason: str, message: str) -> tuple[Condition, ...]:
    """The conditions with Programmed=False in place of Programmed=True."""
    return tuple(
        condition(PROGRAMMED, False, reason, message, each.observed_generation or 0)
        if each.type == PROGRAMMED and each.status == "True"
        else each
        for each in conditions
    )


def _holds(conditions: Iterable[Condition]) -> bool:
    return any(each.type == PROGRAMMED and each.status == "True" for each in conditions)


def _why(conditions: Iterable[Condition]) -> Condition:
    return next(each for each in conditions if each.type == PROGRAMMED)
