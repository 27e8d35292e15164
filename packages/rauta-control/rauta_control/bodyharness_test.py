"""Bodies that are spliced, for tests: backends that send or take a part and then do something. No tests in here."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rauta_control.limits import Limits
from rauta_control.messages import Retune
from rauta_control.proxyharness_test import PATIENCE, Client, Handler, Proxy, answer, eventually
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital

SIZE = 24 << 20  # bytes: more than all buffers on the way hold
PART = 4 << 20  # of it, sent at first
BODY = (random.Random(5).randbytes(999_983) * 26)[:SIZE]  # noqa: S311 - just bytes, out of step with all buffers
HEAD = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: %d\r\n\r\n" % SIZE
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % SIZE
AFTER = b"GET /after HTTP/1.1\r\nHost: h\r\n\r\n"


class Pipes:
    """The pipes of a worker: two ends more than `before` while it splices one body."""

    def __init__(self, proxy: Proxy) -> None:
        self._folder = Path(f"/proc/{proxy.process.pid}/fd")
        self.before = self.count()

    def count(self) -> int:
        """How many ends there are."""
        found = 0
        for entry in self._folder.iterdir():
            with suppress(FileNotFoundError):
                found += os.readlink(entry).startswith("pipe:")
        return found

    def appear(self) -> None:
        """Wait for a splice."""
        eventually(lambda: self.count() == self.before + 2, "it does not splice")

    def disappear(self) -> None:
        """Wait for its end."""
        eventually(lambda: self.count() == self.before, "descriptors are left")


def downloads(rest: Callable[[Client], object]) -> Handler:
    """A handler that sends the first PART of a response, then does what `rest` says."""

    def handler(connection: Client, head: bytes) -> object:
        if b"/after" in head:
            return connection.send(answer(b"after"))
        connection.send(HEAD + BODY[:PART])
        return rest(connection)

    return handler


def uploads(rest: Callable[[Client], object]) -> Handler:
    """A handler that takes the first PART of a request, then does what `rest` says."""

    def handler(connection: Client, head: bytes) -> object:
        if b"/after" in head:
            return connection.send(answer(b"after"))
        assert connection.body(PART) == BODY[:PART]
        return rest(connection)

    return handler


def after(event: threading.Event, then: Callable[[Client], object]) -> Callable[[Client], object]:
    """Do what `then` says, but not before the event."""

    def rest(connection: Client) -> object:
        event.wait(PATIENCE)
        return then(connection)

    return rest


def accept(connection: Client) -> None:
    """Take the rest of a request, and say whether it was right."""
    connection.send(answer(b"right" if connection.body(SIZE - PART) == BODY[PART:] else b"wrong"))


def ended(proxy: Proxy, reason: Reason) -> int:
    """How many requests ended for this reason."""
    return proxy.vital(Vital.REASONS + reason.number)


@contextmanager
def impatient(proxy: Proxy) -> Iterator[None]:
    """Nobody waits for a body for longer than a second or two."""
    limits = Limits(stream_timeout=1, body_timeout=1, write_timeout=1, response_timeout=1)
    proxy.tell(Retune(limits, 1, (), ""))
    yield
    proxy.tell(Retune(Limits(), 1, (), ""))
