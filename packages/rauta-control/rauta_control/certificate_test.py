"""Which keys may serve: those with which handshakes succeed."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rauta_control.certificate import mismatch
from rauta_control.pki_test import pair

CERTIFICATE = pair("a.example").certificate
WEAK = 1024  # bits
ANOTHER = "key is not the key of the first certificate in chain"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (rsa.generate_private_key(65_537, WEAK), "key is an RSA key of 1024 bits, and TLS asks for 2048"),
        (
            ec.generate_private_key(ec.SECP256K1()),
            "key is on the curve secp256k1, and TLS clients know secp256r1, secp384r1, secp521r1",
        ),
        (dsa.generate_private_key(WEAK), "key is of a type that is none for TLS: RSA, ECDSA and EdDSA are"),
        (ec.generate_private_key(ec.SECP521R1()), ANOTHER),
        (ed25519.Ed25519PrivateKey.generate(), ANOTHER),
        (ed448.Ed448PrivateKey.generate(), ANOTHER),
    ],
)
def test_a_key_with_which_no_handshake_succeeds(key: PrivateKeyTypes, said: str) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert mismatch(CERTIFICATE, pem, "chain", "key") == said


@pytest.mark.parametrize("key_type", ["RSA", "EC"])
def test_a_pair(key_type: str) -> None:
    made = pair("a.example", key_type="RSA" if key_type == "RSA" else "EC")
    assert mismatch(made.certificate, made.key, "chain", "key") == ""
