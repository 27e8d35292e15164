"""How a folder of many manifests is served: load time, time from an edit to every worker, and edits under load.

    hatch run scale-files [--routes 5000] [--workers 2] [--edits 100] [--pause 0.02]

Makes routes and Services (with an EndpointSlice each) in a temporary folder, starts rauta-control on it, and edits by
renaming over a file, as editors and tools should. Times are seen from outside: a request is sent on a new connection,
again and again, and says by its answer which configuration it met. What the machine's other work costs is in them, and
in all that is said to be on the clock; what is said to be computed is CPU time of the process it is about.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import cpu, memory
from .folder import Folder
from .machine import idle_share, ticks
from .process import BenchError, free_ports

AGREE = 40  # answers in a row of the new configuration that count as all workers
LATE = 0.100  # seconds from the rename after which no answer may come from the configuration before
CLIENTS = 8
SINGLE = 20  # edits that are awaited one by one
PATIENCE = 60.0
STAT = Path("/proc/stat")


class Backend(asyncio.Protocol):
    """Answers every request with its name."""

    def __init__(self, name: bytes) -> None:
        self._answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer * data.count(b"\r\n\r\n"))  # type: ignore[attr-defined]


@dataclass
class Tally:
    """Answers under load, and what was wrong with them."""

    answers: int = 0
    failed: int = 0
    stale: int = 0
    oldest: float = 0.0  # longest time after an edit at which the configuration before still answered
    first: str = ""  # the first failure


@dataclass
class Truth:
    """Which backend is right: the last edit and the one before."""

    name: bytes = b"a"
    since: float = field(default_factory=time.monotonic)


async def ask(port: int, path: str = "/r/0") -> tuple[int, bytes]:
    """One request on a connection of its own: status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


async def served(port: int, expected: bytes) -> float:
    """Ask until every worker seems to have the configuration; return when the last other answer was asked for."""
    last, agreed = time.monotonic(), 0
    deadline = last + PATIENCE
    while agreed < AGREE:
        asked = time.monotonic()
        if asked > deadline:
            raise BenchError("an edit was never served")
        _, body = await ask(port)
        if body == expected:
            agreed += 1
        else:
            agreed, last = 0, time.monotonic()
    return last


async def load(port: int, pause: float, truth: Truth, tally: Tally, stop: asyncio.Event) -> None:
    """Ask, with a pause after each answer, and judge each by what was true when it was asked for."""
    while not stop.is_set():
        asked, right, since = time.monotonic(), truth.name, truth.since
        try:
            status, body = await ask(port)
        except (OSError, TimeoutError, IndexError, ValueError) as error:
            status, body = 0, repr(error).encode()
        tally.answers += 1
        if status != 200:
            tally.failed += 1
            tally.first = tally.first or f"{status} {body!r}"
        elif body != right and truth.name == right:
            tally.oldest = max(tally.oldest, asked - since)
            tally.stale += asked - since > LATE
        await asyncio.sleep(pause)


class Steps:
    """The longest time that control took to answer, asked over one connection all the time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.longest: list[float] = []

    async def run(self, stop: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while not stop.is_set():
            started = time.monotonic()
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"ok\n")
            self.longest.append(time.monotonic() - started)
            await asyncio.sleep(0.002)
        writer.close()

    def said(self) -> str:
        ordered = sorted(self.longest)
        p99 = ordered[int(len(ordered) * 0.99)]
        text = f"max {ordered[-1] * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms of {len(ordered)}"
        self.longest.clear()
        return text


@contextlib.contextmanager
def gateway(folder: Path, workers: int, ports: tuple[int, int], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "rauta_control.main", "--config", str(folder), "--addresses", "127.0.0.1"]
    command += ["--workers", str(workers), "--access-log", "off", "--probe-host", "127.0.0.1"]
    command += ["--admin-port", str(ports[0]), "--probe-port", str(ports[1])]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_")}
    with log.open("wb") as stderr, subprocess.Popen(command, env=clean, stderr=stderr) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


async def ready(port: int, started: float) -> float:
    """Seconds until the probe server says so."""
    while time.monotonic() - started < PATIENCE:
        with contextlib.suppress(OSError, IndexError):
            if (await ask(port, "/readyz"))[0] == 200:
                return time.monotonic() - started
        await asyncio.sleep(0.01)
    raise BenchError("never ready")


class Scrape:
    """The metrics of one moment."""

    def __init__(self, port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            self._lines = answer.read().decode().splitlines()

    def most(self, name: str, label: str = "") -> tuple[float, str]:
        """The largest sample of a metric with this label, in ms, and its labels."""
        chosen = (line.rpartition(" ") for line in self._lines if line.startswith(name + "{") and label in line)
        return max((float(value) * 1e3, labels.partition("{")[2].rstrip("}")) for labels, _, value in chosen)

    def stalls(self) -> str:
        """The longest turns of any worker."""
        said = []
        for applying in ("change", "everything"):
            label = f'applying="{applying}"'
            clock, _ = self.most("rauta_worker_stall_seconds", label)
            computed, _ = self.most("rauta_worker_turn_cpu_seconds", label)
            said.append(f"{applying} {clock:.2f} ms on the clock, {computed:.2f} ms computed")
        return "; ".join(said)

    def step(self) -> str:
        """The longest step of control."""
        computed, labels = self.most("rauta_control_step_cpu_seconds")
        return f"{computed:.2f} ms computed, {labels}"


@dataclass(frozen=True)
class Served:
    """A gateway that runs, and what it serves."""

    folder: Folder
    log: Path
    steps: Steps
    listener: int
    admin: int
    probe: int

    def edit(self, number: int) -> tuple[float, bytes]:
        """Edit for the number-th time; when, and what is right from now on."""
        target = number % 2
        return self.folder.point(target), b"ab"[target : target + 1]

    async def loading(self, started: float) -> None:
        """From the start to ready."""
        seconds = await ready(self.probe, started)
        control = int(re.findall(r"started child=control pid=(\d+)", self.log.read_text())[0])
        print(f"  ready after                   {seconds:.2f} s, of which control computed {cpu.used(control):.2f} s")
        if await ask(self.listener) != (200, b"a"):
            raise BenchError(self.log.read_text())
        print(f"  control answers while loading {self.steps.said()}")
        self._longest()

    async def edits(self) -> None:
        """One edit after the other, each awaited."""
        times = []
        for number in range(1, SINGLE + 1):
            renamed, right = self.edit(number)
            times.append(await served(self.listener, right) - renamed)
            await asyncio.sleep(0.05)
        times.sort()
        median, longest = statistics.median(times) * 1e3, times[-1] * 1e3
        print(f"  edit to served by all         median {median:.0f} ms, max {longest:.0f} ms")
        print(f"  control answers meanwhile     {self.steps.said()}")

    async def edits_under_load(self, count: int, pause: float) -> None:
        """Edits that nobody awaits, while clients ask."""
        truth, tally, stop = Truth(), Tally(), asyncio.Event()
        before = ticks(STAT.read_text())
        clients = [asyncio.create_task(load(self.listener, pause, truth, tally, stop)) for _ in range(CLIENTS)]
        for number in range(1, count + 1):
            await asyncio.sleep(0.15)
            truth.since, truth.name = self.edit(number)
        await asyncio.sleep(0.2)
        stop.set()
        await asyncio.gather(*clients)
        idle = idle_share(before, ticks(STAT.read_text()))
        print(
            f"  {count} edits under load         {tally.answers} answers, {tally.failed} failed {tally.first}, "
            f"{tally.stale} older than {LATE * 1e3:.0f} ms (oldest {tally.oldest * 1e3:.0f} ms)"
        )
        print(f"  cores meanwhile               {idle:.0%} idle, load average {os.getloadavg()[0]:.1f}")
        print(f"  control answers meanwhile     {self.steps.said()}")
        self._longest()

    def sizes(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/api/v1/status") as answer:
            status = json.load(answer)
        sizes = ", ".join(f"{memory.resident([worker['pid']]) >> 20}" for worker in status["workers"])
        print(f"  RSS of workers                {sizes} MiB")

    def _longest(self) -> None:
        scrape = Scrape(self.probe)
        print(f"  longest turn of a worker      {scrape.stalls()}")
        print(f"  longest step of control       {scrape.step()}")


async def answering(probe: int, started: float) -> None:
    """Wait until control answers."""
    while time.monotonic() - started < PATIENCE:
        with contextlib.suppress(OSError):
            await ask(probe, "/healthz")
            return
        await asyncio.sleep(0.01)
    raise BenchError("control never answered")


async def measure(given: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda name=name: Backend(name), "127.0.0.1", 0) for name in (b"a", b"b")]  # type: ignore[misc]
    backends = (servers[0].sockets[0].getsockname()[1], servers[1].sockets[0].getsockname()[1])
    listener, admin, probe = free_ports(3)
    with tempfile.TemporaryDirectory() as scratch:
        root, log = Path(scratch) / "manifests", Path(scratch) / "log"
        root.mkdir()
        trial = Served(Folder(root, given.routes, listener, backends), log, Steps(probe), listener, admin, probe)
        started = time.monotonic()
        with gateway(root, given.workers, (admin, probe), log):
            stop = asyncio.Event()
            await answering(probe, started)
            watching = asyncio.create_task(trial.steps.run(stop))
            print(f"{given.routes} routes and Services, {given.workers} workers")
            await trial.loading(started)
            await asyncio.sleep(2)
            trial.steps.longest.clear()
            await trial.edits()
            await trial.edits_under_load(given.edits, given.pause)
            trial.sizes()
            stop.set()
            await watching
    for server in servers:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="scale-files", description=__doc__.splitlines()[0])
    parser.add_argument("--routes", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument(
        "--pause", type=float, default=0.02, help="seconds between an answer and a client's next request (%(default)s)"
    )
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
