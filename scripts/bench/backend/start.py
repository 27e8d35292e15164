"""Starting the backends of a row, on the core of the load."""

import contextlib
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..process import Launched, free_ports
from . import web

WEB_PORTS = 8
START = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Backends:
    """Ports of both backends. Without nginx the Python one stands in for `web`."""

    web: tuple[int, ...]
    streams: int


def _listening(*ports: int) -> bool:
    for port in ports:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    return True


@contextlib.contextmanager
def backends(nginx: Path | None, core: int, scratch: Path) -> Iterator[Backends]:
    """Both backends, ready; stopped at the end."""
    *ports, streams = free_ports(WEB_PORTS + 1)
    command = [sys.executable, "-m", "scripts.bench.backend.streams", str(streams)]
    with tempfile.TemporaryDirectory(prefix="backends-", dir=scratch) as name, contextlib.ExitStack() as running:
        folder = Path(name)
        python = running.enter_context(Launched(command, core, folder / "streams.output"))
        python.await_ready(lambda: _listening(streams), START)
        if nginx is None:
            yield Backends((streams,), streams)
            return
        fast = running.enter_context(Launched(web.command(nginx, folder, tuple(ports)), core, folder / "web.output"))
        fast.await_ready(lambda: _listening(*ports), START)
        yield Backends(tuple(ports), streams)
