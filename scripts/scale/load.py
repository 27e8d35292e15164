"""Requests to random routes all the time, from a process of its own, which tells at the end what became of them.

`python -m scripts.scale.load ADDRESS ROUTES`: ends when its standard input does. Half of the clients keep their
connection, half open one for each request. Every answer but a 200 of one of the two backends has failed.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field

from . import objects

CLIENTS = 4
PAUSE = 0.008  # seconds between two requests of a client
PATIENCE = 10.0  # seconds for an answer


@dataclass
class Tally:
    """What became of the requests. `slowest` in seconds; `first`: what was wrong with the first ones that failed."""

    answers: int = 0
    failed: int = 0
    slowest: float = 0.0
    first: list[str] = field(default_factory=list)


class Client:
    """One of them."""

    def __init__(self, address: str, routes: int, keep: bool, tally: Tally) -> None:
        self._address = address
        self._routes = routes
        self._keep = keep
        self._tally = tally
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            number = random.randrange(self._routes)  # noqa: S311 - any will do
            began = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    problem = await self._ask(number)
            except (OSError, TimeoutError, ValueError, IndexError, asyncio.IncompleteReadError) as error:
                problem, self._open = repr(error), None
            tally = self._tally
            tally.answers += 1
            tally.slowest = max(tally.slowest, time.monotonic() - began)
            if problem:
                tally.failed += 1
                if len(tally.first) < 3:
                    tally.first.append(f"{objects.path(number)}: {problem}")
            await asyncio.sleep(PAUSE)

    async def _ask(self, number: int) -> str:
        if self._open is None:
            self._open = await asyncio.open_connection(self._address, 80)
        head, body = await ask(*self._open, number, "" if self._keep else "Connection: close\r\n")
        if not self._keep or b"connection: close" in head:
            self._open[1].close()
            self._open = None
        status = head.split(b" ", 2)[1]
        return "" if status == b"200" and body in (b"a", b"b") else f"{status.decode()} {body!r}"


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, fields: str = ""
) -> tuple[bytes, bytes]:
    """Ask for a route; the head of the answer, in lower case, and its body. Raises ValueError and IndexError, too."""
    writer.write(f"GET {objects.path(number)} HTTP/1.1\r\nHost: {objects.host(number)}\r\n{fields}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return head, await reader.readexactly(length)


async def main(address: str, routes: int) -> None:
    """Until the end of standard input."""
    tally = Tally()
    clients = [Client(address, routes, number % 2 == 0, tally) for number in range(CLIENTS)]
    tasks = [asyncio.create_task(each.run()) for each in clients]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            tally.failed += 1
            tally.first.append(repr(result))
    print(json.dumps(asdict(tally)))


class Load:
    """The process, as the run sees it. Use as an asynchronous context manager; `tally` is there at its end."""

    def __init__(self, address: str, routes: int, inside_of: int | None = None) -> None:
        enter = [] if inside_of is None else ["nsenter", f"--net=/proc/{inside_of}/ns/net"]
        self._command = [*enter, sys.executable, "-m", __name__, address, str(routes)]
        self.tally = Tally()

    async def __aenter__(self) -> "Load":
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            output, _error = await asyncio.wait_for(self._process.communicate(b""), PATIENCE * 2)
            self.tally = Tally(**json.loads(output))
        finally:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
