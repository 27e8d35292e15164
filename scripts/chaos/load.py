"""An ordinary load beside a fault: clients that keep their connection, and clients that make a new one each time."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

PATIENCE = 10.0  # seconds for an answer


class FailedError(Exception):
    """No answer, or not the right one."""


@dataclass(slots=True)
class Counts:
    """What became of the requests."""

    done: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # seconds from the request to its answer

    def p99(self) -> float:
        """The 99th percentile of `waits`; 0 if there are none."""
        return sorted(self.waits)[int(len(self.waits) * 0.99)] if self.waits else 0.0


class Client:
    """A connection that is made when needed."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, *, patience: float = PATIENCE) -> None:
        self._port = port
        self._tls = tls
        self._patience = patience
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.fresh = True  # whether the next request is the first of its connection

    async def ask(
        self, method: str = "GET", target: str = "/", body: bytes = b"", fields: str = ""
    ) -> tuple[int, bytes]:
        """Send a request; return (status, body). Raises FailedError; then the connection is closed."""
        try:
            async with asyncio.timeout(self._patience):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._tls)
                reader, writer = self._streams
                length = f"Content-Length: {len(body)}\r\n" if body or method in ("POST", "PUT") else ""
                head = f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}{length}\r\n"
                writer.write(head.encode() + body)
                return await self._answer(reader, method)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise FailedError(repr(error)) from None

    async def _answer(self, reader: asyncio.StreamReader, method: str) -> tuple[int, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head[9:12])
        if status < 200:
            return await self._answer(reader, method)
        body = b""
        if "transfer-encoding: chunked" in head:
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        elif method != "HEAD" and status not in (204, 304):
            body = await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
        self.fresh = False
        if "\r\nconnection: close" in head:
            self.close()
        return status, body

    def close(self) -> None:
        """Close, if there is a connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
        self.fresh = True


async def keeping(port: int, counts: Counts, stop: asyncio.Event, tls: ssl.SSLContext | None) -> None:
    """One request after the other, on one connection as long as it lasts."""
    client = Client(port, tls)
    while not stop.is_set():
        begin = time.monotonic()
        fresh = client.fresh
        try:
            status, _ = await client.ask()
        except FailedError as error:
            if fresh:  # RFC 9112 9.3.1 lets clients send it again where the connection was not
                counts.failed += 1
                counts.reasons.append(f"kept: {error}")
        else:
            _count(counts, status, begin)
    client.close()


async def renewing(port: int, counts: Counts, stop: asyncio.Event, tls: ssl.SSLContext | None) -> None:
    """Each request on a connection of its own."""
    while not stop.is_set():
        begin = time.monotonic()
        client = Client(port, tls)
        try:
            status, _ = await client.ask(fields="Connection: close\r\n")
        except FailedError as error:
            counts.failed += 1
            counts.reasons.append(f"new: {error}")
        else:
            _count(counts, status, begin)
        client.close()


def _count(counts: Counts, status: int, begin: float) -> None:
    counts.done += 1
    counts.waits.append(time.monotonic() - begin)
    if status != 200:
        counts.failed += 1
        counts.reasons.append(f"status {status}")


@contextlib.asynccontextmanager
async def load(port: int, clients: int = 4, tls: ssl.SSLContext | None = None) -> AsyncIterator[Counts]:
    """Half of the clients keep their connections, half make new ones, while the block runs; with `tls` over TLS."""
    counts, stop = Counts(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for number in range(clients):
            tasks.create_task((keeping if number % 2 else renewing)(port, counts, stop, tls))
        try:
            yield counts
        finally:
            stop.set()
