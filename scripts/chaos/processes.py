"""Processes that die, hang, drain and are replaced."""

import asyncio
import os
import signal
import time

from .backend import Head, backend, body, good
from .gateway import Gateway, running, stop
from .load import Client, FailedError, load
from .verdict import Fault, Verdict, at_most, exactly

CLIENTS = 6
WORKERS = 2


def _refused(reasons: list[str]) -> int:
    return sum("ConnectionRefused" in reason for reason in reasons)


async def kill_workers(size: float) -> list[Verdict]:
    """SIGKILL to workers in turn."""
    kills = max(2, int(6 * size))
    slowest = 0.0
    async with backend(good) as web, running(f"--workers={WORKERS}", backend=web.port) as gateway:
        async with load(gateway.port, CLIENTS) as counts:
            await asyncio.sleep(0.3)
            for turn in range(kills):
                child = f"worker-{turn % WORKERS}"
                old = gateway.pid(child)
                begin = time.monotonic()
                os.kill(old, signal.SIGKILL)
                slowest = max(slowest, await gateway.respawned(child, old) - begin)
                await asyncio.sleep(0.5)
        return [
            # A client has one request in flight; those on kept connections are sent again, which is their right.
            at_most(f"failed of {counts.done} in {kills} kills, those in flight", counts.failed, kills * CLIENTS),
            exactly("refused connections", _refused(counts.reasons), 0),
            at_most("worker back after", slowest, 1.0, " s"),
        ]


async def kill_control(size: float) -> list[Verdict]:
    """SIGKILL to the control process."""
    async with backend(good) as web, running(f"--workers={WORKERS}", backend=web.port) as gateway:
        async with load(gateway.port, CLIENTS) as counts:
            await asyncio.sleep(1.0)
            before = await gateway.metric("rauta_requests_total")
            begin = time.monotonic()
            os.kill(gateway.pid("control"), signal.SIGKILL)
            back = await _answers(gateway, begin)
            await asyncio.sleep(0.5 * size)
        after = await gateway.metric("rauta_requests_total")
        return [
            exactly(f"failed of {counts.done}", counts.failed, 0),
            at_most("admin back after", back, 3.0, " s"),
            Verdict("counters go on where they were", f"{before:.0f} -> {after:.0f}", after >= before > 0),
        ]


async def _answers(gateway: Gateway, begin: float) -> float:
    while time.monotonic() - begin < 10:
        try:
            await gateway.metric("rauta_requests_total")
            return time.monotonic() - begin
        except OSError:
            await asyncio.sleep(0.005)
    return float("inf")


async def drain(size: float) -> list[Verdict]:
    """SIGTERM while requests are in flight."""
    answered = 2 * size  # seconds that the long requests take

    async def slow(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await body(head, reader)
        await asyncio.sleep(answered if b" /long " in head else 0)
        return await good(b"", reader, writer)

    delay = 1
    arguments = (f"--workers={WORKERS}", f"--drain-delay={delay}", "--drain-timeout=10")
    async with backend(slow) as web, running(*arguments, backend=web.port) as gateway:
        async with load(gateway.port, CLIENTS) as counts:
            await asyncio.sleep(0.3)
            begin = time.monotonic()
            gateway.process.terminate()
            await asyncio.sleep(delay / 2)  # load balancers have not yet looked elsewhere
        clients = [Client(gateway.port) for _ in range(10)]
        long = asyncio.gather(*(client.ask(target="/long") for client in clients), return_exceptions=True)
        results = await long
        await asyncio.wait_for(gateway.process.wait(), 15)
        took = time.monotonic() - begin
        right = sum(isinstance(result, tuple) and result[0] == 200 for result in results)
        return [
            exactly(f"failed of {counts.done} after SIGTERM, within the drain delay", counts.failed, 0),
            exactly("long requests begun after SIGTERM that were answered, of 10", right, 10),
            at_most("gateway ended after", took, delay + 10, " s"),
            exactly("exit status", gateway.process.returncode, 0),
        ]


async def rolling(size: float) -> list[Verdict]:
    """SIGTERM to each worker in turn, over and over."""
    turns = max(2, int(20 * size))
    async with backend(good) as web, running(f"--workers={WORKERS}", backend=web.port) as gateway:
        async with load(gateway.port, CLIENTS) as counts:
            for _ in range(turns):
                for number in range(WORKERS):
                    child = f"worker-{number}"
                    old = gateway.pid(child)
                    os.kill(old, signal.SIGTERM)
                    await gateway.respawned(child, old)
                    await asyncio.sleep(0.05)
        return [exactly(f"failed of {counts.done} in {turns} restarts of every worker", counts.failed, 0)]


async def reexec(size: float) -> list[Verdict]:
    """SIGUSR2: the supervisor replaces its own program in place."""
    turns = max(1, int(5 * size))
    async with backend(good) as web, running(f"--workers={WORKERS}", backend=web.port) as gateway:
        async with load(gateway.port, CLIENTS) as counts:
            for _ in range(turns):
                gateway.process.send_signal(signal.SIGUSR2)
                await asyncio.sleep(1.0)
        alive = gateway.process.returncode is None
        return [
            exactly(f"failed of {counts.done} in {turns} replacements", counts.failed, 0),
            exactly("the supervisor lives", alive, True),
        ]


async def hang(size: float) -> list[Verdict]:  # noqa: ARG001 - there is no smaller hang
    """SIGSTOP to a worker."""
    async with backend(good) as web, running(f"--workers={WORKERS}", backend=web.port) as gateway:
        old = gateway.pid("worker-0")
        begin = time.monotonic()
        os.kill(old, signal.SIGSTOP)
        took = await gateway.respawned("worker-0", old, 20) - begin
        client, right = Client(gateway.port), 0
        for _ in range(20):
            try:
                right += (await client.ask(fields="Connection: close\r\n"))[0] == 200
            except FailedError:
                break
        ended = await stop(gateway)
        return [
            at_most("replaced after", took, 7.0, " s"),  # 5 s without a heartbeat, looked at every second
            exactly("it is logged", gateway.said("hang") or gateway.said("hung") or gateway.said("heartbeat"), True),
            exactly("requests after that, of 20", right, 20),
            at_most("then ended by SIGINT after", ended, 10.0, " s"),
        ]


FAULTS = (
    Fault(1, "a worker is killed (SIGKILL), over and over", kill_workers, smoke=True),
    Fault(2, "the control process is killed (SIGKILL)", kill_control, smoke=True),
    Fault(19, "SIGTERM: drain", drain, smoke=True),
    Fault(20, "every worker is restarted (SIGTERM), over and over", rolling),
    Fault(26, "a worker hangs (SIGSTOP)", hang),
    Fault(28, "the program is replaced (SIGUSR2)", reexec, smoke=True),
)
