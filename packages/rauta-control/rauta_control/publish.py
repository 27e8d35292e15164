"""Carries what publisher.py decides: to the workers over their links, and to the supervisor for those who start later.

A thin asyncio shell. The supervisor hears of a configuration before any worker does, so that a control that dies in
between leaves nobody with a configuration that its successor does not know.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import cast

import msgspec

from rauta_control import frames, snapshotfd
from rauta_control.channel import Channel, ChannelFullError
from rauta_control.log import Log
from rauta_control.messages import FromWorker, Nack, Publish, Since, Snapshot, ToControl
from rauta_control.publisher import Publisher, Send, encode_publish
from rauta_control.state import EMPTY, PublishError, State

SNAPSHOT_INTERVAL = 1.0  # seconds from the first step after a snapshot to the next snapshot

_decoder: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
_publish_decoder = msgspec.msgpack.Decoder(Publish)


class Archive:
    """Keeps the supervisor's copy of the published state up to date."""

    def __init__(self, publisher: Publisher, channel: Channel[ToControl], log: Log) -> None:
        self._publisher = publisher
        self._channel = channel
        self._log = log
        self._timer: asyncio.TimerHandle | None = None

    def add(self, old: State) -> None:
        """Hand over the step from `old` to the present state; the first one is a snapshot itself."""
        generation, payload = self._publisher.state.generation, self._publisher.payload(old)
        if old is EMPTY:
            self._send(Snapshot(generation), payload)
            return
        self._send(Since(generation), payload)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SNAPSHOT_INTERVAL, self._snapshot)

    def _snapshot(self) -> None:
        self._timer = None
        state = self._publisher.state
        self._send(Snapshot(state.generation), encode_publish(EMPTY, state))

    def _send(self, message: Since | Snapshot, payload: bytes) -> None:
        try:
            fd = snapshotfd.create("rauta-configuration", payload)
            try:
                self._channel.send(message, (fd,))
            finally:
                os.close(fd)
        except (OSError, ChannelFullError) as error:  # the workers are told all the same
            self._log.error("the supervisor could not be given a configuration", error=error)


def restored(snapshot: int | None, since: Iterable[int], log: Log) -> tuple[State, float | None]:
    """Return what was published last, and when, by the monotonic clock; close the supervisor's copies of it."""
    state, published = EMPTY, None
    for fd in () if snapshot is None else (snapshot, *since):
        try:
            state = state.apply(_publish_decoder.decode(snapshotfd.read(fd)))
            published = time.monotonic() - max(0.0, time.time() - os.fstat(fd).st_mtime)
        except (PublishError, msgspec.MsgspecError) as error:  # what follows does not fit either, and is logged too
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
        for index, payload in sends:
            link = self._links[index]
            try:
                header = frames.header(payload)
            except frames.FrameError as error:  # the worker stays behind, which the status shows
                self._log.error("a configuration is too large to be sent", worker=index, error=error)
                continue
            if link.transport is not None:
                link.transport.writelines((header, payload))

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
