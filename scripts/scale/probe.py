"""When each worker serves an edit: a connection to every worker, asked again and again.

Which worker accepted a connection is read from the kernel (`ss`). A worker decides each request by the configuration it
has when the request comes, whatever the age of the connection.
"""

import asyncio
import re
import subprocess
import time

from scripts.conformance.problem import ConformanceError

from . import objects
from .load import ask

TRIES = 200  # connections after which every worker must have had one
PAUSE = 0.0005  # seconds between two requests to a worker
PATIENCE = 30.0  # seconds until an edit must be served


class Probe:
    """Connections to the workers with these process ids."""

    def __init__(self, address: str, workers: list[int]) -> None:
        self._address = address
        self._workers = workers
        self._open: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def connect(self) -> None:
        """Connect until every worker has one connection. Raises ConformanceError if one never gets one."""
        for _ in range(TRIES):
            reader, writer = await asyncio.open_connection(self._address, 80)
            await _ask(reader, writer, 0)  # it is accepted now
            pid = _owner(writer.get_extra_info("sockname")[1])
            if pid in self._workers and pid not in self._open:
                self._open[pid] = (reader, writer)
                if len(self._open) == len(self._workers):
                    return
            else:
                writer.close()
        raise ConformanceError(f"of workers {self._workers} only {sorted(self._open)} accept connections")

    async def served(self, number: int, answer: bytes, patience: float = PATIENCE) -> float:
        """Monotonic time at which the last worker's first right answer for a route was there."""
        return max(await asyncio.gather(*(self._served(pid, number, answer, patience) for pid in self._open)))

    async def _served(self, pid: int, number: int, answer: bytes, patience: float) -> float:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if await _ask(*self._open[pid], number) == answer:
                return time.monotonic()
            await asyncio.sleep(PAUSE)
        raise ConformanceError(f"worker {pid} did not serve an edit of {objects.name(number)} in {patience:.0f} s")

    def close(self) -> None:
        """Close the connections."""
        for _, writer in self._open.values():
            writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bytes:
    """The body of a route's answer; empty if it has none of ours."""
    head, body = await ask(reader, writer, number)
    return body if head.startswith(b"http/1.1 200") else b""


def _owner(port: int) -> int:
    """The process at the other end of our connection from this port."""
    command = ["ss", "-tnpH", f"dport = :{port}"]
    found = re.search(r"pid=(\d+)", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return int(found[1]) if found else 0
