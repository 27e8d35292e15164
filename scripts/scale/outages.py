"""The API server fails, in every way there is: nothing that is served changes, and it is not stormed.

refused, unavailable, expired, busy, truncated and silent are made by a proxy (apiproxy.py); `stopped` is the API server
itself under SIGSTOP: connections stay open, the kernel accepts more, and nobody answers.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from rauta_control.kinds import KINDS
from rauta_control.lease import RETRY
from scripts.chaos.gateway import Gateway
from scripts.chaos.verdict import Verdict, at_most, exactly
from scripts.conformance.api import Object
from scripts.conformance.cluster import write_kubeconfig
from scripts.conformance.problem import ConformanceError

from . import apiproxy, member, objects
from .apiproxy import ApiProxy
from .load import Load
from .probe import Probe
from .stage import Stage

WAYS = ("stopped", *apiproxy.FAULTS)
LISTED = ("expired", "truncated", "silent")  # ways that leave lists alone, so that an edit may be found meanwhile
CONVERGED = 35.0  # seconds from the end of the fault until an edit is served and its status written
REQUESTS = 12  # of one kind, in 60 s
LOOK = 0.5
ELECTION = 40.0  # requests about the Lease in 60 s: one every two seconds, and some more


async def run(stage: Stage, ways: tuple[str, ...] = WAYS) -> AsyncIterator[list[Verdict]]:
    """One replica behind the proxy; one fault after the other, under load."""
    async with ApiProxy(stage.cluster) as proxy:
        kubeconfig = _kubeconfig(stage, proxy)
        async with member.running(kubeconfig, stage.workers, stage.folder / "outages.log") as replica:
            await stage.await_statuses()
            probe = Probe(member.ADDRESS, member.workers(replica))
            await probe.connect()
            for number, way in enumerate(ways):
                yield await _outage(stage, proxy, replica, probe, way, number)
            probe.close()


async def _outage(
    stage: Stage, proxy: ApiProxy, replica: Gateway, probe: Probe, way: str, number: int
) -> list[Verdict]:
    """One fault; an edit in its middle; and the time from its end until that is served and has its status."""
    stage.ledger.forget()
    proxy.requests.clear()
    async with Load(member.ADDRESS, stage.routes) as load:
        refused = _refused()
        async with _failing(stage, proxy, way):
            unready = await _wait(replica, stage.outage / 2)
            if way != "stopped":
                item = await stage.point(number, "b")
            unready += await _wait(replica, stage.outage / 2)
            age = await replica.metric("rauta_config_age_seconds")
            requests = proxy.requests.copy()
            connects = _refused() - refused
        ended = time.monotonic()
        if way == "stopped":
            item = await stage.point(number, "b")
        served, settled = await _converged(stage, probe, number, item, ended)
        await asyncio.sleep(2 * LOOK)
    tally = load.tally
    return [
        exactly(f"{way}: failed of {tally.answers} requests", (tally.failed, *tally.first), (0,)),
        exactly(f"{way}: looks at which it was not ready", unready, 0),
        *_asked(stage, way, requests, connects),
        at_most(f"{way}: an edit made meanwhile is served after its end, seconds", round(served, 1), CONVERGED),
        at_most(f"{way}: its status is written, seconds", round(settled, 1), CONVERGED),
        exactly(f"{way}: status writes", stage.ledger.total, 1),
        exactly(f"{way}: config age shown ({age:.0f} s)", age >= stage.outage * 0.9 or way in LISTED, True),
    ]


async def _converged(stage: Stage, probe: Probe, number: int, item: Object, ended: float) -> tuple[float, float]:
    """Wait until an edited route is served and has its status, not for ever; the seconds from `ended` to either."""
    try:
        served = await probe.served(number, b"b", CONVERGED * 3) - ended
        key = f"HTTPRoute/{objects.name(number)}"
        while not stage.ledger.settled(key, item["metadata"]["generation"]):
            if time.monotonic() - ended > CONVERGED * 3:
                break
            await asyncio.sleep(LOOK / 10)
    except ConformanceError:
        served = float("inf")
    return served, time.monotonic() - ended


def _asked(stage: Stage, way: str, requests: Counter[str], connects: int) -> Iterator[Verdict]:
    """What the API server was asked during the fault, by kind, and the connections that it refused."""
    scale = max(1.0, stage.outage / 60)
    kinds = {kind: count for kind, count in requests.items() if kind != "leases"}
    kind, most = max(kinds.items(), key=lambda each: each[1], default=("none", 0))
    yield at_most(f"{way}: most lists and watches of one kind ({kind})", most, REQUESTS * scale)
    yield at_most(f"{way}: requests about the Lease", requests["leases"], ELECTION * scale)
    if way == "refused":
        tried = (connects - stage.outage / RETRY) / len(KINDS)  # the election tries for itself
        yield at_most(f"{way}: connections tried, by kind", round(tried, 1), REQUESTS * scale)


async def _wait(replica: Gateway, seconds: float) -> int:
    """Wait, and count the looks at which the replica was not ready."""
    unready = 0
    ended = time.monotonic() + seconds
    while time.monotonic() < ended:
        unready += await replica.metric("rauta_ready") != 1
        await asyncio.sleep(LOOK)
    return unready


@asynccontextmanager
async def _failing(stage: Stage, proxy: ApiProxy, way: str) -> AsyncIterator[None]:
    """The API server fails in this way for as long as the context lasts."""
    if way == "stopped":
        server = next(each for each in stage.cluster.processes if each.name == "kube-apiserver")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server.pid, signal.SIGCONT)
        return
    await proxy.fail(next(each for each in apiproxy.FAULTS if each == way))
    try:
        yield
    finally:
        await proxy.fail(None)


def _refused() -> int:
    """Connections from this network that were refused so far."""
    lines = [line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines() if line.startswith("Tcp:")]
    return int(lines[1][lines[0].index("AttemptFails")])


def _kubeconfig(stage: Stage, proxy: ApiProxy) -> Path:
    authority = stage.cluster.authority
    pair = authority.issue("rauta-scale-behind", "system:masters")
    user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
    return write_kubeconfig(stage.folder / "behind.kubeconfig", proxy.url, authority.certificate, user)
