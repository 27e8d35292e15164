"""TLS listeners through a real worker process: certificates by name, client certificates, rotation, and the ends."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rauta_control.clienthello_test import hello
from rauta_control.messages import Ack, Drain, Hello
from rauta_control.pki_test import BARE, authority_pem, pair
from rauta_control.proxyharness_test import PATIENCE, Backend, Client, Proxy, answer, echo, eventually, read_body
from rauta_control.reasons import HandshakeFailure, Reason
from rauta_control.sharedmem import Vital
from rauta_control.tlsharness_test import (
    MIB,
    V12,
    V13,
    SecureClient,
    Site,
    context,
    failures,
    resources,
    serving,
    shake,
)


def test_a_request_over_tls() -> None:
    seen: list[bytes] = []

    def handler(connection: Client, head: bytes) -> None:
        seen.append(head)
        echo(connection, head)

    with serving(Site("*", (pair("a.example"),)), backend=Backend(handler)) as proxy:
        with SecureClient(proxy.port, "a.example") as client:
            assert client.tls.selected_alpn_protocol() == "http/1.1"
            assert client.ask("a.example", "/x") == (200, b"/x 0")
            assert client.ask("a.example", "https://a.example/y") == (200, b"/y 0")
            status, _ = client.ask("a.example", "http://a.example/y")
            assert status == 400
        assert b"\r\nX-Forwarded-Proto: https\r\n" in seen[0]
        eventually(lambda: proxy.vital(Vital.TLS_HANDSHAKES) == 1)
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


def test_the_certificate_is_that_of_the_most_specific_name() -> None:
    sites = [
        Site("a.example", (pair("a.example"),)),
        Site("*.shop.example", (pair("*.shop.example"),)),
        Site("*", (pair("b.test"),)),
    ]
    with serving(*sites) as proxy:
        for name, site in (("a.example", 0), ("A.Example", 0), ("c.shop.example", 1), ("b.test", 2), (None, 2)):
            with SecureClient(proxy.port, name) as client:
                assert client.serial == sites[site].pairs[0].serial


def test_the_certificate_is_one_for_the_name_and_the_client() -> None:
    """Within one listener: the first of each kind of key that is for the name."""
    one, other, rsa = pair("one.example"), pair("other.example", "*.deep.example"), pair("one.example", key_type="RSA")
    with serving(Site("*.example", (one, other, rsa))) as proxy:
        for name, ciphers, expected in (
            ("one.example", "ECDHE-ECDSA-AES128-GCM-SHA256", one),
            ("one.example", "ECDHE-RSA-AES128-GCM-SHA256", rsa),
            ("other.example", "ECDHE-ECDSA-AES128-GCM-SHA256", other),
            ("x.deep.example", "ECDHE-ECDSA-AES128-GCM-SHA256", other),
        ):
            with SecureClient(proxy.port, name, context(ciphers=ciphers, version=ssl.TLSVersion.TLSv1_2)) as client:
                assert client.serial == expected.serial
        with SecureClient(proxy.port, "one.example", context(version=ssl.TLSVersion.TLSv1_3)) as client:
            assert client.serial == one.serial
        both = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"  # who would rather have RSA, as GnuTLS would
        with SecureClient(proxy.port, "other.example", context(ciphers=both, version=ssl.TLSVersion.TLSv1_2)) as client:
            assert client.serial == other.serial


def test_a_name_that_nobody_serves_is_closed_without_an_alert() -> None:
    with serving(Site("a.example", (pair("a.example"),))) as proxy:
        for name in ("b.example", None):
            with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
                SecureClient(proxy.port, name)
        eventually(lambda: failures(proxy, HandshakeFailure.UNKNOWN_NAME) == 2)
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


def test_old_versions_and_weak_ciphers_fail() -> None:
    with serving(Site("*", (pair("a.example", key_type="RSA"),))) as proxy:
        for given in (
            context(version=ssl.TLSVersion.TLSv1_2, ciphers="AES128-GCM-SHA256"),
            context(version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-RSA-AES128-SHA256"),
        ):
            with pytest.raises(ssl.SSLError, match=r"(?i)alert.handshake.failure"):
                SecureClient(proxy.port, "a.example", given)
        eventually(lambda: failures(proxy, HandshakeFailure.PROTOCOL) == 2)


def test_a_record_that_is_none_is_answered_with_an_alert() -> None:
    with serving(Site("*", (pair("a.example"),))) as proxy, SecureClient(proxy.port, "a.example") as client:
        assert client.ask("a.example")[0] == 200
        with socket.socket(fileno=client.sock.fileno()) as raw:
            raw.sendall(b"\x17\x03\x03\0\x20" + bytes(32))
            raw.detach()
        with pytest.raises(ssl.SSLError, match=r"(?i)alert.bad.record.mac"):
            client.sock.recv(1)


@pytest.mark.parametrize("version", [V12, V13])
def test_a_client_that_would_not_speak_our_protocol_is_told_so(version: ssl.TLSVersion) -> None:
    with serving(Site("*", (pair("a.example"),))) as proxy:
        given = context(version=version)
        given.set_alpn_protocols(["h2", "acme-tls/1"])
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            SecureClient(proxy.port, "a.example", given)
        eventually(lambda: failures(proxy, HandshakeFailure.PROTOCOL) == 1)
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)
        given = ssl.create_default_context(cadata=authority_pem().decode())
        with SecureClient(proxy.port, "a.example", given) as client:  # who does not say may
            assert client.tls.selected_alpn_protocol() is None
            assert client.ask("a.example")[0] == 200


def test_misdirected_requests_get_421_and_unknown_hosts_404() -> None:
    names = ("a.example", "*.wild.example", "*")
    with serving(*(Site(name, (pair("a.example", "*.wild.example", "x.test"),)) for name in names)) as proxy:
        for name, host, status in (
            ("a.example", "a.example", 200),
            ("a.example", "b.wild.example", 421),
            ("a.example", "other.test", 421),
            ("b.wild.example", "c.wild.example", 200),
            ("b.wild.example", "a.example", 421),
            ("x.test", "x.test", 200),
            ("x.test", "a.example:443", 421),
            ("x.test", "unknown.test", 200),
        ):
            with SecureClient(proxy.port, name) as client:
                assert client.ask(host)[0] == status, (name, host)
                assert client.ask(host)[0] == status, (name, host)
        eventually(lambda: proxy.vital(Vital.REASONS + Reason.MISDIRECTED.number) == 8)
    with serving(Site("a.example", (pair("a.example"),))) as proxy, SecureClient(proxy.port, "a.example") as client:
        assert client.ask("nobody.test")[0] == 404
        assert client.ask("a.example")[0] == 200, "the connection goes on"


def test_client_certificates(tmp_path: Path) -> None:
    files = {}
    for signer in ("Good CA", BARE, "Bad CA"):
        made = pair("client.example", signer=signer)
        files[signer] = tmp_path / signer
        files[signer].write_bytes(made.certificate + made.key)
    sites = (
        Site("a.example", (pair("a.example"),), ("Other CA", "Good CA", BARE)),
        Site("b.example", (pair("b.example"),)),
    )
    with serving(*sites) as proxy:
        for signer in ("Good CA", BARE):
            with SecureClient(proxy.port, "a.example", context(certificate=files[signer])) as client:
                assert client.ask("a.example")[0] == 200
        for version, file, alert in (
            (ssl.TLSVersion.TLSv1_3, None, "certificate.required"),
            (ssl.TLSVersion.TLSv1_2, None, "handshake.failure"),
            (ssl.TLSVersion.TLSv1_3, files["Bad CA"], "unknown.ca"),
            (ssl.TLSVersion.TLSv1_2, files["Bad CA"], "unknown.ca"),
        ):
            given = context(version=version, certificate=file)
            refused = pytest.raises(ssl.SSLError, match=f"(?i)alert.{alert}")
            with refused, SecureClient(proxy.port, "a.example", given) as client:
                client.sock.recv(1)
        eventually(lambda: failures(proxy, HandshakeFailure.CLIENT_CERTIFICATE) == 4)
        with SecureClient(proxy.port, "b.example", context(certificate=files["Bad CA"])) as client:
            assert client.ask("b.example")[0] == 200, "asked for nothing"


def test_http_on_the_port_is_told_so() -> None:
    with serving(Site("*", (pair("a.example"),))) as proxy:
        with proxy.client() as client:
            status, body = client.get()
            assert (status, client.rest()) == (400, b"")
            assert b"plain_http" in body
        with proxy.client() as client:
            client.send(b"\x00\x01rubbish")
            assert client.rest() == b""
        with proxy.client() as client:
            client.send(b"\x16\x03\x01")
            client.sock.shutdown(socket.SHUT_WR)
            assert client.rest() == b""
        eventually(lambda: failures(proxy, HandshakeFailure.NOT_TLS) == 2)
        eventually(lambda: failures(proxy, HandshakeFailure.CLIENT_CLOSED) == 1)
        assert proxy.vital(Vital.REASONS + Reason.PLAIN_HTTP.number) == 1


def test_http_with_a_long_body_on_the_port_is_told_so() -> None:
    """Its answer is not overtaken by a reset, which closing with bytes unread would send."""
    with serving(Site("*", (pair("a.example"),))) as proxy:
        for size in (MIB, 8 * MIB):
            with proxy.client() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
                client.sock.sendall(bytes(size))
                status, body = client.response()
                assert (status, client.rest()) == (400, b"")
                assert b"plain_http" in body
        with proxy.client() as client:
            client.send(b"GET / HTTP/1.1\r\n")
            assert client.response()[0] == 400
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # and a reset
        eventually(lambda: failures(proxy, HandshakeFailure.NOT_TLS) == 3)
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


def test_a_client_that_is_told_so_and_does_not_leave_is_not_waited_for() -> None:
    with serving(Site("*", (pair("a.example"),))) as proxy, proxy.client() as client:
        assert client.get()[0] == 400
        proxy.tell(Drain(PATIENCE))
        eventually(lambda: failures(proxy, HandshakeFailure.NOT_TLS) == 1)


@pytest.mark.parametrize("size", [1, 150])
def test_a_hello_in_pieces(size: int) -> None:
    with serving(Site("*", (pair("a.example"),))) as proxy, proxy.client() as client:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        given = context()
        given.set_alpn_protocols(["http/1.1", *(f"{number:0>200}" for number in range(3))])  # of a browser's size
        tls = given.wrap_bio(into, out, server_hostname="a.example")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        first = out.read()
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(first), size):
            client.send(first[at : at + size])
            time.sleep(0.002)  # to be seen one by one
        shake(client, tls, into, out)
        client.send(out.read())
        tls.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.send(out.read())
        got = b""
        while b"/ 0" not in got:
            into.write(client.sock.recv(65_536))
            with suppress(ssl.SSLWantReadError):
                while True:
                    got += tls.read()
        assert got.startswith(b"HTTP/1.1 200 ")


def test_sixty_rotations_under_load_fail_no_handshake() -> None:
    """And what is shown is the new certificate at once; connections made before go on."""
    pairs = [pair("a.example", key_type="RSA" if number % 3 == 0 else "EC") for number in range(6)]
    stop = threading.Event()
    shaken = itertools.count()
    wrong: list[BaseException] = []

    def load(port: int) -> None:
        given = context()
        while not stop.is_set():
            try:
                with SecureClient(port, "a.example", given) as client:
                    assert client.ask("h")[0] == 200
            except BaseException as error:  # noqa: BLE001 - reported by the test
                wrong.append(error)
                return
            next(shaken)

    with Backend(echo) as backend, Proxy(resources(backend.port, Site("*", (pairs[0],)))) as proxy:
        assert isinstance(proxy.link.receive(), Hello)
        threads = [threading.Thread(target=load, args=(proxy.port,)) for _ in range(3)]
        with SecureClient(proxy.port, "a.example") as old:
            for thread in threads:
                thread.start()
            try:
                for number in range(1, 61):
                    current = pairs[number % 6]
                    assert isinstance(proxy.publish(resources(backend.port, Site("*", (current,)))), Ack)
                    with SecureClient(proxy.port, "a.example") as client:
                        assert client.serial == current.serial
                    assert old.ask("h")[0] == 200
            finally:
                stop.set()
                for thread in threads:
                    thread.join(PATIENCE)
        assert not wrong
        assert next(shaken) > 3
        assert all(not failures(proxy, failure) for failure in HandshakeFailure)


def test_draining_lets_requests_finish_and_waits_for_no_silent_client() -> None:
    started, released = threading.Event(), threading.Event()

    def handler(connection: Client, head: bytes) -> None:
        read_body(connection, head)
        if head.startswith(b"GET /slow"):
            started.set()
            released.wait(PATIENCE)
        connection.send(answer())

    with serving(Site("*", (pair("a.example"),)), backend=Backend(handler)) as proxy:
        silent, stuck, idle = proxy.client(), proxy.client(), SecureClient(proxy.port, "a.example")
        assert stuck.send(hello("a.example")).sock.recv(1), "the server's part of the handshake"
        assert idle.ask("h")[0] == 200
        with silent, stuck, idle, SecureClient(proxy.port, "a.example") as slow:
            slow.send(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
            assert started.wait(PATIENCE)
            proxy.tell(Drain(PATIENCE))
            eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 1, "idle ones are closed, whatever they say to that")
            released.set()
            assert slow.response()[0] == 200
            assert slow.rest() == b""
            assert proxy.exit_code() == 0


def test_keys_are_in_no_file() -> None:
    with serving(Site("*", (pair("a.example"),))) as proxy:
        with SecureClient(proxy.port, "a.example"):
            links = [path.readlink() for path in Path(f"/proc/{proxy.process.pid}/fd").iterdir()]
        assert not [link for link in links if "rauta-tls" in str(link)], "the memfd is closed once it was read"
        paths = [link for link in links if str(link).startswith("/") and link.is_file()]
        for path in paths:
            assert b"PRIVATE KEY" not in path.read_bytes()


def test_an_unusable_certificate_costs_only_its_name() -> None:
    good, bad = pair("a.example"), pair("b.example")._replace(key=pair("b.example").key)
    with serving(Site("a.example", (good,)), Site("b.example", (bad,))) as proxy:
        for _ in range(2):
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                SecureClient(proxy.port, "b.example")
        eventually(lambda: failures(proxy, HandshakeFailure.CERTIFICATE) == 2)
        with SecureClient(proxy.port, "a.example") as client:
            assert client.ask("a.example")[0] == 200


def test_a_reset_within_the_handshake() -> None:
    with serving(Site("*", (pair("a.example"),))) as proxy:
        for size in (3, 100, 150, None, None):
            os.kill(proxy.process.pid, signal.SIGSTOP)  # it sees both at once, of which uvloop tells it once
            with proxy.client() as client:
                client.send(hello("a.example")[:size])
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.kill(proxy.process.pid, signal.SIGCONT)
        for _ in range(5):
            with proxy.client() as client:
                client.send(hello("a.example"))
                assert client.sock.recv(1)
        eventually(lambda: failures(proxy, HandshakeFailure.CLIENT_CLOSED) == 10)
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


def test_handshakes_count_against_the_limit_of_connections() -> None:
    site = Site("*", (pair("a.example"),))
    with Backend(echo) as backend, Proxy(resources(backend.port, site), descriptors=96) as proxy:
        silent = [proxy.client() for _ in range(20)]  # 16 have room
        eventually(lambda: proxy.vital(Vital.REFUSED) == 4)
        for client in silent:
            client.sock.close()
        eventually(lambda: failures(proxy, HandshakeFailure.CLIENT_CLOSED) == 16)
        with SecureClient(proxy.port, "a.example") as client:
            assert client.ask("h")[0] == 200
