"""Secret and ConfigMap: what they hold, what is refused, and that no value is ever told."""

from __future__ import annotations

from typing import Any

import pytest

from rauta_control.specimen_test import ABSENT, admitted, complaints

PRIVATE = "c2VjcmV0LWtleQ=="  # "secret-key"


def test_data_is_bytes_and_string_data_is_merged_into_it() -> None:
    secret = admitted("Secret", {"data": {"tls.crt": "YQ==", "tls.key": "Yg=="}, "stringData": {"tls.key": "c"}})
    assert (secret.data, secret.string_data) == ({"tls.crt": b"a", "tls.key": b"c"}, {})


def test_base64_may_be_broken_into_lines() -> None:
    assert admitted("Secret", {"type": "Opaque", "data": {"a": "YW\nJj\r\n"}}).data == {"a": b"abc"}


def test_a_type_has_a_default() -> None:
    assert admitted("Secret", {"type": ABSENT, "data": ABSENT}).type == "Opaque"


def test_a_repr_keeps_the_secret() -> None:
    secret = admitted("Secret", {"data": {"tls.crt": PRIVATE, "tls.key": PRIVATE}})
    assert repr(secret) == "Secret(default/certificate, kubernetes.io/tls, ['tls.crt', 'tls.key'])"


BROKEN: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "Secret",
        {"data": {"tls.crt": PRIVATE}},
        ["data[tls.key]: Required value: a secret of type kubernetes.io/tls has it"],
    ),
    (
        "Secret",
        {"data": ABSENT},
        [f"data[{key}]: Required value: a secret of type kubernetes.io/tls has it" for key in ("tls.crt", "tls.key")],
    ),
    (
        "Secret",
        {"data": {"tls.crt": PRIVATE, "tls.key": "secret-key"}},
        ["data[tls.key]: Invalid value: must be base64; plain text belongs in stringData"],
    ),
    ("Secret", {"data": PRIVATE}, ['data: Invalid value: "string": must be of type object']),
    (
        "Secret",
        {"stringData": {"password": 1234}},
        ['stringData[password]: Invalid value: "integer": must be of type string'],
    ),
    (
        "Secret",
        {"data": {"tls.crt": PRIVATE, "tls.key": PRIVATE, "a/b": PRIVATE}},
        ["data[a/b]: Invalid value: \"a/b\": a key is at most 253 letters, digits, '-', '_' and '.'"],
    ),
    (
        "Secret",
        {"data": {"tls.crt": PRIVATE, "tls.key": PRIVATE, "..": PRIVATE}},
        ["data[..]: Invalid value: \"..\": a key is at most 253 letters, digits, '-', '_' and '.'"],
    ),
    ("Secret", {"dta": {}}, ['warning: dta: unknown field "dta", ignored; did you mean "data"?']),
    ("ConfigMap", {"binaryData": {"ca.crt": PRIVATE}}, ["binaryData[ca.crt]: Forbidden: is in data too"]),
    ("ConfigMap", {"data": {"a": "b" * 1024 * 1025}}, ["data: Too long: may not be more than 1048576 characters"]),
    ("ConfigMap", {"data": {"a": None}}, ['data[a]: Invalid value: "null": must be of type string']),
    ("ConfigMap", {"data": {1: "a"}}, ["data: Invalid value: a key must be of type string, quote 1"]),
]


@pytest.mark.parametrize(("kind", "changes", "said"), BROKEN)
def test_broken(kind: str, changes: dict[str, Any], said: list[str]) -> None:
    assert complaints(kind, changes) == said
    assert not any(PRIVATE in line or "secret-key" in line or "1234" in line for line in said)
