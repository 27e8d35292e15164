"""How long an edit takes to every worker, and what additions and edits under load cost."""

import asyncio
import math
import statistics
import time
from collections.abc import AsyncIterator

from scripts.chaos.gateway import Gateway
from scripts.chaos.verdict import Verdict, at_most, exactly

from . import member, objects
from .load import Load
from .probe import Probe
from .stage import Stage, until

MEASURED = 300  # edits, of the idle gateway
ADDED = 1000  # routes, under load
EDITED = 100  # under load
ROUTE = 99  # the one that is edited, by no other part of a run
APART = 0.05  # seconds between two edits
GATEWAY = f"Gateway/{objects.GATEWAY}"


async def run(stage: Stage) -> AsyncIterator[list[Verdict]]:
    """One replica, all routes."""
    async with member.running(stage.cluster.kubeconfig, stage.workers, stage.folder / "propagation.log") as replica:
        await stage.await_statuses()
        probe = Probe(member.ADDRESS, member.workers(replica))
        await probe.connect()
        idle = await edits(stage, probe, MEASURED)
        async with Load(member.ADDRESS, stage.routes) as load:
            adding = await addition(stage, replica)
            loaded = await edits(stage, probe, EDITED)
        tally = load.tally
        probe.close()
        await stage.delete(range(stage.routes, stage.routes + ADDED))
        await until(lambda: stage.ledger.attached(GATEWAY) == stage.routes, 30)
        said = f"{tally.answers} answers, slowest {tally.slowest * 1e3:.0f} ms"
        yield [
            *judged(f"edit to served by every worker, {stage.routes} routes", idle, (10, 30)),
            *adding,
            exactly(f"failed of requests meanwhile ({said})", (tally.failed, *tally.first), (0,)),
            *judged("edit to served under load", loaded, None),
        ]


def judged(what: str, seconds: list[float], limits: tuple[float, float] | None) -> list[Verdict]:
    """Median and 99th percentile (nearest rank), in milliseconds; without limits, to be known only."""
    ordered = sorted(each * 1e3 for each in seconds)
    median, p99 = round(statistics.median(ordered), 1), round(ordered[math.ceil(len(ordered) * 0.99) - 1], 1)
    if limits is None:
        return [Verdict(what, f"median {median} ms, p99 {p99} ms of {len(ordered)}", met=True)]
    return [
        at_most(f"{what}, median", median, limits[0], " ms"),
        at_most(f"{what}, p99 of {len(ordered)}", p99, limits[1], " ms"),
    ]


async def edits(stage: Stage, probe: Probe, count: int) -> list[float]:
    """Seconds from each edit's event, or its response if that is earlier, until the last worker serves it."""
    found = []
    key = f"HTTPRoute/{objects.name(ROUTE)}"
    for number in range(count):
        target = "ba"[number % 2]
        known = asyncio.Event()
        stage.ledger.noticed = lambda each, known=known: known.set() if each == key else None  # type: ignore[misc]
        tasks = [asyncio.create_task(stage.point(ROUTE, target)), asyncio.create_task(known.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        began = time.monotonic()
        found.append(await probe.served(ROUTE, target.encode()) - began)
        await asyncio.gather(*tasks)
        await asyncio.sleep(APART)
    return found


async def addition(stage: Stage, replica: Gateway) -> list[Verdict]:
    """Add routes, and see what the Gateway's status says and how often it was written."""
    ledger, total = stage.ledger, stage.routes + ADDED
    ledger.forget()
    began = time.monotonic()
    await stage.create(range(stage.routes, total))
    created = time.monotonic()
    exact = await until(lambda: ledger.attached(GATEWAY) == total, 30)
    writes = ledger.writes[GATEWAY]
    await stage.await_statuses()
    return [
        at_most(
            f"attachedRoutes exact after {ADDED} additions in {created - began:.1f} s, seconds", round(exact, 2), 2
        ),
        at_most("writes of the Gateway's status for them", writes, 99),
        exactly("routes whose status was written twice or flapped", len(ledger.twice) + len(ledger.flaps), 0),
        exactly("workers started", sum(name.startswith("worker-") for name, _, _ in replica.started), stage.workers),
    ]
