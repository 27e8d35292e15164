from __future__ import annotations

import re
from typing import Any

import pytest

from rauta_control.admission import CLUSTER, Admitted, admit
from rauta_control.apiresource import label_syntax
from rauta_control.gatewayservice import (
    APPLIED,
    GATEWAY_NAME,
    Document,
    made_for,
    published,
    service,
    service_key,
    service_name,
    slices,
    stands,
)
from rauta_control.serviceterms import Range, ServiceTerms
from rauta_control.specimen_test import admitted

TERMS = ServiceTerms("LoadBalancer", "rauta-system", "rauta", Range(10000, 10099))
INFRASTRUCTURE = {"labels": {"team": "shop"}, "annotations": {"example.com/pool": "edge"}}
GATEWAY = admitted(
    "Gateway",
    {"metadata.namespace": "shop", "metadata.uid": "u1", "spec.infrastructure": INFRASTRUCTURE},
    CLUSTER,
)
POD = {
    "addresses": ["10.0.0.7"],
    "conditions": {"ready": True, "serving": True, "terminating": False},
    "nodeName": "node-1",
    "zone": "a",
}
OWN = admitted(
    "EndpointSlice",
    {
        "metadata": {
            "name": "rauta-x7",
            "namespace": "rauta-system",
            "labels": {"kubernetes.io/service-name": "rauta"},
        },
        "endpoints": [POD, {"addresses": ["10.0.0.8"], "conditions": {"ready": False}}],
        "ports": [{"name": "probe", "port": 9092}],
    },
    CLUSTER,
)


def there(document: Document) -> Any:
    """The object as an API server shows it."""
    verdict = admit(document, CLUSTER)
    assert isinstance(verdict, Admitted), verdict
    return verdict.resource


def made() -> Document:
    return service(GATEWAY, TERMS, "LoadBalancer", {80: 10050, 443: 10051})


def test_the_service_carries_what_the_gateway_wants_on_its_infrastructure_and_goes_with_it() -> None:
    document = made()
    assert (document["metadata"]["name"], document["metadata"]["namespace"]) == ("gw-rauta", "shop")
    labels, annotations = document["metadata"]["labels"], document["metadata"]["annotations"]
    assert labels["team"] == "shop"
    assert labels[GATEWAY_NAME] == "gw"
    assert labels["gateway.networking.k8s.io/gateway-class-name"] == "rauta"
    assert annotations["example.com/pool"] == "edge"
    (owner,) = document["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Gateway", "gw", "u1")
    assert "selector" not in document["spec"]
    assert published(there(document)) == {80: 10050, 443: 10051}
    assert made_for(there(document).metadata, TERMS) == "gw"


def test_labels_of_the_gateway_do_not_take_the_place_of_those_by_which_it_is_found() -> None:
    gateway = admitted("Gateway", {"spec.infrastructure": {"labels": {GATEWAY_NAME: "other"}}})
    assert service(gateway, TERMS, "ClusterIP", {80: 10050})["metadata"]["labels"][GATEWAY_NAME] == "gw"


def test_only_types_that_are_reached_from_outside_have_a_policy_for_it() -> None:
    assert made()["spec"]["externalTrafficPolicy"] == "Local"
    assert "externalTrafficPolicy" not in service(GATEWAY, TERMS, "ClusterIP", {80: 10050})["spec"]


def test_slices_name_the_pods_of_the_own_service_with_the_ports_of_this_gateway() -> None:
    ((key, document),) = slices(GATEWAY, TERMS, {80: 10050}, [OWN]).items()
    assert key.namespace == "shop"
    assert document["metadata"]["labels"]["kubernetes.io/service-name"] == "gw-rauta"
    assert document["ports"] == [{"name": "port-80", "port": 10050, "protocol": "TCP"}]
    assert document["endpoints"][0] == POD
    assert document["endpoints"][1] == {"addresses": ["10.0.0.8"], "conditions": {"ready": False}}
    assert stands(document, there(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda each: each["metadata"]["labels"].pop("team"),
        lambda each: each["metadata"]["annotations"].update({"example.com/pool": "core"}),
        lambda each: each["metadata"]["annotations"].update({APPLIED: "of an older Gateway"}),
        lambda each: each["spec"].update({"type": "ClusterIP"}),
        lambda each: each["spec"]["ports"][0].update({"targetPort": 10099}),
        lambda each: each["spec"]["ports"].pop(),
    ],
)
def test_what_was_changed_does_not_stand(change: Any) -> None:
    document, changed = made(), made()
    change(changed)
    assert not stands(document, there(changed))


def test_what_others_add_stands() -> None:
    document, more = made(), made()
    more["metadata"]["labels"]["other"] = "x"
    more["metadata"]["annotations"]["cloud.example/id"] = "7"
    more["spec"]["ports"].append({"name": "more", "port": 9, "targetPort": 9})
    more["spec"]["ports"][0]["nodePort"] = 31000
    more["spec"]["clusterIP"] = "10.96.0.1"
    assert stands(document, there(more))


def test_a_slice_with_other_endpoints_does_not_stand() -> None:
    ((_, document),) = slices(GATEWAY, TERMS, {80: 10050}, [OWN]).items()
    changed = document | {"endpoints": document["endpoints"][:1]}
    assert not stands(document, there(changed))


@pytest.mark.parametrize("name", ["gw", "1gw", "a.b", "a" * 253, "a" * 57, "a" * 58, "-".join("ab" * 30)])
def test_every_name_of_a_gateway_makes_a_name_of_a_service(name: str) -> None:
    gateway = admitted("Gateway", {"metadata.name": name})
    found = service_name(gateway)
    assert re.fullmatch(r"[a-z][-a-z0-9]{0,61}[a-z0-9]", found)
    document = service(gateway, TERMS, "ClusterIP", {80: 10050})
    assert list(label_syntax(document["metadata"]["labels"])) == []
    assert made_for(there(document).metadata, TERMS) == name


def test_names_that_are_changed_stay_apart() -> None:
    gateways = [admitted("Gateway", {"metadata.name": name}) for name in ("a.b", "a-b", "a" * 100, "a" * 101)]
    assert len({service_key(each) for each in gateways}) == 4


def test_what_another_installation_made_is_not_ours() -> None:
    other = ServiceTerms("LoadBalancer", "other", "rauta", Range(10000, 10099))
    assert made_for(there(made()).metadata, other) == ""
