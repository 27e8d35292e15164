"""The Service that each Gateway has of its own, and the EndpointSlices that lead from it to RAUTA's pods. Pure.

A Service's selector finds pods of its own namespace only, and the Service belongs beside its Gateway (GEP-1762), where
its owner sees it and where it goes with the Gateway. So it has no selector. RAUTA's own Service, the one that selects
its pods, says which pods there are and which of them are ready, and its slices are copied, with the ports that the pods
bind for this Gateway.

Documents are what is applied to the API server (server-side apply): what others add to an object stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from rauta_common.hashing import digest
from rauta_control.apiresource import GATEWAY_GROUP, GATEWAY_V1, ObjectMeta
from rauta_control.endpointslice import SERVICE_LABEL, Endpoint, EndpointSlice
from rauta_control.gateway import Gateway
from rauta_control.service import Service
from rauta_control.serviceterms import MAX_LABEL, ServiceTerms, ServiceType, label_value
from rauta_control.terms import DOMAIN
from rauta_control.world import Key

Document: TypeAlias = dict[str, Any]

GATEWAY_NAME = f"{GATEWAY_GROUP}/gateway-name"  # labels of GEP-1762
CLASS_NAME = f"{GATEWAY_GROUP}/gateway-class-name"
INSTALLATION = f"{DOMAIN}/installation"  # label: which RAUTA keeps the object, by its own Service
GATEWAY = f"{DOMAIN}/gateway"  # annotation: the name of the Gateway, in full
APPLIED = f"{DOMAIN}/applied"  # annotation: the digest of what was applied, to know what to take back
KEPT_BY = "app.kubernetes.io/managed-by"  # label
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"  # a label that keeps other controllers away from a slice
LABELS = frozenset({GATEWAY_NAME, CLASS_NAME, INSTALLATION, KEPT_BY, MANAGED_BY, SERVICE_LABEL})
ANNOTATIONS = frozenset({GATEWAY, APPLIED})


def service_name(gateway: Gateway) -> str:
    """`NAME-CLASS`, as GEP-1762 wants it; shortened and with a digest where that is no name of a Service."""
    plain = f"{gateway.name}-{gateway.spec.gateway_class_name}"
    if len(plain) <= MAX_LABEL and re.fullmatch(r"[a-z][-a-z0-9]*", plain):
        return plain
    return f"gw-{plain[:43].replace('.', '-')}-{digest(plain.encode()):016x}"


def service_key(gateway: Gateway) -> Key:
    """The key of a Gateway's Service."""
    return Key("Service", gateway.namespace, service_name(gateway))


def overruled(labels: Iterable[str], annotations: Iterable[str]) -> list[str]:
    """Those keys of a Gateway's infrastructure that RAUTA sets itself, sorted."""
    return sorted({*labels} & LABELS | {*annotations} & ANNOTATIONS)


def made_for(meta: ObjectMeta, terms: ServiceTerms) -> str:
    """The name of the Gateway that this installation made an object for; empty: it did not make it."""
    return meta.annotations.get(GATEWAY, "") if meta.labels.get(INSTALLATION) == terms.installation else ""


def published(service: Service) -> dict[int, int]:
    """The target port of each port of a Service."""
    return {each.port: each.target_port for each in service.spec.ports if isinstance(each.target_port, int)}


def service(gateway: Gateway, terms: ServiceTerms, kind: ServiceType, targets: Mapping[int, int]) -> Document:
    """The Service of a Gateway, where the pods bind `targets` for its ports."""
    spec: Document = {
        "type": kind,
        "ipFamilyPolicy": "PreferDualStack",
        "ports": [
            {"name": f"port-{port}", "port": port, "targetPort": target, "protocol": "TCP"}
            for port, target in sorted(targets.items())
        ],
    }
    if kind != "ClusterIP":
        spec["externalTrafficPolicy"] = "Local"  # requests keep the address of their client
    return _applied(gateway, terms, "v1", "Service", service_name(gateway), {}, {"spec": spec})


def slices(
    gateway: Gateway, terms: ServiceTerms, targets: Mapping[int, int], own: Iterable[EndpointSlice]
) -> dict[Key, Document]:
    """The EndpointSlices of that Service, one for each of RAUTA's own."""
    name = service_name(gateway)
    labels = {SERVICE_LABEL: name, MANAGED_BY: terms.installation}
    found = {}
    for each in own:
        key = Key("EndpointSlice", gateway.namespace, f"{name}-{digest(each.name.encode()):016x}")
        content: Document = {
            "addressType": each.address_type,
            "endpoints": [_endpoint(endpoint) for endpoint in each.endpoints],
            "ports": [
                {"name": f"port-{port}", "port": target, "protocol": "TCP"} for port, target in sorted(targets.items())
            ],
        }
        version = "discovery.k8s.io/v1"
        found[key] = _applied(gateway, terms, version, "EndpointSlice", key.name, labels, content)
    return found


def stands(document: Document, there: Service | EndpointSlice) -> bool:
    """Whether an object is as it was applied, as far as RAUTA reads it; what others added does not count."""
    wanted, meta = document["metadata"], there.metadata
    if not (wanted["labels"].items() <= meta.labels.items()):
        return False
    if not (wanted["annotations"].items() <= meta.annotations.items()):
        return False
    if isinstance(there, EndpointSlice):
        endpoints = [_endpoint(each) for each in there.endpoints]
        ports = [{"name": each.name, "port": each.port, "protocol": each.protocol} for each in there.ports]
        return bool(endpoints == document["endpoints"] and ports == document["ports"])
    spec = document["spec"]
    found = [(each.name, each.port, each.target_port, each.protocol) for each in there.spec.ports]
    return there.spec.type == spec["type"] and all(
        (each["name"], each["port"], each["targetPort"], each["protocol"]) in found for each in spec["ports"]
    )


def _applied(
    gateway: Gateway, terms: ServiceTerms, version: str, kind: str, name: str, labels: dict[str, str], content: Document
) -> Document:
    """An object that belongs to a Gateway, goes with it, and carries what the Gateway wants on its infrastructure."""
    wanted = gateway.spec.infrastructure
    labels = {
        **(wanted.labels if wanted else {}),
        KEPT_BY: "rauta",
        GATEWAY_NAME: label_value(gateway.name),
        CLASS_NAME: label_value(gateway.spec.gateway_class_name),
        INSTALLATION: terms.installation,
        **labels,
    }
    annotations = {**(wanted.annotations if wanted else {}), GATEWAY: gateway.name}
    owner = {"apiVersion": GATEWAY_V1, "kind": "Gateway", "name": gateway.name, "uid": gateway.metadata.uid}
    metadata: Document = {
        "name": name,
        "namespace": gateway.namespace,
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [owner],
    }
    document: Document = {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
    annotations[APPLIED] = f"{digest(msgspec.json.encode(document, order='sorted')):016x}"
    return document


def _endpoint(endpoint: Endpoint) -> Document:
    """An endpoint as it is copied, without what is not known of it."""
    conditions = {
        name: value
        for name in ("ready", "serving", "terminating")
        if (value := getattr(endpoint.conditions, name)) is not None
    }
    found: Document = {"addresses": list(endpoint.addresses), "conditions": conditions}
    if endpoint.node_name:
        found["nodeName"] = endpoint.node_name
    if endpoint.zone:
        found["zone"] = endpoint.zone
    return found
