"""Clients that idle, drip and move a gigabyte."""

import asyncio
import hashlib
import resource
import time

from .backend import Head, backend, body, good
from .gateway import Gateway, running
from .load import Client, load
from .verdict import Fault, Verdict, at_most, exactly

HEAD_TIMEOUT = 10.0  # seconds, the gateway's default for a whole head
GIB = 1 << 30
PIECE = bytes(range(256)) * 1024


async def idle(size: float) -> list[Verdict]:
    """Ten thousand connections that say nothing more."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = min(int(10_000 * size), files // 2 - 200)  # a worker takes connections for half of its descriptors
    async with backend(good) as web, running("--workers=1", backend=web.port) as gateway:
        async with load(gateway.port) as before:
            await asyncio.sleep(2)
        resting = gateway.resident("worker-0")
        held = []
        for _ in range(number):
            client = Client(gateway.port)
            await client.ask()
            held.append(client)
        used = (gateway.resident("worker-0") - resting) / number
        async with load(gateway.port) as beside:
            await asyncio.sleep(2)
        for client in held:
            client.close()
    return [
        at_most(f"memory of each of {number} idle connections", used / 1024, 8.0, " KiB"),
        exactly(f"failed of {beside.done} others", beside.failed, 0),
        Verdict("p99 of others", f"{before.p99() * 1e3:.1f} ms without, {beside.p99() * 1e3:.1f} ms with", True),
    ]


async def drip(size: float) -> list[Verdict]:
    """Heads that never end, bodies that stop, answers that nobody reads."""
    number = int(300 * size) + 1

    async def large(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if b" /large " not in head:
            return await good(head, reader, writer)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"a" * 100_000)
            await writer.drain()
        return True

    async with backend(large) as web, running("--workers=1", backend=web.port) as gateway:
        resting = gateway.resident("worker-0")
        async with load(gateway.port) as counts:
            heads = await asyncio.gather(*(_dripped(gateway.port) for _ in range(number)))
        unread = [await _unread(gateway.port) for _ in range(min(number, 50))]
        await asyncio.sleep(1)
        grown = (gateway.resident("worker-0") - resting) / len(unread)
        for writer in unread:
            writer.close()
    statuses = {status for status, _ in heads}
    return [
        exactly(f"{number} heads dripped are answered", statuses, {b"408"}),
        at_most("the last of them after", max(took for _, took in heads), HEAD_TIMEOUT + 1.5, " s"),
        exactly(f"failed of {counts.done} beside", counts.failed, 0),
        at_most("p99 beside", counts.p99(), 0.25, " s"),
        at_most(f"memory of each of {len(unread)} that do not read", grown / 1024, 512, " KiB"),
    ]


async def _dripped(port: int) -> tuple[bytes, float]:
    """Send a head a byte at a time; return the status that came back, and when."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begin = time.monotonic()
    answer = asyncio.create_task(reader.read())
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    while not answer.done() and time.monotonic() - begin < 2 * HEAD_TIMEOUT:
        writer.write(b"a")
        await asyncio.wait((answer,), timeout=0.5)
    took = time.monotonic() - begin
    writer.close()
    if not answer.done():
        answer.cancel()
        return b"none", took
    return answer.result()[9:12], took


async def _unread(port: int) -> asyncio.StreamWriter:
    """Ask for much and read nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    del reader
    return writer


async def gigabyte(size: float) -> list[Verdict]:
    """Large bodies down and up, and to a reader of a few MB a second."""
    total = max(len(PIECE), int(GIB * size) // len(PIECE) * len(PIECE))
    received = hashlib.sha256()

    async def answer(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if head.startswith(b"POST"):
            left = total
            while left:
                data = await reader.read(min(left, 1 << 18))
                received.update(data)
                left -= len(data)
            return await good(b"", reader, writer)
        await body(head, reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()
        return True

    expected = _digest(total)
    async with backend(answer) as web, running("--workers=1", backend=web.port) as gateway:
        resting = gateway.resident("worker-0")
        peak = asyncio.create_task(_peak(gateway))
        down = await _download(gateway.port, total, 0.0)
        slow = await _download(gateway.port, min(total, 8 << 20), 0.02)
        await _upload(gateway.port, total)
        peak.cancel()
        grown = await peak - resting
    return [
        exactly(f"{total >> 20} MiB down, the same digest", down == expected, True),
        exactly("and up", received.hexdigest() == expected, True),
        exactly("to a slow reader", len(slow), 64),
        at_most("growth of the worker", grown / (1 << 20), 16.0, " MiB"),
    ]


def _digest(total: int) -> str:
    made = hashlib.sha256()
    for _ in range(total // len(PIECE)):
        made.update(PIECE)
    return made.hexdigest()


async def _peak(gateway: Gateway) -> int:
    most = 0
    try:
        while True:
            most = max(most, gateway.resident("worker-0"))
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        return most


async def _download(port: int, length: int, pause: float) -> str:
    """Read `length` bytes of a body, resting between reads; return their digest."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 18)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    digest = hashlib.sha256()
    while length:
        data = await reader.read(min(length, 1 << 18))
        if not data:
            break
        digest.update(data)
        length -= len(data)
        if pause:
            await asyncio.sleep(pause)
    writer.close()
    return digest.hexdigest()


async def _upload(port: int, length: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length)
    for _ in range(length // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    writer.close()


FAULTS = (
    Fault(13, "10,000 idle connections", idle),
    Fault(14, "heads that drip, and clients that do not read", drip),
    Fault(15, "1 GiB down, up, and to a slow reader", gigabyte, smoke=True),
)
