"""Conversations of real clients with a TLS listener of a real worker: OpenSSL's, curl, and tunnels."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rauta_control.pki_test import authority_pem, pair
from rauta_control.proxyharness_test import PATIENCE, ROOM, Backend, Client, Proxy, answer, echo, eventually, read_body
from rauta_control.reasons import HandshakeFailure, Reason
from rauta_control.sharedmem import Vital
from rauta_control.tlsharness_test import MIB, SecureClient, Site, context, say_all, serving, shake

SITE = Site("a.example", (pair("a.example"),))
GET = b"GET /%d HTTP/1.1\r\nHost: a.example\r\n\r\n"
ASK = (
    b"GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
)
AGREE = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n"
)

openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
curl = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")


class Terminal:
    """`openssl s_client`, which obeys commands of one letter."""

    def __init__(self, port: int, *options: str) -> None:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "a.example", *options]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        self.seen = b""

    def say(self, data: bytes) -> None:
        """Type it."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def await_text(self, text: bytes) -> None:
        """Read until there is `text`."""
        assert self.process.stdout is not None
        while text not in self.seen:
            data = self.process.stdout.read(65_536)
            assert data, f"{text!r} is not in {self.seen!r}"
            self.seen += data
        self.seen = self.seen.partition(text)[2]


@contextmanager
def terminal(proxy: Proxy, *options: str) -> Iterator[Terminal]:
    """One that is killed at the end, at the latest after PATIENCE."""
    made = Terminal(proxy.port, *options)
    watchdog = threading.Timer(PATIENCE, made.process.kill)
    watchdog.start()
    try:
        yield made
    finally:
        watchdog.cancel()
        made.process.kill()
        made.process.communicate()


@openssl
def test_keys_are_renewed_when_the_client_wants_that() -> None:
    with serving(SITE) as proxy, terminal(proxy, "-tls1_3") as client:
        client.await_text(b"Verify return code")
        for number, update in enumerate((b"K\n", b"k\n", b"K\n")):
            client.say(GET % number)
            client.await_text(b"/%d 0" % number)
            client.say(update)
            client.await_text(b"KEYUPDATE")
        client.say(GET % 9)
        client.await_text(b"/9 0")


@openssl
def test_a_version_that_is_too_old_is_answered_with_an_alert() -> None:
    with serving(SITE) as proxy:
        with terminal(proxy, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0") as client:
            client.await_text(b"alert protocol version")
        eventually(lambda: proxy.vital(Vital.TLS_FAILURES + HandshakeFailure.PROTOCOL.number) == 1)
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


@openssl
def test_nobody_renegotiates() -> None:
    with serving(SITE) as proxy:
        with terminal(proxy, "-tls1_2") as client:
            client.await_text(b"Verify return code")
            client.say(GET % 1)
            client.await_text(b"/1 0")
            client.say(b"R\n")
            client.await_text(b"no renegotiation")
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)
        with SecureClient(proxy.port, "a.example") as other:
            assert other.ask("a.example")[0] == 200


@curl
def test_curl(tmp_path: Path) -> None:
    body = bytes(range(256)) * 4096
    (tmp_path / "ca").write_bytes(authority_pem())
    (tmp_path / "body").write_bytes(body)

    def handler(connection: Client, head: bytes) -> None:
        if head.startswith(b"POST"):
            connection.send(answer(hashlib.sha256(read_body(connection, head)).hexdigest().encode()))
        else:
            connection.send(answer(body))

    with serving(SITE, backend=Backend(handler)) as proxy:
        url = f"https://a.example:{proxy.port}/"
        common = ["curl", "-sS", "--fail", f"-m{PATIENCE:.0f}", "--cacert", str(tmp_path / "ca")]
        common += ["--resolve", f"a.example:{proxy.port}:127.0.0.1"]
        for version in ("--tlsv1.2", "--tlsv1.3"):
            fetched = subprocess.run([*common, version, url, url], capture_output=True, check=True).stdout
            assert fetched == 2 * body
            posting = [*common, version, "--data-binary", f"@{tmp_path}/body", url]
            assert subprocess.run(posting, capture_output=True, check=True).stdout.decode() == _digest(body)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_request_in_the_same_packet_as_the_end_of_the_handshake(version: ssl.TLSVersion) -> None:
    with serving(SITE) as proxy, proxy.client() as client:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context(version=version).wrap_bio(into, out, server_hostname="a.example")
        shake(client, tls, into, out)
        for number in range(2):
            tls.write(GET % number)
        client.send(out.read())
        got = b""
        while b"/1 0" not in got:
            try:
                got += tls.read()
            except ssl.SSLWantReadError:
                into.write(client.sock.recv(65_536))
        assert got.count(b"HTTP/1.1 200 ") == 2


def test_a_tunnel() -> None:
    size = 16 * MIB

    def handler(connection: Client, head: bytes) -> bool:
        connection.send(AGREE)
        left = size
        while left:
            data = connection.data or connection.sock.recv(MIB)
            connection.data = b""
            connection.send(data)
            left -= len(data)
        return False

    with serving(SITE, backend=Backend(handler)) as proxy, SecureClient(proxy.port, "a.example") as client:
        client.send(ASK)
        assert client.head().startswith(b"HTTP/1.1 101 ")
        before = proxy.memory()
        block = bytes(range(256)) * 256
        for _ in range(size // len(block)):
            client.send(block)
            assert client.body(len(block)) == block
        assert client.rest() == b""
        assert proxy.memory() - before < ROOM
        client.sock.close()
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_leaves_a_tunnel_is_missed_by_the_backend(version: ssl.TLSVersion) -> None:
    ended = threading.Event()

    def handler(connection: Client, head: bytes) -> bool:
        connection.send(AGREE)
        if connection.rest() == b"":
            ended.set()
        return False

    with serving(SITE, backend=Backend(handler)) as proxy:
        with SecureClient(proxy.port, "a.example", context(version=version)) as client:
            client.send(ASK)
            assert client.head().startswith(b"HTTP/1.1 101 ")
            client.tls.unwrap()
            assert ended.wait(PATIENCE)
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


def test_a_client_of_a_tunnel_may_say_that_it_is_done_and_listen() -> None:
    def handler(connection: Client, head: bytes) -> bool:
        connection.send(AGREE)
        assert connection.rest() == b"all"
        connection.send(b"and this is the answer")
        return False

    with serving(SITE, backend=Backend(handler)) as proxy:
        with SecureClient(proxy.port, "a.example") as client:
            client.send(ASK)
            assert client.head().startswith(b"HTTP/1.1 101 ")
            client.send(b"all")
            say_all(client.tls)
            assert client.rest() == b"and this is the answer"
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


def test_a_client_that_takes_nothing_is_given_up() -> None:
    with serving(SITE, backend=Backend(lambda connection, head: connection.send(answer(bytes(16 * MIB))))) as proxy:
        with SecureClient(proxy.port, "a.example") as client:
            client.send(GET % 1)
            client.head()
            client.sock.shutdown(2)
        eventually(lambda: proxy.vital(Vital.REASONS + Reason.CLIENT_CLOSED.number) == 1)
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


def test_many_at_once() -> None:
    wrong: list[BaseException] = []

    def talk(port: int) -> None:
        try:
            with SecureClient(port, "a.example") as client:
                for number in range(50):
                    assert client.ask("a.example", f"/{number}") == (200, b"/%d 0" % number)
        except BaseException as error:  # noqa: BLE001 - reported by the test
            wrong.append(error)

    with serving(SITE, backend=Backend(echo)) as proxy:
        threads = [threading.Thread(target=talk, args=(proxy.port,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert not wrong
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)
