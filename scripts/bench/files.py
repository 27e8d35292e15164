"""How a folder of many manifests is served: load time, time from an edit to every worker, and edits under load.

    hatch run scale-files [--routes 5000] [--workers 2] [--edits 100]

Makes routes and Services (with an EndpointSlice each) in a temporary folder, starts rauta-control on it, and edits by
renaming over a file, as editors and tools should. Times are seen from outside: a request is sent on a new connection,
again and again, and says by its answer which configuration it met. What the machine's other work costs is in them.
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

from .process import BenchError, free_ports

AGREE = 40  # answers in a row of the new configuration that count as all workers
LATE = 0.100  # seconds from the rename after which no answer may come from the configuration before
CLIENTS = 8
PATIENCE = 60.0

GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw}}
spec: {{gatewayClassName: rauta, listeners: [{{name: http, port: {port}, protocol: HTTP}}]}}
"""
ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: r{number}
spec:
  parentRefs:
  - name: gw
  rules:
  - matches:
    - path: {{type: PathPrefix, value: /r/{number}}}
    backendRefs:
    - {{name: s{target}, port: 80}}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: s{number}}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s{number}-1, labels: {{kubernetes.io/service-name: s{number}}}}}
addressType: IPv4
ports: [{{port: {port}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"""


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


class Folder:
    """The manifests. Route 0 can be pointed at service 0 (backend a) or 1 (backend b), which is the edit."""

    def __init__(self, root: Path, routes: int, listener: int, backends: tuple[int, int]) -> None:
        self.root = root
        (root / "routes").mkdir()
        (root / "services").mkdir()
        (root / "gateway.yaml").write_text(GATEWAY.format(port=listener))
        for number in range(routes):
            (root / f"routes/r{number:05}.yaml").write_text(ROUTE.format(number=number, target=number))
            text = SERVICE.format(number=number, port=backends[number % 2])
            (root / f"services/s{number:05}.yaml").write_text(text)

    def point(self, target: int) -> float:
        """Edit; return when."""
        new = self.root / "routes/.new"
        new.write_text(ROUTE.format(number=0, target=target))
        now = time.monotonic()
        new.rename(self.root / "routes/r00000.yaml")
        return now


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


async def load(port: int, truth: Truth, tally: Tally, stop: asyncio.Event) -> None:
    """Ask without a pause, and judge each answer by what was true when it was asked for."""
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


def rss(pid: int) -> float:
    """MiB resident."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return sizes["Rss"] / 1024


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stall(port: int, applying: str) -> float:
    """The longest step of any worker that applied `everything` or a `change`, in seconds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    mark = f'applying="{applying}"'
    return max(
        float(line.rpartition(" ")[2]) for line in lines if line.startswith("rauta_worker_stall_") and mark in line
    )


def stalls(port: int) -> str:
    """Both, for people. It is time on the clock: on a busy machine it holds what other processes computed."""
    change, everything = (stall(port, applying) * 1e3 for applying in ("change", "everything"))
    return f"change {change:.2f} ms, everything {everything:.2f} ms; load average {os.getloadavg()[0]:.1f}"


async def measure(routes: int, workers: int, edits: int) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda name=name: Backend(name), "127.0.0.1", 0) for name in (b"a", b"b")]  # type: ignore[misc]
    backends = (servers[0].sockets[0].getsockname()[1], servers[1].sockets[0].getsockname()[1])
    listener, admin, probe = free_ports(3)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "manifests"
        root.mkdir()
        folder = Folder(root, routes, listener, backends)
        log = Path(scratch) / "log"
        started = time.monotonic()
        with gateway(root, workers, (admin, probe), log):
            stop = asyncio.Event()
            steps = Steps(probe)
            while time.monotonic() - started < PATIENCE:
                with contextlib.suppress(OSError):
                    await ask(probe, "/healthz")
                    break
                await asyncio.sleep(0.01)
            watching = asyncio.create_task(steps.run(stop))
            print(f"{routes} routes and Services, {workers} workers")
            seconds = await ready(probe, started)
            control = int(re.findall(r"started child=control pid=(\d+)", log.read_text())[0])
            print(f"  ready after                   {seconds:.2f} s, of which control computed {cpu(control):.2f} s")
            if await ask(listener) != (200, b"a"):
                raise BenchError(log.read_text())
            print(f"  control answers while loading {steps.said()}")
            print(f"  worker stall while loading    {stalls(probe)}")
            await asyncio.sleep(2)
            steps.longest.clear()

            times = []
            for number in range(1, 21):
                renamed = folder.point(number % 2)
                times.append(await served(listener, b"ab"[number % 2 : number % 2 + 1]) - renamed)
                await asyncio.sleep(0.05)
            times.sort()
            median, longest = statistics.median(times) * 1e3, times[-1] * 1e3
            print(f"  edit to served by all         median {median:.0f} ms, max {longest:.0f} ms")
            print(f"  control answers meanwhile     {steps.said()}")

            truth, tally = Truth(), Tally()
            halt = asyncio.Event()
            clients = [asyncio.create_task(load(listener, truth, tally, halt)) for _ in range(CLIENTS)]
            for number in range(1, edits + 1):
                await asyncio.sleep(0.15)
                truth.name, truth.since = b"ab"[number % 2 : number % 2 + 1], folder.point(number % 2)
            await asyncio.sleep(0.2)
            halt.set()
            await asyncio.gather(*clients)
            print(
                f"  {edits} edits under load         {tally.answers} answers, {tally.failed} failed {tally.first}, "
                f"{tally.stale} older than {LATE * 1e3:.0f} ms (oldest {tally.oldest * 1e3:.0f} ms)"
            )
            print(f"  control answers meanwhile     {steps.said()}")
            print(f"  worker stall, longest         {stalls(probe)}")
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/api/v1/status") as answer:
                status = json.load(answer)
            sizes = ", ".join(f"{rss(worker['pid']):.0f}" for worker in status["workers"])
            print(f"  RSS of workers                {sizes} MiB")
            stop.set()
            await watching
    for server in servers:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="scale-files", description=__doc__.splitlines()[0])
    parser.add_argument("--routes", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--edits", type=int, default=100)
    given = parser.parse_args()
    asyncio.run(measure(given.routes, given.workers, given.edits))


if __name__ == "__main__":
    main()
