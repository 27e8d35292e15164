"""One running proxy: started for a row, metered in slices, asked for its memory and its access log, stopped."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import certificate, cpu, heads, memory
from .machine import Cores
from .peers import Place, Proxy
from .process import EndedError, Launched, free_ports
from .setup import Route, Setup
from .wire import TIMEOUT, Client, WrongAnswerError

START = 20.0  # seconds to get ready, and a second more for each 100 routes
TRIES = 3  # starts, when a port was taken between asking and binding
SETTLE = 0.05  # seconds after the load before the CPU is read: what it left in flight is the proxy's work too
FIRST_REQUESTS = 200  # before memory is read: code loaded and caches filled on first use are nobody's


@dataclass(slots=True)
class Meter:
    """What the block in `Instance.metered` cost; filled when the block ends."""

    cpu_ns: int = 0
    wall: float = 0.0
    waited: float = 0.0  # of the time, it was ready to run and somebody else had its core


class Instance:
    """A running proxy (or, with no command, the way past it)."""

    def __init__(self, proxy: Proxy, setup: Setup, place: Place, launched: Launched | None, cores: Cores) -> None:
        """Use `started`."""
        self.proxy = proxy
        self.setup = setup
        self.cores = cores
        self._place = place
        self._launched = launched
        self.baseline = 0  # resident bytes before the first slice

    @property
    def name(self) -> str:
        """Of the proxy."""
        return self.proxy.name

    @property
    def folder(self) -> Path:
        """Its own, deleted at the end."""
        return self._place.folder

    @property
    def is_proxy(self) -> bool:
        """False for the way past: nothing to meter, and nothing is added to requests."""
        return self._launched is not None

    @property
    def secure(self) -> bool:
        """Whether it takes requests with TLS."""
        return self.setup.secure and self.is_proxy

    def port(self, route: Route) -> int:
        """Where to send requests for a route."""
        return self._place.port if self._launched else route.port

    def client(self, route: Route, timeout: float = TIMEOUT) -> Client:
        """Connect for requests for a route."""
        return Client(self.port(route), timeout=timeout, secure=self.secure)

    @contextlib.contextmanager
    def metered(self) -> Iterator[Meter]:
        """CPU and time of the block. Raises GoneError when a process of the proxy ended in it."""
        meter = Meter()
        if not self._launched:
            start = time.monotonic()
            yield meter
            meter.wall = time.monotonic() - start
            return
        before, start = cpu.reading(self._launched.pid), time.monotonic()
        yield meter
        meter.wall = time.monotonic() - start
        time.sleep(SETTLE)
        times = cpu.spent(before, cpu.reading(self._launched.pid))
        meter.cpu_ns = times.run
        meter.waited = times.wait / 1e9 / meter.wall

    def footprint(self) -> int:
        """PSS of all its processes, in bytes."""
        return memory.footprint(self._launched.pid) if self._launched else 0

    def watched(self) -> memory.Peak:
        """A sampler of its memory against the baseline; see memory.Peak."""
        return memory.Peak(self._launched.pid if self._launched else None, self.baseline)

    def lines(self) -> int:
        """Lines its access log got since the last call; the file is emptied."""
        log = self._place.log
        if not log.exists():
            return 0
        with log.open("rb") as file:
            count = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        os.truncate(log, 0)
        return count

    def settle(self) -> None:
        """A few requests one by one, then the baseline of its memory."""
        route = self.setup.routes[0]
        with self.client(route) as client:
            for n in range(FIRST_REQUESTS):
                client.exchange(heads.head(0, n, route))
        if self._launched:
            self.baseline = memory.resident(cpu.tree(self._launched.pid))

    def answers(self) -> bool:
        """Whether a first request comes back right."""
        route = self.setup.routes[0]
        try:
            with self.client(route, timeout=2) as client:
                head, _ = client.exchange(heads.head(0, 0, route))
        except WrongAnswerError:
            return False
        return head.status == 200


@contextlib.contextmanager
def started(proxy: Proxy, binary: Path, setup: Setup, cores: Cores, scratch: Path) -> Iterator[Instance]:
    """Start a proxy on its core, wait until it answers, stop it at the end and delete its files."""
    with tempfile.TemporaryDirectory(prefix=f"{proxy.name}-", dir=scratch) as folder, contextlib.ExitStack() as running:
        setup = setup.of_few(proxy.routes) if proxy.routes else setup
        patience = START + len(setup.routes) / 100
        for attempt in range(TRIES):
            place = Place(Path(folder), *free_ports(3))
            if setup.secure:
                place.certificate.write_bytes(certificate.pem())
            start = proxy.prepare(binary, setup, place)
            if not start.command:
                instance = Instance(proxy, setup, place, None, cores)
                break
            log = place.log if start.logs_to_stdout else None
            launched = Launched(start.command, cores.proxy, place.folder / "output", start.env, log=log)
            instance = Instance(proxy, setup, place, launched, cores)
            running.callback(launched.stop)
            try:
                launched.await_ready(lambda: proxy.ready(place) and instance.answers(), patience)  # noqa: B023 - used within the turn
                break
            except EndedError:
                launched.stop()
                if attempt == TRIES - 1:
                    raise
        instance.settle()
        yield instance
