"""Certificates and keys for tests, made here: no file in the repository holds a key. No tests in here.

They are as RFC 5280 wants them, which Python checks from 3.13 on, except those of BARE.
"""

from __future__ import annotations

import datetime
import ipaddress
from contextlib import suppress
from functools import cache
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes, CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rauta_control import ir

BARE = "Bare CA"  # has no key identifiers and no key usage, like the authorities of many clusters
EPOCH = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)

SIGNING = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Pair(NamedTuple):
    """A certificate and its key, PEM; `serial` tells certificates of one name apart."""

    certificate: bytes
    key: bytes
    serial: int
    names: tuple[str, ...]
    key_type: str

    def secret(self, name: str) -> ir.Secret:
        """As the data plane gets it."""
        return ir.Secret(name, self.certificate, self.key, self.names, self.key_type)


@cache
def authority(name: str = "Test CA") -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate authority, one for each name and process."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, subject, 3650)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if name != BARE:
        builder = _identified(builder, key.public_key(), key.public_key()).add_extension(SIGNING, critical=True)
    return builder.sign(key, hashes.SHA256()), key


def authority_pem(name: str = "Test CA") -> bytes:
    """Its certificate."""
    return authority(name)[0].public_bytes(Encoding.PEM)


def pair(*names: str, key_type: Literal["RSA", "EC"] = "EC", signer: str = "Test CA", days: int = 36_500) -> Pair:
    """A new pair for these DNS names or addresses; negative `days` make it expired."""
    key = ec.generate_private_key(ec.SECP256R1()) if key_type == "EC" else rsa_key()
    issuer, signing = authority(signer)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0] if names else "none")])
    builder = (
        _builder(subject, issuer.subject, days)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
    )
    if signer != BARE:
        builder = _identified(builder, key.public_key(), signing.public_key())
    certificate = builder.sign(signing, hashes.SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM), pem, certificate.serial_number, names, key_type)


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """The one RSA key of a test process: making one takes a tenth of a second and more."""
    return rsa.generate_private_key(65_537, 2048)


def _builder(subject: x509.Name, issuer: x509.Name, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(EPOCH)
        .not_valid_after(EPOCH + datetime.timedelta(days=abs(days) if days > 0 else 1))
    )


def _alternative(name: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def _identified(
    builder: x509.CertificateBuilder, subject: CertificatePublicKeyTypes, issuer: CertificateIssuerPublicKeyTypes
) -> x509.CertificateBuilder:
    """With the identifiers of both keys."""
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(subject), critical=False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
    )
