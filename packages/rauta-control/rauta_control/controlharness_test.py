"""Control with everything real but its surroundings: a supervisor and workers in this process, over socket pairs."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import uvloop

from rauta_control import control, ir, snapshotfd
from rauta_control.channel import attach, detach, supervisor_end
from rauta_control.frames import FrameDecoder, frame
from rauta_control.inherit import Inherited
from rauta_control.listening import bind, place
from rauta_control.log import Log
from rauta_control.messages import (
    PROTOCOL_VERSION,
    Ack,
    Bind,
    Bound,
    Hello,
    Keep,
    Nack,
    Publish,
    Since,
    Snapshot,
    ToControl,
    ToSupervisor,
    WorkerGone,
    WorkerLink,
)
from rauta_control.settings import Settings, parse
from rauta_control.sharedmem import SharedWords
from rauta_control.state import EMPTY, PublishError, State, decode


class FakeWorker(asyncio.Protocol):
    """The worker's end of a link: applies and acknowledges; `refuses` that many first."""

    def __init__(self, index: int, pid: int, state: State = EMPTY) -> None:
        self.index = index
        self.pid = pid
        self.state = state
        self.received: list[Publish] = []
        self.refuses = 0
        self.transport: asyncio.Transport | None = None
        self.ours, self.theirs = socket.socketpair()
        self._frames = FrameDecoder()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_unix_connection(lambda: self, sock=self.ours)
        self._send(Hello(PROTOCOL_VERSION, self.index, self.pid, self.state.generation, self.state.digest))

    def data_received(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            publish = msgspec.msgpack.decode(payload, type=Publish)
            self.received.append(publish)
            try:
                if self.refuses:
                    self.refuses -= 1
                    raise PublishError("digest", "because")
                self.state = self.state.apply(publish)
            except PublishError as error:
                self._send(Nack(publish.generation, str(error)))
            else:
                self._send(Ack(self.state.generation, self.state.digest))

    def close(self) -> None:
        self.theirs.close()
        if self.transport is not None:
            self.transport.abort()
        self.ours.close()

    def _send(self, message: Hello | Ack | Nack) -> None:
        assert self.transport is not None
        self.transport.write(frame(msgspec.msgpack.encode(message)))


class Gateway:
    """The supervisor's side: keeps what control hands over, answers Bind, and can start control again."""

    def __init__(self, settings: Settings, words: SharedWords) -> None:
        self.settings = settings
        self.words = words
        self.workers: dict[int, FakeWorker] = {}
        self.snapshot: bytes | None = None
        self.since: list[bytes] = []
        self.kept: bytes | None = None
        self.binds: list[Bind] = []
        self.errors: dict[str, str] = {}
        self.bound: dict[str, Bound] = {}

    async def start(self) -> None:
        self.admin, self.probe = bind("127.0.0.1", 0), bind("127.0.0.1", 0)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = supervisor_end(ours)
        attach(self.channel, asyncio.get_running_loop(), self._received, lambda: None)
        descriptors = [snapshotfd.create("test", data) for data in (self.snapshot, *self.since) if data is not None]
        links = [(worker.index, worker.pid, worker.theirs) for worker in self.workers.values()]
        inherited = Inherited(
            role="control",
            index=0,
            settings=self.settings,
            words=self.words,
            channel=theirs,
            listeners={},
            bound=tuple(bound for bound in self.bound.values() if not bound.error),
            admin=(self.admin,),
            probe=(self.probe,),
            snapshot=descriptors[0] if descriptors else None,
            since=tuple(descriptors[1:]),
            workers=tuple(links),
            link=None,
            started=time.monotonic(),
            kept=None if self.kept is None else snapshotfd.create("test", self.kept),
        )
        for worker in self.workers.values():
            await worker.start()
        self.task = asyncio.create_task(control.serve(inherited, Log("control", "error")))

    async def replace(self, worker: FakeWorker) -> None:
        """A worker takes the place of an older one, if there is one, and is linked to control."""
        old = self.workers.get(worker.index)
        if old is not None:
            old.close()
            self.tell(WorkerGone(old.index, old.pid, "signal 9"))
        self.workers[worker.index] = worker
        self.tell(WorkerLink(worker.index, worker.pid), worker.theirs.fileno())
        await worker.start()

    async def stop(self) -> None:
        """The supervisor goes, and control with it."""
        detach(self.channel, asyncio.get_running_loop())
        self.channel.close()
        await self.task
        for worker in self.workers.values():
            worker.close()
        self.admin.close()
        self.probe.close()

    def tell(self, message: ToControl, *fds: int) -> None:
        self.channel.send(message, fds)

    def _received(self, message: ToSupervisor, fds: tuple[int, ...]) -> None:
        data = [snapshotfd.read(fd) for fd in fds]
        for fd in fds:
            os.close(fd)
        match message:
            case Snapshot():
                self.snapshot, self.since = data[0], []
            case Since():
                self.since += data
            case Keep():
                self.kept = data[0]
            case Bind():
                self.binds.append(message)
                for name, (address, port) in message.listeners.items():
                    if name not in self.bound or self.bound[name].error:
                        self.bound[name] = Bound(name, address, port or 4711, self.errors.get(name, ""))
                        self.tell(self.bound[name])

    async def get(self, path: str, *, probe: bool = False) -> tuple[int, Any]:
        url = f"http://{place(self.probe if probe else self.admin)}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            text = await response.text()
            return response.status, msgspec.json.decode(text) if path.startswith("/api") else text

    async def until(self, condition: Callable[[], Awaitable[bool] | bool]) -> None:
        async with asyncio.timeout(20):
            while True:
                if self.task.done():
                    self.task.result()
                holds = condition()
                if (await holds if isinstance(holds, Awaitable) else holds) is True:
                    return
                await asyncio.sleep(0.002)

    async def until_ready(self) -> None:
        async def ready() -> bool:
            return (await self.get("/readyz", probe=True))[0] == 200

        await self.until(ready)

    async def until_generation(self, generation: int) -> None:
        await self.until(lambda: all(worker.state.generation == generation for worker in self.workers.values()))


def rules(state: State) -> dict[str, ir.Rule]:
    found = [decode(data) for data in state.encoded.values()]
    return {resource.path: resource for resource in found if isinstance(resource, ir.Rule)}


def endpoints(state: State) -> set[str]:
    found = [decode(data) for data in state.encoded.values()]
    return {e.name for resource in found if isinstance(resource, ir.Cluster) for e in resource.endpoints}


def parsed(*argv: str) -> Settings:
    settings = parse(argv, {}, 1)
    assert isinstance(settings, Settings), settings
    return settings


def run(gateway: Gateway, body: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await gateway.start()
        try:
            await body()
        finally:
            await gateway.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def two_workers(words: SharedWords, *argv: str, after: Gateway | None = None) -> Gateway:
    """Make a gateway with two workers; `after` another one, with all that this one left behind."""
    gateway = Gateway(parsed("--workers", "2", *argv), words)
    states = [EMPTY, EMPTY]
    if after is not None:
        gateway.snapshot, gateway.since, gateway.bound = after.snapshot, after.since, after.bound
        gateway.kept = after.kept
        states = [worker.state for worker in after.workers.values()]
    gateway.workers = {index: FakeWorker(index, 100 + index, state) for index, state in enumerate(states)}
    return gateway
