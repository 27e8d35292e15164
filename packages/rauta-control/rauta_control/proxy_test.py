"""The proxy as a process: one worker on loopback, scripted backends and clients, real bytes."""

from __future__ import annotations

import hashlib
import os
import random
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rauta_control import ir
from rauta_control.messages import PROTOCOL_VERSION, Ack, Drain, Hello, Listen, Nack, Unlisten
from rauta_control.proxyharness_test import (
    ROOM,
    Backend,
    Client,
    Proxy,
    Put,
    Shared,
    answer,
    echo,
    eventually,
    line,
    other_backends,
    read_body,
    reset,
    shared_proxy,
    site,
)
from rauta_control.reasons import Reason
from rauta_control.sharedmem import Vital

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
SIZE = 64 << 20
PIECE = random.Random(4).randbytes(1 << 20)  # noqa: S311 - just bytes
DIGEST = hashlib.sha256(PIECE * (SIZE >> 20)).hexdigest()


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    yield from shared_proxy()


@pytest.fixture
def proxy(shared: Shared) -> Proxy:
    return shared.proxy


@pytest.fixture
def behind(shared: Shared) -> Iterator[Put]:
    """Put another backend behind the proxy for the rest of the test."""
    yield from other_backends(shared)


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


# -- big bodies


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


# -- configuration


def hammer(proxy: Proxy, stop: threading.Event, failures: list[object], count: list[int]) -> None:
    """Half new, half kept connections, until told to stop."""
    kept = proxy.client()
    while not stop.is_set():
        fresh = proxy.client()
        for client in (kept, fresh):
            status, body = client.get("/x")
            if status != 200:
                failures.append((status, body))
            count[0] += 1
        fresh.sock.close()
    kept.sock.close()


def answer_one_more(count: list[int]) -> None:
    """Wait until a client had one more answer, so that there are requests between any two transactions."""
    before = count[0]
    eventually(lambda: count[0] > before, "no client gets answers")


def test_transactions_fail_no_request() -> None:
    with Backend(echo) as one, Backend(echo) as two, Proxy(site(one.port)) as proxy:
        assert isinstance(proxy.link.receive(), Hello)
        stop, failures, count = threading.Event(), list[object](), [0]
        threads = [threading.Thread(target=hammer, args=(proxy, stop, failures, count)) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(60):
                ports = ((one.port,), (two.port,), (one.port, two.port))[number % 3]
                extra = [
                    ir.Rule(f"x{at}", "app", "l|*", f"/{at}", "prefix", (ir.ClusterWeight("c"),), slot=2, epoch=1)
                    for at in range(number * 7 % 50)
                ]
                changed = [ir.VirtualHost("l", f"h{number % 5}.example")]
                said = proxy.publish([*site(*ports), *extra, *changed], full=number % 10 == 9)
                assert said == Ack(proxy.state.generation, proxy.state.digest)
                answer_one_more(count)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures
        assert one.heads
        assert two.heads
        eventually(lambda: proxy.vital(Vital.DRAINED) == proxy.state.generation + 1)


def test_a_worker_without_configuration_accepts_nothing_until_it_has_one() -> None:
    with Backend(echo) as backend, Proxy(None) as proxy:
        assert proxy.link.receive() == Hello(PROTOCOL_VERSION, 0, proxy.process.pid, -1, 0)
        with proxy.client() as client:
            client.send(GET)
            assert isinstance(proxy.publish(site(backend.port)), Ack)
            assert client.response() == (200, b"/ 0")


def test_a_wrong_digest_is_refused_and_a_full_one_repairs_it(proxy: Proxy, shared: Shared) -> None:
    said = proxy.publish(site(1), digest=0xBAD)
    assert isinstance(said, Nack)
    assert "digest" in said.reason
    with proxy.client() as client:
        assert client.get()[0] == 200
        assert isinstance(proxy.publish(site(shared.backend.port), full=True), Ack)
        assert client.get()[0] == 200


def test_what_cannot_be_understood_or_applied_is_refused(proxy: Proxy) -> None:
    proxy.link.send(b"\xc1 not msgpack")
    assert isinstance(proxy.link.receive(), Nack)
    broken = [ir.Rule("r", "r", "l|nowhere", "/", "prefix", ())]
    before = proxy.state
    said = proxy.publish([*site(1), *broken])
    assert isinstance(said, Nack)
    proxy.state = before
    with proxy.client() as client:
        assert client.get()[0] == 200


def test_without_control_a_worker_serves_on_and_greets_the_next_one(proxy: Proxy, shared: Shared) -> None:
    with proxy.client() as client:
        proxy.link.sock.shutdown(socket.SHUT_RDWR)
        assert client.get()[0] == 200
        proxy.relink()
        hello = proxy.link.receive()
        assert isinstance(hello, Hello)
        assert (hello.generation, hello.digest) == (proxy.state.generation, proxy.state.digest)
        proxy.relink()  # twice in a row
        assert isinstance(proxy.link.receive(), Hello)
        assert isinstance(proxy.publish(site(shared.backend.port)), Ack)
        assert client.get()[0] == 200


def test_a_garbled_link_is_dropped(proxy: Proxy) -> None:
    proxy.link.sock.sendall(b"\xff" * 100)
    assert proxy.link.sock.recv(1) == b""
    proxy.relink()
    assert isinstance(proxy.link.receive(), Hello)
    with proxy.client() as client:
        assert client.get()[0] == 200


def test_listeners_come_and_go(proxy: Proxy, shared: Shared) -> None:
    more: list[ir.Resource] = [
        ir.Listener("m", "127.0.0.1", 0, 80),
        ir.VirtualHost("m", "*"),
        ir.Rule("m", "app", "m|*", "/", "prefix", (ir.ClusterWeight("c"),), slot=0, epoch=1),
    ]
    with socket.create_server(("127.0.0.1", 0)) as listening, Client(listening.getsockname()[1]) as early:
        proxy.tell(Listen("m"), listening.fileno())
        early.send(GET)
        assert isinstance(proxy.publish([*site(shared.backend.port), *more]), Ack)
        assert early.response() == (200, b"/ 0")
        proxy.tell(Unlisten("m"))
        assert early.get() == (200, b"/ 0")  # connections go on
        with socket.create_server(("127.0.0.1", 0)) as another, Client(another.getsockname()[1]) as late:
            proxy.tell(Listen("m"), another.fileno())
            assert late.get() == (200, b"/ 0")
            assert isinstance(proxy.publish(site(shared.backend.port)), Ack)
            for client in (early, late):  # of a listener that is no more
                status, body = client.get()
                assert (status, b"no_host" in body) == (404, True)
            proxy.tell(Unlisten("m"))


# -- the end


def waiting(release: threading.Event) -> Callable[[Client, bytes], object]:
    def handler(connection: Client, head: bytes) -> None:
        if b"/wait" in head:
            release.wait(30)
        connection.send(answer())

    return handler


@pytest.mark.parametrize("order", ["drain", "orphaned", "SIGTERM"])
def test_what_is_in_flight_is_finished_and_then_the_worker_ends(order: str) -> None:
    release = threading.Event()
    with Backend(waiting(release)) as backend, Proxy(site(backend.port)) as proxy:
        with proxy.client() as idle, proxy.client() as busy:
            assert idle.get()[0] == 200
            busy.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
            eventually(lambda: any(b"/wait" in head for head in backend.heads))
            if order == "drain":
                proxy.tell(Drain(30))
            elif order == "orphaned":
                proxy.channel.close()
            else:
                proxy.process.send_signal(signal.SIGTERM)
            assert idle.rest() == b""
            assert proxy.process.poll() is None
            release.set()
            assert b"Connection: close\r\n" in busy.head()
            assert busy.body(2) == b"ok"
            assert busy.rest() == b""
        assert proxy.exit_code() == 0
        assert proxy.vital(Vital.REQUESTS) == 2


def test_draining_has_an_end() -> None:
    release = threading.Event()
    with Backend(waiting(release)) as backend, Proxy(site(backend.port)) as proxy, proxy.client() as client:
        client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        eventually(lambda: backend.heads)
        proxy.tell(Drain(0.2))
        code = proxy.exit_code()
        release.set()
        assert code == 0
        assert client.response()[0] == 504
        assert client.rest() == b""


def test_draining_under_load_fails_no_request() -> None:
    """Clients may find a kept connection closed when a worker drains, but only between requests."""
    with Backend(echo) as backend, Proxy(site(backend.port)) as proxy:
        failures: list[object] = []
        served = [0]
        stop = threading.Event()

        def client() -> None:
            while not stop.is_set():
                try:
                    connection = proxy.client()
                except OSError:
                    return
                with connection:
                    first = True
                    while not stop.is_set():
                        try:
                            connection.send(GET)
                            head = connection.head()
                        except OSError:
                            head = b""
                        if not head and (stop.is_set() or not first):
                            break  # RFC 9112 9.3.1: one may try again
                        if not head.startswith(b"HTTP/1.1 200 ") or connection.body(3) != b"/ 0":
                            failures.append((first, head))
                            break
                        served[0] += 1
                        first = False
                        if b"Connection: close" in head:
                            break

        proxy.listening.set_inheritable(False)
        threads = [threading.Thread(target=client) for _ in range(6)]
        for thread in threads:
            thread.start()
        eventually(lambda: served[0] > 300)
        with proxy.client() as last:
            assert last.get()[0] == 200
        proxy.tell(Drain(30))
        code = proxy.exit_code()
        stop.set()
        proxy.listening.close()
        for thread in threads:
            thread.join()
        assert code == 0
        assert not failures
