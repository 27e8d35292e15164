"""Bodies that are spliced, for tests: backends that send or take a part and then do something. No tests in here."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from rauta_control.framing import LAST_CHUNK, chunk
from rauta_control.limits import Limits
from rauta_control.messages import Retune
from rauta_control.proxyharness_test import PATIENCE, Client, Handler, Proxy, answer, eventually
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital

SIZE = 24 << 20  # bytes: more than all buffers on the way hold
PART = 4 << 20  # of it, sent at first
_BYTES = (random.Random(5).randbytes(999_983) * 26)[:SIZE]  # noqa: S311 - just bytes, out of step with all buffers
AFTER = b"GET /after HTTP/1.1\r\nHost: h\r\n\r\n"


class Kind(NamedTuple):
    """One way to send a body: heads of a response and of a request, and the SIZE bytes on the wire."""

    head: bytes
    post: bytes
    body: bytes


def _kind(framing: bytes, body: bytes) -> Kind:
    assert len(body) == SIZE
    assert not any(b"\r\n" in body[at - 20 : at + 80] for at in (PART - 1, PART, 2 * PART))  # not near a line
    return Kind(
        b"HTTP/1.1 200 OK\r\nDate: x\r\n%b\r\n\r\n" % framing,
        b"POST / HTTP/1.1\r\nHost: h\r\n%b\r\n\r\n" % framing,
        body,
    )


def _chunks() -> bytes:
    """SIZE bytes in chunks, most of them of usual sizes, some tiny, one large."""
    sizes = (16_384, 65_536, 8_192, 1, 32_768, 99_991, 2)
    wire: list[bytes] = []
    at = 0
    while SIZE - at > 300_000:
        wire.append(chunk(_BYTES[at : at + (3 << 20 if len(wire) == 100 else sizes[len(wire) % len(sizes)])]))
        at += len(wire[-1])
    last = chunk(_BYTES[: SIZE - at - len(b"12345\r\n\r\n" + LAST_CHUNK)])
    return b"".join((*wire, last, LAST_CHUNK))


LENGTH = _kind(b"Content-Length: %d" % SIZE, _BYTES)
CHUNKS = _kind(b"Transfer-Encoding: chunked", _chunks())


class Pipes:
    """What a worker splices by: two descriptors for sockets that have one already, while it splices one body."""

    def __init__(self, proxy: Proxy) -> None:
        self._folder = Path(f"/proc/{proxy.process.pid}/fd")
        self.before = self.count()

    def count(self) -> int:
        """How many there are."""
        sockets = []
        for entry in self._folder.iterdir():
            with suppress(FileNotFoundError):
                sockets += [found for found in (os.readlink(entry),) if found.startswith("socket:")]
        return len(sockets) - len(set(sockets))

    def appear(self) -> None:
        """Wait for a splice."""
        eventually(lambda: self.count() == self.before + 2, "it does not splice")

    def disappear(self) -> None:
        """Wait for its end."""
        eventually(lambda: self.count() == self.before, "descriptors are left")


def downloads(kind: Kind, rest: Callable[[Client], object]) -> Handler:
    """A handler that sends the first PART of a response, then does what `rest` says."""

    def handler(connection: Client, head: bytes) -> object:
        if b"/after" in head:
            return connection.send(answer(b"after"))
        connection.send(kind.head + kind.body[:PART])
        return rest(connection)

    return handler


def uploads(kind: Kind, rest: Callable[[Client], object]) -> Handler:
    """A handler that takes the first PART of a request, then does what `rest` says."""

    def handler(connection: Client, head: bytes) -> object:
        if b"/after" in head:
            return connection.send(answer(b"after"))
        assert connection.body(PART) == kind.body[:PART]
        return rest(connection)

    return handler


def after(event: threading.Event, then: Callable[[Client], object]) -> Callable[[Client], object]:
    """Do what `then` says, but not before the event."""

    def rest(connection: Client) -> object:
        event.wait(PATIENCE)
        return then(connection)

    return rest


def accept(kind: Kind) -> Callable[[Client], object]:
    """Take the rest of a request, and say whether it was right."""
    return lambda connection: connection.send(
        answer(b"right" if connection.body(SIZE - PART) == kind.body[PART:] else b"wrong")
    )


def ended(proxy: Proxy, reason: Reason) -> int:
    """How many requests ended for this reason."""
    return proxy.vital(Vital.REASONS + reason.number)


@contextmanager
def impatient(proxy: Proxy) -> Iterator[None]:
    """Nobody waits for a body for longer than a second or two."""
    limits = Limits(stream_timeout=1, body_timeout=1, write_timeout=1, response_timeout=1)
    proxy.tell(Retune(limits, 1, (), "", "off"))
    yield
    proxy.tell(Retune(Limits(), 1, (), "", "off"))
