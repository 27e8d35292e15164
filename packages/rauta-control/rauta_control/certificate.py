"""Certificates and keys as they stand in Secrets and ConfigMaps: whether they are usable, and why not. Pure.

What is asked is what OpenSSL will ask when a worker loads them: that they parse, that the key is strong enough, that it
is the certificate's, and last OpenSSL itself. Not whether they are trusted or for the host name: clients say so; nor
whether they have expired (validity.py). A worker gets the certificates in PEM made anew: OpenSSL reads it by lines,
and would pass over what is only indented. The library is imported at first use, since most configurations have no
certificate.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rauta_control import credentials, ir
from rauta_control.derive import Graph
from rauta_control.output import Output
from rauta_control.secret import TLS, ConfigMap, Secret
from rauta_control.world import Key, find

CERTIFICATE, PRIVATE_KEY = "tls.crt", "tls.key"
AUTHORITIES = "ca.crt"
RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1", "secp521r1")

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_WEAK = {  # what OpenSSL says of a chain, and what it means
    "ca md too weak": "a certificate signed with MD5 or SHA-1",
    "ca key too small": "the certificate of an authority whose key is too small",
}


def pair_problem(q: Graph, secret: Key) -> str:
    """Why the Secret cannot serve as a certificate with its key; empty if it can."""
    found = find(q, Secret, secret)
    if found is None:
        return "does not exist"
    for key in (CERTIFICATE, PRIVATE_KEY):
        if not found.data.get(key):
            return f"has no {key}" if found.type == TLS else f"has no {key}, and is of type {found.type}, not {TLS}"
    return mismatch(found.data[CERTIFICATE], found.data[PRIVATE_KEY], CERTIFICATE, PRIVATE_KEY)


def authorities_problem(q: Graph, configmap: Key) -> str:
    """Why the ConfigMap cannot serve as a bundle of certificate authorities; empty if it can."""
    found = find(q, ConfigMap, configmap)
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
        secret = find(q, Secret, source)
        if secret is None or q.get(pair_problem, source):
            return Output()
        return Output((pair(resource_name(source), secret.data[CERTIFICATE], secret.data[PRIVATE_KEY]),))
    configmap = find(q, ConfigMap, source)
    if configmap is None or q.get(authorities_problem, source):
        return Output()
    return Output((ir.Secret(resource_name(source), _pem(_certificates(configmap.data[AUTHORITIES].encode()))),))


def pair(name: str, chain: bytes, key: bytes) -> ir.Secret:
    """The secret of a chain and its key, which fit."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - see above

    certificates = _certificates(chain)
    leaf = certificates[0]
    public = leaf.public_key()
    kinds = {"RSA": RSAPublicKey, "EC": EllipticCurvePublicKey}
    key_type = next((kind for kind, keys in kinds.items() if isinstance(public, keys)), type(public).__name__)
    return ir.Secret(name, _pem(certificates), key, _hostnames(leaf), key_type)


def hostnames(q: Graph, secret: Key) -> tuple[str, ...]:
    """The host names that the certificate in a usable Secret is for; empty if it names none."""
    found = find(q, Secret, secret)
    return _hostnames(_certificates(found.data[CERTIFICATE])[0]) if found is not None else ()


def vouches(name: str, hostname: str) -> bool:
    """Whether a name in a certificate (`*.` for one label) is for any of the names that a listener's stands for."""
    if hostname.startswith("*."):
        return name.endswith(hostname[1:])
    return name in (hostname, f"*.{hostname.partition('.')[2]}")


def period(chain: bytes) -> tuple[datetime, datetime]:
    """Since when and until when the first certificate of a chain is valid (UTC)."""
    leaf = _certificates(chain)[0]
    return leaf.not_valid_before_utc, leaf.not_valid_after_utc


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
    if weakness := _weakness(private):
        return f"{key_name} {weakness}"
    forms = [
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for public in (private.public_key(), certificates[0].public_key())
    ]
    if forms[0] != forms[1]:
        return f"{key_name} is not the key of the first certificate in {chain_name}"
    said = credentials.refusal(_pem(certificates), key)
    if said in _WEAK:
        return f"{chain_name} holds {_WEAK[said]}, and TLS takes none"
    return f"{key_name} is no PEM as OpenSSL reads it, line by line: {said}" if said else ""


def _weakness(private: Any) -> str:
    """Why no handshake succeeds with a key; empty if one may. OpenSSL's level 2, and the curves that clients offer."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415

    match private:
        case RSAPrivateKey():
            small = private.key_size < RSA_BITS
            return f"is an RSA key of {private.key_size} bits, and TLS asks for {RSA_BITS}" if small else ""
        case EllipticCurvePrivateKey():
            name = private.curve.name
            return "" if name in CURVES else f"is on the curve {name}, and TLS clients know {', '.join(CURVES)}"
        case Ed25519PrivateKey() | Ed448PrivateKey():
            return ""
        case _:
            return "is of a type that is none for TLS: RSA, ECDSA and EdDSA are"


def _certificates(pem: bytes) -> list[Any]:
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - see above

    try:
        found = list(load_pem_x509_certificates(pem))
    except ValueError:
        return []
    # Of one that is cut off, as in the midst of a write, the library says nothing.
    return found if len(found) >= pem.count(_BEGIN) else []


def _pem(certificates: Iterable[Any]) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - see above

    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def _hostnames(leaf: Any) -> tuple[str, ...]:
    """The DNS names of a certificate; one that has none is for no name in particular."""
    from cryptography.x509 import DNSName, ExtensionNotFound, SubjectAlternativeName  # noqa: PLC0415 - see above

    try:
        names = leaf.extensions.get_extension_for_class(SubjectAlternativeName).value
        return tuple(name.lower() for name in names.get_values_for_type(DNSName))
    except (ExtensionNotFound, ValueError):
        return ()
