"""A worker's configuration: over a real link, with the test as control."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

import msgspec
import pytest

from rauta_control import follow, ir, snapshotfd, state
from rauta_control.cluster import Endpoint
from rauta_control.fakewire_test import CONFIGURATION, cluster
from rauta_control.follow import Follower
from rauta_control.frames import FrameDecoder, frame
from rauta_control.messages import PROTOCOL_VERSION, Ack, FromWorker, Hello, Nack, Publish
from rauta_control.parts import split
from rauta_control.table import Rule, Table


class Control:
    """The other end of a link."""

    def __init__(self) -> None:
        self.sock, self.theirs = socket.socketpair()
        self.sock.setblocking(False)
        self._frames = FrameDecoder()
        self._waiting: list[bytes] = []

    async def send(self, message: Publish | bytes) -> None:
        payload = message if isinstance(message, bytes) else msgspec.msgpack.encode(message)
        await asyncio.get_running_loop().sock_sendall(self.sock, frame(payload))

    async def receive(self) -> FromWorker | None:
        """What the worker says next, None if it has closed the link."""
        while not self._waiting:
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, 65_536), 30)
            if not data:
                return None
            self._waiting += self._frames.feed(data)
        return cast("FromWorker", msgspec.msgpack.decode(self._waiting.pop(0), type=FromWorker))


class World:
    """A follower, its committed tables, and as many controls as it takes."""

    def __init__(self) -> None:
        self.tables: list[Table] = []
        self.follower = Follower(3, self.tables.append)
        self.controls: list[Control] = []
        self.state = state.EMPTY

    async def connect(self) -> Control:
        control = Control()
        self.controls.append(control)
        await self.follower.connect(control.theirs)
        return control

    def step(self, *resources: ir.Resource, full: bool = False) -> Publish:
        """The publish that leads to these resources."""
        new = state.EMPTY.change(
            self.state.generation + 1, {resource.key: state.encode(resource) for resource in resources}
        )
        publish = state.diff(state.EMPTY if full else self.state, new)
        self.state = new
        return publish

    async def settle(self) -> None:
        """Let the follower do what it was told."""
        await asyncio.sleep(0)
        while self.follower._tasks:
            await asyncio.sleep(0)

    def close(self) -> None:
        self.follower.close()
        for control in self.controls:
            control.sock.close()
            control.theirs.close()


def play(scene: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World()
        try:
            await scene(world)
        finally:
            world.close()
            await asyncio.sleep(0)

    asyncio.run(main())


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    yield
    assert gc.isenabled()
    gc.unfreeze()


def test_greets_and_acknowledges() -> None:
    async def scene(world: World) -> None:
        control = await world.connect()
        assert await control.receive() == Hello(PROTOCOL_VERSION, 3, os.getpid(), -1, 0)
        world.follower.took(state.EMPTY.generation, 9.0, 9.0)
        assert world.follower.stalls[True].clock == 0  # nobody is kept waiting by the first configuration
        for _ in range(3):
            await control.send(world.step(*CONFIGURATION))
            assert await control.receive() == Ack(world.state.generation, world.state.digest)
        assert [table.generation for table in world.tables] == [0, 1, 2]
        assert world.follower.table is world.tables[-1]
        assert world.follower.generation == world.follower.drained() == 2
        change = world.follower.stalls[False]
        assert change.clock > 0
        assert change.computed > 0

    play(scene)


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    async def scene(world: World) -> None:
        control = await world.connect()
        await control.receive()
        await control.send(world.step(*CONFIGURATION))
        await control.receive()
        before = world.follower.table
        good = world.step(*CONFIGURATION[:-1])
        for wrong, cause in (
            (msgspec.structs.replace(good, digest=1), "digest"),
            (msgspec.structs.replace(good, base=17), "17"),
            (msgspec.structs.replace(good, version=99), "version"),
        ):
            await control.send(wrong)
            said = await control.receive()
            assert isinstance(said, Nack)
            assert (said.generation, cause in said.reason) == (good.generation, True)
        await control.send(b"\xc1")
        said = await control.receive()
        assert isinstance(said, Nack)
        assert said.generation == -1
        assert world.follower.table is before
        await control.send(good)
        assert isinstance(await control.receive(), Ack)

    play(scene)


def test_a_full_configuration_builds_only_what_differs() -> None:
    async def scene(world: World) -> None:
        control = await world.connect()
        await control.receive()
        await control.send(world.step(*CONFIGURATION))
        await control.receive()
        routes = world.follower.table.listeners["l"]
        live = dict(world.follower.clusters.endpoints)
        await control.send(world.step(*CONFIGURATION, full=True))
        await control.receive()
        assert world.follower.table.listeners["l"] is routes
        changed = [cluster("c", 8001, 8002) if resource.name == "c" else resource for resource in CONFIGURATION[:-1]]
        await control.send(world.step(*changed, full=True))
        assert isinstance(await control.receive(), Ack)
        hosts = world.follower.table.listeners["l"].names
        assert hosts[b"nothing.example"] is routes.names[b"nothing.example"]
        assert hosts[b"*"] is not routes.names[b"*"]
        assert world.follower.clusters.endpoints.items() > live.items()
        assert world.follower.table.resources == {resource.key: resource for resource in changed}

    play(scene)


def test_drained_waits_for_requests_on_older_generations() -> None:
    async def scene(world: World) -> None:
        control = await world.connect()
        await control.receive()

        def rule() -> Rule:
            ((_, _, (found,)),) = (
                e for e in world.follower.table.listeners["l"].names[b"*"].paths.items() if e[0] == b"/"
            )
            return found

        in_flight: list[Rule | Endpoint] = []
        for order in range(4):
            changed = [
                ir.Rule("r", "app", "l|*", "/", "prefix", (ir.ClusterWeight("c"),), order=order, slot=0, epoch=1)
                if resource.name == "r"
                else resource
                for resource in CONFIGURATION
            ]
            await control.send(world.step(*changed))
            await control.receive()
            if order in (0, 2):
                in_flight.append(rule())
        world.tables.clear()
        assert world.follower.generation == 3
        assert world.follower.drained() == 0  # generation 1 replaced a rule that is still in use
        in_flight.pop(0)
        assert world.follower.drained() == 2
        in_flight.append(world.follower.clusters.endpoints["192.0.2.1:8001"])
        await control.send(world.step(*(cluster("c") if resource.name == "c" else resource for resource in changed)))
        await control.receive()
        world.tables.clear()
        assert world.follower.drained() == 2
        del in_flight[0]
        assert world.follower.drained() == 3
        in_flight.clear()
        assert world.follower.drained() == world.follower.generation == 4

    play(scene)


def test_transactions_are_applied_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "TURN", 0.0)  # every slice is a turn

    async def scene(world: World) -> None:
        control = await world.connect()
        await control.receive()
        steps = [world.step(*CONFIGURATION[: 4 + number]) for number in range(5)]
        for step in steps:
            await control.send(step)
        for step in steps:
            assert await control.receive() == Ack(step.generation, step.digest)

    play(scene)


def test_a_transaction_in_progress_is_told_to_the_next_control_in_its_greeting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "TURN", 0.0)

    async def scene(world: World) -> None:
        first = await world.connect()
        await first.receive()
        await first.send(world.step(*CONFIGURATION))
        while not world.follower._tasks:
            await asyncio.sleep(0)
        second = await world.connect()  # replaces the first before that transaction is done
        assert await second.receive() == Hello(PROTOCOL_VERSION, 3, os.getpid(), 0, world.state.digest)
        await second.send(world.step(*CONFIGURATION[:-1]))
        assert await second.receive() == Ack(1, world.state.digest)
        assert await first.receive() is None

    play(scene)


def test_links_may_be_replaced_faster_than_they_are_made() -> None:
    async def scene(world: World) -> None:
        controls = [Control() for _ in range(3)]
        world.controls += controls
        await asyncio.gather(*(world.follower.connect(control.theirs) for control in controls))
        assert isinstance(await controls[2].receive(), Hello)
        for control in controls[:2]:
            assert await control.receive() is None
        await controls[2].send(world.step(*CONFIGURATION))
        assert isinstance(await controls[2].receive(), Ack)

    play(scene)


def test_a_garbled_link_is_closed() -> None:
    async def scene(world: World) -> None:
        control = await world.connect()
        await control.receive()
        await asyncio.get_running_loop().sock_sendall(control.sock, b"\xff" * 10)
        assert await control.receive() is None

    play(scene)


def test_a_lost_link_changes_nothing() -> None:
    async def scene(world: World) -> None:
        control = await world.connect()
        await control.receive()
        await control.send(world.step(*CONFIGURATION))
        control.sock.close()
        await asyncio.sleep(0)
        await world.settle()
        second = await world.connect()
        assert isinstance(await second.receive(), Hello)

    play(scene)


def test_a_snapshot_and_what_came_since_are_loaded_at_once() -> None:
    world = World()
    steps = (world.step(*CONFIGURATION, full=True), world.step(*CONFIGURATION[:-1]), world.step(*CONFIGURATION))
    fds = tuple(snapshotfd.create("test", b"".join(split(step))) for step in steps)
    world.follower.load(fds)
    for fd in fds:
        os.close(fd)
    assert world.follower.generation == 2
    assert world.follower.table.resources == {resource.key: resource for resource in CONFIGURATION}
    assert len(world.tables) == 3


def test_of_a_snapshot_that_does_not_fit_as_much_as_fits_serves_until_control_sends_everything() -> None:
    async def scene(world: World) -> None:
        steps = (world.step(*CONFIGURATION, full=True), world.step(*CONFIGURATION[:-1]), world.step(*CONFIGURATION))
        fds = tuple(snapshotfd.create("test", b"".join(split(step))) for step in (steps[0], steps[2]))
        world.follower.load(fds)
        for fd in fds:
            os.close(fd)
        assert world.follower.generation == 0
        assert world.follower.table.resources == {resource.key: resource for resource in CONFIGURATION}
        control = await world.connect()
        hello = await control.receive()
        assert isinstance(hello, Hello)
        assert hello.generation == 0
        await control.send(world.step(*CONFIGURATION[:-1], full=True))
        assert isinstance(await control.receive(), Ack)

    play(scene)


def test_a_snapshot_that_cannot_be_read_ends_no_worker() -> None:
    async def scene(world: World) -> None:
        fd = snapshotfd.create("test", b"junk")
        world.follower.load((fd,))
        os.close(fd)
        control = await world.connect()
        assert await control.receive() == Hello(PROTOCOL_VERSION, 3, os.getpid(), -1, 0)
        await control.send(world.step(*CONFIGURATION, full=True))
        assert isinstance(await control.receive(), Ack)

    play(scene)
