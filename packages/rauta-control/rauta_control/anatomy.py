"""What the structs of resources are made of, for those who walk them: rulebook.py and survey.py.

Pure. Read once from msgspec's own description of the types, so nothing is declared twice.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from rauta_control.apiresource import Part, Trimmed


@functools.cache
def structure(struct: type[msgspec.Struct]) -> inspect.StructType:
    """The description of a struct."""
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        raise TypeError(struct)
    return info


@functools.cache
def known_names(struct: type[msgspec.Struct]) -> frozenset[str]:
    """Every field a part may have in a document: those declared, those left unread and the tag."""
    names = set(struct.__struct_encode_fields__)
    if issubclass(struct, Part | Trimmed):
        names |= struct.UNREAD
    tag = struct.__struct_config__.tag_field
    return frozenset(names | {tag} if tag else names)


def bare(kind: inspect.Type) -> inspect.Type:
    """A type without the metadata around it, or None as its alternative."""
    if isinstance(kind, inspect.Metadata):
        return bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        members = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
        return bare(members[0]) if len(members) == 1 else kind
    return kind


def children(struct: type[msgspec.Struct]) -> Iterator[tuple[inspect.Field, type[msgspec.Struct], bool]]:
    """The fields of a struct that hold structs: the field, their type, and whether there are many."""
    for item in structure(struct).fields:
        kind = bare(item.type)
        many = isinstance(kind, inspect.VarTupleType)
        if isinstance(kind, inspect.VarTupleType):
            kind = bare(kind.item_type)
        if isinstance(kind, inspect.StructType):
            yield item, kind.cls, many


def strays(struct: type[msgspec.Struct], document: Any) -> bool:
    """Whether a trimmed part of `document` has a field that its kind does not have: msgspec does not look there."""
    return isinstance(document, dict) and _stray(_plan(struct), document)


class _Plan(msgspec.Struct, frozen=True):
    """The names a part knows, if it is trimmed (else msgspec looks), and the plans below that have any."""

    known: frozenset[str] | None
    below: tuple[tuple[str, bool, Any], ...]


@functools.cache
def _plan(struct: type[msgspec.Struct]) -> _Plan:
    below = ((item.encode_name, many, _plan(child)) for item, child, many in children(struct))
    known = None if struct.__struct_config__.forbid_unknown_fields else known_names(struct)
    return _Plan(known, tuple(step for step in below if step[2].known is not None or step[2].below))


def _stray(plan: _Plan, raw: dict[Any, Any]) -> bool:
    if plan.known is not None and not raw.keys() <= plan.known:
        return True
    for name, many, child in plan.below:
        value = raw.get(name)
        if many and isinstance(value, list | tuple):
            if any(isinstance(item, dict) and _stray(child, item) for item in value):
                return True
        elif isinstance(value, dict) and _stray(child, value):
            return True
    return False
