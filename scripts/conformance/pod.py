"""One Pod's container: a process with its own network namespace, address and root folder."""

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from . import network
from .api import Api, Object
from .podspec import Mount
from .transcript import Transcript

LISTEN = {"tcp": "0A", "udp": "07"}  # states in /proc/net, proc(5)
POLL = 0.03
SH = "read go; exec chroot {root} /{program}"  # waits until its network is wired
WAIT = 0.25  # seconds between looks for a Secret that is not there yet


async def fill(api: Api, root: Path, namespace: str, mounts: list[Mount]) -> None:
    """Write the volumes below the root folder; waits for what does not exist yet, as a kubelet does."""
    for mount in mounts:
        path = f"/api/v1/namespaces/{namespace}/{mount.kind}/{mount.name}"
        while (source := await api.get(path)) is None and not mount.optional:
            await asyncio.sleep(WAIT)
        folder = root / mount.folder.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        content = contents(source or {})
        for key, name in mount.files or [(key, key) for key in content]:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content[key])


def contents(source: Object) -> dict[str, bytes]:
    """The keys of a Secret or ConfigMap, decoded."""
    if source.get("kind") == "Secret":
        return {key: base64.b64decode(value) for key, value in source.get("data", {}).items()}
    texts = {key: value.encode() for key, value in source.get("data", {}).items()}
    return texts | {key: base64.b64decode(value) for key, value in source.get("binaryData", {}).items()}


def listening(pid: int) -> int:
    """How many sockets of the process's network namespace wait for clients."""
    count = 0
    for name in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
        count += sum(line.split()[3] == LISTEN[name[:3]] for line in lines)
    return count


class Container:
    """A running program. Its files are in `root`, which goes when it stops."""

    def __init__(self, root: Path, number: int) -> None:
        self.root = root
        self.address = network.pod_address(number)
        self.transcript = Transcript()
        self._number = number
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self, program: Path, environment: Mapping[str, str]) -> None:
        """Start it; returns when it listens. ConnectionAbortedError if it ends instead."""
        target = self.root / program.name
        target.unlink(missing_ok=True)
        os.link(program, target)
        process = self._process = await asyncio.create_subprocess_exec(
            *("unshare", "--net", "sh", "-c", SH.format(root=self.root, program=program.name)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], **environment},
            start_new_session=True,
        )
        self._reading = asyncio.create_task(self._read(process))
        await network.connect(process.pid, self._number)
        assert process.stdin is not None  # noqa: S101 - PIPE above
        process.stdin.write(b"\n")
        await process.stdin.drain()
        process.stdin.close()
        before, now = 0, listening(process.pid)
        while not now or now != before:  # the same number twice: it has opened all its ports
            await asyncio.sleep(POLL)
            if process.returncode is not None:
                raise ConnectionAbortedError(f"ended with status {process.returncode}")
            before, now = now, listening(process.pid)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - PIPE in start
        while data := await process.stdout.read(1 << 16):
            self.transcript.add(data, time.time())

    async def wait(self) -> int:
        """Until it ends; its exit status."""
        assert self._process is not None  # noqa: S101 - called after start
        return await self._process.wait()

    async def stop(self) -> None:
        """End it at once: its clients are meant to notice. The kernel takes its network away with it."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                if self._process.returncode is None:
                    os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        if self._reading:
            await self._reading

    def remove(self) -> None:
        """Delete its files."""
        shutil.rmtree(self.root, ignore_errors=True)
