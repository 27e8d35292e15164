"""Descriptors and log sinks that run out."""

import asyncio
import contextlib
import os
import time

from .backend import backend, good
from .gateway import running
from .load import Client, FailedError, load
from .verdict import Fault, Verdict, at_most, exactly

DESCRIPTORS = 256


async def descriptors(size: float) -> list[Verdict]:  # noqa: ARG001
    """More clients than the limit of open files has room for."""
    async with backend(good) as web, running("--workers=1", backend=web.port, descriptors=DESCRIPTORS) as gateway:
        held: list[Client] = []
        turned_away = 0
        for _ in range(2 * DESCRIPTORS):
            client = Client(gateway.port)
            try:
                status, _ = await asyncio.wait_for(client.ask(), 5)
            except (FailedError, TimeoutError):
                turned_away += 1
                continue
            turned_away += status != 200
            held.append(client)
        await asyncio.sleep(0.3)  # counters are written ten times a second
        counted = await gateway.metric("rauta_connections_refused_total")
        for client in held:
            client.close()
        begin = time.monotonic()
        recovered = float("inf")
        while time.monotonic() - begin < 5:
            with contextlib.suppress(FailedError):
                if (await Client(gateway.port).ask())[0] == 200:
                    recovered = time.monotonic() - begin
                    break
            await asyncio.sleep(0.02)
    return [
        Verdict("some are turned away, at once", f"{turned_away} of {2 * DESCRIPTORS}", turned_away > 0),
        exactly("counted", counted, float(turned_away)),
        at_most("served again after they have left", recovered, 2.0, " s"),
    ]


async def blocked_log(size: float) -> list[Verdict]:
    """The access log is a pipe that nobody reads, or a full disk."""
    verdicts = []
    reading, writing = os.pipe()
    try:
        for name, argument, stdout in (("pipe", "stdout", writing), ("full disk", "/dev/full", None)):
            arguments = ("--workers=1", f"--access-log={argument}")
            async with backend(good) as web, running(*arguments, backend=web.port, stdout=stdout) as gateway:
                async with load(gateway.port) as counts:
                    await asyncio.sleep(max(1.0, 3 * size))
                await asyncio.sleep(0.3)
                dropped = await gateway.metric("rauta_access_log_dropped_total")
            verdicts += [
                exactly(f"{name}: failed of {counts.done}", counts.failed, 0),
                at_most(f"{name}: p99", counts.p99(), 0.25, " s"),
                Verdict(f"{name}: lines dropped are counted", f"{dropped:.0f}", dropped > 0),
            ]
    finally:
        os.close(reading)
        os.close(writing)
    return verdicts


FAULTS = (
    Fault(21, "open files run out", descriptors, smoke=True),
    Fault(22, "nobody takes the access log", blocked_log, smoke=True),
)
