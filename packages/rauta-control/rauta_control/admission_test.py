"""Admission as a whole: kinds and versions, policies, bytes, and the two promises: "
"it never raises, and it is settled."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control.admission import CLUSTER, FILES, Admitted, Refused, admit
from rauta_control.kinds import KINDS, NOT_YET
from rauta_control.specimen_test import DOCUMENTS, admitted, dump, specimen
from rauta_control.survey_test import ANY_JSON, spoiled

GATEWAY = "gateway.networking.k8s.io"


def refused(document: Any) -> Refused:
    verdict = admit(document)
    assert isinstance(verdict, Refused)
    return verdict


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_document_of_each_kind(kind: str) -> None:
    verdict = admit(specimen(kind))
    assert isinstance(verdict, Admitted)
    assert (verdict.resource.kind, verdict.warnings) == (kind, ())
    assert verdict.resource.name == DOCUMENTS[kind]["metadata"]["name"]


@pytest.mark.parametrize("kind", ["GatewayClass", "Gateway", "HTTPRoute", "ReferenceGrant"])
def test_the_beta_is_the_same_object(kind: str) -> None:
    assert admitted(kind, {"apiVersion": f"{GATEWAY}/v1beta1"}) == admitted(kind)


def test_the_document_is_left_alone() -> None:
    document = specimen("Gateway", {"apiVersion": f"{GATEWAY}/v1beta1", "status": {}, "spec.unknown": 1})
    before = copy.deepcopy(document)
    admit(document)
    assert document == before


@pytest.mark.parametrize(
    ("head", "said", "foreign"),
    [
        ({"kind": "HTTPRout"}, f'kind: no kind "HTTPRout" in {GATEWAY}/v1; did you mean "HTTPRoute"?', False),
        ({"kind": "httproute"}, f'kind: no kind "httproute" in {GATEWAY}/v1; did you mean "HTTPRoute"?', False),
        ({"kind": "Toaster"}, f'kind: no kind "Toaster" in {GATEWAY}/v1', False),
        ({"kind": "GRPCRoute"}, "kind: GRPCRoute is not supported yet: its requests find no route", True),
        ({"apiVersion": "apps/v1", "kind": "Deployment"}, "kind: Deployment (apps/v1) is not read", True),
        (
            {"apiVersion": "serving.knative.dev/v1", "kind": "Service"},
            "kind: Service (serving.knative.dev/v1) is not read",
            True,
        ),
        ({"apiVersion": "v1", "kind": "Pod"}, "kind: Pod (v1) is not read", True),
        ({"apiVersion": "v1", "kind": "Sevice"}, 'kind: no kind "Sevice" in v1; did you mean "Service"?', False),
        (
            {"apiVersion": f"{GATEWAY}/v1alpha2"},
            f'apiVersion: Unsupported value: "{GATEWAY}/v1alpha2": supported values: "{GATEWAY}/v1", '
            f'"{GATEWAY}/v1beta1"; did you mean "{GATEWAY}/v1"?',
            False,
        ),
        *(
            (
                {"apiVersion": version},
                f'apiVersion: Unsupported value: "{version}": supported values: "{GATEWAY}/v1", "{GATEWAY}/v1beta1"',
                False,
            )
            for version in ("apps/v1", "v1", "scheduling.k8s.io/v2")
        ),
        (
            {"apiVersion": "gateway.networking.k8s.oi/v1"},
            f'apiVersion: Unsupported value: "gateway.networking.k8s.oi/v1": supported values: "{GATEWAY}/v1", '
            f'"{GATEWAY}/v1beta1"; did you mean "{GATEWAY}/v1"?',
            False,
        ),
        ({"apiVersion": "policy.linkerd.io/v1"}, "kind: HTTPRoute (policy.linkerd.io/v1) is not read", True),
        ({"kind": "\x1b[31m"}, f'kind: no kind "\\x1b[31m" in {GATEWAY}/v1', False),
        ({"kind": None}, "kind: Required value", False),
        ({"apiVersion": None}, "apiVersion: Required value", False),
        ({"kind": 1}, 'kind: Invalid value: "int": must be of type string', False),
    ],
)
def test_what_is_not_one_of_our_kinds(head: dict[str, Any], said: str, *, foreign: bool) -> None:
    verdict = refused({**specimen("HTTPRoute"), **head})
    assert [str(problem) for problem in verdict.problems] == [said]
    assert verdict.foreign is foreign


def test_every_kind_of_gateway_api_is_known() -> None:
    for kind in NOT_YET:
        assert refused({"apiVersion": f"{GATEWAY}/v1", "kind": kind}).foreign


@pytest.mark.parametrize("document", [None, 1, "a", [], b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_at_all(document: Any) -> None:
    assert refused(document).problems[0].path == ""


@pytest.mark.parametrize(
    "document", [b"{}", b'{"kind": 1, "apiVersion": "v1"}', b'{"apiVersion": "v1", "kind": "Pod"}']
)
def test_an_object_of_no_kind(document: bytes) -> None:
    assert admit(document, CLUSTER) == admit(document)
    assert refused(document).problems[0].path == "kind"


def test_a_namespace_that_is_no_string_is_not_taken_for_none() -> None:
    (said,) = refused(specimen("HTTPRoute", {"metadata.namespace": 0})).problems
    assert str(said) == 'metadata.namespace: Invalid value: "integer": must be of type string'


def test_no_name_is_a_command_to_a_terminal() -> None:
    verdict = refused(specimen("HTTPRoute", {"metadata.name": "\x1b[31m", "metadata.labels": {"\x07": 1}, "\x1b": 1}))
    assert verdict.name == "\\x1b[31m"
    assert refused(specimen("Gateway", {"metadata.name": "a\0"})).name == "a\\x00"
    assert all(str(problem).isprintable() for problem in verdict.problems)


def test_a_refusal_says_of_what() -> None:
    verdict = refused(specimen("HTTPRoute", {"metadata.namespace": "a", "metadata.generation": 7, "spec": None}))
    assert (verdict.kind, verdict.namespace, verdict.name, verdict.foreign) == ("HTTPRoute", "a", "shop", False)
    assert verdict.generation == 7
    verdict = refused(specimen("Gateway", {"spec.listeners[1].tls": None, "spec.listeners[0].tls": {}}))
    assert (verdict.kind, verdict.namespace, verdict.name) == ("Gateway", "default", "gw")


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_as_good_as_mappings(kind: str) -> None:
    document = specimen(kind)
    assert admit(json.dumps(document).encode()) == admit(document)
    assert admit(json.dumps(document).encode(), CLUSTER) == admit(document, CLUSTER)


@pytest.mark.parametrize(
    "changes",
    [{"spec.hostnames": "a"}, {"spec.unknown": 1}, {"spec.rules": None}, {"spec.rules[0].matches[0].path.value": "a"}],
)
def test_bytes_that_are_not_sound_at_once_are_read_twice(changes: dict[str, Any]) -> None:
    document = specimen("HTTPRoute", changes)
    assert admit(json.dumps(document).encode(), CLUSTER) == admit(document, CLUSTER)


def test_a_cluster_gives_namespaces_and_statuses_itself() -> None:
    status: dict[str, Any] = {"parents": []}
    assert admitted("HTTPRoute", {"status": status}, CLUSTER).status.parents == ()
    assert admitted("HTTPRoute", {"status": status}).status is None
    assert admitted("HTTPRoute", {}, CLUSTER).namespace == ""


def test_a_dump_is_what_one_would_write() -> None:
    assert dump(admitted("HTTPRoute")) == {
        "apiVersion": f"{GATEWAY}/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "parentRefs": [{"group": GATEWAY, "kind": "Gateway", "name": "gw"}],
            "hostnames": ["shop.example.com"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/cart"}}],
                    "backendRefs": [{"kind": "Service", "name": "cart", "port": 80, "weight": 1}],
                }
            ],
        },
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_admitted_object_is_settled(kind: str) -> None:
    for policy in (FILES, CLUSTER):
        resource = admitted(kind, policy=policy)
        assert admit(dump(resource), policy) == Admitted(resource)


@given(st.data(), st.sampled_from(sorted(DOCUMENTS)), st.sampled_from([FILES, CLUSTER]))
def test_whatever_is_admitted_is_settled(data: st.DataObject, kind: str, policy: Any) -> None:
    verdict = admit(data.draw(spoiled(kind)), policy)
    if isinstance(verdict, Admitted):
        again = admit(dump(verdict.resource), policy)
        assert isinstance(again, Admitted)
        assert again.resource == verdict.resource


@given(ANY_JSON)
def test_nothing_makes_it_raise(document: Any) -> None:
    assert isinstance(admit(document), Refused)


@given(
    st.dictionaries(st.sampled_from(["metadata", "spec", "status", "data", "type", "endpoints"]), ANY_JSON),
    st.sampled_from(sorted(KINDS)),
)
def test_nothing_of_a_known_kind_makes_it_raise(body: dict[str, Any], kind: str) -> None:
    document = {"apiVersion": KINDS[kind].version, "kind": kind, **body}
    assert isinstance(admit(document), Admitted | Refused)
    assert isinstance(admit(document, CLUSTER), Admitted | Refused)
