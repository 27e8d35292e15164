"""Certificates and keys as they stand in Secrets and ConfigMaps: whether they are usable, and why not. Pure.

What is asked is what a TLS library will ask when it loads them: that they parse, and that the key is the certificate's.
Not whether they are trusted, expired or for the host name: clients say so, and time is no input of translation. The
library is imported at first use, since most configurations have no certificate.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rauta_control import ir
from rauta_control.derive import Graph
from rauta_control.output import Output
from rauta_control.secret import TLS, ConfigMap, Secret
from rauta_control.world import Key, find

CERTIFICATE, PRIVATE_KEY = "tls.crt", "tls.key"
AUTHORITIES = "ca.crt"


def pair_problem(q: Graph, secret: Key) -> str:
    """Why the Secret cannot serve as a certificate with its key; empty if it can."""
    found = find(q, Secret, secret.namespace, secret.name)
    if found is None:
        return "does not exist"
    for key in (CERTIFICATE, PRIVATE_KEY):
        if not found.data.get(key):
            return f"has no {key}" if found.type == TLS else f"has no {key}, and is of type {found.type}, not {TLS}"
    return mismatch(found.data[CERTIFICATE], found.data[PRIVATE_KEY], CERTIFICATE, PRIVATE_KEY)


def authorities_problem(q: Graph, configmap: Key) -> str:
    """Why the ConfigMap cannot serve as a bundle of certificate authorities; empty if it can."""
    found = find(q, ConfigMap, configmap.namespace, configmap.name)
    if found is None:
        return "does not exist"
    if not found.data.get(AUTHORITIES):
        return f"has no {AUTHORITIES}"
    return "" if _certificates(found.data[AUTHORITIES].encode()) else f"{AUTHORITIES} holds no PEM certificate"


def resource_name(source: Key) -> str:
    """The name of a secret in the IR: `namespace/name`, of a ConfigMap `namespace/name/ca`."""
    return source.path if source.kind == "Secret" else f"{source.path}/ca"


def secret_output(q: Graph, source: Key) -> Output:
    """What the data plane is given of a Secret or ConfigMap; nothing if it is gone or not usable."""
    if source.kind == "Secret":
        secret = find(q, Secret, source.namespace, source.name)
        if secret is None or q.get(pair_problem, source):
            return Output()
        return Output((pair(resource_name(source), secret.data[CERTIFICATE], secret.data[PRIVATE_KEY]),))
    configmap = find(q, ConfigMap, source.namespace, source.name)
    if configmap is None or q.get(authorities_problem, source):
        return Output()
    return Output((ir.Secret(resource_name(source), configmap.data[AUTHORITIES].encode()),))


def pair(name: str, chain: bytes, key: bytes) -> ir.Secret:
    """The secret of a chain and its key, which fit."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - see above

    leaf = _certificates(chain)[0]
    public = leaf.public_key()
    kinds = {"RSA": RSAPublicKey, "EC": EllipticCurvePublicKey}
    key_type = next((kind for kind, keys in kinds.items() if isinstance(public, keys)), type(public).__name__)
    return ir.Secret(name, chain, key, _hostnames(leaf), key_type)


def expiry(chain: bytes) -> datetime:
    """When the first certificate of a chain expires (UTC)."""
    expires: datetime = _certificates(chain)[0].not_valid_after_utc
    return expires


def mismatch(chain: bytes, key: bytes, chain_name: str, key_name: str) -> str:
    """Why a chain and a key, which the problem calls by these names, are not a pair; empty if they are."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    certificates = _certificates(chain)
    if not certificates:
        return f"{chain_name} is not a PEM certificate"
    try:
        private = load_pem_private_key(key, None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        return f"{key_name} is encrypted"
    except (ValueError, UnsupportedAlgorithm):
        return f"{key_name} is not a PEM private key"
    forms = [
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for public in (private.public_key(), certificates[0].public_key())
    ]
    return "" if forms[0] == forms[1] else f"{key_name} is not the key of the first certificate in {chain_name}"


def _certificates(pem: bytes) -> list[Any]:
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - see above

    try:
        return list(load_pem_x509_certificates(pem))
    except ValueError:
        return []


def _hostnames(leaf: Any) -> tuple[str, ...]:
    """The DNS names of a certificate; one that has none is for no name in particular."""
    from cryptography.x509 import DNSName, ExtensionNotFound, SubjectAlternativeName  # noqa: PLC0415 - see above

    try:
        names = leaf.extensions.get_extension_for_class(SubjectAlternativeName).value
        return tuple(name.lower() for name in names.get_values_for_type(DNSName))
    except (ExtensionNotFound, ValueError):
        return ()
