"""A client that sends what it is told, and says what came back."""

import contextlib
import re
import socket
import time

from .backend import Backend
from .case import MARK, Case, Seen

PATIENCE = 1.5  # seconds for the first byte of an answer; after that the case counts as "wait"
AFTER = 0.04  # seconds for what may still come after the answers that are wanted
_HEAD = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked\r\n")


def statuses(data: bytes) -> tuple[int, ...]:
    """The final statuses of the complete responses in `data`, and of the last one even if it is not complete."""
    found: list[int] = []
    at = 0
    while head := _HEAD.match(data, at):
        status, at = int(head[1]), head.end()
        if status < 200 and status != 101:
            continue
        found.append(status)
        if _CHUNKED.search(head[0]):
            at = data.find(b"0\r\n\r\n", at) + 5
            if at < 5:
                break
        elif length := _LENGTH.search(head[0]):
            at = min(at + int(length[1]), len(data)) if status not in (204, 304) else at
    return tuple(found)


def run(case: Case, port: int, backend: Backend, *, response: bool) -> Seen:
    """Send a case (or, with `response`, have the backend send it) through the proxy at `port`."""
    backend.begin(case.sent if response else None)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" if response else case.sent
    data, closed = _exchange(port, request, len(case.statuses))
    forwarded, requests = backend.seen()
    return Seen(statuses(data), closed, forwarded, requests, _unharmed(port))


def _exchange(port: int, request: bytes, wanted: int) -> tuple[bytes, bool]:
    """What came back, and whether the proxy closed."""
    data = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):  # it may close before it has read everything
            connection.sendall(request)
        deadline = time.monotonic() + PATIENCE
        try:
            while (left := deadline - time.monotonic()) > 0:
                connection.settimeout(left)
                more = connection.recv(1 << 16)
                if not more:
                    return data, True
                data += more
                if len(statuses(data)) >= wanted:
                    deadline = min(deadline, time.monotonic() + AFTER)
        except TimeoutError:
            pass
        except OSError:
            return data, True
    return data, False


def _unharmed(port: int) -> bool:
    """Whether an ordinary request is answered as ever, by its own answer."""
    data, _ = _exchange(port, b"GET /%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % MARK.encode(), 1)
    return statuses(data) == (200,) and MARK.encode() in data
