"""ReferenceGrant: both lists are there, and complete."""

from __future__ import annotations

from typing import Any

import pytest

from rauta_control.specimen_test import ABSENT, admitted, complaints

FROM = {"group": "a.io", "kind": "A", "namespace": "b"}


def test_both_lists_are_read() -> None:
    grant = admitted("ReferenceGrant", {"spec.to[0].name": "cart", "spec.to[1]": {"group": "", "kind": "Secret"}})
    assert [(source.kind, source.namespace) for source in grant.spec.from_] == [("HTTPRoute", "shop")]
    assert [(target.kind, target.name) for target in grant.spec.to] == [("Service", "cart"), ("Secret", None)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spec.from": ABSENT, "spec.to": ABSENT}, ["spec.from: Required value", "spec.to: Required value"]),
        ({"spec.from": []}, ["spec.from: Invalid value: 0: must have at least 1 items"]),
        ({"spec.from": [FROM] * 17}, ["spec.from: Too many: 17: must have at most 16 items"]),
        ({"spec.from[0].namespace": ABSENT}, ["spec.from[0].namespace: Required value"]),
        ({"spec.to[0].group": ABSENT}, ["spec.to[0].group: Required value"]),
        ({"spec.to[0].name": ""}, ['spec.to[0].name: Invalid value: "": must be at least 1 characters long']),
        (
            {"spec.to[0].kind": "A B"},
            [
                (
                    'spec.to[0].kind: Invalid value: "A B": must be a kind: '
                    "letters, digits and '-', beginning with a letter"
                )
            ],
        ),
        (
            {"spec.to[0].group": "A"},
            [
                'spec.to[0].group: Invalid value: "A": must be an API group (a lower-case DNS name), '
                "or empty for the core group"
            ],
        ),
    ],
)
def test_broken(changes: dict[str, Any], said: list[str]) -> None:
    assert complaints("ReferenceGrant", changes) == said
