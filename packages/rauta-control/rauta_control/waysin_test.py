"""Connections that came in by a way that a change of the configuration has closed, through a real worker process."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from rauta_control import ir
from rauta_control.messages import Ack, Hello
from rauta_control.pki_test import pair
from rauta_control.proxyharness_test import GET, Backend, Proxy, echo, site
from rauta_control.tlsharness_test import SecureClient, Site, context, resources

HALF = len(GET) // 2


def test_a_connection_without_tls_gets_nothing_of_a_listener_that_has_come_to_speak_it() -> None:
    with Backend(echo) as backend, Proxy(site(backend.port)) as proxy:
        assert isinstance(proxy.link.receive(), Hello)
        with proxy.client() as used, proxy.client() as half, proxy.client() as kept:
            for client in (used, kept):
                for _ in range(3):  # the last is one that the connection remembers
                    assert client.get()[0] == 200
            half.send(GET[:HALF])
            assert isinstance(proxy.publish(resources(backend.port, Site("*", (pair("h"),)))), Ack)
            status, body = used.get()
            assert (status, b"plain_http" in body) == (400, True)
            assert used.rest() == b""
            status, body = half.send(GET[HALF:]).response()
            assert (status, b"plain_http" in body) == (400, True)
            with SecureClient(proxy.port, "h") as client:
                assert client.ask("h")[0] == 200
            assert isinstance(proxy.publish(site(backend.port)), Ack)
            assert kept.get()[0] == 200


def test_a_connection_with_tls_gets_nothing_of_a_listener_that_speaks_it_no_longer() -> None:
    with Backend(echo) as backend:
        secure = resources(backend.port, Site("*", (pair("h"),)))
        plain = [replace(each, protocol="HTTP", tls=()) if isinstance(each, ir.Listener) else each for each in secure]
        with Proxy(secure) as proxy, SecureClient(proxy.port, "h") as used:
            assert isinstance(proxy.link.receive(), Hello)
            for _ in range(3):
                assert used.ask("h")[0] == 200
            assert isinstance(proxy.publish(plain), Ack)
            status, body = used.ask("h")
            assert (status, b"misdirected" in body) == (421, True)
            assert used.rest() == b"", "closed: a new connection finds the way"
            with proxy.client() as client:
                assert client.get()[0] == 200
            assert isinstance(proxy.publish(secure), Ack)
            with SecureClient(proxy.port, "h") as client:
                assert client.ask("h")[0] == 200


def test_a_connection_without_a_certificate_gets_nothing_where_one_has_come_to_be_required(tmp_path: Path) -> None:
    client_pair = pair("client.example", signer="Good CA")
    file = tmp_path / "client"
    file.write_bytes(client_pair.certificate + client_pair.key)
    open_to_all = Site("a.example", (pair("a.example"),)), Site("b.example", (pair("b.example"),))
    guarded = Site("a.example", (pair("a.example"),), ("Good CA",)), open_to_all[1]
    widened = Site("a.example", (pair("a.example"),), ("Good CA", "Other CA")), open_to_all[1]
    with Backend(echo) as backend, Proxy(resources(backend.port, *open_to_all)) as proxy:
        assert isinstance(proxy.link.receive(), Hello)
        with SecureClient(proxy.port, "a.example") as stranger, SecureClient(proxy.port, "b.example") as other:
            assert stranger.ask("a.example")[0] == 200
            assert isinstance(proxy.publish(resources(backend.port, *guarded)), Ack)
            status, body = stranger.ask("a.example")
            assert (status, b"misdirected" in body) == (421, True)
            assert stranger.rest() == b"", "closed, so that the client shows a certificate to a new connection"
            assert other.ask("b.example")[0] == 200
            with SecureClient(proxy.port, "a.example", context(certificate=file)) as known:
                assert known.ask("a.example")[0] == 200
                assert isinstance(proxy.publish(resources(backend.port, *widened)), Ack)
                assert known.ask("a.example")[0] == 200, "another authority closes no way"
                assert isinstance(proxy.publish(resources(backend.port, *open_to_all)), Ack)
                assert known.ask("a.example")[0] == 200
                with SecureClient(proxy.port, "a.example") as client:
                    assert client.ask("a.example")[0] == 200
