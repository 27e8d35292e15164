"""A backend that keeps what it was sent, and answers as the case wants."""

import contextlib
import socket
import threading

import h11

from .case import MARK

_LENGTH = b"\r\nContent-Length"  # an answer without one ends with its connection; after others it goes on
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


class Backend:
    """Listens on a loopback port until closed. One case at a time: `begin`, and then `seen`."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        self._answer: bytes | None = None
        self._bytes: list[bytes] = []
        self._requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def begin(self, answer: bytes | None = None) -> None:
        """Forget what was sent; to what comes now `answer` is sent as it is, None: like a good backend."""
        self._answer, self._bytes, self._requests = answer, [], 0

    def seen(self) -> tuple[bytes, int]:
        """Everything that was sent since `begin`, and the number of requests in it."""
        return b"".join(self._bytes), self._requests

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.settimeout(30)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """What h11 does not take for requests is kept too."""
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 22)
        with connection, contextlib.suppress(OSError, h11.RemoteProtocolError):
            while data := connection.recv(1 << 16):
                self._bytes.append(data)
                parser.receive_data(data)
                while True:
                    event = parser.next_event()
                    if isinstance(event, h11.Request):
                        self._requests += 1
                        marked = event.target.endswith(MARK.encode())
                    elif isinstance(event, h11.EndOfMessage):
                        if not self._reply(connection, marked=marked):
                            return
                        parser = _after(parser)
                    elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                        break

    def _reply(self, connection: socket.socket, *, marked: bool) -> bool:
        """Answer; False if the connection ends with that."""
        if self._answer is None or marked:
            body = MARK.encode() if marked else b"ok"
            connection.sendall(_OK % (len(body), body))
            return True
        connection.sendall(self._answer)
        return _LENGTH in self._answer


def _after(parser: h11.Connection) -> h11.Connection:
    """A parser for what follows a request, whatever that said of the connection."""
    rest, _ = parser.trailing_data
    fresh = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 22)
    if rest:  # h11 takes nothing for the end of the connection
        fresh.receive_data(rest)
    return fresh
