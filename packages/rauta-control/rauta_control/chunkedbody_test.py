"""Chunked bodies of which a part is spliced, through a real worker: what is odd in them is treated as it always is."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rauta_control.bodyharness_test import CHUNKS, PART, Pipes, after, downloads, ended, uploads
from rauta_control.framing import LAST_CHUNK, ChunkedDecoder, chunk
from rauta_control.proxyharness_test import GET, PATIENCE, Client, Proxy, Put, answer, eventually
from rauta_control.reasons import Reason

LARGE = chunk(random.Random(6).randbytes(150_001))  # noqa: S311 - just bytes
TINY = chunk(b"x")


def cut(size: int) -> bytes:
    """What is to come of the first PART bytes' last chunk, and some more of the body, `size` bytes or a bit more."""
    wire = CHUNKS.body
    return wire[PART : wire.index(b"\r\n4000\r\n", PART + size) + 2]


REST = cut(4 << 20)
PLAIN = CHUNKS.body[:PART] + REST  # up to a line


def payload(wire: bytes) -> bytes:
    """The payload of a whole body."""
    decoder = ChunkedDecoder()
    found = decoder.feed(wire)
    assert decoder.done
    assert not decoder.rest
    return found


def whole(connection: Client, before: bytes = b"") -> bytes:
    """Read a chunked body up to its end, which is no beginning of anything else, and return it as it came."""
    wire, decoder = before, ChunkedDecoder()
    decoder.feed(before)
    while not decoder.done:
        data = connection.body(1) + connection.data
        connection.data = b""
        assert data, "the connection ended"
        decoder.feed(data)
        wire += data
    connection.data = decoder.rest
    return wire[: len(wire) - len(decoder.rest)]


def download(proxy: Proxy, behind: Put, pipes: Pipes, rest: bytes, get: bytes = GET) -> Client:
    """Have REST and `rest` come once a response is spliced; return the client, which has to read all of its body."""
    go = threading.Event()
    behind(downloads(CHUNKS, after(go, lambda connection: connection.send(REST + rest))))
    client = proxy.client()
    client.send(get)
    assert b"chunked" in client.head()
    pipes.appear()
    go.set()
    return client


@pytest.mark.parametrize("odd", [b"5;a=b\r\nhello\r\n", b"005\r\nhello\r\n", TINY * 50_000])
@pytest.mark.parametrize("after_it", [b"", LARGE * 20])
def test_what_is_not_plain_in_a_response_arrives(
    proxy: Proxy, behind: Put, pipes: Pipes, odd: bytes, after_it: bytes
) -> None:
    wire = odd + after_it + LAST_CHUNK
    with download(proxy, behind, pipes, wire) as client:
        arrived = whole(client)
        assert arrived.startswith(PLAIN)
        assert payload(arrived) == payload(PLAIN + wire)
        assert b";a=b" not in arrived[len(PLAIN) :]
        assert client.get("/after") == (200, b"after")


@pytest.mark.parametrize("odd", [b"5;a=b\r\nhello\r\n", b"005\r\nhello\r\n", LARGE + chunk(b"x" * 9) * 50_000])
@pytest.mark.parametrize("after_it", [b"", LARGE * 20])
def test_what_is_not_plain_in_a_request_arrives(
    proxy: Proxy, behind: Put, pipes: Pipes, odd: bytes, after_it: bytes
) -> None:
    wire = odd + after_it + LAST_CHUNK
    got: list[bytes] = []

    def rest(connection: Client) -> None:
        got.append(whole(connection, CHUNKS.body[:PART]))
        connection.send(answer(b"got"))

    behind(uploads(CHUNKS, rest))
    with proxy.client() as client:
        client.send(CHUNKS.post + CHUNKS.body[:PART])
        pipes.appear()
        client.send(REST + wire)
        assert client.response() == (200, b"got")
        assert client.get("/after") == (200, b"after")
    assert got[0].startswith(PLAIN)
    assert payload(got[0]) == payload(PLAIN + wire)
    assert b";a=b" not in got[0][len(PLAIN) :]


BAD = [
    b"5 \r\nhello\r\n",
    b"5\nhello\r\n",
    b"g\r\n",
    b"5\r\nhello!\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n",
    b"\r\n5\r\n",
]


@pytest.mark.parametrize("bad", BAD)
def test_a_response_that_becomes_malformed_is_cut_off(proxy: Proxy, behind: Put, pipes: Pipes, bad: bytes) -> None:
    before = ended(proxy, Reason.UPSTREAM_INVALID)
    with download(proxy, behind, pipes, bad + LARGE + LAST_CHUNK) as client:
        arrived = client.rest()
    assert (PLAIN + bad[:-1]).startswith(arrived)
    eventually(lambda: ended(proxy, Reason.UPSTREAM_INVALID) == before + 1)


@pytest.mark.parametrize("bad", BAD)
def test_a_request_that_becomes_malformed_is_refused(proxy: Proxy, behind: Put, pipes: Pipes, bad: bytes) -> None:
    got: list[bytes] = []
    over = threading.Event()

    def rest(connection: Client) -> bool:
        got.append(connection.rest())
        over.set()
        return False

    behind(uploads(CHUNKS, rest))
    with proxy.client() as client:
        client.send(CHUNKS.post + CHUNKS.body[:PART])
        pipes.appear()
        client.send(REST + bad + LARGE + LAST_CHUNK)
        head = client.head()
        assert head.startswith(b"HTTP/1.1 400")
        assert b"x-rauta-reason: bad_body" in head
    assert over.wait(PATIENCE)
    assert (REST + bad[:-1]).startswith(got[0])


def test_chunks_of_one_byte_after_large_ones_are_limited(proxy: Proxy, behind: Put, pipes: Pipes) -> None:
    behind(uploads(CHUNKS, lambda connection: bool(connection.rest()) and False))
    with proxy.client() as client:
        client.send(CHUNKS.post + CHUNKS.body[:PART])
        pipes.appear()
        client.send(REST)
        client.send(TINY * 100_000)
        head = client.head()
        assert head.startswith(b"HTTP/1.1 400")
        assert b"x-rauta-reason: chunk_overhead" in head


@pytest.mark.parametrize("wanted", [False, True])
def test_trailers_of_a_spliced_response(proxy: Proxy, behind: Put, pipes: Pipes, wanted: bool) -> None:
    get = b"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n" if wanted else GET
    with download(proxy, behind, pipes, b"0\r\nGrpc-Status: 0\r\n\r\n", get) as client:
        arrived = whole(client)
    assert arrived == PLAIN + (b"0\r\nGrpc-Status: 0\r\n\r\n" if wanted else LAST_CHUNK)


@pytest.mark.parametrize("seed", range(3))
def test_any_chunks_in_any_pieces_arrive_byte_by_byte_as_they_were(
    proxy: Proxy, behind: Put, pipes: Pipes, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - just sizes and bytes
    lengths: list[Callable[[], int]] = [
        lambda: draw.randint(1, 16),
        lambda: draw.randint(1, 1 << 16),
        lambda: draw.randint(1, 1 << 20),
        lambda: 1 << draw.randint(12, 20),
    ]
    wire = REST + b"".join(chunk(draw.randbytes(draw.choice(lengths)())) for _ in range(60)) + LAST_CHUNK

    def send(connection: Client) -> None:
        at = 0
        while at < len(wire):
            size = draw.choice((draw.randint(1, 20), draw.randint(1, 1 << 16), 1 << 20))
            connection.send(wire[at : at + size])
            at += size

    go = threading.Event()
    behind(downloads(CHUNKS, after(go, send)))
    with proxy.client() as client:
        client.send(GET).head()
        pipes.appear()
        go.set()
        expected = CHUNKS.body[:PART] + wire
        assert hashlib.sha256(client.body(len(expected))).digest() == hashlib.sha256(expected).digest()
        assert not client.data
        assert client.get("/after") == (200, b"after")


def test_a_client_of_http_1_0_has_its_body_read_for_it(proxy: Proxy, behind: Put, pipes: Pipes) -> None:
    seen: list[int] = []

    def rest(connection: Client) -> None:
        connection.send(REST + LAST_CHUNK)
        seen.append(pipes.count())

    behind(downloads(CHUNKS, rest))
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n").head()
        assert client.rest() == payload(PLAIN + LAST_CHUNK)
    assert seen == [pipes.before]


def test_what_comes_bit_by_bit_is_not_spliced(proxy: Proxy, behind: Put, pipes: Pipes) -> None:
    steps = threading.Semaphore(0)
    event = bytes(15_994) + b"\r\n7d00\r\n" + bytes(16_006)  # the middle of a chunk to that of the next
    count = (3 << 20) // len(event)

    def handler(connection: Client, head: bytes) -> None:
        connection.send(CHUNKS.head + b"7d00\r\n" + bytes(16_006))
        for _ in range(count):
            connection.send(event)
            steps.acquire(timeout=PATIENCE)
        connection.send(bytes(15_994) + b"\r\n" + LAST_CHUNK)

    behind(handler)
    with proxy.client() as client:
        client.send(GET).head()
        client.body(6 + 16_006)
        for _ in range(count):
            assert client.body(len(event)) == event
            assert pipes.count() == pipes.before
            steps.release()
        assert client.body(15_994 + 2 + len(LAST_CHUNK)).endswith(b"\0\r\n" + LAST_CHUNK)


def test_what_is_not_large_yet_is_not_spliced(proxy: Proxy, behind: Put, pipes: Pipes) -> None:
    go = threading.Event()
    first = (LARGE * 6)[:-50_000]

    def handler(connection: Client, head: bytes) -> None:
        connection.send(CHUNKS.head + first)
        go.wait(PATIENCE)
        connection.send(LARGE[-50_000:] + LAST_CHUNK)

    behind(handler)
    with proxy.client() as client:
        client.send(GET).head()
        assert client.body(len(first)) == first
        assert pipes.count() == pipes.before
        go.set()
        assert whole(client, first) == LARGE * 6 + LAST_CHUNK


@contextmanager
def in_steps(proxy: Proxy, behind: Put, pipes: Pipes, *pieces: bytes) -> Iterator[tuple[Client, threading.Semaphore]]:
    """A client of a response that is spliced, and what lets each of `pieces` of it come."""
    steps = threading.Semaphore(0)

    def rest(connection: Client) -> None:
        for piece in pieces:
            steps.acquire(timeout=PATIENCE)
            connection.send(piece)

    behind(downloads(CHUNKS, rest))
    with proxy.client() as client:
        client.send(GET).head()
        assert client.body(PART) == CHUNKS.body[:PART]
        pipes.appear()
        steps.release()
        yield client, steps


def test_after_what_is_not_plain_it_is_not_spliced_again(proxy: Proxy, behind: Put, pipes: Pipes) -> None:
    odd, large, end = b"1;a=b\r\nx\r\n", (LARGE * 40)[:-50_000], LARGE[-50_000:] + LAST_CHUNK
    with in_steps(proxy, behind, pipes, REST + odd, large, end) as (client, steps):
        assert client.body(len(REST + TINY)) == REST + TINY
        pipes.disappear()
        steps.release()
        before = client.body(len(large) - 1_000)  # in other chunks
        assert pipes.count() == pipes.before
        steps.release()
        assert payload(PLAIN + whole(client, before)) == payload(PLAIN + LARGE * 40 + LAST_CHUNK)


def test_after_a_line_that_came_in_two_it_is_spliced_again(proxy: Proxy, behind: Put, pipes: Pipes) -> None:
    large = LARGE * 40
    pieces = (REST + large[:3], large[3:-50_000], large[-50_000:] + LAST_CHUNK)
    with in_steps(proxy, behind, pipes, *pieces) as (client, steps):
        assert client.body(len(REST)) == REST
        pipes.disappear()
        steps.release()
        before = client.body(len(large) - 50_000)
        pipes.appear()
        steps.release()
        assert whole(client, before) == large + LAST_CHUNK
