"""Admin: real requests over loopback to both servers, good ones and bad ones."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rauta_control import admin as admin_module
from rauta_control.admin import MAX_CONNECTIONS, Admin, BoundedServer
from rauta_control.configuration import Configuration
from rauta_control.counters import Counters
from rauta_control.listening import bind, place
from rauta_control.log import Log
from rauta_control.picture import Picture
from rauta_control.routespec import route
from rauta_control.settings import Settings
from rauta_control.sharedmem import SharedWords
from rauta_control.slices import finish
from rauta_control.standalone import translate
from rauta_control.state import EMPTY


class Served:
    """Both servers, and a client. `picture` is what they show."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.admin = bind("127.0.0.1", 0)
        self.probe = bind("127.0.0.1", 0)
        self.broken = False

    def take(self) -> Picture:
        if self.broken:
            raise RuntimeError("a secret detail")
        return self.picture

    async def ask(
        self, target: str, *, method: str = "GET", probe: bool = False, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        url = f"http://{place(self.probe if probe else self.admin)}{target}"
        async with self.session.request(method, url, headers=headers) as response:
            return response.status, dict(response.headers), await response.read()

    async def raw(self, data: bytes, *, probe: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        where = place(self.probe if probe else self.admin)
        reader, writer = await asyncio.open_connection(where.host, where.port)
        writer.write(data)
        return reader, writer

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            server = Admin(self.take, Log("control", "error"))
            await server.serve([self.admin], [self.probe])
            async with asyncio.timeout(30), aiohttp.ClientSession() as self.session:
                await test()
            server.close()

        asyncio.run(main())


@pytest.fixture
def served() -> Iterator[Served]:
    configuration = Configuration(EMPTY)
    settings = Settings(routes=(route("/api=10.0.0.1:80"), route("shop.example/=10.0.0.1:80")))
    finish(configuration.reconcile(translate(settings, {"10.0.0.1": ("10.0.0.1",)}), -1))
    words = SharedWords.create()
    served = Served(
        Picture(
            version="0.1.0",
            uptime=1.0,
            generation=1,
            config_age=1.0,
            ready=True,
            draining=False,
            expected_workers=1,
            workers=(),
            resources=configuration.resources,
            bound={},
            problems=(),
            counters=Counters(words.words, 1),
        )
    )
    yield served
    served.admin.close()
    served.probe.close()
    words.close()


def problem(answer: tuple[int, dict[str, str], bytes]) -> dict[str, str | int]:
    status, headers, body = answer
    made: dict[str, str | int] = json.loads(body)
    assert headers["Content-Type"] == "application/problem+json"
    assert made["status"] == status
    return made


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({}, (200, b"ready\n")),
        ({"ready": False}, (503, b"starting\n")),
        ({"draining": True}, (503, b"draining\n")),
    ],
)
def test_readyz(served: Served, change: dict[str, bool], answer: tuple[int, bytes]) -> None:
    async def test() -> None:
        served.picture = replace(served.picture, **change)  # type: ignore[arg-type]
        for probe in (False, True):
            status, _, body = await served.ask("/readyz", probe=probe)
            assert (status, body) == answer
            assert (await served.ask("/healthz", probe=probe))[0] == 200

    served.run(test)


def test_metrics_on_both_servers(served: Served) -> None:
    async def test() -> None:
        for probe in (False, True):
            status, headers, body = await served.ask("/metrics", probe=probe)
            assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
            names = {family.name for family in text_string_to_metric_families(body.decode())}
            assert {"rauta_config_generation", "process_cpu_seconds", "python_gc_collections", "python_info"} <= names

    served.run(test)


def test_the_api_on_admin_only(served: Served) -> None:
    async def test() -> None:
        status, headers, body = await served.ask("/api/v1/routes?path_prefix=/a")
        assert (status, headers["Content-Type"], headers["Server"]) == (200, "application/json", "rauta")
        assert [route["pattern"] for route in json.loads(body)] == ["/api"]
        assert json.loads((await served.ask("/api/v1/status"))[2])["generation"] == 1
        assert json.loads((await served.ask("/api/v1/cache"))[2])["hits"] == 0
        assert len(json.loads((await served.ask("/api/v1/metrics?name=rauta_ready"))[2])) == 1
        told = json.loads((await served.ask("/api/v1/explain?url=http://shop.example:8080/a&header=x:y"))[2])
        assert (told["route"], told["generation"]) == ("standalone/shop.example/", 1)
        made = problem(await served.ask("/api/v1/explain?url=ftp://h/"))
        assert (made["status"], made["detail"]) == (400, "url: 'ftp' is neither http nor https")
        assert problem(await served.ask("/api/v1/routes?nonsense=1"))["status"] == 400
        made = problem(await served.ask("/api/v1/routes", probe=True))
        assert made["status"] == 404
        assert made["fix"] == "ask for one of /healthz, /readyz, /metrics"

    served.run(test)


def test_errors_are_problems_that_say_what_to_do(served: Served) -> None:
    async def test() -> None:
        made = problem(await served.ask("/nowhere"))
        assert (made["status"], made["title"], made["detail"]) == (404, "Not Found", "there is no /nowhere")
        assert "/api/v1/status" in str(made["fix"])
        answer = await served.ask("/api/v1/status", method="POST")
        assert problem(answer)["title"] == "Method Not Allowed"
        assert answer[1]["Allow"] == "GET, HEAD"

    served.run(test)


def test_head_has_no_body(served: Served) -> None:
    async def test() -> None:
        status, headers, body = await served.ask("/readyz", method="HEAD")
        assert (status, headers["Content-Length"], body) == (200, "6", b"")

    served.run(test)


def test_foreign_hosts_and_origins_are_refused_on_admin(served: Served) -> None:
    async def test() -> None:
        for path in ("/healthz", "/metrics", "/api/v1/status", "/nowhere"):
            assert problem(await served.ask(path, Host="evil.example"))["status"] == 403
            assert problem(await served.ask(path, Origin="http://evil.example"))["status"] == 403
        assert (await served.ask("/healthz", Origin="http://localhost:3000"))[0] == 200
        assert (await served.ask("/readyz", probe=True, Host="rauta.default.svc"))[0] == 200

    served.run(test)


def test_a_fault_of_ours_shows_no_detail_and_is_logged(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    async def test() -> None:
        served.broken = True
        for path in ("/readyz", "/metrics", "/api/v1/status"):
            status, _, body = answer = await served.ask(path)
            assert problem(answer)["title"] == "Internal Server Error"
            assert b"secret" not in body
        assert status == 500

    served.run(test)
    assert capfd.readouterr().err.count("a secret detail") == 3


def test_garbage_is_answered_and_not_logged(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    async def test() -> None:
        reader, writer = await served.raw(b"\x16\x03\x01 garbage\r\n\r\n", probe=True)
        assert (await reader.read()).startswith(b"HTTP/1.0 400")
        writer.close()

    served.run(test)
    assert capfd.readouterr().err == ""


def test_a_flood_of_connections_keeps_nobody_out(served: Served) -> None:
    async def test() -> None:
        held = [await served.raw(b"GET /healthz HT", probe=True) for _ in range(MAX_CONNECTIONS + 5)]
        assert (await served.ask("/readyz", probe=True))[0] == 200
        assert await held[0][0].read() == b""
        for _, writer in held:
            writer.close()

    served.run(test)


def test_connections_that_come_all_at_once_are_bounded_too(served: Served) -> None:
    burst = [socket.create_connection(served.probe.getsockname()) for _ in range(3 * MAX_CONNECTIONS)]

    def ended(client: socket.socket) -> bool:
        try:
            return client.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
        except ConnectionResetError:
            return True
        except BlockingIOError:
            return False

    async def test() -> None:
        while sum(map(ended, burst)) < 2 * MAX_CONNECTIONS:
            await asyncio.sleep(0.001)
        assert (await served.ask("/readyz", probe=True))[0] == 200
        for client in burst:
            client.close()

    served.run(test)


def test_a_slow_head_is_cut(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_module, "KEEPALIVE", 0.1)

    async def test() -> None:
        reader, writer = await served.raw(b"GET /healthz HTTP/1.1\r\n")
        assert await reader.read() == b""
        writer.close()

    served.run(test)


def test_a_client_that_does_not_read_is_cut(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[BoundedServer] = []

    def record(*args: Any, **options: Any) -> BoundedServer:
        made.append(BoundedServer(*args, **options))
        return made[-1]

    monkeypatch.setattr(admin_module, "WRITE_TIMEOUT", 0.1)
    monkeypatch.setattr(admin_module, "BoundedServer", record)
    served.picture = replace(served.picture, problems=("x" * 20_000_000,))  # more than the kernel buffers

    async def test() -> None:
        client = socket.create_connection(served.admin.getsockname())
        client.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while not made[0].connections:
            await asyncio.sleep(0.001)
        while made[0].connections:
            await asyncio.sleep(0.001)
        client.close()

    served.run(test)
