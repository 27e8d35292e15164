"""TLS handshakes that begin and do not end."""

import asyncio
import contextlib
import ssl
import tempfile
import time
from pathlib import Path

from scripts.bench import cpu
from scripts.bench.certificate import made

from .backend import backend, good
from .gateway import Gateway, running
from .load import load
from .verdict import Fault, Verdict, at_most, exactly

HEAD_TIMEOUT = 4.0  # seconds for a handshake, as we tell the gateway
RECORDS = 1_000  # of one byte
DRIPPING = 20
PAUSE = 0.001  # seconds between two of them, so that each is read by itself


async def unfinished(size: float) -> list[Verdict]:
    """Clients that say nothing, a part of a ClientHello, all of it and no more, or one in tiny records."""
    number = max(1, int(1_000 * size))
    hello = _hello()
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        for path, content in zip((certificate, key), made(), strict=True):
            path.write_bytes(content)
        limits = ("--workers=1", f"--head-timeout={HEAD_TIMEOUT:.0f}")
        pair = (f"--tls-cert={certificate}", f"--tls-key={key}", "--tls-bind=127.0.0.1:0")
        async with backend(good) as web, running(*limits, *pair, backend=web.port) as gateway:
            tls = ssl._create_unverified_context()  # noqa: S323, SLF001 - self-signed, on loopback
            async with load(gateway.port, tls=tls) as before:
                await asyncio.sleep(1)
            resting, worked = gateway.resident("worker-0"), cpu.used(gateway.pid("worker-0"))
            patient = await asyncio.gather(*(_drip(gateway.port) for _ in range(DRIPPING)))
            spent = (cpu.used(gateway.pid("worker-0")) - worked) / DRIPPING
            async with load(gateway.port, tls=tls) as beside:
                begin = time.monotonic()
                held = [await _begin(gateway.port, (b"", hello[:100], hello)[each % 3]) for each in range(3 * number)]
                made_in = time.monotonic() - begin
                used = (gateway.resident("worker-0") - resting) / len(held)
                took = max(await asyncio.gather(*(_ended(reader) for reader, _ in held))) - begin - made_in
            for _, writer in held:
                writer.close()
            left = await _until_idle(gateway)
    return [
        exactly(f"of {DRIPPING} that drip are heard to the end", sum(patient), DRIPPING),
        at_most("CPU of each of them", spent, 0.1, " s"),
        at_most(f"memory of each of {len(held)} that stall", used / 1024, 64, " KiB"),
        at_most("the last of them is closed after", took, HEAD_TIMEOUT + 1.5, " s"),
        exactly("connections that are left", left, 0.0),
        exactly(f"failed of {beside.done} beside", beside.failed, 0),
        Verdict("p99 of others", f"{before.p99() * 1e3:.1f} ms without, {beside.p99() * 1e3:.1f} ms with", True),
    ]


def _hello() -> bytes:
    out = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="a.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


async def _drip(port: int) -> bool:
    """Say the beginning of a ClientHello, one byte a record; return whether the gateway is still there."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    message = b"\x01" + RECORDS.to_bytes(3) + bytes(RECORDS)
    for at in range(RECORDS):
        if writer.is_closing():
            break
        writer.write(b"\x16\x03\x01\x00\x01" + message[at : at + 1])
        await asyncio.sleep(PAUSE)
    stayed = not writer.is_closing()
    writer.close()
    return stayed


async def _begin(port: int, said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    return reader, writer


async def _ended(reader: asyncio.StreamReader) -> float:
    """When the gateway ended the connection; infinite if it does not."""
    try:
        async with asyncio.timeout(3 * HEAD_TIMEOUT):
            while await reader.read(1 << 16):
                pass
    except TimeoutError:
        return float("inf")
    except OSError:
        pass
    return time.monotonic()


async def _until_idle(gateway: Gateway) -> float:
    deadline = time.monotonic() + HEAD_TIMEOUT
    while (left := await gateway.metric("rauta_connections")) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    return left


FAULTS = (Fault(18, "handshakes that stall, and one byte a record", unfinished),)
