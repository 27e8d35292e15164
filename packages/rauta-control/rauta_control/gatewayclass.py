"""GatewayClass: which controller serves the Gateways that name it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from rauta_control.apiresource import Conditions, Part, Resource, Rules, conditions_unique, pending
from rauta_control.problem import Problem, invalid, repeated
from rauta_control.reference import ParametersReference
from rauta_control.scalars import ControllerName


class GatewayClassSpec(Part, frozen=True, kw_only=True):
    """The controller's name, which never changes, and its parameters."""

    controller_name: ControllerName
    parameters_ref: ParametersReference | None = None
    description: Annotated[str, Meta(max_length=64)] | None = None


class SupportedFeature(Part, frozen=True, kw_only=True):
    """A feature name of the conformance suite."""

    name: str


class GatewayClassStatus(Part, frozen=True, kw_only=True):
    """What the controller says of the class."""

    conditions: Conditions = pending("Accepted")
    supported_features: Annotated[tuple[SupportedFeature, ...], Meta(max_length=64)] = ()


class GatewayClass(Resource, frozen=True, kw_only=True, tag=True):
    """Cluster-scoped."""

    spec: GatewayClassSpec
    status: GatewayClassStatus = GatewayClassStatus()


def features_unique(status: GatewayClassStatus) -> Iterable[Problem]:
    """status.supportedFeatures: a list-map with the key `name`."""
    return repeated("supportedFeatures", status.supported_features, "name")


def controller_name_kept(old: GatewayClass, new: GatewayClass) -> Iterable[Problem]:
    """spec.controllerName: immutable. The one rule of the five kinds that compares with what was there before."""
    if old.spec.controller_name != new.spec.controller_name:
        yield invalid(
            "spec.controllerName", new.spec.controller_name, f"is immutable; it was {old.spec.controller_name}"
        )


RULES: Rules = {GatewayClassStatus: (conditions_unique, features_unique)}
