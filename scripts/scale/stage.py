"""Where a run takes place: a control plane as the conformance runner makes it, two backends, the objects, a ledger."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scripts.bench.files import Backend
from scripts.conformance import cluster, network
from scripts.conformance.api import Api, Object
from scripts.conformance.problem import ConformanceError
from scripts.conformance.run import install

from . import objects
from .ledger import Ledger

PARALLEL = 16  # objects created or deleted at a time
POLL = 0.01
PATIENCE = 300.0  # seconds for all statuses


@dataclass(frozen=True)
class Stage:
    """What every part of a run has."""

    cluster: cluster.Cluster
    api: Api
    ledger: Ledger
    folder: Path
    workers: int
    routes: int  # that there always are
    outage: float  # seconds

    async def create(self, numbers: Iterable[int]) -> None:
        """Create routes."""
        await _parallel(partial(self.api.request, "POST", objects.ROUTES, objects.route(each)) for each in numbers)

    async def delete(self, numbers: Iterable[int]) -> None:
        """Delete routes."""
        paths = (f"{objects.ROUTES}/{objects.name(each)}" for each in numbers)
        await _parallel(partial(self.api.request, "DELETE", path) for path in paths)

    async def point(self, number: int, target: str) -> Object:
        """Point a route at the other Service; the object as it is then."""
        body = {"spec": {"rules": objects.rules(number, target)}}
        return await self.api.patch(f"{objects.ROUTES}/{objects.name(number)}", body)

    async def await_statuses(self) -> None:
        """Until every route, and the Gateway, has the status of its generation and no more come."""
        ledger = self.ledger
        before = -1

        def settled() -> bool:
            return all(map(ledger.settled, ledger.entries))

        await until(settled, PATIENCE)
        while before != ledger.total:
            before = ledger.total
            await asyncio.sleep(2)
            await until(settled, PATIENCE)


async def _parallel(requests: Iterable[Callable[[], Awaitable[object]]]) -> None:
    turn = asyncio.Semaphore(PARALLEL)

    async def one(request: Callable[[], Awaitable[object]]) -> None:
        async with turn:
            await request()

    await asyncio.gather(*map(one, requests))


async def until(holds: Callable[[], bool], seconds: float) -> float:
    """Wait until it holds; return the seconds that took. ConformanceError if it never does."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise ConformanceError(f"not within {seconds:.0f} s")
        await asyncio.sleep(POLL)
    return time.monotonic() - began


async def _follow(api: Api, path: str, kind: str, ledger: Ledger) -> None:
    async for event, item in api.watch(path):
        if event != "LISTED":
            ledger.feed(event, {"kind": kind, **item})


@asynccontextmanager
async def prepared(
    programs: Mapping[str, Path], crds: Path, folder: Path, *, workers: int, routes: int, outage: float
) -> AsyncIterator[Stage]:
    """A cluster with the objects in it. No replica runs yet, so that they have no status."""
    network.set_up()
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as ended:
        made = await ended.enter_async_context(cluster.running(programs, folder / "cluster"))
        context = made.context(made.authority.issue("rauta-scale", "system:masters"))
        api = await ended.enter_async_context(Api(made.server, context))
        await install(api, sorted(crds.glob("*.yaml")))
        ports: dict[str, int] = {}
        for name in ("a", "b"):
            server = await loop.create_server(partial(Backend, name.encode()), network.HOST, 0)
            ended.callback(server.close)
            ports[name] = server.sockets[0].getsockname()[1]
        for item in objects.ground(network.HOST, ports):
            await api.apply(item)
        stage = Stage(made, api, Ledger(), folder, workers, routes, outage)
        await stage.create(range(routes))
        for path, kind in ((objects.ROUTES, "HTTPRoute"), (objects.GATEWAYS, "Gateway")):
            ended.callback(asyncio.create_task(_follow(api, path, kind, stage.ledger)).cancel)
        await until(lambda: len(stage.ledger.entries) == routes + 1, 30)
        yield stage
