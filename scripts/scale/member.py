"""A replica: `rauta-control --kubernetes` in the network of the run, or in one of its own as on another node."""

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from scripts.chaos.gateway import Gateway, stop
from scripts.conformance import network
from scripts.conformance.problem import ConformanceError

ADDRESS = "10.245.0.1"  # of the Gateway, on every node
WIRED = "read go; ip route add local {network} dev lo; exec {command}"  # waits until its network is there
START = 120.0  # seconds until it must be ready


@contextlib.asynccontextmanager
async def running(kubeconfig: Path, workers: int, log: Path, node: int | None = None) -> AsyncIterator[Gateway]:
    """A replica that is ready; `node`: in a network of its own, with the address of that number."""
    program = Path(sys.executable).with_name("rauta-control")
    command = [str(program), "--kubernetes", f"--addresses={ADDRESS}", f"--workers={workers}", "--access-log=off"]
    command += ["--admin-port=0", "--probe-port=0", "--probe-host=127.0.0.1"]
    if node is not None:
        text = WIRED.format(network=network.GATEWAYS, command=shlex.join(command))
        command = ["unshare", "--net", "sh", "-c", text]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_")}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**clean, "KUBECONFIG": str(kubeconfig)},
        start_new_session=True,
    )
    replica = Gateway(process)
    following = asyncio.create_task(replica.follow())
    try:
        if node is not None and process.stdin is not None:
            await network.connect(process.pid, node)
            process.stdin.write(b"\n")
            await process.stdin.drain()
        async with asyncio.timeout(START):
            while not replica.said(" ready "):
                if process.returncode is not None:
                    raise ConformanceError(f"rauta-control ended:\n{''.join(replica.lines[-15:])}")
                await asyncio.sleep(0.02)
        yield replica
    finally:
        await stop(replica)
        kill(replica)
        following.cancel()
        log.write_text("".join(replica.lines))


def kill(replica: Gateway) -> None:
    """SIGKILL to all of its processes at once: the node is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(replica.process.pid, signal.SIGKILL)


def workers(replica: Gateway) -> list[int]:
    """The ids of its workers' processes."""
    return sorted({replica.pid(name) for name, _, _ in replica.started if name.startswith("worker-")})
