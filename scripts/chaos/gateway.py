"""A gateway to be hurt: rauta-control in a process of its own, on ports that the kernel chose."""

import asyncio
import contextlib
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from scripts.bench import memory

START = 20.0  # seconds until it must be ready
_STARTED = re.compile(r" started child=(\S+) pid=([0-9]+)")
_LISTENING = re.compile(r" listening listener=\S+ address=\S+:([0-9]+)")
_ADMIN = re.compile(r" admin listening address=\S+:([0-9]+)")


class Gateway:
    """A running gateway. `started` are (child, pid, monotonic time), as it logged them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.started: list[tuple[str, int, float]] = []
        self.lines: list[str] = []
        self.port = 0  # of the listener that was bound last: that for TLS, if there is one
        self.admin = 0

    def pid(self, child: str) -> int:
        """Of the present `worker-N` or `control`."""
        return next(pid for name, pid, _ in reversed(self.started) if name == child)

    async def respawned(self, child: str, old: int, seconds: float = 10.0) -> float:
        """Wait until `child` has another pid than `old`; return the monotonic time at which it was started."""
        deadline = time.monotonic() + seconds
        while self.pid(child) == old:
            if time.monotonic() > deadline:
                return float("inf")
            await asyncio.sleep(0.01)
        return next(at for name, _, at in reversed(self.started) if name == child)

    async def get(self, path: str) -> Any:
        """The answer of the admin server, as JSON. Raises OSError while there is none."""
        return json.loads(await asyncio.to_thread(self._read, path))

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels. Raises OSError."""
        text = await asyncio.to_thread(self._read, "/metrics")
        lines = [line for line in text.splitlines() if re.match(rf"{name}(?:\{{|\s)", line)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def resident(self, child: str) -> int:
        """Resident bytes of a child."""
        return memory.resident([self.pid(child)])

    def said(self, text: str) -> bool:
        """Whether a line of its log has `text`."""
        return any(text in line for line in self.lines)

    def _read(self, path: str) -> str:
        connection = HTTPConnection("127.0.0.1", self.admin, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status != 200:
                raise OSError(f"{path}: {answer.status} {text}")
            return text

    async def follow(self) -> None:
        """Read its log until it ends."""
        stream = self.process.stderr
        assert stream is not None  # noqa: S101 - for the type checker: it is a pipe
        while line := (await stream.readline()).decode(errors="replace"):
            self.lines.append(line)
            if found := _STARTED.search(line):
                self.started.append((found[1], int(found[2]), time.monotonic()))
            elif found := _ADMIN.search(line):
                self.admin = int(found[1])
            elif found := _LISTENING.search(line):
                self.port = int(found[1])


@contextlib.asynccontextmanager
async def running(
    *arguments: str, backend: int = 0, descriptors: int = 0, stdout: int | None = None
) -> AsyncIterator[Gateway]:
    """A gateway before the loopback port `backend`, or as `arguments` say, stopped at the end.

    `descriptors` is its limit of open files.
    """
    where = Path(sys.executable).with_name("rauta-control")
    command = [str(where), "--admin-port=0", "--probe-host=127.0.0.1", "--probe-port=0"]
    if backend:
        command += ["--from=127.0.0.1:0", f"--to=127.0.0.1:{backend}"]
    if not any(argument.startswith("--access-log") for argument in arguments):
        command.append("--access-log=off")
    if descriptors:
        command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
    process = await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL if stdout is None else stdout,
        stderr=asyncio.subprocess.PIPE,
    )
    gateway = Gateway(process)
    following = asyncio.create_task(gateway.follow())
    try:
        async with asyncio.timeout(START):
            while not (gateway.port and gateway.said(" ready ")):
                if process.returncode is not None:
                    raise OSError("".join(gateway.lines))
                await asyncio.sleep(0.02)
        yield gateway
    finally:
        await stop(gateway)
        following.cancel()


async def stop(gateway: Gateway, seconds: float = 10.0) -> float:
    """SIGINT, and SIGKILL to whatever is left; return the seconds it took."""
    begin = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        gateway.process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(seconds):
            await gateway.process.wait()
    except TimeoutError:
        gateway.process.kill()
        await gateway.process.wait()
    return time.monotonic() - begin
