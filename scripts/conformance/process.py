"""Starting a program of the run, and ending it with all it started."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from .problem import ConformanceError

STOP = 8.0  # seconds to end after SIGTERM, then SIGKILL
POLL = 0.1


def free_port(address: str) -> int:
    """A port nobody listens on, from the kernel. The network namespace is ours alone, so it stays free."""
    with socket.socket() as held:
        held.bind((address, 0))
        return int(held.getsockname()[1])


class Process:
    """One running program; its output goes to a file."""

    def __init__(self, name: str, log: Path, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    async def start(cls, name: str, command: list[str], log: Path, env: Mapping[str, str] | None = None) -> "Process":
        """Run it in a session of its own, so that Ctrl-C leaves it to us. ConformanceError if it is not there."""
        try:
            with log.open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=None if env is None else dict(env),
                    start_new_session=True,
                )
        except OSError as error:
            raise ConformanceError(f"{name} could not be started: {error}") from error
        return cls(name, log, process)

    @property
    def pid(self) -> int:
        """Of the program itself."""
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self._process.returncode

    def tail(self, lines: int = 15) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def await_ready(self, ready: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Poll until `ready` says yes; ConformanceError if it ends or is too slow."""
        for _ in range(int(seconds / POLL)):
            if self.ended is not None:
                raise ConformanceError(f"{self.name} ended with status {self.ended}:\n{self.tail()}")
            if await ready():
                return
            await asyncio.sleep(POLL)
        raise ConformanceError(f"{self.name} was not ready after {seconds:.0f} s ({self.log}):\n{self.tail()}")

    async def stop(self) -> None:
        """SIGTERM to the program, time to end, then SIGKILL to its whole group."""
        if self.ended is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP)
        with contextlib.suppress(ProcessLookupError):  # children that outlived it, or itself
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
