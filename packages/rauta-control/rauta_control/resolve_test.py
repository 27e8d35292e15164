"""Resolver: names are looked up concurrently, again at a reload, and a slow or failing one holds up nobody."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from rauta_control.resolve import Resolver, SystemLookup


class FakeDns:
    """Answers from `known`; a name that is not there fails, `slow` waits for `release`."""

    def __init__(self, **known: list[str]) -> None:
        self.known = known
        self.asked: list[str] = []
        self.release = asyncio.Event()

    async def lookup(self, host: str) -> list[str]:
        self.asked.append(host)
        if host == "slow":
            await self.release.wait()
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.known[host]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def with_resolver(
    dns: FakeDns, body: Callable[[Resolver, list[dict[str, tuple[str, ...]]]], Awaitable[None]]
) -> None:
    changes: list[dict[str, tuple[str, ...]]] = []
    resolver = Resolver(lambda _: changes.append(dict(resolver.names.addresses)), dns.lookup)
    task = asyncio.create_task(resolver.run())
    await body(resolver, changes)
    task.cancel()
    await asyncio.wait([task])


def test_a_slow_name_does_not_hold_up_the_others() -> None:
    async def main() -> None:
        dns = FakeDns(slow=["10.0.0.9"], web=["10.0.0.2", "10.0.0.1"])

        async def body(resolver: Resolver, changes: list[dict[str, tuple[str, ...]]]) -> None:
            resolver.want(["slow", "web", "nowhere"])
            await until(lambda: len(changes) == 2)
            assert changes[-1] == {"slow": (), "web": ("10.0.0.1", "10.0.0.2"), "nowhere": ()}
            assert resolver.names.problems == [
                "nowhere does not resolve (Name or service not known); it has no addresses yet"
            ]
            assert not resolver.names.answered
            dns.release.set()
            await until(lambda: resolver.names.answered)
            assert changes[-1]["slow"] == ("10.0.0.9",)

        await with_resolver(dns, body)

    asyncio.run(main())


def test_wanting_again_looks_up_again_and_only_a_change_is_told() -> None:
    async def main() -> None:
        dns = FakeDns(web=["10.0.0.1"])

        async def body(resolver: Resolver, changes: list[dict[str, tuple[str, ...]]]) -> None:
            resolver.want(["web"])
            await until(lambda: len(changes) == 1)
            resolver.want(["web"])
            await until(lambda: len(dns.asked) == 2)
            dns.known["web"] = ["10.0.0.7"]
            resolver.want(["web"])
            await until(lambda: len(changes) == 2)
            assert changes == [{"web": ("10.0.0.1",)}, {"web": ("10.0.0.7",)}]

        await with_resolver(dns, body)

    asyncio.run(main())


def test_the_system_knows_localhost() -> None:
    assert set(asyncio.run(SystemLookup()("localhost"))) <= {"127.0.0.1", "::1"}


def test_no_thread_for_it_is_a_failure_of_the_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(OSError, match="thread"):
        asyncio.run(SystemLookup()("localhost"))


def test_the_system_is_asked_for_many_names_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = [f"10.0.0.{number}" for number in range(16)]
    together = threading.Barrier(len(hosts))

    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        together.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"{host}0", 0))]

    async def main() -> list[list[str]]:
        lookup = SystemLookup()
        return await asyncio.gather(*(lookup(host) for host in hosts))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert uvloop.run(main()) == [[f"{host}0"] for host in hosts]
