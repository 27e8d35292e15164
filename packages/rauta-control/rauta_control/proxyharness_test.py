"""A real worker process between scripted raw-socket backends and clients, on loopback. No tests in here.

    with Proxy() as proxy, Backend(handler) as backend: ...

The test plays the supervisor (`proxy.channel`) and control (`proxy.link`). Ports are the kernel's choice, every wait is
on a condition with a deadline, and every socket has a timeout, so that a bug is a failure and not a hang.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias

import msgspec

from rauta_common import maglev
from rauta_control import channel, ir, snapshotfd, state
from rauta_control.controllink_test import Link
from rauta_control.messages import ControlLink, FromWorker, Publish, ToWorker
from rauta_control.parts import split
from rauta_control.sharedmem import SharedWords, Vital, worker_base

PATIENCE = 30.0  # seconds for anything that should take milliseconds: the machine may be busy
ROOM = 16 << 20  # bytes by which a worker may grow over a transfer of any size
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"

_CHILD = """
import json, socket, sys
from rauta_control import worker
from rauta_control.settings import Settings
from rauta_control.inherit import Inherited
from rauta_control.limits import Limits
from rauta_control.sharedmem import SharedWords
given = json.loads(sys.argv[1])
settings = Settings(access_log=given["log"], limits=Limits(**given["limits"]))
sys.exit(worker.run(Inherited(
    role="worker", index=0, settings=settings, words=SharedWords(given["words"]),
    channel=socket.socket(fileno=given["channel"]),
    listeners={name: socket.socket(fileno=fd) for name, fd in given["listeners"].items()},
    bound=(), admin=(), probe=(), snapshot=given["snapshot"], since=tuple(given["since"]), workers=(),
    link=socket.socket(fileno=given["link"]) if given["link"] is not None else None, started=0.0)))
"""


def cluster(name: str, *ports: int) -> ir.Cluster:
    """A cluster of endpoints on loopback; the slot of an endpoint is its port modulo 1000."""
    endpoints = tuple(ir.Endpoint("127.0.0.1", port, 1, port % 1000, 1) for port in ports)
    names = [endpoint.name for endpoint in endpoints]
    return ir.Cluster(name, endpoints, maglev.build(names, [1] * len(names), 1021) if names else b"")


def site(*ports: int, dead: int = 0) -> list[ir.Resource]:
    """One listener for any host: everything goes to the backends at `ports`, `/dead` where nobody can listen."""
    return [
        ir.Listener("l", "127.0.0.1", 0, 80),
        ir.VirtualHost("l", "*"),
        cluster("c", *ports),
        cluster("dead", dead),
        ir.Rule("r", "app", "l|*", "/", "prefix", (ir.ClusterWeight("c"),), slot=0, epoch=1),
        ir.Rule("dead", "dead", "l|*", "/dead", "prefix", (ir.ClusterWeight("dead"),), slot=1, epoch=1),
    ]


def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what or "it never happened"
        time.sleep(0.005)


class Client:
    """A client's connection, as raw as it gets."""

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        self.sock = socket.socket()
        self.sock.settimeout(PATIENCE)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect(("127.0.0.1", port))
        self.data = b""  # received and not given out yet

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> Client:
        """Send all of it."""
        self.sock.sendall(data)
        return self

    def head(self) -> bytes:
        """Return the next response head, its blank line included; what there is if the connection ends before."""
        while b"\r\n\r\n" not in self.data and self._more():
            pass
        head, line, self.data = self.data.partition(b"\r\n\r\n")
        return head + line

    def body(self, count: int) -> bytes:
        """Return `count` bytes; fewer if the connection ends before."""
        while len(self.data) < count and self._more():
            pass
        body, self.data = self.data[:count], self.data[count:]
        return body

    def response(self) -> tuple[int, bytes]:
        """Return status and body of a response that has a Content-Length."""
        head = self.head()
        assert head, "no response"
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        return int(head[9:12]), self.body(int(fields[b"content-length"]))

    def rest(self) -> bytes:
        """Return everything up to the end of the connection."""
        while self._more():
            pass
        rest, self.data = self.data, b""
        return rest

    def get(self, path: str = "/") -> tuple[int, bytes]:
        """Ask for `path` and return status and body."""
        return self.send(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode()).response()

    def _more(self) -> bool:
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            return False
        self.data += data
        return bool(data)


class Backend:
    """A server that runs `handler(connection, request head)` in a thread for each request, until it returns False."""

    def __init__(self, handler: Callable[[Client, bytes], object]) -> None:
        self.handler = handler
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self.listening.getsockname()[1]
        self.heads: list[bytes] = []  # of requests, in the order they came
        self.stray: list[bytes] = []  # what came and was no whole head
        self.connections = 0
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for sock in list(self._socks):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                return
            self.connections += 1
            self._socks.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        connection = Client.__new__(Client)
        connection.sock, connection.data = sock, b""
        sock.settimeout(PATIENCE)
        with sock:
            try:
                while (head := connection.head()).endswith(b"\r\n\r\n"):
                    self.heads.append(head)
                    if self.handler(connection, head) is False:
                        break
                else:
                    if head:
                        self.stray.append(head)
            except OSError:
                pass


def answer(body: bytes = b"ok", *fields: str) -> bytes:
    """A response of 200."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def read_body(connection: Client, head: bytes) -> bytes:
    """Return the body of a request, its chunks joined."""
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        body = b""
        while size := int(line(connection), 16):
            body += connection.body(size)
            assert connection.body(2) == b"\r\n"
        assert line(connection) == b""
        return body
    if b"content-length: " in lowered:
        return connection.body(int(lowered.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    return b""


def line(connection: Client) -> bytes:
    """Return the next line without its end."""
    text = b""
    while not text.endswith(b"\r\n"):
        byte = connection.body(1)
        assert byte, "the connection ended"
        text += byte
    return text[:-2]


def echo(connection: Client, head: bytes) -> None:
    """A handler: answer with the target and the length of the body."""
    body = read_body(connection, head)
    connection.send(answer(b"%b %d" % (head.split(b" ")[1], len(body))))


def reset(connection: Client) -> None:
    """Close so that the peer gets a reset."""
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.sock.close()


class Proxy:
    """A worker process. `resources` is its first configuration, in a snapshot; None: it waits for control."""

    def __init__(
        self,
        resources: Iterable[ir.Resource] | None,
        *,
        log: str = "off",
        linked: bool = True,
        descriptors: int | None = None,
        stdout: Any = None,
        listener: str = "l",
        limits: dict[str, float] | None = None,
    ) -> None:
        self.words = SharedWords.create()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port: int = self.listening.getsockname()[1]
        self.state = state.EMPTY
        self.channel, child_channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(PATIENCE)
        self.link, child_link = Link.pair(PATIENCE)
        snapshot = None
        if resources is not None:
            self.state = encoded(1, resources)
            snapshot = snapshotfd.create("test", b"".join(split(state.diff(state.EMPTY, self.state))))
        given = {
            "log": log,
            "limits": limits or {},
            "words": self.words.fd,
            "channel": child_channel.fileno(),
            "listeners": {listener: self.listening.fileno()},
            "snapshot": snapshot,
            "since": [],
            "link": child_link.fileno() if linked else None,
        }
        fds = [self.words.fd, child_channel.fileno(), self.listening.fileno(), child_link.fileno()]
        command = [sys.executable, "-c", _CHILD, json.dumps(given)]
        if descriptors is not None:
            command = ["/bin/sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
        self.process = subprocess.Popen(
            command,
            pass_fds=fds if snapshot is None else [*fds, snapshot],
            stdout=stdout,
            stderr=self._stderr,
            env={**os.environ, "PYTHONWARNINGS": "error", "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        child_channel.close()
        child_link.close()
        if snapshot is not None:
            os.close(snapshot)
        if resources is not None:
            eventually(lambda: self.vital(Vital.GENERATION) == 2, "the worker did not start")

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.listening.close()
        self.channel.close()
        self.link.sock.close()
        self.words.close()
        self._stderr.seek(0)
        complaints = self._stderr.read().decode()
        self._stderr.close()
        print(complaints)  # noqa: T201 - pytest shows it if the test failed
        assert error is not None or "Traceback" not in complaints, complaints

    def vital(self, vital: int) -> int:
        """Return a word of the worker about itself, at most 100 ms old."""
        return self.words.words[worker_base(0) + vital]

    def client(self, **options: Any) -> Client:
        """Connect."""
        return Client(self.port, **options)

    def tell(self, message: ToWorker, *fds: int) -> None:
        """Say something as the supervisor."""
        socket.send_fds(self.channel, [channel.encode(message, fds)], list(fds))

    def relink(self) -> None:
        """Give the worker a new link to control."""
        self.link.sock.close()
        self.link, child = Link.pair(PATIENCE)
        self.tell(ControlLink(), child.fileno())
        child.close()

    def publish(self, resources: Iterable[ir.Resource], *, digest: int | None = None, full: bool = False) -> FromWorker:
        """Publish `resources` as control does, and return what the worker says to that."""
        new = encoded(self.state.generation + 1, resources)
        publish = state.diff(state.EMPTY if full else self.state, new)
        if digest is not None:
            publish = Publish(**{**msgspec.structs.asdict(publish), "digest": digest})
        else:
            self.state = new
        self.link.send(msgspec.msgpack.encode(publish))
        return self.link.receive()

    def memory(self) -> int:
        """Return the resident bytes of the worker."""
        for entry in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if entry.startswith("VmRSS:"):
                return int(entry.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def exit_code(self) -> int:
        """Wait for the worker to end."""
        return self.process.wait(PATIENCE)


def encoded(generation: int, resources: Iterable[ir.Resource]) -> state.State:
    """Return these resources as a state."""
    return state.EMPTY.change(generation, {resource.key: state.encode(resource) for resource in resources})


class Shared(NamedTuple):
    """A worker that the tests of a file use one after the other, and its echo backend."""

    proxy: Proxy
    backend: Backend


Handler: TypeAlias = Callable[[Client, bytes], object]
"""What a backend does with a connection and the head of a request that has come on it."""
Put: TypeAlias = Callable[[Handler], Backend]
