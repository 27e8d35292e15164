"""Timeouts and retries of a worker process with real sockets: what the conformance suite asks for, and more."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from rauta_control import ir
from rauta_control.action import Retry
from rauta_control.proxyharness_test import Backend, Client, Proxy, answer, cluster, eventually, read_body, reset, site

_QUESTION = re.compile(rb"([a-z]+)=(\w+)")


class Flaky:
    """A backend that fails `after` requests of an `id`: with status `code`, by a reset, or (`code=hang`) not at all."""

    def __init__(self) -> None:
        self.seen: Counter[bytes] = Counter()
        self.over = threading.Event()
        self.backend = Backend(self.serve)

    def asked(self, name: str, times: int) -> int:
        """Return how often it was asked, once that are `times`: a request that was given up may still be on its way."""
        eventually(lambda: self.seen[name.encode()] >= times)
        return self.seen[name.encode()]

    def serve(self, connection: Client, head: bytes) -> bool:
        question = dict(_QUESTION.findall(head.partition(b"\r\n")[0]))
        body = read_body(connection, head)
        self.seen[question[b"id"]] += 1
        if self.seen[question[b"id"]] > int(question[b"after"]):
            connection.send(answer(body or b"ok"))
            return True
        code = question.get(b"code")
        if code == b"hang":
            self.over.wait(30)
            return False
        if code == b"begin":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
            self.over.wait(30)
            return False
        if code is None:
            reset(connection)
            return False
        connection.send(answer(b"no").replace(b"200 OK", code + b" Oh"))
        return True


def rule(path: str, name: str = "c", *, request: int = -1, backend: int = -1, retry: Retry | None = None) -> ir.Rule:
    share = (ir.ClusterWeight(name),)
    return ir.Rule(
        path, path, "l|*", path, "prefix", share, request_timeout=request, backend_timeout=backend, retry=retry, slot=7
    )


@pytest.fixture(scope="module")
def flaky() -> Iterator[Flaky]:
    made = Flaky()
    with made.backend:
        yield made
        made.over.set()


@pytest.fixture(scope="module")
def proxy(flaky: Flaky) -> Iterator[Proxy]:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and does not listen
        rules = (
            rule("/500-3", retry=Retry(3, (500,))),
            rule("/all-2", retry=Retry(2, (500, 502, 503, 504))),
            rule("/all-0", retry=Retry(0, (500, 502, 503, 504))),
            rule("/long", backend=3000, retry=Retry(2)),
            rule("/brief", backend=500, retry=Retry(2)),
            rule("/request", request=500, retry=Retry(5, (500,))),
            rule("/half", "half"),
        )
        half = cluster("half", flaky.backend.port, deaf.getsockname()[1])
        with Proxy([*site(flaky.backend.port), half, *rules]) as made:
            yield made


@pytest.mark.parametrize(
    ("target", "status", "attempts"),
    [
        ("/500-3?after=2&code=500", 200, 3),
        ("/500-3?after=4&code=500", 500, 4),
        ("/500-3?after=2&code=503", 503, 1),
        ("/all-2?after=1&code=500", 200, 2),
        ("/all-2?after=3&code=500", 500, 3),
        ("/all-2?after=1&code=502", 200, 2),
        ("/all-2?after=3&code=502", 502, 3),
        ("/all-2?after=1&code=503", 200, 2),
        ("/all-2?after=3&code=503", 503, 3),
        ("/all-2?after=1&code=504", 200, 2),
        ("/all-2?after=3&code=504", 504, 3),
        ("/all-0?after=1&code=503", 503, 1),
        ("/all-2?after=2", 200, 3),
        ("/all-2?after=3", 502, 3),
        ("/brief?after=3&code=hang", 504, 3),
        ("/request?after=1&code=hang", 504, 1),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_request_is_tried_as_often_as_the_route_says(
    proxy: Proxy, flaky: Flaky, method: str, target: str, status: int, attempts: int
) -> None:
    name = f"{method}{target}".translate({ord(sign): "_" for sign in "/?&=-"})
    if method == "POST" and ("hang" in target or "code" not in target):
        # Who knows what became of it?
        status, attempts = (504 if "hang" in target else 502), 1
    body = b"" if method == "GET" else b"x" * 5_000
    with proxy.client() as client:
        for number in range(1 if "hang" in target else 3):
            line = f"{method} {target}&id={name}_{number} HTTP/1.1\r\nHost: h\r\n"
            fields = f"Content-Length: {len(body)}\r\n" if body else ""
            client.send(f"{line}{fields}\r\n".encode() + body)
            got, said = client.response()
            assert got == status
            if status == 200:
                assert said == (body or b"ok")
            assert flaky.asked(f"{name}_{number}", attempts) == attempts


def test_a_backend_that_says_nothing_is_given_up_for_another_attempt(proxy: Proxy, flaky: Flaky) -> None:
    with proxy.client() as client:
        client.send(b"GET /long?after=1&code=hang&id=long HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.response() == (200, b"ok")
    assert flaky.asked("long", 2) == 2


def test_a_response_that_does_not_end_in_time_is_cut(proxy: Proxy, flaky: Flaky) -> None:
    with proxy.client() as client:
        client.send(b"GET /request?after=1&code=begin&id=begin HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.head().startswith(b"HTTP/1.1 200 OK\r\n")
        assert client.rest() == b"x"
    assert flaky.asked("begin", 1) == 1


def test_an_endpoint_that_refuses_connections_costs_no_request(proxy: Proxy, flaky: Flaky) -> None:
    for number in range(20):  # each connection is another flow, so about half of them begin at the deaf one
        with proxy.client() as client:
            client.send(b"POST /half?after=0&id=half HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n%02d" % number)
            assert client.response() == (200, b"%02d" % number)
    assert flaky.seen[b"half"] == 20
