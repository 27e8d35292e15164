"""Certificates that are renewed under load, well and badly."""

import asyncio
import hashlib
import json
import ssl
import tempfile
import time
from pathlib import Path

from scripts.bench.certificate import made

from .backend import backend, good
from .gateway import Gateway, running
from .load import load
from .verdict import Fault, Verdict, at_most, exactly

ROTATIONS = 60
PATIENCE = 5.0  # seconds for a new certificate to be shown


async def rotations(size: float) -> list[Verdict]:
    """New pairs, one after the other; then one whose key is another's."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        _put(certificate, key, *made())
        arguments = ("--workers=2", f"--tls-cert={certificate}", f"--tls-key={key}", "--tls-bind=127.0.0.1:0")
        async with backend(good) as web, running(*arguments, backend=web.port) as gateway:
            async with load(gateway.port, tls=_client()) as counts:
                waits = []
                for _ in range(max(3, round(ROTATIONS * size))):
                    pem, private = made()
                    _put(certificate, key, pem, private)
                    waits.append(await _until_shown(gateway.port, pem))
                _put(certificate, key, made()[0], made()[1])
                told = await _until_told(gateway)
                kept = await _shown(gateway.port) == _digest(pem)
            failed = await gateway.metric("rauta_tls_handshake_failures_total")
    return [
        exactly(f"failed of {counts.done} requests, half of them with a handshake", counts.failed, 0),
        exactly("failed handshakes, as the gateway counts them", failed, 0.0),
        at_most(f"the new certificate is shown, {len(waits)} times", max(waits), 1.0, " s"),
        exactly("a bad pair is told of", told, True),
        exactly("and the last good one stays", kept, True),
    ]


def _put(certificate: Path, key: Path, pem: bytes, private: bytes) -> None:
    """As renewals do: complete files take the names, one after the other."""
    for path, content in ((certificate, pem), (key, private)):
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.rename(path)


def _client() -> ssl.SSLContext:
    return ssl._create_unverified_context()  # noqa: S323, SLF001 - self-signed, on loopback


async def _until_shown(port: int, pem: bytes) -> float:
    """Seconds until new connections get the certificate; infinite if they do not."""
    begin = time.monotonic()
    while time.monotonic() < begin + PATIENCE:
        if await _shown(port) == _digest(pem):
            return time.monotonic() - begin
        await asyncio.sleep(0.02)
    return float("inf")


async def _until_told(gateway: Gateway) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if "is not the key of the first certificate" in json.dumps(await gateway.get("/api/v1/status")):
            return True
        await asyncio.sleep(0.05)
    return False


async def _shown(port: int) -> str:
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_client())
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return hashlib.sha256(shown).hexdigest()


def _digest(pem: bytes) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()


FAULTS = (Fault(17, "certificates are renewed", rotations, smoke=True),)
