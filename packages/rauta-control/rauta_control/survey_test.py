"""The second reading: types, nulls, pruning, and that it agrees with the first."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control.anatomy import structure
from rauta_control.httproute import HTTPRoute
from rauta_control.kinds import KINDS
from rauta_control.specimen_test import DOCUMENTS, complaints, dump, specimen
from rauta_control.survey import MAX_UNKNOWN, survey

#: One of each type in an HTTPRoute, and what a user may have put there.
PLACES = {
    "spec": "object",
    "spec.hostnames": "array",
    "spec.hostnames[0]": "string",
    "spec.rules[0].backendRefs[0].weight": "integer",
}
VALUES: list[tuple[Any, str]] = [
    ({}, "object"),
    ([], "array"),
    ("a", "string"),
    (True, "boolean"),
    (1, "integer"),
    (1.5, "number"),
    (datetime.date(2026, 1, 1), "date"),
]


@pytest.mark.parametrize(("path", "expected"), PLACES.items())
@pytest.mark.parametrize(("value", "given"), VALUES)
def test_a_wrong_type_is_named(path: str, expected: str, value: Any, given: str) -> None:
    if given != expected:
        said = complaints("HTTPRoute", {path: value})
        assert f'{path}: Invalid value: "{given}": must be of type {expected}' in said


def test_a_boolean_is_no_integer_and_not_the_other_way_round() -> None:
    cors = {"type": "CORS", "cors": {"allowCredentials": 1, "maxAge": True}}
    assert complaints("HTTPRoute", {"spec.rules[0].filters": [cors]}) == [
        'spec.rules[0].filters[0].cors.allowCredentials: Invalid value: "integer": must be of type boolean',
        'spec.rules[0].filters[0].cors.maxAge: Invalid value: "boolean": must be of type integer',
    ]


def test_json_does_not_tell_80_from_80_0() -> None:
    document = specimen("HTTPRoute", {"spec.rules[0].backendRefs[0].port": 80.0})
    value, found = survey(HTTPRoute, document)
    assert (value.spec.rules[0].backend_refs[0].port, found) == (80, [])


def test_null_is_absent_in_an_object_and_a_fault_in_a_list() -> None:
    assert complaints("HTTPRoute", {"spec.parentRefs": None, "spec.rules[0].backendRefs[0].weight": None}) == []
    assert complaints("HTTPRoute", {"spec.parentRefs[0].name": None}) == ["spec.parentRefs[0].name: Required value"]
    assert complaints("HTTPRoute", {"spec.hostnames": ["a", None]}) == [
        'spec.hostnames[1]: Invalid value: "null": must be of type string'
    ]


def test_keys_that_are_no_strings_are_unknown_fields() -> None:
    document = specimen("HTTPRoute")
    document["spec"][1] = document["spec"][None] = 2
    value, found = survey(HTTPRoute, document)
    assert value == msgspec.convert(specimen("HTTPRoute"), HTTPRoute)
    assert [problem.path for problem in found] == ["spec[1]", "spec.None"]


def test_many_unknown_fields_are_counted() -> None:
    said = complaints("HTTPRoute", {f"spec.field{index}": 1 for index in range(MAX_UNKNOWN + 5)})
    assert len(said) == MAX_UNKNOWN + 1
    assert said[-1] == "warning: spec: 5 more unknown fields, ignored"


def test_an_unknown_field_beside_a_fault_is_reported_too() -> None:
    said = complaints("HTTPRoute", {"spec.hostname": "a", "spec.hostnames": "a"})
    assert said == [
        'spec.hostnames: Invalid value: "string": must be of type array',
        'warning: spec.hostname: unknown field "spec.hostname", ignored; did you mean "hostnames"?',
    ]


def test_a_string_that_is_too_long_is_not_searched() -> None:
    said = complaints("HTTPRoute", {"spec.hostnames": ["a." * 500_000 + "!"]})
    assert said == ["spec.hostnames[0]: Too long: may not be more than 253 characters"]


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    steps: list[Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    return [path, *(deeper for step in steps for deeper in paths(value[step], (*path, step)))]


#: A small alphabet: Hypothesis takes a second to lay out all of Unicode.
TEXT = st.text("aA1.-_/*%: \n\x00\xe9\u2028\U0001f600", max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(["/", "a", "*.a", "1s"])
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)


@st.composite
def spoiled(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """A sound document with a few places overwritten, anywhere."""
    document = specimen(kind)
    for _ in range(draw(st.integers(0, 3))):
        *way, last = draw(st.sampled_from(paths(document)[1:]))
        holder: Any = document
        for step in way:
            holder = holder[step]
        holder[last] = draw(ANY_JSON)
    return document


@given(st.data(), st.sampled_from(sorted(DOCUMENTS)))
def test_both_readings_agree(data: st.DataObject, kind: str) -> None:
    document = data.draw(spoiled(kind))
    second, found = survey(KINDS[kind].struct, document)
    assert (second is None) == any(problem.level == "error" for problem in found)
    try:
        first = msgspec.convert(document, KINDS[kind].struct)
    except msgspec.ValidationError:  # a fault, or what only the second reading takes: nulls, 80.0, unknown fields
        assert second is None or msgspec.convert(dump(second), KINDS[kind].struct) == second
    else:
        assert second == first


def test_every_type_of_every_kind_can_be_read() -> None:
    for entry in KINDS.values():
        info = structure(entry.struct)
        value, found = survey(entry.struct, {item.encode_name: object() for item in info.fields})
        assert value is None
        assert {problem.code for problem in found} <= {"type", "invalid"}
