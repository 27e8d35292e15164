"""Looks up host names in threads, never blocking, each at its own time (names.py decides).

A shell. Look-ups run concurrently, at most one for each name, so that a slow name delays no other.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from rauta_control.names import Names, choose

LOOKUPS = 32  # at a time; a name server that does not answer holds one for 10 s by default
SPREAD = 0.2  # look-ups are spread over +-20 % of their interval

Lookup = Callable[[str], Awaitable[list[str]]]


class SystemLookup:
    """Asks the system for the addresses of a host, as any other program on this machine would. Raises OSError."""

    def __init__(self) -> None:
        # Made when they are needed. Of those of libuv two look up names: two that are slow would be all.
        self._threads = ThreadPoolExecutor(LOOKUPS, "resolve")

    async def __call__(self, host: str) -> list[str]:
        """Return the addresses of `host`."""
        ask = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        try:
            asking = asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except RuntimeError as error:  # no thread may be started: a limit of processes
            raise OSError(str(error)) from None
        found = await asking
        return [str(address[0]) for *_, address in found]


class Resolver:
    """Keeps the addresses of the wanted hosts fresh; calls `changed` with a host whose look-up changed something."""

    def __init__(self, changed: Callable[[str], None], lookup: Lookup | None = None) -> None:
        self.names = Names()
        self._changed = changed
        self._lookup = lookup or SystemLookup()
        self._wake = asyncio.Event()

    def want(self, hosts: Collection[str]) -> None:
        """Resolve exactly these hosts from now on, all of them at once."""
        self.names.want(hosts, asyncio.get_running_loop().time())
        self._wake.set()

    async def run(self) -> None:
        """Look up what is due, until cancelled."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as lookups:
            while True:
                self._wake.clear()
                for host in self.names.start(loop.time()):
                    lookups.create_task(self._resolve(host))
                due = self.names.next_due()
                try:
                    async with asyncio.timeout_at(due):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def _resolve(self, host: str) -> None:
        now = asyncio.get_running_loop().time
        jitter = random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - no secret
        try:
            addresses = choose(await self._lookup(host))
        except (OSError, UnicodeError) as error:
            changed = self.names.fail(host, getattr(error, "strerror", None) or str(error), now(), jitter)
        else:
            changed = self.names.succeed(host, addresses, now(), jitter)
        self._wake.set()
        if changed:
            self._changed(host)
