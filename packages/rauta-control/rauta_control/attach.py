"""Where a route attaches: for each of its parents the listeners that take it, with the host names both have. Pure.

The steps are the specification's, and so are the reasons when nothing is left after one: the listeners that sectionName
and port select (NoMatchingParent), of them those whose allowedRoutes has the route's kind and namespace
(NotAllowedByListeners), of them those with a host name in common (NoMatchingListenerHostname). Whether a listener is
accepted plays no part (ListenerStatus.attachedRoutes).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rauta_control.apiresource import GATEWAY_GROUP
from rauta_control.classes import ours
from rauta_control.derive import Graph
from rauta_control.gateway import Gateway
from rauta_control.hostname import ANY, intersect
from rauta_control.httproute import HTTPRoute
from rauta_control.listeners import Facts, Said, Section, extends, gateway_refused, of_owner
from rauta_control.listenerset import ListenerSet
from rauta_control.problem import nearest
from rauta_control.reference import ParentReference, RouteGroupKind
from rauta_control.selector import selects
from rauta_control.world import Key, find, labels, parent

PARENTS = ("Gateway", "ListenerSet")
_NAMED = 5  # listeners that a message names


class Join(msgspec.Struct, frozen=True):
    """A listener that takes the route, and the host names it takes it for."""

    section: Section
    hostnames: tuple[str, ...]


class Attachment(msgspec.Struct, frozen=True):
    """What became of one parentRef. `gateway` is None if it is not ours to say; `missing`: there is no such parent.

    `ignored` are host names of the route that no listener which takes it has.
    """

    index: int
    ref: ParentReference
    gateway: Key | None = None
    missing: bool = False
    refused: Said = Said()
    joins: tuple[Join, ...] = ()
    ignored: tuple[str, ...] = ()


def mistaken(ref: ParentReference) -> str:
    """Why a reference is to no parent, though a Gateway or ListenerSet seems to be meant; empty if it is to one.

    Of parents of other kinds and groups (a Service, in a mesh) nothing is said: they are others' to speak of.
    """
    if ref.group == GATEWAY_GROUP and ref.kind not in PARENTS:
        near = nearest(ref.kind, PARENTS)
        hint = f'; did you mean "{near}"?' if near else ""
        return f"{ref.kind} is no kind of parent{hint}"
    if ref.group != GATEWAY_GROUP and ref.kind in PARENTS:
        return f'{ref.kind} of group "{ref.group}" is no kind of parent; did you mean "{GATEWAY_GROUP}"?'
    return ""


def attachments(q: Graph, route: Key) -> tuple[Attachment, ...]:
    """What became of each parentRef of a route."""
    found = find(q, HTTPRoute, route)
    if found is None:
        return ()
    return tuple(_attach(q, found, index, ref) for index, ref in enumerate(found.spec.parent_refs))


def _attach(q: Graph, route: HTTPRoute, index: int, ref: ParentReference) -> Attachment:
    target = Key(ref.kind, ref.namespace or route.namespace, ref.name)
    if ref.group != GATEWAY_GROUP or ref.kind not in PARENTS:
        return Attachment(index, ref)
    if ref.kind == "Gateway":
        gateway: Key | None = target
    else:
        listener_set = find(q, ListenerSet, target)
        if listener_set is None:
            return Attachment(index, ref, missing=True)
        gateway = parent(listener_set)
        if gateway is not None and _ours(q, gateway) and not extends(q, listener_set, gateway):
            text = f"{target} is not allowed by {gateway}"
            return Attachment(index, ref, gateway, refused=Said("NoMatchingParent", text))
    if gateway is None or find(q, Gateway, gateway) is None:
        return Attachment(index, ref, missing=True)
    if not _ours(q, gateway):
        return Attachment(index, ref)
    refused, joins, ignored = _join(q, route, ref, q.get(of_owner, gateway, target))
    return Attachment(index, ref, gateway, refused=refused, joins=joins, ignored=ignored)


def _join(
    q: Graph, route: HTTPRoute, ref: ParentReference, listeners: Sequence[Facts]
) -> tuple[Said, tuple[Join, ...], tuple[str, ...]]:
    selected = [each for each in listeners if _selects(ref, each)]
    if not selected:
        text = f"no listener of {ref.kind} {ref.name} has {_wanted(ref)}{_instead(listeners)}"
        return Said("NoMatchingParent", text), (), ()
    allowing = [each for each in selected if _allows(q, each, route)]
    if not allowing:
        names = ", ".join(each.section.name for each in selected)
        text = f"no listener allows routes of kind {route.kind} from namespace {route.namespace}: {names}"
        return Said("NotAllowedByListeners", text), (), ()
    wanted = route.spec.hostnames or (ANY,)
    joins = [Join(each.section, common) for each in allowing if (common := _common(wanted, each.hostname))]
    if not joins:
        names = ", ".join(f"{each.section.name} ({each.hostname})" for each in allowing)
        text = f"no host name of the route is one of a listener: {names}"
        return Said("NoMatchingListenerHostname", text), (), ()
    hosts = [each.hostname for each in allowing]
    ignored = tuple(name for name in wanted if all(intersect(name, host) is None for host in hosts))
    return Said(), tuple(joins), ignored


def _selects(ref: ParentReference, listener: Facts) -> bool:
    return ref.section_name in (None, listener.section.name) and ref.port in (None, listener.port)


def _allows(q: Graph, listener: Facts, route: HTTPRoute) -> bool:
    if RouteGroupKind(kind=route.kind) not in listener.kinds:
        return False
    namespaces = listener.allowed.namespaces
    match namespaces.from_:
        case "All":
            return True
        case "Same":
            return route.namespace == listener.section.owner.namespace
        case "Selector":
            return selects(namespaces.selector, labels(q, route.namespace))


def _common(wanted: Sequence[str], hostname: str) -> tuple[str, ...]:
    found = (intersect(name, hostname) for name in wanted)
    return tuple(dict.fromkeys(name for name in found if name is not None))


def _wanted(ref: ParentReference) -> str:
    parts = []
    if ref.section_name is not None:
        parts.append(f"the name {ref.section_name}")
    if ref.port is not None:
        parts.append(f"port {ref.port}")
    return " and ".join(parts) or "any listener"


def _instead(listeners: Sequence[Facts]) -> str:
    """Which listeners there are to name; not more than people read."""
    names = [f"{each.section.name} (port {each.port})" for each in listeners[:_NAMED]]
    more = [f"{len(listeners) - _NAMED} more"] if len(listeners) > _NAMED else []
    return f"; there {'is' if len(listeners) == 1 else 'are'} {', '.join([*names, *more])}" if names else ""


def _ours(q: Graph, gateway: Key) -> bool:
    found = find(q, Gateway, gateway)
    return found is not None and ours(q, found.spec.gateway_class_name)


def parent_refused(q: Graph, gateway: Key) -> Said:
    """Why the Gateway of a parent is not accepted, if it is not."""
    found = find(q, Gateway, gateway)
    return gateway_refused(q, found) if found is not None else Said()
