"""A worker follows control: takes transactions from its link, builds the next table beside the running one, swaps.

Work is done in turns of about a millisecond between requests. One transaction at a time: control sends the next after
the ack. What does not fit (wrong base, digest) is answered by a Nack and costs nothing; control then sends everything,
of which only what differs from the running table is built.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from random import random
from time import monotonic, thread_time
from typing import cast
from weakref import WeakSet

import msgspec

from rauta_control import ir, snapshotfd, state
from rauta_control.cluster import Clusters, Endpoint
from rauta_control.draft import Draft
from rauta_control.frames import FrameDecoder, FrameError, frame
from rauta_control.messages import PROTOCOL_VERSION, Ack, FromWorker, Hello, Nack, Publish
from rauta_control.parts import Joiner, join
from rauta_control.slices import Slices, finish
from rauta_control.table import Rule, Table
from rauta_control.turns import Longest, in_turns

TURN = 0.0005  # seconds of building between two turns of the loop
DECODE_SLICE = 64  # resources decoded, or dropped, between two looks at the clock
COMPARE_SLICE = 256  # resources compared

log = logging.getLogger(__name__)
_encoder = msgspec.msgpack.Encoder()


class Follower:
    """The configuration of a worker. `committed` is called with each new table, in the step in which it takes over."""

    def __init__(self, index: int, committed: Callable[[Table], None]) -> None:
        self._index = index
        self._committed = committed
        self._state = state.EMPTY
        self._link: Link | None = None
        self._retired: deque[tuple[int, WeakSet[Rule | Endpoint]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self.clusters = Clusters(random)
        self.table = Table.empty()
        self.stalls = {True: Longest(), False: Longest()}  # for everything, and for a change

    @property
    def generation(self) -> int:
        """The generation by which new requests are decided, -1 before the first."""
        return self._state.generation

    def drained(self) -> int:
        """Return the generation up to which no request in flight uses anything that has been replaced since."""
        while self._retired and not self._retired[0][1]:
            self._retired.popleft()
        return self._retired[0][0] - 1 if self._retired else self.generation

    def load(self, fds: tuple[int, ...]) -> None:
        """Apply the last good snapshot and what came after it, from memfds of one encoded Publish each.

        Where one of them cannot be applied, what came before it serves until control has sent everything: a worker that
        ended of it would do so each time.
        """
        try:
            for fd in fds:
                finish(self._apply(join(snapshotfd.chunks(fd))))
        except Exception as error:  # noqa: BLE001 - as in _follow: whatever is wrong with it
            log.error("what was published last was not applied after generation %d: %r", self.generation, error)

    async def connect(self, sock: socket.socket) -> None:
        """Use `sock` as the link to control from now on. Raises OSError if it cannot be."""
        link, replaced = Link(self), self._link
        self._link = link
        if replaced is not None:
            replaced.close()
        await asyncio.get_running_loop().create_unix_connection(lambda: link, sock=sock)
        # Not while a transaction of the former control is half done: this one would not know of it.
        async with self._turn:
            link.send(Hello(PROTOCOL_VERSION, self._index, os.getpid(), self.generation, self._state.digest))

    def close(self) -> None:
        """Follow nobody any more."""
        if self._link is not None:
            self._link.close()

    def received(self, link: Link, publish: Publish) -> None:
        """Take a transaction of a link."""
        task = asyncio.get_running_loop().create_task(self._follow(link, publish))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, link: Link, publish: Publish) -> None:
        async with self._turn:
            # What is built lives long: the collector would look at it again and again, for tens of milliseconds.
            gc.disable()
            generation, base, work = publish.generation, publish.base, self._apply(publish)
            del publish  # that work lets go of it
            try:
                await in_turns(work, TURN, partial(self.took, base))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the old configuration serves on
                link.refuse(generation, error)
            else:
                link.send(Ack(self.generation, self._state.digest))
            finally:
                gc.freeze()
                gc.enable()

    def _apply(self, publish: Publish) -> Slices[None]:
        new = yield from self._state.applying(publish)
        upserts, deletes = publish.upserts, publish.deletes
        old = self._state.encoded
        replaced: list[object] = []  # to be freed little by little
        if publish.base == state.EMPTY.generation:  # most of it is there already
            upserts, deletes = yield from _difference(old, new.encoded)
            replaced += old.values()
        else:
            for count, key in enumerate(chain(upserts, deletes), 1):
                replaced += key, old.get(key)
                if not count % COMPARE_SLICE:
                    yield
        yield
        resources = yield from _decoded(upserts.values())
        draft = Draft(self.table, self.clusters)
        yield
        yield from draft.stage(resources, deletes)
        resources.clear()
        yield
        yield from draft.fill()
        yield
        former, self.table = self.table, draft.commit(new.generation)
        self._committed(self.table)
        yield
        del former  # the draft holds it, and lets go of it now
        yield from draft.release()
        while draft.gone:
            for connection in list(draft.gone.pop().idle):
                connection.close()
            yield
        self._retired.append((new.generation, draft.retired))
        self._state = new  # last, so that `drained` does not say so before everything retired is known
        del old, publish, upserts, deletes
        while replaced:
            yield
            del replaced[-DECODE_SLICE:]

    def took(self, base: int, clock: float, computed: float) -> None:
        """Requests had to wait for a turn of work on a Publish with this `base`, if there were any; see Longest."""
        if self.table.generation != state.EMPTY.generation:
            self.stalls[base == state.EMPTY.generation].took(clock, computed)


def _decoded(encoded: Iterable[bytes]) -> Slices[list[ir.Resource]]:
    resources: list[ir.Resource] = []
    for count, each in enumerate(encoded, 1):
        resources.append(state.decode(each))
        if not count % DECODE_SLICE:
            yield
    return resources


def _difference(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Slices[tuple[dict[str, bytes], tuple[str, ...]]]:
    """Return what was added or changed, and the keys that were removed."""
    upserts: dict[str, bytes] = {}
    for count, (key, encoded) in enumerate(new.items(), 1):
        if old.get(key) != encoded:
            upserts[key] = encoded
        if not count % COMPARE_SLICE:
            yield
    deletes: list[str] = []
    for count, key in enumerate(old, 1):
        if key not in new:
            deletes.append(key)
        if not count % COMPARE_SLICE:
            yield
    return upserts, tuple(deletes)


class Link(asyncio.Protocol):
    """One link to control. When it is lost nothing happens: the supervisor makes a new one when control is back."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._frames = FrameDecoder()
        self._joiner = Joiner()
        self._transport: asyncio.WriteTransport | None = None
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one in all but its base class
        if self._closed:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol. A read is at most 256 KB, so this is over in well under a millisecond."""
        started, used = monotonic(), thread_time()
        try:
            payloads = self._frames.feed(data)
        except FrameError as error:
            log.warning("the link to control is garbled (%s); waiting for a new one", error)
            self.close()
            return
        for payload in payloads:
            try:
                publish = self._joiner.add(payload)
            except msgspec.MsgspecError as error:
                self.refuse(-1, error)
            else:
                if publish is not None:
                    self._follower.received(self, publish)
        self._follower.took(self._joiner.base, monotonic() - started, thread_time() - used)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See asyncio.Protocol."""
        self._closed = True

    def send(self, message: FromWorker) -> None:
        """Send `message`, to nobody if the link is gone."""
        if self._transport is not None and not self._closed:
            self._transport.write(frame(_encoder.encode(message)))

    def refuse(self, generation: int, error: Exception) -> None:
        """Say that a generation, -1 where that is not known, was not applied."""
        log.warning("generation %d was not applied: %r", generation, error)
        self.send(Nack(generation, f"{type(error).__name__}: {error}"))

    def close(self) -> None:
        """Have nothing to do with this link any more."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()
