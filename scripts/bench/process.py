"""Starting and stopping what is measured, or measured with: pinned, awaited, ended by pid with all children."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from . import cpu
from .machine import pinned

STOP = 5.0  # seconds to end after SIGTERM, then SIGKILL


class BenchError(Exception):
    """The benchmark cannot go on; the message is for the person who ran it."""


class EndedError(BenchError):
    """What was started ended at once: perhaps its port was taken."""


def free_ports(count: int) -> tuple[int, ...]:
    """Loopback ports nobody listens on, from the kernel. Somebody may take one before we do: starts are retried."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return tuple(each.getsockname()[1] for each in sockets)


class Launched:
    """One running command, and everything it started. Use as a context manager, or call `stop`."""

    def __init__(
        self,
        command: list[str],
        core: int,
        output: Path,
        env: Mapping[str, str] | None = None,
        *,
        log: Path | None = None,
    ) -> None:
        """Starts the command on a core. Its stderr, and its stdout unless `log` takes that, go to `output`."""
        self._output = output
        self.name = Path(command[0]).name
        with contextlib.ExitStack() as files:
            err = files.enter_context(output.open("ab"))
            out = files.enter_context(log.open("ab")) if log else err
            with pinned(core):
                self._popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env={**os.environ, **(env or {})},
                    start_new_session=True,  # Ctrl-C reaches us, and we stop them in order
                )
        self.pid = self._popen.pid

    def await_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Poll until `ready` says yes; EndedError if it ends, BenchError if it is too slow."""
        deadline = time.monotonic() + seconds
        while True:
            if self._popen.poll() is not None:
                raise EndedError(f"{self.name} ended with status {self._popen.returncode}:\n{self.tail()}")
            with contextlib.suppress(OSError):
                if ready():
                    return
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} was not ready after {seconds:.0f} s:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, lines: int = 10, width: int = 500) -> str:
        """The end of what it printed."""
        text = self._output.read_text(errors="replace") if self._output.exists() else ""
        return "\n".join(line[:width] for line in text.splitlines()[-lines:])

    def stop(self) -> None:
        """SIGTERM to the root, time to end, then SIGKILL to whatever of its tree is left."""
        tree = {pid: cpu.start_of(pid) for pid in cpu.tree(self.pid)}
        self._popen.terminate()
        deadline = time.monotonic() + STOP
        while time.monotonic() < deadline and any(_alive(pid, start) for pid, start in tree.items()):
            self._popen.poll()  # reaps the root
            time.sleep(0.01)
        for pid, start in tree.items():
            if _alive(pid, start):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._popen.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _alive(pid: int, start: int | None) -> bool:
    """The same process, not another one that got its number."""
    return start is not None and cpu.start_of(pid) == start
