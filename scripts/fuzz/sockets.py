"""Ends of real connections for `conversations.py`: with TLS or without, and messages read to the letter."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Iterator

_READ = 1 << 16
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)")
_SIZE = re.compile(rb"[0-9a-fA-F]+")


class CutError(EOFError):
    """The connection ended within a message: `said` is what there was of it."""

    def __init__(self, said: bytes) -> None:
        super().__init__(said[:100])
        self.said = said


class Fields(dict[bytes, bytes]):
    """Of a head by their lower-case names; `start` is its first line. AssertionError for one that comes twice."""

    def __init__(self, head: bytes) -> None:
        lines = head[:-4].split(b"\r\n")
        self.start = lines[0]
        for line in lines[1:]:
            match = _FIELD.fullmatch(line)
            assert match, f"no field: {line!r} of {head!r}"
            name = match[1].lower()
            assert name not in self or name == b"x-forwarded-for", f"{name!r} twice: {head!r}"
            self[name] = match[2]


class Wire:
    """One end. `pace` is how many bytes it reads at a time, with a breath between, 0 for as many as there are."""

    def __init__(self, sock: socket.socket, pace: int = 0) -> None:
        self.sock = sock
        self.pace = pace
        self.data = b""  # read, and not taken yet
        self.over = False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def receive(self) -> bytes:
        """Some bytes, none at the end; a reset is one."""
        if self.pace:
            await asyncio.sleep(0.001)
        try:
            return await asyncio.get_running_loop().sock_recv(self.sock, self.pace or _READ)
        except OSError:
            return b""

    async def send(self, data: bytes) -> None:
        """All of them. Raises OSError."""
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def end(self) -> None:
        """Say that no more comes."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close so that the peer gets a reset."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def silent(self) -> bool:
        """Whether the peer has said nothing that was not taken."""
        if self.data:
            return False
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    async def more(self) -> bool:
        """Wait for more; False at the end."""
        if not self.over:
            data = await self.receive()
            self.data += data
            self.over = not data
        return not self.over

    async def head(self) -> Fields | None:
        """The next head; None if the connection ends before one begins. Raises CutError."""
        while b"\r\n\r\n" not in self.data:
            if not await self.more():
                if self.data:
                    raise CutError(self._take(len(self.data)))
                return None
        return Fields(self._take(self.data.index(b"\r\n\r\n") + 4))

    async def exactly(self, size: int) -> bytes:
        """So many bytes. Raises CutError."""
        parts: list[bytes] = []
        while size:
            if not self.data and not await self.more():
                raise CutError(b"".join(parts))
            parts.append(self._take(size))
            size -= len(parts[-1])
        return b"".join(parts)

    async def body(self, fields: Fields, *, answer: bool = False) -> bytes:
        """The body that follows a head. Raises CutError with as much of it as came."""
        if b"transfer-encoding" in fields:
            assert fields[b"transfer-encoding"] == b"chunked", fields
            assert b"content-length" not in fields, fields
            return await self._chunks()
        if answer and b"content-length" not in fields:
            assert fields.get(b"connection") == b"close", fields
            while await self.more():
                pass
            return self._take(len(self.data))
        return await self.exactly(int(fields.get(b"content-length", b"0")))

    async def _chunks(self) -> bytes:
        parts: list[bytes] = []
        try:
            while True:
                line = await self._line()
                assert _SIZE.fullmatch(line), f"no chunk size: {line!r}"
                if not int(line, 16):
                    break
                parts.append(await self.exactly(int(line, 16)))
                assert await self.exactly(2) == b"\r\n", "no end of a chunk"
            while await self._line():
                pass
        except CutError as cut:
            raise CutError(b"".join(parts) + (cut.said if cut.said not in b"\r\n" else b"")) from None
        return b"".join(parts)

    async def _line(self) -> bytes:
        while b"\r\n" not in self.data:
            if not await self.more():
                raise CutError(b"")
        line = self._take(self.data.index(b"\r\n"))
        self._take(2)
        return line

    def _take(self, size: int) -> bytes:
        taken, self.data = self.data[:size], self.data[size:]
        return taken


class SecureWire(Wire):
    """A client's end with TLS, which has to `shake` hands first."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, name: str, pace: int = 0) -> None:
        super().__init__(sock, pace)
        self._into, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._into, self._out, server_hostname=name)

    async def shake(self) -> None:
        """Raises OSError."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await super().send(self._out.read())
                self._into.write(await super().receive())
        await super().send(self._out.read())

    async def receive(self) -> bytes:
        """See Wire."""
        while True:
            try:
                return self._tls.read(_READ)
            except ssl.SSLWantReadError:
                data = await super().receive()
            except ssl.SSLError:
                return b""
            if not data:
                return b""
            self._into.write(data)

    async def send(self, data: bytes) -> None:
        """See Wire."""
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise OSError from error
        await super().send(self._out.read())

    async def end(self) -> None:
        """See Wire."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        with contextlib.suppress(OSError):
            await super().send(self._out.read())


def pieces(data: bytes, sizes: Iterator[int]) -> Iterator[bytes]:
    """`data`, cut into pieces of these sizes."""
    at = 0
    for size in sizes:
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size
