"""Two replicas on two nodes: both serve, one writes statuses, and the other does when its node is gone."""

import asyncio
import time
from collections.abc import AsyncIterator

from scripts.chaos.verdict import Verdict, at_most, exactly

from . import member, objects
from .load import Load
from .stage import Stage, until

EDITED = 50  # routes at a time
NODE = 7  # the number of the second node's address
AFTER = 5.0  # seconds in which what is written late would be seen


async def run(stage: Stage) -> AsyncIterator[list[Verdict]]:
    """The first to start leads; edits before, during and after its end."""
    ledger, folder = stage.ledger, stage.folder
    kubeconfig = stage.cluster.kubeconfig
    async with (
        member.running(kubeconfig, stage.workers, folder / "leader.log") as leader,
        member.running(kubeconfig, stage.workers, folder / "follower.log", node=NODE) as follower,
    ):
        await stage.await_statuses()
        ledger.forget()
        async with Load(member.ADDRESS, stage.routes, follower.process.pid) as other:
            async with Load(member.ADDRESS, stage.routes) as one:
                await _edit(stage, "b")
                await stage.await_statuses()
            before, twice, flaps = ledger.writes.copy(), len(ledger.twice), len(ledger.flaps)
            ledger.forget()
            member.kill(leader)
            killed = time.monotonic()
            await _edit(stage, "a")
            await until(lambda: ledger.total > 0, 60)
            took = time.monotonic() - killed
            await stage.await_statuses()
            await asyncio.sleep(AFTER)
        yield [
            exactly(f"status writes for {EDITED} edits, one replica leading", before.total(), EDITED),
            exactly("written twice or flapping", twice + flaps, 0),
            at_most("the other one writes after its leader's death, seconds", round(took, 1), 17),
            exactly(f"status writes for {EDITED} edits meanwhile", ledger.total, EDITED),
            exactly("written twice or flapping", len(ledger.twice) + len(ledger.flaps), 0),
            exactly(
                f"failed of {one.tally.answers} requests to the leader", (one.tally.failed, *one.tally.first), (0,)
            ),
            exactly(
                f"failed of {other.tally.answers} requests to the other, all the time",
                (other.tally.failed, *other.tally.first),
                (0,),
            ),
        ]


async def _edit(stage: Stage, target: str) -> None:
    """Point some routes at a Service."""
    for number in range(100, 100 + EDITED):
        item = await stage.point(number, target)
        key, generation = f"HTTPRoute/{objects.name(number)}", item["metadata"]["generation"]
        await until(lambda: stage.ledger.entries[key].generation >= generation, 10)  # noqa: B023 - done when it returns
