"""Which certificates and keys may serve, those with which handshakes succeed, and what of them is shown."""

import ssl
import textwrap
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rauta_control import certificate
from rauta_control.certificate import mismatch
from rauta_control.clienthello_test import hello
from rauta_control.pki_test import authority_pem, pair
from rauta_control.tlscontext import build

MADE = pair("a.example")
CERTIFICATE = MADE.certificate
CHAIN = CERTIFICATE + authority_pem()
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


def shown(chain: bytes, key: bytes) -> bytes:
    """What a listener with this pair says first."""
    received, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = build((certificate.pair("s", chain, key),), (), "none")
    received.write(hello("a.example", version=ssl.TLSVersion.TLSv1_2))  # in which certificates are readable
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(received, said, server_side=True).do_handshake()
    return said.read()


@pytest.mark.parametrize(
    ("chain", "key"),
    [
        (CHAIN, MADE.key),
        (CHAIN + MADE.key, CHAIN + MADE.key),
        (MADE.key + CHAIN, MADE.key + CHAIN),
        (pair("b.example").key + CHAIN, MADE.key),
        (CHAIN.replace(b"\n", b"\r\n"), MADE.key.replace(b"\n", b"\r\n")),
        (CHAIN.replace(b"-\n-", b"--"), MADE.key),
        (textwrap.indent(CHAIN.decode(), "  ").encode(), MADE.key),
        (CERTIFICATE + textwrap.indent(authority_pem().decode(), "  ").encode(), MADE.key),
    ],
)
def test_each_certificate_of_a_chain_is_shown_once_however_it_is_written(chain: bytes, key: bytes) -> None:
    assert mismatch(chain, key, "chain", "key") == ""
    said = shown(chain, key)
    for each in x509.load_pem_x509_certificates(CHAIN):
        assert said.count(each.public_bytes(Encoding.DER)) == 1


def indented(pem: bytes) -> bytes:
    return textwrap.indent(pem.decode(), "  ").encode()


def without_an_end(pem: bytes) -> bytes:
    return pem.replace(b"\n-----END", b"-----END")


@pytest.mark.parametrize("spoil", [indented, without_an_end])
def test_a_key_that_openssl_cannot_read(spoil: Callable[[bytes], bytes]) -> None:
    assert mismatch(CERTIFICATE, spoil(MADE.key), "chain", "key").startswith("key is no PEM as OpenSSL reads it")


@pytest.mark.parametrize("length", [40, 400])
def test_a_chain_in_the_midst_of_a_write_is_none(length: int) -> None:
    chain = CERTIFICATE + authority_pem()[:length]
    assert mismatch(chain, MADE.key, "chain", "key") == "chain is not a PEM certificate"


def test_a_chain_with_a_weak_authority() -> None:
    weak = rsa.generate_private_key(65_537, WEAK)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    leaf = x509.load_pem_x509_certificate(CERTIFICATE)
    builder = x509.CertificateBuilder(name, name, weak.public_key(), 1)
    builder = builder.not_valid_before(leaf.not_valid_before_utc).not_valid_after(leaf.not_valid_after_utc)
    chain = CERTIFICATE + builder.sign(weak, hashes.SHA256()).public_bytes(Encoding.PEM)
    problem = "chain holds the certificate of an authority whose key is too small, and TLS takes none"
    assert mismatch(chain, MADE.key, "chain", "key") == problem
