"""Secret and ConfigMap: certificates, keys and certificate authorities. Pure.

Values are never quoted: not in a repr, not in a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import field

from rauta_control.apiresource import Resource, Rules
from rauta_control.problem import Problem, entry, forbidden, invalid, required, too_long

TLS = "kubernetes.io/tls"
TLS_KEYS = ("tls.crt", "tls.key")
MAX_DATA = 1024 * 1024  # bytes of all values: corev1.MaxSecretSize

_KEY = re.compile(r"(?!\.\.?\Z)(?!\.\.)[-._a-zA-Z0-9]{1,253}")


class Secret(Resource, frozen=True, kw_only=True, tag=True):
    """Namespaced. `string_data` is empty once admitted: it is another way to write `data`."""

    type: str = "Opaque"
    data: dict[str, bytes] = field(default_factory=dict)
    string_data: dict[str, str] = field(default_factory=dict)
    immutable: bool | None = None

    def __repr__(self) -> str:
        return f"Secret({self.namespace}/{self.name}, {self.type}, {sorted(self.data)})"


class ConfigMap(Resource, frozen=True, kw_only=True, tag=True):
    """Namespaced. A certificate authority is the key `ca.crt`."""

    data: dict[str, str] = field(default_factory=dict)
    binary_data: dict[str, bytes] = field(default_factory=dict)
    immutable: bool | None = None


def merged(secret: Secret) -> Secret:
    """The secret with its `stringData` moved to `data`, where it wins, as the API server stores it."""
    if not secret.string_data:
        return secret
    data = secret.data | {key: value.encode(errors="replace") for key, value in secret.string_data.items()}
    return msgspec.structs.replace(secret, data=data, string_data={})


# -- rules


def tls_complete(secret: Secret) -> Iterable[Problem]:
    """A kubernetes.io/tls secret has tls.crt and tls.key. Whether they fit each other is the listener's to say."""
    if secret.type == TLS:
        for key in TLS_KEYS:
            if key not in secret.data:
                yield required(entry("data", key), f"a secret of type {TLS} has it")


def secret_keys(secret: Secret) -> Iterable[Problem]:
    """Keys are file names, and the values together at most 1 MiB."""
    return _keys("data", secret.data)


def configmap_keys(configmap: ConfigMap) -> Iterable[Problem]:
    """Keys are file names, in only one of data and binaryData, and the values together at most 1 MiB."""
    yield from _keys("data", configmap.data)
    yield from _keys("binaryData", configmap.binary_data)
    for key in configmap.binary_data.keys() & configmap.data.keys():
        yield forbidden(entry("binaryData", key), "is in data too")


def _keys(path: str, data: Mapping[str, Any]) -> Iterable[Problem]:
    for key in data:
        if not _KEY.fullmatch(key):
            yield invalid(entry(path, key), key, "a key is at most 253 letters, digits, '-', '_' and '.'")
    if sum(map(len, data.values())) > MAX_DATA:
        yield too_long(path, MAX_DATA)


RULES: Rules = {Secret: (tls_complete, secret_keys), ConfigMap: (configmap_keys,)}
