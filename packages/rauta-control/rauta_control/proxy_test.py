"""The proxy as a process: one worker on loopback, scripted backends and clients, real bytes."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from rauta_control.limits import Limits
from rauta_control.messages import Retune
from rauta_control.proxyharness_test import (
    GET,
    Backend,
    Client,
    Proxy,
    Put,
    answer,
    echo,
    eventually,
    read_body,
    reset,
    site,
)
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital

# -- responses


@pytest.mark.parametrize(
    ("case", "how"),
    [("length", "reset"), ("length", "close"), ("chunked", "reset"), ("chunked", "close"), ("until close", "reset")],
)
def test_a_client_can_tell_that_a_response_is_cut(proxy: Proxy, behind: Put, case: str, how: str) -> None:
    heads = {"length": b"Content-Length: 10\r\n", "chunked": b"Transfer-Encoding: chunked\r\n", "until close": b""}
    sent = threading.Event()

    def handler(connection: Client, head: bytes) -> bool:
        connection.send(b"HTTP/1.1 200 OK\r\n%b\r\n5\r\nabc" % heads[case])
        sent.wait(10)
        if how == "reset":
            reset(connection)
        return False

    backend = behind(handler)
    with proxy.client() as client:
        client.send(GET)
        assert client.head().startswith(b"HTTP/1.1 200 OK\r\n")
        sent.set()
        rest = client.rest()
        assert not rest.endswith(b"0\r\n\r\n")
        assert len(rest) < 10 or case != "length"
    assert len(backend.heads) == 1


def test_a_reset_tells_a_client_of_1_0_that_a_body_without_length_is_cut(proxy: Proxy, behind: Put) -> None:
    sent = threading.Event()

    def handler(connection: Client, head: bytes) -> bool:
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        sent.wait(10)
        reset(connection)
        return False

    behind(handler)
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.head().startswith(b"HTTP/1.1 200 OK\r\n")
        assert client.body(3) == b"abc"
        sent.set()
        with pytest.raises(ConnectionResetError):
            client.sock.recv(1)


def test_stale_connections_cost_no_request(proxy: Proxy, behind: Put) -> None:
    def handler(connection: Client, head: bytes) -> bool:
        read_body(connection, head)
        connection.send(answer())
        return False  # without having said so

    backend = behind(handler)
    with proxy.client() as client:
        for number in range(500):
            method = (b"GET", b"DELETE", b"OPTIONS", b"PUT")[number % 4]
            rest = b"Content-Length: 2\r\n\r\nhi" if method == b"PUT" else b"\r\n"
            assert client.send(b"%b / HTTP/1.1\r\nHost: h\r\n%b" % (method, rest)).response() == (200, b"ok")
    assert len(backend.heads) == 500


def test_a_post_is_sent_once(proxy: Proxy, behind: Put) -> None:
    def handler(connection: Client, head: bytes) -> bool:
        if head.startswith(b"POST"):
            read_body(connection, head)
            return False
        connection.send(answer())
        return True

    backend = behind(handler)
    with proxy.client() as client:
        for _ in range(20):
            assert client.get()[0] == 200
            assert client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi").response()[0] == 502
    assert sum(head.startswith(b"POST") for head in backend.heads) == 20


def test_interim_responses_and_half_closed_clients(proxy: Proxy, behind: Put) -> None:
    def handler(connection: Client, head: bytes) -> None:
        if b"100-continue" in head:
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(read_body(connection, head)))

    behind(handler)
    with proxy.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.head() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert client.response() == (200, b"hello")
        assert client.rest() == b""


# -- many connections


def test_hundreds_of_idle_connections(proxy: Proxy) -> None:
    before = proxy.vital(Vital.CONNECTIONS)
    clients = [proxy.client() for _ in range(300)]
    for number, client in enumerate(clients):
        assert client.get(f"/{number}") == (200, b"/%d 0" % number)
    eventually(lambda: proxy.vital(Vital.CONNECTIONS) >= 300)
    for client in clients[::7]:
        assert client.get("/again")[0] == 200
    for client in clients:
        client.sock.close()
    eventually(lambda: proxy.vital(Vital.CONNECTIONS) <= before)


def test_connections_that_are_reset_at_once_leave_nothing() -> None:
    with Backend(echo) as backend, Proxy(site(backend.port)) as proxy:
        for number in range(300):
            client = proxy.client()
            if number % 3:
                client.send(GET[: number % 30])
            reset(client)
        with proxy.client() as client:
            assert client.get()[0] == 200
            eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 1)
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


def test_running_out_of_descriptors_is_said_and_passes() -> None:
    with Backend(echo) as backend, Proxy(site(backend.port), descriptors=128) as proxy:
        room = (128 - 64) // 2
        clients = [proxy.client() for _ in range(room)]
        assert all(client.get()[0] == 200 for client in clients)
        turned_away = [proxy.client() for _ in range(100)]
        for client in turned_away:
            status, body = client.response()
            assert (status, b"overloaded" in body) == (503, True)
            assert client.rest() == b""
            client.sock.close()
        eventually(lambda: proxy.vital(Vital.REFUSED) == 100)
        assert proxy.vital(Vital.REASONS + Reason.OVERLOADED.number) == 100
        assert all(client.get()[0] == 200 for client in clients)
        for client in clients:
            client.sock.close()
        eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)
        with proxy.client() as client:
            assert client.get()[0] == 200


def test_a_log_that_nobody_reads_costs_no_request() -> None:
    reader, writer = os.pipe()
    try:
        with Backend(echo) as backend, Proxy(site(backend.port), log="stdout", stdout=writer) as proxy:
            with proxy.client() as client:
                for _ in range(1500):
                    assert client.get("/x" * 40)[0] == 200
            eventually(lambda: proxy.vital(Vital.LOG_DROPPED) and proxy.vital(Vital.LOG_LINES))
            total = proxy.vital(Vital.LOG_DROPPED) + proxy.vital(Vital.LOG_LINES)
            eventually(lambda: proxy.vital(Vital.LOG_DROPPED) + proxy.vital(Vital.LOG_LINES) == 1500, str(total))
    finally:
        os.close(reader)
        os.close(writer)


def test_a_log_that_cannot_be_opened_costs_no_request(tmp_path: Path) -> None:
    with (
        Backend(echo) as backend,
        Proxy(site(backend.port), log=str(tmp_path / "no" / "log")) as proxy,
        proxy.client() as client,
    ):
        assert client.get("/x")[0] == 200


def test_a_log_that_was_moved_away_is_opened_anew_and_may_be_another(tmp_path: Path) -> None:
    path, moved, other = tmp_path / "log", tmp_path / "log.1", tmp_path / "other"
    with Backend(echo) as backend, Proxy(site(backend.port), log=str(path)) as proxy, proxy.client() as client:
        client.get("/first")
        path.rename(moved)
        proxy.tell(Retune(Limits(), 1, (), "", str(path)))
        eventually(path.exists)
        client.get("/second")
        proxy.tell(Retune(Limits(), 1, (), "", str(tmp_path / "no" / "log")))
        client.get("/third")
        proxy.tell(Retune(Limits(), 1, (), "", str(other)))
        eventually(other.exists)
        client.get("/fourth")
        eventually(lambda: proxy.vital(Vital.LOG_LINES) == 4)
        proxy.tell(Retune(Limits(), 1, (), "", "off"))
    logs = [json.loads(line)["path"] for each in (moved, path, other) for line in each.read_bytes().splitlines()]
    assert logs == ["/first", "/second", "/third", "/fourth"]
    assert moved.read_bytes().count(b"\n") == 1
    assert path.read_bytes().count(b"\n") == 2


def test_the_log_has_a_line_for_each_request(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with Backend(echo) as backend, Proxy(site(backend.port), log=str(path)) as proxy:
        with proxy.client() as client:
            client.get("/a")
            client.get('/b"')
        eventually(lambda: proxy.vital(Vital.LOG_LINES) == 2)
    first, second = path.read_bytes().splitlines()
    assert b'"route":"app","endpoint":"127.0.0.1:%d","client":"127.0.0.1","method":"GET"' % backend.port in first
    assert b'"path":"/b\\""' in second
