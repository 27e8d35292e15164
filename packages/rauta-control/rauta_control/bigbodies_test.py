"""Big bodies through a real worker: what arrives is what was sent, in bounded memory, whoever is slow."""

from __future__ import annotations

import hashlib
import random
import select
import threading

import pytest

from rauta_control.proxyharness_test import GET, ROOM, Client, Proxy, Put, answer, line, reset

SIZE = 64 << 20
PIECE = random.Random(4).randbytes(1 << 20)  # noqa: S311 - just bytes
DIGEST = hashlib.sha256(PIECE * (SIZE >> 20)).hexdigest()


@pytest.mark.parametrize("chunked", [False, True])
def test_64_mib_down(proxy: Proxy, behind: Put, chunked: bool) -> None:
    def handler(connection: Client, head: bytes) -> None:
        if not chunked:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        else:
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(SIZE >> 20):
            connection.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE)
        if chunked:
            connection.send(b"0\r\n\r\n")

    behind(handler)
    with proxy.client() as client:
        before = proxy.memory()
        client.send(GET)
        assert (b"chunked" in client.head()) is chunked
        digest, peak = hashlib.sha256(), before
        received = 0
        while received < SIZE:
            data = client.body(int(line(client), 16)) if chunked else client.body(min(1 << 18, SIZE - received))
            if chunked:
                assert client.body(2) == b"\r\n"
            digest.update(data)
            received += len(data)
            peak = max(peak, proxy.memory()) if received % (8 << 20) < (1 << 18) else peak
        if chunked:
            assert (line(client), line(client)) == (b"0", b"")
        assert not client.data
        assert digest.hexdigest() == DIGEST
        assert peak - before < ROOM


@pytest.mark.parametrize("chunked", [False, True])
def test_64_mib_up(proxy: Proxy, behind: Put, chunked: bool) -> None:
    peaks: list[int] = []

    def handler(connection: Client, head: bytes) -> None:
        digest = hashlib.sha256()
        left = SIZE
        while chunked or left:
            size = int(line(connection), 16) if chunked else min(left, 1 << 18)
            if not size:
                assert line(connection) == b""
                break
            digest.update(connection.body(size))
            left -= size
            if chunked:
                assert connection.body(2) == b"\r\n"
        peaks.append(proxy.memory())
        connection.send(answer(digest.hexdigest().encode()))

    behind(handler)
    before = proxy.memory()
    with proxy.client() as client:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\n%b\r\n\r\n" % framing)
        for _ in range(SIZE >> 20):
            client.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE)
        if chunked:
            client.send(b"0\r\n\r\n")
        assert client.response() == (200, DIGEST.encode())
    assert peaks[0] - before < ROOM


def test_a_slow_reader_is_not_buffered_for(proxy: Proxy, behind: Put) -> None:
    sent = [0]

    def handler(connection: Client, head: bytes) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE >> 20):
            connection.send(PIECE)
            sent[0] += len(PIECE)

    behind(handler)
    before = proxy.memory()
    with proxy.client(receive_buffer=4096) as client, proxy.client() as other:
        client.send(GET)
        client.head()
        still, last = 0, -1
        while still < 40:  # until nobody moves any more
            still = still + 1 if sent[0] == last else 0
            last = sent[0]
            assert other.get("/dead")[0] == 502  # others are served meanwhile
        assert last < SIZE
        assert proxy.memory() - before < ROOM
        digest = hashlib.sha256()
        received = 0
        while received < SIZE:
            data = client.body(min(1 << 16, SIZE - received))
            assert data
            digest.update(data)
            received += len(data)
        assert digest.hexdigest() == DIGEST


@pytest.mark.parametrize("manners", ["waits", "closes at once", "resets"])
def test_an_early_413_can_be_read(proxy: Proxy, behind: Put, manners: str) -> None:
    done = threading.Event()

    def handler(connection: Client, head: bytes) -> bool:
        connection.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        if manners == "waits":
            done.wait(10)
        elif manners == "resets":
            reset(connection)
        return False  # with most of the body unread: the kernel sends a reset

    behind(handler)
    for _ in range(20):
        with proxy.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % SIZE)
            sent = 0
            while sent < SIZE and not select.select([client.sock], [], [], 0)[0]:
                client.send(PIECE)
                sent += len(PIECE)
            assert client.response() == (413, b"big")
    done.set()
