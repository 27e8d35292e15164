"""BackendTLSPolicy, trimmed to its targets: which Services ask for TLS from whoever sends them requests. Pure.

How they do, and what their certificates must say, is not read yet: RAUTA does not speak TLS to backends, and must send
nothing in the clear to one that asks for it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from rauta_control.apiresource import Resource, Trimmed
from rauta_control.scalars import Group, Kind, ObjectName, SectionName


class PolicyTarget(Trimmed, frozen=True, kw_only=True):
    """A Service of the policy's namespace, or one of its ports by name."""

    group: Group
    kind: Kind
    name: ObjectName
    section_name: SectionName | None = None


class BackendTLSPolicySpec(Trimmed, frozen=True, kw_only=True):
    """To whom it applies."""

    UNREAD = frozenset({"options", "validation"})

    target_refs: Annotated[tuple[PolicyTarget, ...], Meta(min_length=1, max_length=16)]


class BackendTLSPolicy(Resource, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=False):
    """Namespaced."""

    spec: BackendTLSPolicySpec

    def covers(self, service: str, port: str) -> bool:
        """Whether it applies to a port, by name, of a Service in its namespace."""
        return any(
            (each.group, each.kind, each.name) == ("", "Service", service) and each.section_name in (None, port)
            for each in self.spec.target_refs
        )
