"""Exchanges over TLS through a real worker process: large bodies, early and cut answers, clients that have said all."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from contextlib import suppress

import pytest

from rauta_control.pki_test import pair
from rauta_control.proxyharness_test import PATIENCE, ROOM, Backend, Client, answer, eventually
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital
from rauta_control.tlsharness_test import (
    MIB,
    V12,
    V13,
    SecureClient,
    Site,
    context,
    say_all,
    serving,
    shake,
)


def test_large_bodies_both_ways_in_bounded_memory() -> None:
    size = 64 * MIB

    def handler(connection: Client, head: bytes) -> None:
        if head.startswith(b"GET"):
            connection.send(answer(bytes(size)))
        else:
            discard(connection)
            connection.send(answer(b"taken"))

    def discard(connection: Client) -> None:
        left = size - len(connection.body(1)) - len(connection.data)
        connection.data = b""
        while left:
            left -= len(connection.sock.recv(MIB))

    site = Site("*", (pair("a.example"),))
    with serving(site, backend=Backend(handler)) as proxy, SecureClient(proxy.port, "a.example") as client:
        before = proxy.memory()
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.head()
        time.sleep(0.2)  # the client takes nothing for a while
        discard(client)
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            client.send(bytes(MIB))
        assert client.response() == (200, b"taken")
        assert proxy.memory() - before < ROOM


def test_an_early_answer_can_be_read_by_a_client_that_still_sends() -> None:
    with serving(Site("a.example", (pair("a.example"),))) as proxy, SecureClient(proxy.port, "a.example") as client:
        client.send(b"POST / HTTP/1.1\r\nHost: nobody\r\nContent-Length: %d\r\n\r\n" % (8 * MIB))
        for _ in range(8):
            client.send(bytes(MIB))
        status, body = client.response()
        assert status == 404
        assert b"no_host" in body
        assert client.rest() == b""


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("leaves", [False, True])
def test_a_client_that_has_said_all_gets_its_answer_unless_it_leaves(version: ssl.TLSVersion, leaves: bool) -> None:
    called = threading.Event()
    released = threading.Event()

    def handler(connection: Client, head: bytes) -> None:
        called.set()
        released.wait(PATIENCE)
        connection.send(answer(b"late"))

    with serving(Site("*", (pair("a.example"),)), backend=Backend(handler)) as proxy:
        with SecureClient(proxy.port, "a.example", context(version=version)) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert called.wait(PATIENCE)
            say_all(client.tls)
            if leaves:
                with socket.socket(fileno=os.dup(client.tls.fileno())) as beneath:
                    beneath.shutdown(socket.SHUT_WR)
            if leaves or version == V12:
                eventually(lambda: proxy.vital(Vital.REASONS + Reason.CLIENT_CLOSED.number) == 1)
                eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)
                released.set()
            else:
                released.set()
                assert client.response() == (200, b"late")
                assert client.rest() == b""
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)
        assert proxy.vital(Vital.REASONS + Reason.CLIENT_CLOSED.number) == (leaves or version == V12)


def test_a_client_that_has_said_all_at_once_gets_all_its_answers() -> None:
    with serving(Site("*", (pair("a.example"),))) as proxy, proxy.client() as client:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context().wrap_bio(into, out, server_hostname="a.example")
        shake(client, tls, into, out)
        for number in range(3):
            tls.write(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number)
        with suppress(ssl.SSLWantReadError):
            tls.unwrap()
        into.write(client.send(out.read()).rest())
        heard = b""
        with suppress(ssl.SSLZeroReturnError):
            while data := tls.read():
                heard += data
        assert [heard.count(b"/%d 0" % number) for number in range(3)] == [1, 1, 1]
        assert heard.count(b"\r\nConnection: close\r\n") == 1


def test_a_truncated_answer_is_seen_to_be_one() -> None:
    def handler(connection: Client, head: bytes) -> bool:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        return False

    site = Site("*", (pair("a.example"),))
    with serving(site, backend=Backend(handler)) as proxy, SecureClient(proxy.port, "a.example") as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.head()
        assert client.rest() == b"half"
