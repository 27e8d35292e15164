"""Service: defaults, and the API server's rules for the fields we read."""

from __future__ import annotations

from typing import Any

import pytest

from rauta_control.admission import CLUSTER
from rauta_control.specimen_test import ABSENT, admitted, complaints


def test_defaults() -> None:
    service = admitted("Service", {"spec.ports[0]": {"port": 80}})
    assert (service.spec.type, service.spec.cluster_ip) == ("ClusterIP", "")
    assert (service.spec.ports[0].protocol, service.spec.ports[0].name, service.spec.ports[0].target_port) == (
        "TCP",
        "",
        None,
    )


def test_what_is_not_read_is_known_nevertheless() -> None:
    assert (
        complaints("Service", {"spec.sessionAffinity": "ClientIP", "spec.ports[0].nodePort": 30000, "status": {}}) == []
    )


def test_what_nobody_knows_is_reported_in_files_and_passes_in_a_cluster() -> None:
    change = {"spec.prots": [], "spec.ports[0].nodPort": 1}
    assert complaints("Service", change) == [
        'warning: spec.ports[0].nodPort: unknown field "spec.ports[0].nodPort", ignored; did you mean "nodePort"?',
        'warning: spec.prots: unknown field "spec.prots", ignored; did you mean "ports"?',
    ]
    assert complaints("Service", change, CLUSTER) == []


SOUND: list[dict[str, Any]] = [
    {"spec": {"clusterIP": "None"}},
    {"spec": {"type": "ExternalName", "externalName": "db.example.com."}},
    {"spec.ports[0].targetPort": "http-1"},
    {"spec.ports[0].appProtocol": "kubernetes.io/h2c"},
    {"spec.ports": [{"name": "a", "port": 53}, {"name": "b", "port": 53, "protocol": "UDP"}]},
    {"spec.ipFamilies": ["IPv6", "IPv4"], "spec.ipFamilyPolicy": "PreferDualStack", "spec.clusterIPs": ["fd00::1"]},
]


@pytest.mark.parametrize("changes", SOUND)
def test_sound(changes: dict[str, Any]) -> None:
    assert complaints("Service", changes) == []


BROKEN: list[tuple[dict[str, Any], list[str]]] = [
    ({"spec.ports": ABSENT}, ["spec.ports: Required value"]),
    (
        {"spec": {"type": "ExternalName"}},
        ["spec.externalName: Required value: must be specified when type is ExternalName"],
    ),
    (
        {"spec": {"type": "ExternalName", "externalName": "a_b"}},
        [
            (
                'spec.externalName: Invalid value: "a_b": '
                "must be lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
            )
        ],
    ),
    (
        {"spec": {"type": "ExternalName", "externalName": "a", "clusterIP": "None"}},
        ['spec.clusterIP: Invalid value: "None": may not be None for an ExternalName service'],
    ),
    (
        {"spec.ports": [{"port": 80}, {"port": 81}]},
        [
            "spec.ports[0].name: Required value: ports are named when there are several",
            "spec.ports[1].name: Required value: ports are named when there are several",
        ],
    ),
    (
        {"spec.ports": [{"name": "a", "port": 80}, {"name": "a", "port": 80}]},
        ['spec.ports[1].name: Duplicate value: "a"', 'spec.ports[1]: Duplicate value: "TCP 80"'],
    ),
    ({"spec.ports[0].port": ABSENT}, ["spec.ports[0].port: Required value"]),
    ({"spec.ports[0].targetPort": 0}, ["spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535"]),
    (
        {"spec.ports[0].targetPort": "8080"},
        [
            (
                'spec.ports[0].targetPort: Invalid value: "8080": '
                "must be a number, or a port name of at most 15 characters with a letter in it"
            )
        ],
    ),
    (
        {"spec.ports[0].targetPort": [8080]},
        ['spec.ports[0].targetPort: Invalid value: "array": must be of type integer'],
    ),
    (
        {"spec.ports[0].protocol": "tcp"},
        [
            (
                'spec.ports[0].protocol: Unsupported value: "tcp": supported values: '
                '"SCTP", "TCP", "UDP"; did you mean "TCP"?'
            )
        ],
    ),
    (
        {"spec.ports[0].appProtocol": "a b"},
        [
            (
                'spec.ports[0].appProtocol: Invalid value: "a b": '
                "an appProtocol must be NAME or PREFIX/NAME: a DNS name, '/', then letters, digits, '-', '_' and '.'"
            )
        ],
    ),
    (
        {"spec.selector": {"a": "b c"}},
        [
            (
                'spec.selector[a]: Invalid value: "b c": '
                "a label value is at most 63 letters, digits, '-', '_' and '.', or empty"
            )
        ],
    ),
    (
        {"spec.type": "Clusterip"},
        [
            (
                'spec.type: Unsupported value: "Clusterip": supported values: '
                '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"; did you mean "ClusterIP"?'
            )
        ],
    ),
    (
        {"metadata.name": "a.b"},
        [
            (
                'metadata.name: Invalid value: "a.b": '
                "must be lower-case letters, digits and '-', with a letter or digit at both ends"
            )
        ],
    ),
]


@pytest.mark.parametrize(("changes", "said"), BROKEN)
def test_broken(changes: dict[str, Any], said: list[str]) -> None:
    assert complaints("Service", changes) == said
