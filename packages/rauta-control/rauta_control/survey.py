"""A second reading of a document, by the same types: what msgspec would stop at, listed whole.

Pure. msgspec decodes a sound document in microseconds and stops at the first fault of another. Such a document is read
again here, slower and to its end: every fault with its path, unknown fields pruned and reported, nulls taken as absent.
Both readings go by the one declaration in the structs, and a property test holds them to the same verdict.

Rules that no type can say (rulebook.py) are applied here to the sound parts of what is broken.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import inspect

from rauta_control.anatomy import bare, known_names, structure
from rauta_control.problem import (
    Problem,
    entry,
    invalid,
    join,
    required,
    too_long,
    too_many,
    unknown_field,
    unsupported,
    wrong_type,
)
from rauta_control.rulebook import faults

MAX_UNKNOWN = 20  # of one object; looking for what was meant costs 50 us a field

_BROKEN: Final = object()  # in place of a value that has faults


def survey(struct: type[msgspec.Struct], document: dict[Any, Any]) -> tuple[Any, list[Problem]]:
    """The value of `document` and what was wrong on the way; None where it has no value.

    Rules are applied only to the sound parts of a broken document; those of a sound one are left to the caller.
    """
    found: list[Problem] = []
    value = _Reader(found).struct(structure(struct), document, "")
    return (None if value is _BROKEN else value), found


class _Reader:
    """Reads one document, adding to `found`. Every method returns the value, or _BROKEN after saying why not."""

    def __init__(self, found: list[Problem]) -> None:
        self.found = found

    def struct(self, info: inspect.StructType, raw: Any, path: str) -> Any:
        """An object; what is not declared is pruned, a null is absent (structural schemas, `nullable` is never set)."""
        if not isinstance(raw, dict):
            return self._type(path, "object", raw)
        values: dict[str, Any] = {}
        broken = False
        for item in info.fields:
            given, where = raw.get(item.encode_name), join(path, item.encode_name)
            if given is not None:
                value = self.read(item.type, given, where)
                broken |= value is _BROKEN
                values[item.name] = value
            elif item.required:
                self.found.append(required(where))
                broken = True
        self._prune(info, raw, path)
        if not broken:
            return info.cls(**values)
        for item in info.fields:
            self._judge(values.get(item.name, _BROKEN), join(path, item.encode_name))
        return _BROKEN

    def read(self, kind: inspect.Type, raw: Any, path: str, description: str = "") -> Any:
        """A value of any type the structs use."""
        match kind:
            case inspect.Metadata():
                return self.read(kind.type, raw, path, (kind.extra_json_schema or {}).get("description", ""))
            case inspect.UnionType():
                return self.read(_member(kind, raw), raw, path, description)
            case inspect.StructType():
                return self.struct(kind, raw, path)
            case inspect.VarTupleType():
                return self.array(kind, raw, path)
            case inspect.DictType():
                return self.map(kind, raw, path)
            case inspect.LiteralType():
                return self.literal(kind, raw, path)
            case inspect.StrType():
                return self.string(kind, raw, path, description)
            case inspect.IntType():
                return self.integer(kind, raw, path)
            case inspect.BoolType():
                return raw if isinstance(raw, bool) else self._type(path, "boolean", raw)
            case inspect.DateTimeType():
                return self.timestamp(raw, path)
            case inspect.BytesType():
                return self.base64(raw, path)
        raise TypeError(f"{path}: no reading of {kind}")

    def array(self, kind: inspect.VarTupleType, raw: Any, path: str) -> Any:
        """A list. Of one that is too long only the allowed part is read."""
        if not isinstance(raw, list | tuple):
            return self._type(path, "array", raw)
        broken = self._count(kind, len(raw), path, "items")
        items = [
            self.read(kind.item_type, item, f"{path}[{index}]") for index, item in enumerate(raw[: kind.max_length])
        ]
        if not broken and not any(item is _BROKEN for item in items):
            return tuple(items)
        for index, item in enumerate(items):
            self._judge(item, f"{path}[{index}]")
        return _BROKEN

    def map(self, kind: inspect.DictType, raw: Any, path: str) -> Any:
        """A map of strings to scalars."""
        if not isinstance(raw, dict):
            return self._type(path, "object", raw)
        broken = self._count(kind, len(raw), path, "properties")
        values = {}
        for key, given in raw.items():
            if not isinstance(key, str):
                self.found.append(
                    Problem(path, f"Invalid value: a key must be of type string, quote {key!s:.80}", "type")
                )
                broken = True
                continue
            values[key] = self.read(kind.value_type, given, entry(path, key))
            broken |= values[key] is _BROKEN
        return _BROKEN if broken else values

    def literal(self, kind: inspect.LiteralType, raw: Any, path: str) -> Any:
        """A value of an enumeration."""
        if not isinstance(raw, type(kind.values[0])) or isinstance(raw, bool):
            return self._type(path, _JSON_TYPES[type(kind.values[0])], raw)
        return raw if raw in kind.values else self._say(unsupported(path, raw, kind.values))

    def string(self, kind: inspect.StrType, raw: Any, path: str, description: str) -> Any:
        """A string: its length in characters, then its form."""
        if not isinstance(raw, str):
            return self._type(path, "string", raw)
        if kind.max_length is not None and len(raw) > kind.max_length:
            return self._say(too_long(path, kind.max_length))
        if kind.min_length is not None and len(raw) < kind.min_length:
            return self._say(invalid(path, raw, f"must be at least {kind.min_length} characters long"))
        if kind.pattern is not None and not re.search(kind.pattern, raw):
            return self._say(invalid(path, raw, f"must be {description}"))
        return raw

    def integer(self, kind: inspect.IntType, raw: Any, path: str) -> Any:
        """An integer; JSON does not tell 80.0 from 80, so neither do we."""
        if isinstance(raw, float) and raw.is_integer():
            raw = int(raw)
        if not isinstance(raw, int) or isinstance(raw, bool):
            return self._type(path, "integer", raw)
        low, high = kind.ge, kind.le
        if (low is not None and raw < low) or (high is not None and raw > high):
            bounds = f"between {low} and {high}" if low is not None and high is not None else f"at least {low}"
            return self._say(invalid(path, raw, f"must be {bounds}"))
        return raw

    def timestamp(self, raw: Any, path: str) -> Any:
        """An RFC 3339 time. A YAML loader may have made one of it already."""
        try:
            value = msgspec.convert(raw, datetime)
        except msgspec.ValidationError:
            value = None
        if value is None or value.tzinfo is None:
            return self._say(Problem(path, "Invalid value: must be a time such as 2026-07-16T08:00:00Z (RFC 3339)"))
        return value

    def base64(self, raw: Any, path: str) -> Any:
        """Bytes, in base64 that may be broken into lines. Never quoted: it is a key as often as not."""
        if not isinstance(raw, str):
            return raw if isinstance(raw, bytes) else self._type(path, "string", raw)
        try:
            return base64.b64decode(raw.replace("\r", "").replace("\n", ""), validate=True)
        except (binascii.Error, ValueError):
            return self._say(Problem(path, "Invalid value: must be base64; plain text belongs in stringData"))

    def _prune(self, info: inspect.StructType, raw: dict[Any, Any], path: str) -> None:
        known = known_names(info.cls)
        if raw.keys() <= known:
            return
        strange = [key for key in raw if key not in known]
        self.found += [unknown_field(path, key, known) for key in strange[:MAX_UNKNOWN]]
        if len(strange) > MAX_UNKNOWN:
            more = f"{len(strange) - MAX_UNKNOWN} more unknown fields, ignored"
            self.found.append(Problem(path, more, "unknown-field", "warning"))

    def _count(self, kind: inspect.VarTupleType | inspect.DictType, count: int, path: str, unit: str) -> bool:
        if kind.max_length is not None and count > kind.max_length:
            self.found.append(too_many(path, count, kind.max_length, unit))
        elif kind.min_length is not None and count < kind.min_length:
            self.found.append(invalid(path, count, f"must have at least {kind.min_length} {unit}"))
        else:
            return False
        return True

    def _judge(self, value: Any, path: str) -> None:
        """Apply the rules to a sound part of something broken."""
        if isinstance(value, msgspec.Struct):
            self.found += faults(value, path)
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                self._judge(item, f"{path}[{index}]")

    def _say(self, problem: Problem) -> Any:
        self.found.append(problem)
        return _BROKEN

    def _type(self, path: str, expected: str, raw: Any) -> Any:
        return self._say(wrong_type(path, expected, _JSON_TYPES.get(type(raw), type(raw).__name__)))


_JSON_TYPES: dict[type, str] = {
    dict: "object",
    list: "array",
    tuple: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def _member(kind: inspect.UnionType, raw: Any) -> inspect.Type:
    """The alternative of a union that fits `raw`: what may be null, and the number or name of a port."""
    members = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
    if len(members) > 1 and isinstance(raw, str):
        return next((member for member in members if isinstance(bare(member), inspect.StrType)), members[0])
    return members[0]
