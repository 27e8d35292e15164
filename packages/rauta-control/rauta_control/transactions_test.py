"""Configurations, listeners and orders, given to a real worker under load: no request fails of them."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable

import pytest

from rauta_control import ir
from rauta_control.messages import PROTOCOL_VERSION, Ack, Drain, Hello, Listen, Nack, Unlisten
from rauta_control.proxyharness_test import GET, Backend, Client, Proxy, Shared, answer, echo, eventually, site
from rauta_control.sharedmem import Vital

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


@pytest.mark.parametrize("rest", [b"\r\n", b"Content-Length: 9\r\n\r\nhalf"])
def test_draining_has_an_end_for_which_nobody_else_is_blamed(rest: bytes) -> None:
    release = threading.Event()
    with Backend(waiting(release)) as backend, Proxy(site(backend.port)) as proxy, proxy.client() as client:
        client.send(b"PUT /wait HTTP/1.1\r\nHost: h\r\n" + rest)
        eventually(lambda: backend.heads)
        proxy.tell(Drain(0.2))
        code = proxy.exit_code()
        release.set()
        assert code == 0
        head = client.head()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nx-rauta-reason: stopped\r\n" in head
        assert client.rest().startswith(b"{")


def ask_on(connection: Client, stop: threading.Event, count: list[int]) -> object:
    """Ask until the connection ends or `stop` is set; return what was wrong with that, None if nothing was."""
    first = True
    while not stop.is_set():
        try:
            connection.send(GET)
            head = connection.head()
        except OSError:
            head = b""
        if not head and (stop.is_set() or not first):
            return None  # RFC 9112 9.3.1: one may try again
        if not head.startswith(b"HTTP/1.1 200 ") or connection.body(3) != b"/ 0":
            return first, head
        count[0] += 1
        first = False
        if b"Connection: close" in head:
            return None
    return None


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
                    failure = ask_on(connection, stop, served)
                if failure is not None:
                    failures.append(failure)

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
