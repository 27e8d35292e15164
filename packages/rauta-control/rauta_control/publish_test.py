"""Publish: what the supervisor keeps always replays to the published state; a link that goes wrong harms nobody."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest

from rauta_control import channel as channel_module
from rauta_control import publish, snapshotfd
from rauta_control.channel import Channel, ChannelFullError, Message, control_end, supervisor_end
from rauta_control.frames import frame
from rauta_control.log import Log
from rauta_control.messages import PROTOCOL_VERSION, Ack, Hello, Since, Snapshot, ToControl
from rauta_control.parts import join
from rauta_control.publish import Archive, Links
from rauta_control.publisher import Publisher
from rauta_control.state import EMPTY, State, diff

LOG = Log("control", "error")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def test_the_copy_of_what_is_kept_is_read_once() -> None:
    documents = snapshotfd.create("kept", b"no object\n")
    assert publish.kept(documents) == {}
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(documents)


def with_channel(test: Callable[[Channel[ToControl], Callable[[], list[Since | Snapshot]]], Awaitable[None]]) -> None:
    """Run `test` with a channel, and a function that returns what came out of it by now."""

    async def main() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel, supervisor = control_end(ours), supervisor_end(theirs)
        kept: list[bytes] = []

        def taken() -> list[Since | Snapshot]:
            messages: list[Since | Snapshot] = []
            for message, fds in supervisor.receive():
                assert isinstance(message, Since | Snapshot)
                if isinstance(message, Snapshot):
                    kept.clear()
                kept.append(snapshotfd.read(fds[0]))
                os.close(fds[0])
                messages.append(message)
            state = EMPTY
            for data in kept:
                state = state.apply(join([data]))
            assert not messages or state.generation == messages[-1].generation
            return messages

        await test(channel, taken)
        channel.close()
        supervisor.close()

    asyncio.run(main())


def test_the_supervisor_gets_each_step_at_once_and_seldom_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "SNAPSHOT_INTERVAL", 0.05)

    async def test(channel: Channel[ToControl], taken: Callable[[], list[Since | Snapshot]]) -> None:
        state = EMPTY
        archive = Archive(EMPTY, channel, LOG)

        async def step(generation: int) -> None:
            nonlocal state
            old, state = state, state.change(generation, {"key": bytes([generation])})
            await archive.add(state, diff(old, state))

        for generation in range(1, 5):
            await step(generation)
        assert taken() == [Snapshot(1), Since(2), Since(3), Since(4)]
        later: list[Since | Snapshot] = []

        def more() -> bool:
            later.extend(taken())
            return bool(later)

        await until(more)
        assert later == [Snapshot(4)]
        await step(5)
        assert taken() == [Since(5)]

    with_channel(test)


def test_what_found_no_room_is_handed_over_again_without_another_change(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(publish, "SNAPSHOT_INTERVAL", 0.01)

    async def test(channel: Channel[ToControl], taken: Callable[[], list[Since | Snapshot]]) -> None:
        send, left = channel.send, 2

        def full(message: Message, fds: Sequence[int] = ()) -> None:
            nonlocal left
            if left:
                left -= 1
                raise ChannelFullError("4096 messages wait to be read")
            send(message, fds)

        monkeypatch.setattr(channel, "send", full)
        archive = Archive(EMPTY, channel, LOG)
        state = EMPTY.change(1, {"key": b"one"})
        await archive.add(state, diff(EMPTY, state))
        later: list[Since | Snapshot] = []

        def more() -> bool:
            later.extend(taken())
            return bool(later)

        await until(more)
        assert later == [Snapshot(1)]
        left = 2
        assert [await archive.keep({}) for _ in range(3)] == [False, False, True]
        archive.close()

    with_channel(test)
    assert capfd.readouterr().err.count("could not be given a configuration") == 4


def test_a_full_channel_is_logged_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(channel_module, "MAX_QUEUED", 8)

    async def test(channel: Channel[ToControl], taken: Callable[[], list[Since | Snapshot]]) -> None:
        state = EMPTY
        archive = Archive(EMPTY, channel, LOG)
        for generation in range(1, 1000):
            old, state = state, state.change(generation, {"key": bytes(2)})
            await archive.add(state, diff(old, state))

    with_channel(test)
    assert "could not be given a configuration" in capfd.readouterr().err


class Peer:
    """The far end of a link, by hand."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.far.setblocking(False)

    def say(self, message: Hello | Ack) -> None:
        self.far.send(frame(msgspec.msgpack.encode(message)))

    def heard(self) -> bytes | None:
        """What came, b"" at the end, None for nothing yet."""
        try:
            return self.far.recv(65536)
        except BlockingIOError:
            return None


def with_links(test: Callable[[Publisher, Links], Awaitable[None]]) -> None:
    async def main() -> None:
        publisher = Publisher(State(3, {}, 0), 1)
        links = Links(publisher, LOG, lambda: None)
        await test(publisher, links)
        links.close()
        await asyncio.sleep(0)

    asyncio.run(main())


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", frame(b"\xc1"), frame(msgspec.msgpack.encode({"type": "x"}))])
def test_garbage_costs_the_link(garbage: bytes) -> None:
    async def test(publisher: Publisher, links: Links) -> None:
        peer = Peer()
        links.add(0, 7, peer.near)
        peer.far.send(garbage)
        await until(lambda: peer.heard() == b"")
        assert publisher.workers == {}
        peer.far.close()

    with_links(test)


def test_a_successor_replaces_the_link_of_its_index() -> None:
    async def test(publisher: Publisher, links: Links) -> None:
        old, new = Peer(), Peer()
        links.add(0, 7, old.near)
        old.say(Hello(PROTOCOL_VERSION, 0, 7, 3, 0))
        await until(lambda: publisher.workers[0].greeted)
        links.add(0, 8, new.near)
        assert publisher.workers[0].pid == 8
        await until(lambda: old.heard() == b"")
        links.gone(0, 7)
        new.say(Hello(PROTOCOL_VERSION, 0, 8, 3, 0))
        await until(lambda: publisher.workers[0].greeted)
        links.gone(0, 8)
        assert publisher.workers == {}
        await until(lambda: new.heard() == b"")
        old.far.close()
        new.far.close()

    with_links(test)


def test_a_link_that_is_replaced_before_it_is_open_is_closed() -> None:
    async def test(publisher: Publisher, links: Links) -> None:
        first, second = Peer(), Peer()
        links.add(0, 7, first.near)
        links.add(0, 8, second.near)
        await until(lambda: first.heard() == b"")
        second.say(Hello(PROTOCOL_VERSION, 0, 8, 3, 0))
        await until(lambda: publisher.workers[0].greeted)
        first.far.close()
        second.far.close()

    with_links(test)
