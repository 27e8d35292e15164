"""Spliced bodies through a real worker: deadlines, descriptors, copies, the log, and the end of the worker."""

from __future__ import annotations

import json
import resource
import threading
from contextlib import suppress
from pathlib import Path

from rauta_control import ir
from rauta_control.action import Filters, Mirror
from rauta_control.bodyharness_test import (
    PART,
    SIZE,
    Kind,
    Pipes,
    accept,
    after,
    downloads,
    ended,
    impatient,
    uploads,
)
from rauta_control.messages import Drain
from rauta_control.proxyharness_test import (
    GET,
    PATIENCE,
    Backend,
    Client,
    Proxy,
    Put,
    cluster,
    eventually,
    site,
)
from rauta_control.reasons import Reason

# -- time


def reset(client: Client) -> bool:
    """Whether the connection ends with a reset after what can be read."""
    try:
        while client.sock.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    return False


def test_a_response_that_stalls_is_cut_off(proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind) -> None:
    behind(downloads(kind, lambda connection: connection.rest()))
    before = ended(proxy, Reason.UPSTREAM_STALLED)
    with impatient(proxy), proxy.client() as client:
        client.send(GET).head()
        assert client.rest() == kind.body[:PART]
        assert ended(proxy, Reason.UPSTREAM_STALLED) == before + 1


def test_a_client_that_takes_nothing_is_cut_off(proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind) -> None:
    def rest(connection: Client) -> bool:
        with suppress(OSError):
            connection.send(kind.body[PART:])
        return False

    behind(downloads(kind, rest))
    before = ended(proxy, Reason.WRITE_TIMEOUT)
    with impatient(proxy), proxy.client(receive_buffer=4096) as client:
        client.send(GET).head()
        eventually(lambda: ended(proxy, Reason.WRITE_TIMEOUT) == before + 1)
        assert reset(client), "else the kernel would keep what it has for it"


def test_a_request_that_stalls_is_answered(proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind) -> None:
    behind(uploads(kind, lambda connection: connection.rest()))
    with impatient(proxy), proxy.client() as client:
        client.send(kind.post + kind.body[:PART])
        assert client.response()[0] == 408


def test_a_backend_that_takes_nothing_is_given_up(proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind) -> None:
    go = threading.Event()
    behind(uploads(kind, lambda connection: go.wait(PATIENCE)))
    with impatient(proxy), proxy.client() as client:
        sender = threading.Thread(target=client.send, args=(kind.post + kind.body,))
        sender.start()
        assert client.response()[0] == 504
        sender.join(PATIENCE)
    go.set()


# -- the worker


def test_a_request_that_is_copied_is_not_spliced(kind: Kind) -> None:
    seen: list[int] = []

    def rest(connection: Client) -> None:
        seen.append(pipes.count() - pipes.before)
        accept(kind)(connection)

    with Backend(uploads(kind, rest)) as backend, Backend(lambda connection, head: connection.rest()) as copied:
        copies = Filters(mirrors=(Mirror("m"),))
        rule = ir.Rule("r", "app", "l|*", "/", "prefix", (ir.ClusterWeight("c"),), slot=0, epoch=1, filters=copies)
        resources = [each for each in site(backend.port) if not isinstance(each, ir.Rule)]
        with Proxy([*resources, cluster("m", copied.port), rule]) as proxy, proxy.client() as client:
            pipes = Pipes(proxy)
            assert client.send(kind.post + kind.body).response() == (200, b"right")
            eventually(lambda: copied.heads)
    assert seen == [0]


def test_without_descriptors_bodies_arrive_all_the_same(proxy: Proxy, behind: Put, pipes: Pipes, kind: Kind) -> None:
    seen: list[int] = []

    def rest(connection: Client) -> None:
        seen.append(pipes.count())
        connection.send(kind.body[PART:])

    behind(downloads(kind, rest))
    _, most = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
    with proxy.client() as client:
        assert client.get("/after") == (200, b"after")
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (3, most))
        try:
            client.send(GET)
            assert client.head() == kind.head
            assert client.body(SIZE) == kind.body
        finally:
            resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (most, most))
    assert seen == [pipes.before]


def test_what_is_logged_and_a_drain_waits_for_it(tmp_path: Path, kind: Kind) -> None:
    go = threading.Event()
    both = {
        b"GET": downloads(kind, after(go, lambda connection: connection.send(kind.body[PART:]))),
        b"POS": uploads(kind, accept(kind)),
    }
    log = tmp_path / "log"
    with (
        Backend(lambda connection, head: both[head[:3]](connection, head)) as backend,
        Proxy(site(backend.port), log=str(log)) as proxy,
        proxy.client() as client,
    ):
        pipes = Pipes(proxy)
        assert client.send(kind.post + kind.body).response() == (200, b"right")
        client.send(GET).head()
        assert client.body(PART) == kind.body[:PART]
        pipes.appear()
        proxy.tell(Drain(PATIENCE))
        go.set()
        assert client.rest() == kind.body[PART:]
        assert proxy.exit_code() == 0
        sent, got = (json.loads(line) for line in log.read_text().splitlines())
    assert (sent["bytes_in"], sent["status"]) == (SIZE, 200)
    assert (got["bytes_out"], got["status"], got["reason"]) == (len(kind.head) + SIZE, 200, "")


def test_a_worker_that_ends_ends_them(kind: Kind) -> None:
    with (
        Backend(downloads(kind, lambda connection: connection.rest())) as backend,
        Proxy(site(backend.port)) as other,
        other.client() as client,
    ):
        pipes = Pipes(other)
        client.send(GET).head()
        client.body(PART)
        pipes.appear()
        other.tell(Drain(0.0))
        assert not client.rest()
        assert other.exit_code() == 0
