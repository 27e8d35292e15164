"""The Secrets and ConfigMaps that Gateways and ListenerSets mention: all that need be read of those kinds. Pure.

Whatever has the shape of a reference counts, so that a new field with one needs nothing here. Whether the reference is
permitted is for translation to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from rauta_control.apiresource import Resource
from rauta_control.world import Key

KINDS = ("Secret", "ConfigMap")
_BY = ("Gateway", "ListenerSet")


def mentioned(resource: Resource) -> set[Key]:
    """The objects of KINDS that an object mentions."""
    return set(_within(resource, resource.namespace)) if resource.kind in _BY else set()


def _within(part: Any, namespace: str) -> Iterator[Key]:
    if isinstance(part, tuple):
        for each in part:
            yield from _within(each, namespace)
    elif isinstance(part, msgspec.Struct):
        fields = part.__struct_fields__
        if {"group", "kind", "name"} <= set(fields) and (found := _reference(part, namespace)) is not None:
            yield found
        for name in fields:
            yield from _within(getattr(part, name), namespace)


def _reference(part: Any, namespace: str) -> Key | None:
    if part.group or part.kind not in KINDS:
        return None
    return Key(part.kind, getattr(part, "namespace", None) or namespace, part.name)
