"""GatewayClass: cluster-scoped, and its controller's name never changes."""

from __future__ import annotations

import pytest

from rauta_control.admission import CLUSTER, Admitted, Refused, admit
from rauta_control.specimen_test import admitted, complaints, specimen


def test_it_is_of_no_namespace() -> None:
    assert admitted("GatewayClass").namespace == ""
    assert admitted("GatewayClass", {"metadata.namespace": "default"}).namespace == ""


@pytest.mark.parametrize("name", ["a.io/b", "a.io/b/c.d~e", "a/b"])
def test_names_of_controllers(name: str) -> None:
    assert complaints("GatewayClass", {"spec.controllerName": name}) == []


@pytest.mark.parametrize("name", ["a.io", "a.io/", "A.io/b", "/b", "a.io/b c", "a.io/b\n", "a_b/c"])
def test_what_is_no_name_of_a_controller(name: str) -> None:
    (said,) = complaints("GatewayClass", {"spec.controllerName": name})
    assert said.endswith("must be a domain-prefixed path such as example.com/gateway-controller")


def test_the_controller_is_not_changed() -> None:
    before = admitted("GatewayClass")
    verdict = admit(specimen("GatewayClass", {"spec.controllerName": "a.io/b"}), previous=before)
    assert isinstance(verdict, Refused)
    assert [str(problem) for problem in verdict.problems] == [
        'spec.controllerName: Invalid value: "a.io/b": is immutable; it was rauta.dev/gateway-controller'
    ]
    assert isinstance(admit(specimen("GatewayClass", {"spec.description": "other"}), previous=before), Admitted)


def test_limits() -> None:
    assert complaints("GatewayClass", {"spec.description": "a" * 65}) == [
        "spec.description: Too long: may not be more than 64 characters"
    ]
    assert complaints("GatewayClass", {"spec.parametersRef": {"group": "", "kind": "ConfigMap"}}) == [
        "spec.parametersRef.name: Required value"
    ]


def test_statuses_are_maps() -> None:
    condition = {
        "type": "A",
        "status": "True",
        "reason": "R",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    said = complaints(
        "GatewayClass", {"status": {"conditions": [condition] * 2, "supportedFeatures": [{"name": "a"}] * 2}}, CLUSTER
    )
    assert said == ['status.conditions[1]: Duplicate value: "A"', 'status.supportedFeatures[1]: Duplicate value: "a"']
