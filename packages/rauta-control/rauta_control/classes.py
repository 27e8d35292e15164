"""GatewayClasses: which are ours, and what is said of them. Pure."""

from __future__ import annotations

from rauta_control.condition import condition
from rauta_control.derive import Graph
from rauta_control.finding import finding, strangers
from rauta_control.gatewayclass import GatewayClass, GatewayClassStatus, SupportedFeature
from rauta_control.output import Output
from rauta_control.problem import nearest
from rauta_control.supported import features
from rauta_control.terms import terms
from rauta_control.world import Key, find


def ours(q: Graph, name: str) -> bool:
    """Whether Gateways of this class are ours. A class that was only named in the terms is."""
    mine = terms(q)
    if mine.one_class and name != mine.class_name:
        return False
    found = find(q, GatewayClass, Key("GatewayClass", "", name))
    if found is None:
        return bool(name) and name == mine.class_name
    return found.spec.controller_name == mine.controller


def accepted(q: Graph, name: str) -> bool:
    """Whether Gateways of this class, which is ours, are served."""
    found = find(q, GatewayClass, Key("GatewayClass", "", name))
    return found is None or found.spec.parameters_ref is None


def _foreign(q: Graph, found: GatewayClass) -> str:
    """Why a class is not ours."""
    mine, name = terms(q), found.spec.controller_name
    if name == mine.controller:
        return f"only Gateways of GatewayClass {mine.class_name} are served here"
    near = f'; did you mean "{mine.controller}"?' if nearest(name, [mine.controller], 0.9) else ""
    return f"its controller is {name}, and RAUTA is {mine.controller}{near}"


def class_output(q: Graph, key: Key) -> Output:
    """The status of a class, if it is ours."""
    found = find(q, GatewayClass, key)
    if found is None:
        return Output()
    if not ours(q, key.name):
        return Output(findings=(finding(57, key, "spec.controllerName", _foreign(q, found)),))
    generation = found.metadata.generation
    findings = strangers(key, found.metadata.annotations)
    ref = found.spec.parameters_ref
    if ref is None:
        verdict = condition("Accepted", True, "Accepted", "Gateways of this class are served by RAUTA", generation)
    else:
        text = f"there are no parameters of kind {ref.kind}: RAUTA takes none"
        verdict = condition("Accepted", False, "InvalidParameters", text, generation)
        findings.append(finding(53, key, "spec.parametersRef", text))
    claimed = features(terms(q).abilities) if ref is None else ()
    claims = tuple(SupportedFeature(name=name) for name in claimed)
    return Output(status=GatewayClassStatus(conditions=(verdict,), supported_features=claims), findings=tuple(findings))
