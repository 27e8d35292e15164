"""Golden cases: testdata/NAME.in.yaml is translated and must give testdata/NAME.out.yaml.

Each input is a comment that says what is to be seen, and manifests as users write them; the GatewayClass `rauta` is
always there, and {CERTIFICATE}, {KEY} and {OTHER_KEY} stand for PEM. A document `terms:` changes the terms below
(abilities: all, today, or `-NAME` for all but one). With RAUTA_GOLDEN=update in the environment the outputs are
written instead: read the difference, for a golden that pins a fault is worse than none.
"""

import functools
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rauta_control import ir
from rauta_control.admission import FILES, Admitted, admit
from rauta_control.compact import compact
from rauta_control.documents import documents
from rauta_control.kinds import AnyResource
from rauta_control.serviceterms import ServiceTerms
from rauta_control.supported import EXPRESSED, TODAY, Ability
from rauta_control.terms import CONTROLLER, Terms
from rauta_control.translate import translate

DATA = Path(__file__).parent / "testdata"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in DATA.glob("*.in.yaml"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ABILITIES = {"all": EXPRESSED, "today": TODAY}
CLASS = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "GatewayClass",
    "metadata": {"name": "rauta"},
    "spec": {"controllerName": CONTROLLER},
}
BASE = Terms(pool=("10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4"), abilities=EXPRESSED)


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    result, resources = translated((DATA / f"{name}.in.yaml").read_text())
    assert ir.validate(resources) == []
    text = yaml.safe_dump(result, sort_keys=False, width=1000, allow_unicode=True)
    golden = DATA / f"{name}.out.yaml"
    if os.environ.get("RAUTA_GOLDEN") == "update":
        golden.write_text(text)
    assert text == golden.read_text()


def test_every_output_has_an_input() -> None:
    assert [path.name for path in DATA.glob("*.out.yaml") if path.name.removesuffix(".out.yaml") not in CASES] == []


@functools.cache
def pem() -> dict[str, bytes]:
    """A self-signed certificate, its key, and another key."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    name = x509.Name.from_rfc4514_string("CN=test")
    certificate = (
        x509.CertificateBuilder(name, name, keys[0].public_key(), 1, NOW, NOW + timedelta(days=1))
        .sign(keys[0], hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    forms = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for key in keys]
    return {"{CERTIFICATE}": certificate, "{KEY}": forms[0], "{OTHER_KEY}": forms[1]}


def filled(document: Any) -> Any:
    """The document with PEM in place of what stands for it."""
    if isinstance(document, dict):
        return {key: filled(value) for key, value in document.items()}
    if isinstance(document, list):
        return [filled(value) for value in document]
    return pem()[document].decode() if document in ("{CERTIFICATE}", "{KEY}", "{OTHER_KEY}") else document


def translated(text: str) -> tuple[dict[str, Any], dict[str, ir.Resource]]:
    terms, policy, broken = BASE, FILES, []
    objects: list[AnyResource] = []
    for document in documents(text):
        if "terms" in document:
            given = dict(document["terms"])
            if "abilities" in given:
                given["abilities"] = ABILITIES.get(given["abilities"]) or EXPRESSED - {Ability[given["abilities"][1:]]}
            if "services" in given:
                given["services"] = msgspec.convert(given["services"], ServiceTerms)
                policy = msgspec.structs.replace(FILES, status=True)  # what Services were given
            terms = msgspec.structs.replace(
                terms, **{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
            )
            continue
        verdict = admit(filled(document), policy)
        if isinstance(verdict, Admitted):
            objects.append(verdict.resource)
        else:
            broken.append(verdict)
    assert broken == []
    classed = any((each.kind, each.name) == ("GatewayClass", "rauta") for each in objects)
    if not classed:
        verdict = admit(CLASS)
        assert isinstance(verdict, Admitted)
        objects.append(verdict.resource)
    translation = translate(objects, terms, NOW)
    result = compact(translation)
    if not classed:
        del result["statuses"]["GatewayClass rauta"]
        if not result["statuses"]:
            del result["statuses"]
    return result, dict(translation.resources)
