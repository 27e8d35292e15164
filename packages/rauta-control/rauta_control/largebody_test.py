"""Spliced bodies through a real worker: like all others, whoever is slow, leaves or says too much."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from rauta_control.bodyharness_test import (
    AFTER,
    PART,
    SIZE,
    Kind,
    Pipes,
    accept,
    after,
    downloads,
    ended,
    uploads,
)
from rauta_control.proxyharness_test import GET, PATIENCE, Client, Proxy, Put, answer, eventually, reset
from rauta_control.reasons import Reason

# -- responses


def test_a_response_is_spliced_and_both_connections_are_used_again(
    proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind
) -> None:
    go = threading.Event()
    backend = behind(downloads(kind, after(go, lambda connection: connection.send(kind.body[PART:]))))
    with proxy.client() as client:
        client.send(GET)
        assert client.head() == kind.head
        assert client.body(PART) == kind.body[:PART]
        pipes.appear()
        go.set()
        assert client.body(SIZE - PART) == kind.body[PART:]
        assert client.get("/after") == (200, b"after")
        assert not client.data
    assert backend.connections == 1


def test_each_piece_arrives_before_the_next_is_sent(proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind) -> None:
    steps = threading.Semaphore(0)

    def rest(connection: Client) -> None:
        for at in range(PART, PART + 50):
            steps.acquire(timeout=PATIENCE)
            connection.send(kind.body[at : at + 1])
        connection.send(kind.body[PART + 50 :])

    behind(downloads(kind, rest))
    with proxy.client() as client:
        client.send(GET).head()
        assert client.body(PART) == kind.body[:PART]
        pipes.appear()
        for at in range(PART, PART + 50):
            steps.release()
            assert client.body(1) == kind.body[at : at + 1]
        assert client.body(SIZE - PART - 50) == kind.body[PART + 50 :]


def test_a_slow_client_gets_everything_and_half_closes_meanwhile(
    proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind
) -> None:
    behind(downloads(kind, lambda connection: connection.send(kind.body[PART:])))
    before = proxy.memory()
    with proxy.client(receive_buffer=1 << 17) as client:
        client.send(GET).head()
        pipes.appear()
        client.sock.shutdown(1)
        assert client.body(SIZE) == kind.body
        assert not client.rest()
    assert proxy.memory() - before < 8 << 20


@pytest.mark.parametrize("leave", [lambda connection: False, reset])
def test_a_response_cut_off_by_its_backend_is_cut_off(
    proxy: Proxy, behind: Put, pipes: Pipes, leave: Callable[[Client], object], kind: Kind
) -> None:
    go = threading.Event()

    def rest(connection: Client) -> object:
        go.wait(PATIENCE)
        connection.send(kind.body[PART : 2 * PART])
        return leave(connection)

    behind(downloads(kind, rest))
    with proxy.client() as client:
        client.send(GET).head()
        assert client.body(PART) == kind.body[:PART]
        pipes.appear()
        before = ended(proxy, Reason.UPSTREAM_RESET)
        go.set()
        more = client.rest()
        assert kind.body[PART : 2 * PART].startswith(more)
        assert leave is reset or len(more) == PART  # a reset may overtake what was sent before it
        eventually(lambda: ended(proxy, Reason.UPSTREAM_RESET) == before + 1)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("leave", [lambda client: client.sock.close(), reset])
def test_a_client_that_leaves_ends_its_response(
    proxy: Proxy, behind: Put, pipes: Pipes, leave: Callable[[Client], object], slow: bool, kind: Kind
) -> None:
    go, gone = threading.Event(), threading.Event()

    def handler(connection: Client, head: bytes) -> bool:
        with suppress(OSError):
            connection.send(kind.head + kind.body[:PART])
            go.wait(PATIENCE)
            connection.send(kind.body[PART:])
            connection.rest()
        gone.set()
        return False

    behind(handler)
    before = ended(proxy, Reason.CLIENT_CLOSED)
    client = proxy.client(receive_buffer=4096) if slow else proxy.client()
    client.send(GET).head()
    if not slow:
        client.body(PART)
    pipes.appear()
    leave(client)
    go.set()
    assert gone.wait(PATIENCE)
    eventually(lambda: ended(proxy, Reason.CLIENT_CLOSED) == before + 1)


def test_a_backend_that_is_silent_hears_that_the_client_has_left(
    proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind
) -> None:
    gone = threading.Event()

    def rest(connection: Client) -> bool:
        connection.rest()
        gone.set()
        return False

    behind(downloads(kind, rest))
    client = proxy.client()
    client.send(GET).head()
    client.body(PART)
    pipes.appear()
    reset(client)
    assert gone.wait(PATIENCE)


def test_a_backend_that_says_more_than_its_response_is_not_asked_again(
    proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind
) -> None:
    go = threading.Event()

    def rest(connection: Client) -> None:
        connection.send(kind.body[PART:-20])
        go.wait(PATIENCE)
        connection.send(kind.body[-20:] + answer(b"wrong"))

    backend = behind(downloads(kind, rest))
    with proxy.client() as client:
        client.send(GET + AFTER).head()
        assert client.body(SIZE - 20) == kind.body[:-20]
        go.set()
        assert client.body(20) == kind.body[-20:]
        assert client.response() == (200, b"after")
    assert backend.connections == 2


# -- requests


def test_a_request_is_spliced_and_what_follows_it_is_not_part_of_it(
    proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind
) -> None:
    backend = behind(uploads(kind, accept(kind)))
    with proxy.client() as client:
        client.send(kind.post + kind.body[:PART])
        pipes.appear()
        client.send(kind.body[PART:] + AFTER)
        assert client.response() == (200, b"right")
        assert client.response() == (200, b"after")
    assert backend.connections == 1


def test_a_slow_backend_gets_everything(proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind) -> None:
    go = threading.Event()
    behind(uploads(kind, after(go, accept(kind))))
    with proxy.client() as client:
        client.send(kind.post + kind.body[:PART])
        pipes.appear()
        sender = threading.Thread(target=client.send, args=(kind.body[PART:],))
        sender.start()
        go.set()
        assert client.response() == (200, b"right")
        sender.join(PATIENCE)


def test_a_client_that_ends_its_request_early_is_told(proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind) -> None:
    got: list[int] = []

    def rest(connection: Client) -> bool:
        got.append(len(connection.rest()))
        return False

    behind(uploads(kind, rest))
    with proxy.client() as client:
        client.send(kind.post + kind.body[:PART])
        pipes.appear()
        client.send(kind.body[PART : 2 * PART])
        client.sock.shutdown(1)
        assert client.response()[0] == 400
    eventually(lambda: got)
    assert got[0] <= PART


def test_a_client_that_breaks_off_its_request_is_gone(proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind) -> None:
    begun, gone = threading.Event(), threading.Event()

    def rest(connection: Client) -> bool:
        begun.set()
        connection.rest()
        gone.set()
        return False

    behind(uploads(kind, rest))
    before = ended(proxy, Reason.CLIENT_CLOSED)
    client = proxy.client()
    client.send(kind.post + kind.body[:PART])
    pipes.appear()
    assert begun.wait(PATIENCE), "a reset would overtake what the kernel still holds"
    reset(client)
    assert gone.wait(PATIENCE)
    eventually(lambda: ended(proxy, Reason.CLIENT_CLOSED) == before + 1)


@pytest.mark.parametrize("leave", [lambda connection: False, reset])
def test_a_backend_that_leaves_within_a_request_is_a_502(
    proxy: Proxy, behind: Put, pipes: Pipes, leave: Callable[[Client], object], kind: Kind
) -> None:
    behind(uploads(kind, leave))
    with proxy.client() as client:
        client.send(kind.post + kind.body[: PART - 1])
        pipes.appear()
        client.send(kind.body[PART - 1 : PART])
        assert client.response()[0] == 502


def test_an_answer_before_all_of_the_request_can_be_read(proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind) -> None:
    behind(uploads(kind, lambda connection: (connection.send(answer(b"enough")), connection.rest())))
    with proxy.client() as client:
        client.send(kind.post + kind.body[: PART - 1])
        pipes.appear()
        client.send(kind.body[PART - 1 : 2 * PART])
        assert client.response() == (200, b"enough")
        pipes.disappear()
        client.sock.shutdown(1)
        assert not client.rest()
