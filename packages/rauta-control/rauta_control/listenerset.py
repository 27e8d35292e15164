"""ListenerSet: more listeners for a Gateway, kept by somebody else. Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from rauta_control.apiresource import GATEWAY_GROUP, Conditions, Part, Resource, Rules, conditions_unique, pending
from rauta_control.gateway import Listeners, ListenerStatus, spec_listeners_distinct, status_listeners_distinct
from rauta_control.scalars import Group, Kind, NamespaceName, ObjectName


class ParentGatewayReference(Part, frozen=True, kw_only=True):
    """The Gateway that is extended, as a whole: there is no sectionName here."""

    group: Group = GATEWAY_GROUP
    kind: Kind = "Gateway"
    name: ObjectName
    namespace: NamespaceName | None = None


class ListenerSetSpec(Part, frozen=True, kw_only=True):
    """The Gateway and the listeners."""

    parent_ref: ParentGatewayReference
    listeners: Listeners


class ListenerSetStatus(Part, frozen=True, kw_only=True):
    """What the controller says of the set and of each listener."""

    conditions: Conditions = pending("Accepted", "Programmed")
    listeners: Annotated[tuple[ListenerStatus, ...], Meta(max_length=64)] = ()


class ListenerSet(Resource, frozen=True, kw_only=True, tag=True):
    """Namespaced."""

    spec: ListenerSetSpec
    status: ListenerSetStatus = ListenerSetStatus()


RULES: Rules = {
    ListenerSetSpec: (spec_listeners_distinct,),
    ListenerSetStatus: (conditions_unique, status_listeners_distinct),
}
