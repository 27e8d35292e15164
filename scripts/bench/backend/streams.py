"""The backend in Python: large bodies both ways, event streams, and small answers where there is no nginx. One
blocking thread a connection.

`python -m scripts.bench.backend.streams PORT`. Paths: `/py/down/BYTES`, `/py/chunked/BYTES` (GET), `/py/up` (POST,
either framing; answers what it counted and whether every byte was right), `/py/events/RATE` (server-sent events, RATE
a second, until the client goes). Everything else gets a small answer of the same shape as that of `web`.
"""

import contextlib
import json
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator

from ..pattern import Check, frame, framed, pieces
from ..wire import READ, Chunks, Head, WrongAnswerError, parse_head

EVENT_PAD = "x" * 60


class Request:
    """One request on a connection: target and head are read, the body is not yet."""

    def __init__(self, line: str, head: Head, rest: bytes, peer: socket.socket) -> None:
        """`rest` is what was read beyond the head."""
        self.target = line.split(" ")[1]
        self.head = head
        self._rest = rest
        self._peer = peer

    def body(self) -> Iterator[bytes]:
        """The body in pieces, both framings; nothing if there is none."""
        data = self._rest
        if self.head.chunked:
            chunks = Chunks()
            while not chunks.done:
                yield from chunks.feed(data)
                data = b"" if chunks.done else self._more()
            return
        left = int(self.head.fields.get("content-length", 0))
        while left:
            data = data or self._more()
            yield data[:left]
            left -= len(data)
            data = b""

    def _more(self) -> bytes:
        data = self._peer.recv(READ)
        if not data:
            raise WrongAnswerError("closed within a body")
        return data


def head(*fields: str, status: str = "200 OK") -> bytes:
    """A response head."""
    return "\r\n".join([f"HTTP/1.1 {status}", "Server: streams", "Cache-Control: no-store", *fields, "", ""]).encode()


def small(request: Request, port: int) -> bytes:
    """An answer like those of `web`."""
    for _ in request.body():
        pass
    unique = secrets.token_hex(16)
    text = json.dumps({"id": unique, "port": port, "pad": "x" * secrets.choice((120, 260, 520, 1900))}).encode()
    sent = request.head.fields
    seen = {
        "X-Seen-For": sent.get("x-forwarded-for"),
        "X-Seen-Proto": sent.get("x-forwarded-proto"),
        "X-Seen-Id": sent.get("x-request-id"),
        "X-Seen-Target": request.target,
    }
    extra = [f"{name}: {value}" for name, value in seen.items() if value and "x-probe" in sent]
    return head("Content-Type: application/json", f'ETag: "{unique}"', *extra, f"Content-Length: {len(text)}") + text


def swallowed(request: Request) -> bytes:
    """Read the body, say what it was."""
    check = Check()
    for piece in request.body():
        check.feed(piece)
    text = json.dumps({"bytes": check.position, "exact": check.exact}).encode()
    return head("Content-Type: application/json", f"Content-Length: {len(text)}") + text


def events(rate: float) -> Iterator[bytes]:
    """Events for ever, each with its number and the clock at which it was sent."""
    yield head("Content-Type: text/event-stream", "X-Accel-Buffering: no", "Transfer-Encoding: chunked")
    start = time.monotonic()
    number = 0
    while True:
        yield frame(f'data: {{"n":{number},"t":{time.monotonic_ns()},"pad":"{EVENT_PAD}"}}\n\n'.encode())
        number += 1
        time.sleep(max(0.0, start + number / rate - time.monotonic()))


def answer(request: Request, port: int) -> Iterator[bytes]:
    """The bytes of the answer, as they are made."""
    match request.target.strip("/").split("/"):
        case ["py", "down", total]:
            yield head("Content-Type: application/octet-stream", f"Content-Length: {total}")
            yield from pieces(int(total))
        case ["py", "chunked", total]:
            yield head("Content-Type: application/octet-stream", "Transfer-Encoding: chunked")
            yield from framed(int(total))
        case ["py", "up"]:
            yield swallowed(request)
        case ["py", "events", rate]:
            yield from events(float(rate))
        case _:
            yield small(request, port)


def serve(peer: socket.socket, port: int) -> None:
    """Requests of one connection, until it ends."""
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = b""
    with peer, contextlib.suppress(ConnectionError, WrongAnswerError):
        while True:
            while (end := buffer.find(b"\r\n\r\n")) < 0:
                if not (data := peer.recv(READ)):
                    return
                buffer += data
            line = buffer[: buffer.index(b"\r\n")].decode()
            request = Request(line, parse_head(buffer[:end]), buffer[end + 4 :], peer)
            buffer = b""  # nobody here pipelines
            for data in answer(request, port):
                peer.sendall(data)


def main() -> None:
    """Listen on the given port until killed."""
    port = int(sys.argv[1])
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=serve, args=(peer, port), daemon=True).start()


if __name__ == "__main__":
    main()
