"""What must not wait, through a real worker: events, interim responses, and answers before the end of a request."""

from __future__ import annotations

import socket
import threading

import pytest

from rauta_control.proxyharness_test import PATIENCE, Client, Proxy, Put, answer, read_body

EXPECT = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


def plain(event: bytes) -> bytes:
    return event


def chunk(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


@pytest.mark.parametrize("framing", ["chunked", "until the close", "for 1.0"])
def test_an_event_is_delivered_before_the_next_one_is_made(proxy: Proxy, behind: Put, framing: str) -> None:
    heard = threading.Semaphore(0)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

    def backend(connection: Client, _: bytes) -> bool:
        chunked = framing == "chunked"
        connection.send(head + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"))
        for number in range(5):
            assert heard.acquire(timeout=PATIENCE)
            event = b"data: %d\n\n" % number
            connection.send(chunk(event) if chunked else event)
        connection.send(b"0\r\n\r\n" if chunked else b"")
        return chunked

    behind(backend)
    version = b"1.0" if framing == "for 1.0" else b"1.1"
    wrap = plain if framing == "for 1.0" else chunk
    with proxy.client() as client:
        client.send(b"GET /events HTTP/%b\r\nHost: h\r\n\r\n" % version)
        assert b"text/event-stream" in client.head()
        for number in range(5):
            heard.release()
            event = wrap(b"data: %d\n\n" % number)
            assert client.body(len(event)) == event
        if version == b"1.1":
            assert client.body(5) == b"0\r\n\r\n"
        else:
            assert client.rest() == b""


def test_the_backend_says_continue(proxy: Proxy, behind: Put) -> None:
    def backend(connection: Client, head: bytes) -> None:
        assert b"Expect: 100-continue\r\n" in head
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.send(answer(read_body(connection, head)))

    behind(backend)
    with proxy.client() as client:
        for _ in range(2):
            client.send(EXPECT)
            assert client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert client.send(b"hello").response() == (200, b"hello")


def test_a_backend_that_answers_finally_instead(proxy: Proxy, behind: Put) -> None:
    """The client must not send its body any more, and cannot use the connection for anything else (RFC 9110 10.1.1)."""
    behind(lambda connection, _: connection.send(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno") and False)
    with proxy.client() as client:
        head = client.send(EXPECT).head()
        assert head.startswith(b"HTTP/1.1 413 No\r\n")
        assert b"Connection: close\r\n" in head
        assert client.rest() == b"no"


def test_a_client_that_does_not_wait(proxy: Proxy, behind: Put) -> None:
    def backend(connection: Client, head: bytes) -> None:
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(read_body(connection, head)))

    behind(backend)
    with proxy.client() as client:
        for _ in range(2):
            client.send(EXPECT + b"hello")
            assert client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert client.response() == (200, b"hello")


def test_a_client_of_1_0_expects_nothing(proxy: Proxy, behind: Put) -> None:
    def backend(connection: Client, head: bytes) -> None:
        assert b"Expect" not in head
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(read_body(connection, head)))

    behind(backend)
    with proxy.client() as client:
        client.send(EXPECT.replace(b"1.1", b"1.0") + b"hello")
        assert client.response() == (200, b"hello")
        assert client.rest() == b""


def test_a_half_closed_client_gets_all_of_a_long_answer(proxy: Proxy, behind: Put) -> None:
    behind(lambda connection, _: connection.send(answer(b"x" * 3_000_000)))
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.response() == (200, b"x" * 3_000_000)
        assert client.rest() == b""
