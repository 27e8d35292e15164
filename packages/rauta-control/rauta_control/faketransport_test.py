"""Transports, sockets and a loop that behave like uvloop's, for fakewire_test: time stands still. No tests in here.

Transports are strict: to write where uvloop would raise, to write after close, or to pause twice in a row is an error.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest

from rauta_control import rawsocket

HIGH_WATER = 65_536  # as uvloop's: paused above, resumed when empty
READ = 256_000  # bytes uvloop reads at most


class End(asyncio.Transport):
    """A transport, and the peer at its other end.

    `patient` peers take everything at once; others leave it in `buffer` until `take`.
    """

    def __init__(self, loop: FakeLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.loop = loop
        self.protocol = protocol
        self.port = 0  # of a backend
        self.patient = True
        self.high_water = HIGH_WATER
        self.buffer = bytearray()  # written, not taken by the peer yet
        self.peak = 0  # the most that `buffer` ever held
        self.received = bytearray()  # taken by the peer
        self.inbox: deque[bytes | None] = deque()  # said by the peer and not read yet; None: end
        self.reading = True
        self.blocked = False
        self.eof = False  # by us
        self.closed_by_us = False
        self.closing = False
        self.lost = False
        self.reset = False
        self.last_words: list[bytes] = []  # still to be read when the connection has broken

    # -- asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.writelines((data,))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        if self.lost:
            raise RuntimeError("the handler is closed")
        if self.eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        assert not self.closed_by_us, "written after close"
        if self.closing:
            return
        for data in list_of_data:
            self.buffer += data
        if self.patient:
            self._take(len(self.buffer))
        self.peak = max(self.peak, len(self.buffer))
        if len(self.buffer) > self.high_water and not self.blocked:
            self.blocked = True
            self.protocol.pause_writing()

    def write_eof(self) -> None:
        assert not self.lost
        self.eof = True

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        if not self.closing:
            assert self.reading, "paused twice"
            self.reading = False

    def resume_reading(self) -> None:
        if not self.closing:
            assert not self.reading, "resumed twice"
            self.reading = True
            self.loop.call_soon(self._deliver)

    def is_reading(self) -> bool:
        return self.reading

    def close(self) -> None:
        if not self.closing:
            self.closing = self.closed_by_us = True
            if not self.buffer:
                self.loop.call_soon(self._lose, None)

    def abort(self) -> None:
        if not self.lost and not (self.closing and not self.buffer):
            self.closing = self.closed_by_us = True
            self.buffer.clear()
            self.loop.call_soon(self._lose, None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast("asyncio.Protocol", protocol)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high_water = high or HIGH_WATER

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    # -- the peer

    def say(self, *data: bytes) -> None:
        """Send each of `data` so that it is one read (of at most READ bytes)."""
        for piece in data:
            self.inbox.extend(piece[at : at + READ] for at in range(0, len(piece), READ))
        self.loop.settle()
        self.loop.call_soon(self._deliver)
        self.loop.settle()

    def half_close(self) -> None:
        """End what this side says."""
        self.inbox.append(None)
        self.loop.call_soon(self._deliver)
        self.loop.settle()

    def break_off(self, *last_words: bytes) -> None:
        """Reset the connection; `last_words` arrived before and can be read from the socket."""
        self.last_words += last_words
        if not self.closing:
            self.closing = True
            self.buffer.clear()
            self.loop.call_soon(self._lose, ConnectionResetError("reset"))
        self.loop.settle()

    def take(self, count: int = 1 << 40) -> None:
        """Take up to `count` bytes of what waits, and from now on only when told."""
        self.patient = False
        self._take(count)
        if self.blocked and not self.buffer and not self.closing:
            self.blocked = False
            self.protocol.resume_writing()
        elif self.closing and not self.buffer and not self.lost:
            self.loop.call_soon(self._lose, None)
        self.loop.settle()

    def take_all(self) -> None:
        """Take everything, until nothing more comes, and from now on at once."""
        while self.buffer:
            self.take()
        self.patient = True

    def heard(self) -> bytes:
        """Return what was taken since the last call."""
        data = bytes(self.received)
        self.received.clear()
        return data

    @property
    def open(self) -> bool:
        """Neither side has begun to close."""
        return not self.closing

    @property
    def ended(self) -> bool:
        """The peer has read the end: all was taken, and the connection closed, or this direction of it."""
        return (self.lost or self.eof) and not self.buffer and not self.reset

    def _take(self, count: int) -> None:
        self.received += self.buffer[:count]
        del self.buffer[:count]

    def _deliver(self) -> None:
        if self.inbox and self.reading and not self.closing:
            data = self.inbox.popleft()
            if data is not None:
                self.protocol.data_received(data)
                self.loop.call_soon(self._deliver)
            elif not self.protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.protocol.connection_lost(error)
            self.protocol = asyncio.Protocol()  # as uvloop does: a cycle would keep what was retired
            self.lost = True


class FakeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still and whose connections are Ends."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__()
        self.backends: list[End] = []
        self.refuse: Exception | None = None  # raised by attempts to connect
        self.connecting: list[asyncio.Future[None]] = []
        self.hang = False  # connections are made when told: `connecting`
        self.errors: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Run until nothing is left to do now; nothing if it runs already."""
        while not self.is_running():
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:  # type: ignore[attr-defined]
                break

    async def create_connection(self, protocol_factory: Callable[[], Any], *address: Any, **_: Any) -> Any:
        if self.hang:
            self.connecting.append(self.create_future())
            await self.connecting[-1]
        if self.refuse is not None:
            raise self.refuse
        protocol = protocol_factory()
        end = End(self, protocol)
        end.port = address[1]
        self.backends.append(end)
        protocol.connection_made(end)
        return end, protocol

    async def connect_accepted_socket(self, protocol_factory: Callable[[], Any], sock: Any, **_: Any) -> Any:
        if isinstance(sock, FakeSocket) and sock.error is not None:
            raise sock.error
        protocol = protocol_factory()
        end = End(self, protocol)
        sock.end = end
        protocol.connection_made(end)
        return end, protocol


class FakeSocket:
    """What the accept loop hands over."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.end: End | None = None
        self.closed = False
        self.sent = b""

    def close(self) -> None:
        self.closed = True

    def setblocking(self, blocking: bool) -> None:
        assert not blocking

    def send(self, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        self.sent += data
        return len(data)

    def recv(self, _: int) -> bytes:
        raise BlockingIOError

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def patch_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have rawsocket look at Ends."""

    def read(transport: asyncio.Transport) -> bytes:
        words = _end(transport).last_words
        return words.pop(0) if words else b""

    def discard(transport: asyncio.Transport) -> None:
        _end(transport).reset = True

    def reset(transport: asyncio.Transport) -> None:
        discard(transport)
        transport.abort()

    monkeypatch.setattr(rawsocket, "unsent", lambda transport: len(_end(transport).buffer))
    monkeypatch.setattr(rawsocket, "unread", lambda transport: sum(map(len, filter(None, _end(transport).inbox))))
    monkeypatch.setattr(rawsocket, "read", read)
    monkeypatch.setattr(rawsocket, "discard", discard)
    monkeypatch.setattr(rawsocket, "reset", reset)


def _end(transport: asyncio.Transport) -> End:
    """What is the socket of this one: with TLS it is beneath it."""
    return cast("End", getattr(transport, "_socket", transport))
