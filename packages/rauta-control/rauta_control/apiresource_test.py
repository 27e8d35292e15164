"""Metadata: names, namespaces, labels, annotations and history, as the API server holds them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rauta_control.admission import CLUSTER
from rauta_control.specimen_test import ABSENT, admitted, complaints

NAME = "must be lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
KEY = "must be NAME or PREFIX/NAME: a DNS name, '/', then letters, digits, '-', '_' and '.'"
VALUE = "a label value is at most 63 letters, digits, '-', '_' and '.', or empty"


def test_a_file_needs_no_namespace_and_no_history() -> None:
    meta = admitted("HTTPRoute").metadata
    assert (meta.namespace, meta.generation, meta.creation_timestamp, meta.uid) == ("default", 0, None, "")
    assert admitted("HTTPRoute", {"metadata.namespace": None}).namespace == "default"
    assert admitted("HTTPRoute", {"metadata.namespace": "shop"}).namespace == "shop"


def test_history_is_kept() -> None:
    history = {"creationTimestamp": "2026-07-16T08:00:00Z", "generation": 3, "uid": "u", "resourceVersion": "7"}
    meta = admitted(
        "HTTPRoute", {"metadata": {"name": "a", **history, "managedFields": [{}], "finalizers": ["a"]}}
    ).metadata
    assert meta.creation_timestamp == datetime(2026, 7, 16, 8, tzinfo=UTC)
    assert (meta.generation, meta.uid, meta.resource_version) == (3, "u", "7")


def test_a_yaml_loader_may_have_read_the_time_already() -> None:
    then = datetime(2026, 7, 16, 8, tzinfo=UTC)
    assert admitted("HTTPRoute", {"metadata.creationTimestamp": then}).metadata.creation_timestamp == then
    assert admitted("HTTPRoute", {"metadata.creationTimestamp": None}).metadata.creation_timestamp is None


@pytest.mark.parametrize("name", ["a", "a.b-c.1", "1", "a" * 253])
def test_names(name: str) -> None:
    assert complaints("HTTPRoute", {"metadata.name": name}) == []


BROKEN: list[tuple[dict[str, Any], list[str]]] = [
    ({"metadata": ABSENT}, ["metadata: Required value"]),
    ({"metadata": []}, ['metadata: Invalid value: "array": must be of type object']),
    ({"metadata.name": ABSENT}, ["metadata.name: Required value"]),
    ({"metadata": {"generateName": "a-"}}, ["metadata.name: Required value"]),
    ({"metadata.name": 1}, ['metadata.name: Invalid value: "integer": must be of type string']),
    ({"metadata.name": "A"}, [f'metadata.name: Invalid value: "A": {NAME}']),
    ({"metadata.name": ""}, [f'metadata.name: Invalid value: "": {NAME}']),
    ({"metadata.name": "a_b"}, [f'metadata.name: Invalid value: "a_b": {NAME}']),
    ({"metadata.name": "a..b"}, [f'metadata.name: Invalid value: "a..b": {NAME}']),
    ({"metadata.name": "a\n"}, [f'metadata.name: Invalid value: "a\\n": {NAME}']),
    ({"metadata.name": "a" * 254}, ["metadata.name: Too long: may not be more than 253 characters"]),
    (
        {"metadata.name": "A", "spec": ABSENT},
        [f'metadata.name: Invalid value: "A": {NAME}', "spec: Required value"],
    ),
    (
        {"metadata.namespace": "a.b"},
        [
            (
                'metadata.namespace: Invalid value: "a.b": '
                "must be lower-case letters, digits and '-', with a letter or digit at both ends"
            )
        ],
    ),
    ({"metadata.labels": {"a b": "c"}}, [f'metadata.labels: Invalid value: "a b": a label key {KEY}']),
    ({"metadata.labels": {"A.io/b": "c"}}, [f'metadata.labels: Invalid value: "A.io/b": a label key {KEY}']),
    ({"metadata.labels": {"": "c"}}, [f'metadata.labels: Invalid value: "": a label key {KEY}']),
    (
        {"metadata.labels": {"a" * 64: "c"}},
        [
            (
                f'metadata.labels: Invalid value: "{"a" * 64}": '
                "the name part of a label key must be no more than 63 characters"
            )
        ],
    ),
    ({"metadata.labels": {"a": "b c"}}, [f'metadata.labels[a]: Invalid value: "b c": {VALUE}']),
    ({"metadata.labels": {"a": "b" * 64}}, [f'metadata.labels[a]: Invalid value: "{"b" * 64}": {VALUE}']),
    ({"metadata.labels": {"a": True}}, ['metadata.labels[a]: Invalid value: "boolean": must be of type string']),
    ({"metadata.labels": {"a.io/b_c.D": "e_F.g-1", "h": ""}}, []),
    ({"metadata.annotations": {"A.io/b": "any text\nat all"}}, []),
    (
        {"metadata.annotations": {"a/b/c": ""}},
        [f'metadata.annotations: Invalid value: "a/b/c": an annotation key {KEY}'],
    ),
    (
        {"metadata.annotations": {"a": "b" * 262144}},
        ["metadata.annotations: Too long: may not be more than 262144 characters"],
    ),
    (
        {"metadata.generation": -1},
        ["metadata.generation: Invalid value: -1: must be between 0 and 9223372036854775807"],
    ),
    (
        {"metadata.creationTimestamp": "yesterday"},
        ["metadata.creationTimestamp: Invalid value: must be a time such as 2026-07-16T08:00:00Z (RFC 3339)"],
    ),
    (
        {"metadata.lables": {}},
        ['warning: metadata.lables: unknown field "metadata.lables", ignored; did you mean "labels"?'],
    ),
]


@pytest.mark.parametrize(("changes", "said"), BROKEN)
def test_broken(changes: dict[str, Any], said: list[str]) -> None:
    assert complaints("HTTPRoute", changes) == said


def test_metadata_of_a_cluster_may_have_fields_we_do_not_know() -> None:
    assert complaints("HTTPRoute", {"metadata.inventedIn2030": {}}, CLUSTER) == []
