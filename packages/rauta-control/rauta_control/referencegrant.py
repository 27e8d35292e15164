"""ReferenceGrant: which objects of other namespaces may point at objects of this one. Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from rauta_control.apiresource import Part, Resource
from rauta_control.scalars import Group, Kind, NamespaceName, ObjectName


class ReferenceGrantFrom(Part, frozen=True, kw_only=True):
    """Who may refer: a kind in a namespace."""

    group: Group
    kind: Kind
    namespace: NamespaceName


class ReferenceGrantTo(Part, frozen=True, kw_only=True):
    """To what: a kind in the grant's namespace, or one object of it."""

    group: Group
    kind: Kind
    name: ObjectName | None = None


class ReferenceGrantSpec(Part, frozen=True, kw_only=True):
    """Every `from` may refer to every `to`."""

    from_: Annotated[tuple[ReferenceGrantFrom, ...], Meta(min_length=1, max_length=16)] = field(name="from")
    to: Annotated[tuple[ReferenceGrantTo, ...], Meta(min_length=1, max_length=16)]


class ReferenceGrant(Resource, frozen=True, kw_only=True, tag=True):
    """Grants have no status."""

    spec: ReferenceGrantSpec
