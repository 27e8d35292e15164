"""ListenerSet: what is not shared with Gateway (gateway_test.py tries the listeners of both)."""

from __future__ import annotations

from rauta_control.specimen_test import ABSENT, admitted, complaints


def test_defaults() -> None:
    parent = admitted("ListenerSet").spec.parent_ref
    assert (parent.group, parent.kind, parent.namespace) == ("gateway.networking.k8s.io", "Gateway", None)
    assert [condition.type for condition in admitted("ListenerSet").status.conditions] == ["Accepted", "Programmed"]


def test_a_set_extends_one_gateway_as_a_whole() -> None:
    assert complaints("ListenerSet", {"spec.parentRef": ABSENT}) == ["spec.parentRef: Required value"]
    (said,) = complaints("ListenerSet", {"spec.parentRef.sectionName": "http"})
    assert said.startswith('warning: spec.parentRef.sectionName: unknown field "spec.parentRef.sectionName", ignored')


def test_there_is_no_beta_of_it() -> None:
    (said,) = complaints("ListenerSet", {"apiVersion": "gateway.networking.k8s.io/v1beta1"})
    assert said.startswith('apiVersion: Unsupported value: "gateway.networking.k8s.io/v1beta1"')
