"""The control process restarts, and then everything: nobody notices."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

from scripts.chaos.verdict import Verdict, at_most, exactly

from . import member
from .load import Load
from .stage import Stage

LEASE = 22.0  # seconds until the new one writes statuses: its predecessor let go of nothing


async def run(stage: Stage) -> AsyncIterator[list[Verdict]]:
    """SIGKILL to control of one replica that follows all routes; then a restart of the whole replica."""
    ledger = stage.ledger
    log = stage.folder / "restart.log"
    async with member.running(stage.cluster.kubeconfig, stage.workers, log) as replica:
        await stage.await_statuses()
        ledger.forget()
        generation = await replica.metric("rauta_config_generation")
        async with Load(member.ADDRESS, stage.routes) as load:
            old = replica.pid("control")
            began = time.monotonic()
            os.kill(old, signal.SIGKILL)
            back = await replica.respawned("control", old) - began
            await asyncio.sleep(LEASE)
        written, tally = ledger.total, load.tally
        after = await replica.metric("rauta_config_generation")
        ready = await replica.metric("rauta_ready")
        ledger.forget()
    async with member.running(stage.cluster.kubeconfig, stage.workers, log.with_name("restart-2.log")):
        await asyncio.sleep(LEASE)
        whole = ledger.total
    yield [
        at_most("control is back after, seconds", round(back, 3), 3),
        exactly(f"failed of {tally.answers} requests meanwhile", (tally.failed, *tally.first), (0,)),
        exactly("configurations published by the new one", after - generation, 0),
        exactly("ready", ready, 1),
        exactly(f"status writes after it, {stage.routes} routes", written, 0),
        exactly("status writes after a restart of everything", whole, 0),
    ]
