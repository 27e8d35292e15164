"""Misdirected requests, from manifests to a worker: the server names and hosts that the conformance suite asks for."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from rauta_control import ir
from rauta_control.admission import Admitted, admit
from rauta_control.documents import documents
from rauta_control.kinds import AnyResource
from rauta_control.pki_test import pair
from rauta_control.proxyharness_test import Backend, Proxy, echo
from rauta_control.terms import Terms
from rauta_control.tlsharness_test import SecureClient
from rauta_control.translate import translate

MANIFESTS = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: infra}
spec:
  gatewayClassName: rauta
  listeners:
"""
LISTENERS = {
    "any": None,
    "second": "second-example.org",
    "wild": "*.wildcard.org",
    "fourth": "fourth-example.wildcard.org",
}
LISTENER = """
  - {name: NAME, port: 443, protocol: HTTPS, WHERE tls: {certificateRefs: [{name: cert}]}}"""
ROUTE = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: NAME, namespace: infra}
spec:
  parentRefs: [{name: gw, sectionName: NAME}]
  hostnames: [HOST]
  rules: [{backendRefs: [{name: web, port: 80}]}]"""
BACKEND = """
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: infra}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: infra, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: PORT}]
endpoints: [{addresses: [127.0.0.1]}]"""
# server name, host, status
PAIRS = [
    ("example.org", "example.org", 200),
    ("example.org", "second-example.org", 421),
    ("example.org", "unknown-example.org", 404),
    ("second-example.org", "second-example.org", 200),
    ("second-example.org", "example.org", 421),
    ("second-example.org", "unknown-example.org", 421),
    ("third-example.wildcard.org", "third-example.wildcard.org", 200),
    ("third-example.wildcard.org", "fith-example.wildcard.org", 200),
    ("third-example.wildcard.org", "fourth-example.wildcard.org", 421),
    ("third-example.wildcard.org", "second-example.org", 421),
    ("third-example.wildcard.org", "unknown-example.org", 421),
    ("fourth-example.wildcard.org", "fourth-example.wildcard.org", 200),
    ("fourth-example.wildcard.org", "fith-example.wildcard.org", 421),
    ("unknown-example.org", "example.org", 200),
    ("unknown-example.org", "unknown-example.org", 404),
]


def translated(port: int) -> list[ir.Resource]:
    """The manifests as the data plane gets them, with slots."""
    text = MANIFESTS
    for name, hostname in LISTENERS.items():
        text += LISTENER.replace("NAME", name).replace("WHERE", f"hostname: '{hostname}'," if hostname else "")
    for name, hostname in LISTENERS.items():
        text += ROUTE.replace("NAME", name).replace("HOST", f"'{hostname or 'example.org'}'")
    made = pair("*.org", "example.org", "second-example.org", "unknown-example.org", "*.wildcard.org")
    certificate = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "cert", "namespace": "infra"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": made.certificate.decode(), "tls.key": made.key.decode()},
    }
    objects: list[AnyResource] = []
    for document in (*documents(text + BACKEND.replace("PORT", str(port))), certificate):
        verdict = admit(document)
        assert isinstance(verdict, Admitted), verdict
        objects.append(verdict.resource)
    resources = translate(objects, Terms(class_name="rauta"), datetime(2026, 1, 1, tzinfo=UTC)).resources
    assert ir.validate(resources) == []
    slotted: list[ir.Resource] = []
    for each in resources.values():
        if isinstance(each, ir.Rule):
            slotted.append(msgspec.structs.replace(each, slot=0, epoch=1))
        elif isinstance(each, ir.Cluster):
            endpoints = tuple(msgspec.structs.replace(endpoint, slot=0, epoch=1) for endpoint in each.endpoints)
            slotted.append(msgspec.structs.replace(each, endpoints=endpoints))
        else:
            slotted.append(each)
    return slotted


def test_misdirected_requests_of_manifests() -> None:
    with Backend(echo) as backend:
        resources = translated(backend.port)
        listener = next(each.name for each in resources if isinstance(each, ir.Listener))
        with Proxy(resources, listener=listener) as proxy:
            for name, host, status in PAIRS:
                with SecureClient(proxy.port, name) as client:
                    if client.ask(host, "/detect-misdirected-requests")[0] != status:
                        pytest.fail(f"{name} {host}: not {status}")
