"""Backends that misbehave as they are told."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Head = bytes
Answer = Callable[[Head, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]


class Backend:
    """Listens on `port`. `heads` are those of all requests so far; `answer` returns whether the connection goes on."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.heads: list[Head] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                if not await self.answer(head, reader, writer):
                    break
        writer.close()


@contextlib.asynccontextmanager
async def backend(answer: Answer) -> AsyncIterator[Backend]:
    """A backend on a port of its own."""
    made = Backend(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=1 << 20)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def good(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Take the whole request and answer it."""
    await body(head, reader)
    writer.write(OK)
    return True


async def body(head: Head, reader: asyncio.StreamReader) -> int:
    """Read and drop the body of a request; return its length."""
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        total = 0
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
            total += size
        await reader.readline()
        return total
    left = length = int(lowered.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    while left:
        data = await reader.read(min(left, 1 << 18))
        if not data:
            raise EOFError
        left -= len(data)
    return length


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
