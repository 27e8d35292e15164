"""Statuses and findings in the words of the agent API."""

from datetime import UTC, datetime

from rauta_agent_api.selection import KINDS
from rauta_control import objectview
from rauta_control.check import load
from rauta_control.samples_test import GATEWAY
from rauta_control.terms import Terms
from rauta_control.translate import translate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANIFEST = (
    GATEWAY
    + """---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: default}
spec: {parentRefs: [{name: gw, sectionName: http}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: rauta}
spec: {controllerName: rauta.io/gateway-controller}
"""
)


def test_objects_and_findings() -> None:
    made = translate(load([("a.yaml", MANIFEST)]).objects.values(), Terms(pool=("10.9.0.1",)), NOW)
    gateway, class_, route = objectview.objects(made.statuses)
    assert {gateway.kind, class_.kind, route.kind} < set(KINDS)
    assert (gateway.kind, gateway.namespace, gateway.name, gateway.addresses) == (
        "Gateway",
        "default",
        "gw",
        ("10.9.0.1",),
    )
    assert {each.type: each.status for each in gateway.conditions} == {
        "Accepted": "True",
        "Programmed": "True",
        "ResolvedRefs": "True",
    }
    assert gateway.conditions[0].since == "2026-01-01T00:00:00Z"
    assert [(part.name, part.attached_routes) for part in gateway.parts] == [("http", 1)]
    assert (class_.kind, class_.namespace, class_.conditions[0].type) == ("GatewayClass", "", "Accepted")
    assert route.conditions == ()
    (parent,) = route.parts
    assert (parent.name, parent.attached_routes) == ("Gateway default/gw http", None)
    assert [(each.status, each.reason) for each in parent.conditions if each.type == "ResolvedRefs"] == [
        ("False", "BackendNotFound")
    ]
    (found,) = objectview.findings(made.findings)
    assert (found.code, found.severity, found.kind, found.name) == ("RAUTA-CFG-020", "error", "HTTPRoute", "web")
    assert found.advice
    counts = objectview.counts(made.findings)
    assert (counts.error, counts.warning, counts.info) == (1, 0, 0)
