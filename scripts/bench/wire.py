"""A small, strict HTTP/1.1 client side: what the benchmark reads answers with when it must know that they are right.

Not fast and not general: the load itself is made by wrk, or by `openloop`.
"""

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

READ = 256 * 1024
TIMEOUT = 30.0  # seconds without a byte: a proxy that hangs fails its slice
SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,15})(?:;[^\r\n]*)?\r\n")


class WrongAnswerError(Exception):
    """The answer is not one, or not the right one."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and header fields, names in lower case; of repeated fields the last."""

    status: int
    fields: dict[str, str]

    @property
    def chunked(self) -> bool:
        """Whether the body is in chunks."""
        return self.fields.get("transfer-encoding", "").lower() == "chunked"

    @property
    def length(self) -> int:
        """Content-Length; WrongAnswerError if there is none."""
        try:
            return int(self.fields["content-length"])
        except KeyError:
            raise WrongAnswerError(f"an answer {self.status} without length: {self.fields}") from None


def parse_head(text: bytes) -> Head:
    """A response head, or the fields of a request head, without the empty line at its end."""
    first, *rest = text.decode("latin-1").split("\r\n")
    fields = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon:
            raise WrongAnswerError(f"no header field: {line!r}")
        fields[name.lower()] = value.strip()
    if not first.startswith("HTTP/1.1 "):
        return Head(0, fields)
    return Head(int(first[9:12]), fields)


class Chunks:
    """Decodes a chunked body piece by piece; pure. `done` after the last chunk; trailers break it."""

    def __init__(self) -> None:
        """Before the first chunk."""
        self._buffer = b""
        self._left = 0  # bytes of the current chunk that are still to come
        self._close = False  # the CRLF after a chunk is due
        self.done = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The content in `data`, as pieces; a piece never spans two chunks."""
        data = self._buffer + data if self._buffer else data
        at, end = 0, len(data)
        while at < end and not self.done:
            if self._left:
                part = data[at : at + self._left]
                yield part
                at += len(part)
                self._left -= len(part)
                self._close = not self._left
                continue
            if self._close:
                if end - at < 2:
                    break
                if data[at : at + 2] != b"\r\n":
                    raise WrongAnswerError("a chunk is longer than it said")
                at, self._close = at + 2, False
                continue
            line = SIZE_LINE.match(data, at)
            if not line:
                if end - at > 256:
                    raise WrongAnswerError(f"no chunk size: {data[at : at + 40]!r}")
                break
            self._left = int(line[1], 16)
            if not self._left:
                if data[line.end() : line.end() + 2] == b"\r\n":
                    self.done, at = True, line.end() + 2
                elif end - line.end() >= 2:
                    raise WrongAnswerError("trailers")
                break
            at = line.end()
        self._buffer = data[at:]
        if self.done and self._buffer:
            raise WrongAnswerError("bytes after the last chunk")


class Client:
    """One connection, one request at a time, blocking."""

    def __init__(self, port: int, *, timeout: float = TIMEOUT, secure: bool = False) -> None:
        """Connects to loopback; `secure` is with TLS, whatever the certificate."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            self.socket = ssl._create_unverified_context().wrap_socket(self.socket)  # noqa: S323, SLF001 - loopback
        self.rest = b""  # read beyond the last head

    def send(self, data: bytes) -> None:
        """All of it."""
        self.socket.sendall(data)

    def _more(self) -> bytes:
        data = self.socket.recv(READ)
        if not data:
            raise WrongAnswerError("the connection was closed within an answer")
        return data

    def head(self) -> Head:
        """The next response head."""
        while (end := self.rest.find(b"\r\n\r\n")) < 0:
            self.rest += self._more()
        head = parse_head(self.rest[:end])
        self.rest = self.rest[end + 4 :]
        return head

    def body(self, head: Head) -> Iterator[bytes]:
        """The body that belongs to the head, in pieces as they arrive."""
        data, self.rest = self.rest, b""
        if head.chunked:
            chunks = Chunks()
            while not chunks.done:
                yield from chunks.feed(data)
                data = b"" if chunks.done else self._more()
            return
        left = head.length
        while left:
            data = data or self._more()
            if len(data) > left:
                raise WrongAnswerError("more bytes than the answer's length")
            yield data
            left -= len(data)
            data = b""

    def exchange(self, request: bytes) -> tuple[Head, bytes]:
        """Send a whole request, return the whole answer."""
        self.send(request)
        head = self.head()
        return head, b"".join(self.body(head))

    def close(self) -> None:
        """Close; no matter what is in flight."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
