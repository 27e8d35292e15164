"""Carries what publisher.py decides: to the workers over their links, and to the supervisor for those who start later.

A thin asyncio shell. The supervisor hears of a configuration before any worker does, so that a control that dies in
between leaves nobody with a configuration that its successor does not know.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import msgspec

from rauta_control import frames, keepsake, snapshotfd
from rauta_control.channel import Channel, ChannelFullError
from rauta_control.kinds import AnyResource
from rauta_control.log import Log
from rauta_control.messages import FromWorker, Keep, Nack, Publish, Since, Snapshot, ToControl
from rauta_control.parts import join, split
from rauta_control.publisher import Publisher, Send
from rauta_control.slices import Slices, finish
from rauta_control.state import EMPTY, PublishError, State, diff
from rauta_control.turns import in_turns

SNAPSHOT_INTERVAL = 1.0  # seconds from the first step after a snapshot to the next snapshot

_decoder: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


class Archive:
    """Keeps the supervisor's copy of the published state up to date."""

    def __init__(self, state: State, channel: Channel[ToControl], log: Log) -> None:
        self._state = state  # as the supervisor has it
        self._channel = channel
        self._log = log
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._meanwhile: list[Publish] = []  # steps since the state of which a snapshot is being made

    async def add(self, state: State, step: Publish) -> None:
        """Hand over the `step` to `state`; the first one is a snapshot itself. One at a time."""
        whole = step.base == EMPTY.generation
        handed = await self._send(Snapshot(state.generation) if whole else Since(state.generation), step)
        self._state = state
        if whole and handed:
            return
        if self._task is not None:
            self._meanwhile.append(step)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SNAPSHOT_INTERVAL, self._start)

    async def keep(self, objects: Mapping[str, Iterable[AnyResource]]) -> bool:
        """Hand over the last good objects of broken documents, by file, instead of those before; say whether it did."""
        return await in_turns(self._handing(Keep(), keepsake.written(objects)))

    def close(self) -> None:
        """Make no more snapshots."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._snapshot())

    async def _snapshot(self) -> None:
        state = self._state
        handed = await self._send(Snapshot(state.generation), diff(EMPTY, state))
        # A snapshot stands for all that came before it: what came while it was made has to come again.
        meanwhile, self._meanwhile, self._task = self._meanwhile, [], None
        for step in meanwhile if handed else ():
            finish(self._handing(Since(step.generation), split(step)))
        if meanwhile or not handed:
            self._timer = asyncio.get_running_loop().call_later(SNAPSHOT_INTERVAL, self._start)

    async def _send(self, message: Since | Snapshot, publish: Publish) -> bool:
        return await in_turns(self._handing(message, split(publish)))

    def _handing(self, message: Since | Snapshot | Keep, pieces: Iterable[bytes]) -> Slices[bool]:
        try:
            fd = yield from snapshotfd.creating("rauta-configuration", pieces)
            try:
                self._channel.send(message, (fd,))
            finally:
                os.close(fd)
        except (OSError, ChannelFullError) as error:  # the workers are told all the same
            self._log.error("the supervisor could not be given a configuration", error=error)
            return False
        return True


def kept(documents: int | None) -> dict[str, list[AnyResource]]:
    """Return what control kept of broken documents, by file; close the supervisor's copy of it."""
    if documents is None:
        return {}
    text = snapshotfd.read(documents)
    os.close(documents)
    return keepsake.read(text)


def restored(snapshot: int | None, since: Iterable[int], log: Log) -> tuple[State, float | None]:
    """Return what was published last, and when, by the monotonic clock; close the supervisor's copies of it."""
    state, published = EMPTY, None
    for fd in () if snapshot is None else (snapshot, *since):
        try:
            state = state.apply(join(snapshotfd.chunks(fd)))
            published = time.monotonic() - max(0.0, time.time() - os.fstat(fd).st_mtime)
        except (PublishError, ValueError) as error:  # what follows does not fit either, and is logged too
            log.error("a part of the last configuration is lost", generation=state.generation, error=error)
        os.close(fd)
    return state, published


class Link(asyncio.Protocol):
    """A link to one worker process."""

    def __init__(self, links: Links, index: int, pid: int) -> None:
        self.index = index
        self.pid = pid
        self.transport: asyncio.Transport | None = None
        self._links = links
        self._frames = frames.FrameDecoder()
        self._parts: Iterator[bytes] = iter(())  # still to be sent
        self._paused = False
        self._due: asyncio.Handle | None = None

    def send(self, publish: Publish) -> None:
        """Send a transaction, a part of it at each turn of the loop, in place of what is left of the one before."""
        self._parts = split(publish)
        if self._due is None:
            self._next()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._paused = True

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._paused = False
        if self._due is None:
            self._next()

    def _next(self) -> None:
        self._due = None
        if self.transport is None or self.transport.is_closing():
            return
        for part in self._parts:
            self.transport.write(part)
            if not self._paused:
                self._due = asyncio.get_running_loop().call_soon(self._next)
            return

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its base class
        self._links.connected(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            messages = [_decoder.decode(payload) for payload in self._frames.feed(data)]
        except (frames.FrameError, msgspec.MsgspecError) as error:
            self._links.lost(self, str(error))
            return
        for message in messages:
            self._links.received(self, message)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._links.lost(self, str(exc) if exc else "closed")


class Links:
    """The links to all workers. `acknowledged` is called whenever a worker said something."""

    def __init__(self, publisher: Publisher, log: Log, acknowledged: Callable[[], None]) -> None:
        self._publisher = publisher
        self._log = log
        self._acknowledged = acknowledged
        self._links: dict[int, Link] = {}
        self._connecting: set[asyncio.Task[object]] = set()

    def add(self, index: int, pid: int, sock: socket.socket) -> None:
        """Take over `sock`, the link to worker `index`, in place of any older one."""
        self._drop(index)
        self._links[index] = link = Link(self, index, pid)
        self._publisher.connect(index, pid)
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.create_unix_connection(lambda: link, sock=sock))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def send(self, sends: Iterable[Send]) -> None:
        """Write what the publisher decided."""
        for index, publish in sends:
            self._links[index].send(publish)

    def connected(self, link: Link) -> None:
        """Close a link that was replaced before it was open."""
        if self._links.get(link.index) is not link and link.transport is not None:
            link.transport.abort()

    def received(self, link: Link, message: FromWorker) -> None:
        """Have the publisher answer."""
        if self._links.get(link.index) is not link:
            return
        if isinstance(message, Nack):
            self._log.error(
                "a worker refused a configuration",
                worker=link.index,
                generation=message.generation,
                reason=message.reason,
            )
        self.send(self._publisher.receive(link.index, message))
        self._acknowledged()

    def lost(self, link: Link, reason: str) -> None:
        """Forget a link; the supervisor makes a new one with the worker's successor."""
        if self._links.get(link.index) is link:
            self._log.debug("lost the link to a worker", worker=link.index, pid=link.pid, reason=reason)
            self._drop(link.index)

    def gone(self, index: int, pid: int) -> None:
        """Forget a worker that ended, unless its successor is linked already."""
        link = self._links.get(index)
        if link is not None and link.pid == pid:
            self._drop(index)

    def close(self) -> None:
        """Close all links."""
        for index in list(self._links):
            self._drop(index)

    def _drop(self, index: int) -> None:
        link = self._links.pop(index, None)
        if link is None:
            return
        self._publisher.disconnect(index, link.pid)
        if link.transport is not None:
            link.transport.abort()
