"""How Gateway API objects point at each other: the reference types, and what an API server asks of them.

Pure. A reference's namespace is None where it means that of the object that holds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from rauta_control.apiresource import GATEWAY_GROUP, Part, Rules
from rauta_control.problem import Problem, required
from rauta_control.scalars import Group, Kind, NamespaceName, ObjectName, Port, SectionName


class LocalObjectReference(Part, frozen=True, kw_only=True):
    """An object in the same namespace."""

    group: Group
    kind: Kind
    name: ObjectName


class ParametersReference(Part, frozen=True, kw_only=True):
    """Parameters of a GatewayClass: any object, cluster-scoped ones too."""

    group: Group
    kind: Kind
    name: ObjectName
    namespace: NamespaceName | None = None


class ObjectReference(Part, frozen=True, kw_only=True):
    """An object that may be in another namespace, by a ReferenceGrant."""

    group: Group
    kind: Kind
    name: ObjectName
    namespace: NamespaceName | None = None


class SecretObjectReference(Part, frozen=True, kw_only=True):
    """A Secret, unless group and kind say otherwise."""

    group: Group = ""
    kind: Kind = "Secret"
    name: ObjectName
    namespace: NamespaceName | None = None


class ParentReference(Part, frozen=True, kw_only=True):
    """What a route attaches to, or a ListenerSet extends: a Gateway, or one section or port of it."""

    group: Group = GATEWAY_GROUP
    kind: Kind = "Gateway"
    name: ObjectName
    namespace: NamespaceName | None = None
    section_name: SectionName | None = None
    port: Port | None = None


class BackendObjectReference(Part, frozen=True, kw_only=True):
    """Where requests go: a Service and its port, unless group and kind say otherwise."""

    group: Group = ""
    kind: Kind = "Service"
    name: ObjectName
    namespace: NamespaceName | None = None
    port: Port | None = None


class RouteGroupKind(Part, frozen=True, kw_only=True):
    """A kind of route."""

    group: Group = GATEWAY_GROUP
    kind: Kind


CACertificateRefs = Annotated[tuple[ObjectReference, ...], Meta(min_length=1, max_length=16)]


def service_port(ref: BackendObjectReference) -> Iterable[Problem]:
    """BackendObjectReference: a reference to a core Service has a port."""
    if ref.port is None and ref.kind == "Service" and not ref.group:
        yield required("port", "a reference to a Service must have a port")


RULES: Rules = {BackendObjectReference: (service_port,)}
