"""Mentions: every reference to a Secret or ConfigMap, wherever it is, and nothing else."""

from rauta_control.mentions import mentioned
from rauta_control.specimen_test import admitted
from rauta_control.world import Key

VALIDATION = {
    "validation": {
        "caCertificateRefs": [
            {"group": "", "kind": "ConfigMap", "name": "authorities"},
            {"group": "", "kind": "Secret", "name": "more", "namespace": "other"},
        ]
    }
}


def test_certificates_and_authorities_of_gateways_are_mentioned() -> None:
    gateway = admitted(
        "Gateway",
        {
            "spec.tls.frontend.default": VALIDATION,
            "spec.tls.backend.clientCertificateRef": {"name": "client"},
            "spec.listeners[1].tls.certificateRefs": [
                {"name": "certificate"},
                {"name": "foreign", "group": "example.com", "kind": "Thing"},
            ],
        },
    )
    assert mentioned(gateway) == {
        Key("Secret", "default", "certificate"),
        Key("Secret", "default", "client"),
        Key("Secret", "other", "more"),
        Key("ConfigMap", "default", "authorities"),
    }


def test_routes_mention_nothing() -> None:
    assert mentioned(admitted("HTTPRoute")) == set()
