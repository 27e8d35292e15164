"""Namespace: cluster-scoped, and labelled with its own name."""

from __future__ import annotations

from rauta_control.specimen_test import admitted, complaints


def test_its_name_is_a_label_too() -> None:
    assert admitted("Namespace").metadata.labels == {"kubernetes.io/metadata.name": "shop"}
    wrong = {"metadata.labels": {"kubernetes.io/metadata.name": "other", "team": "a"}}
    assert admitted("Namespace", wrong).metadata.labels == {"kubernetes.io/metadata.name": "shop", "team": "a"}


def test_its_name_is_one_label_of_a_dns_name() -> None:
    (said,) = complaints("Namespace", {"metadata.name": "a.b"})
    assert said.startswith('metadata.name: Invalid value: "a.b": must be lower-case letters')
    assert complaints("Namespace", {"metadata.name": "a" * 64}) == [
        "metadata.name: Too long: may not be more than 63 characters"
    ]


def test_what_else_it_has_is_not_read() -> None:
    assert complaints("Namespace", {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}) == []
