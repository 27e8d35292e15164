"""A worker follows control: takes transactions from its link, builds the next table beside the running one, swaps, acks.

Work is done in slices of at most a millisecond between requests. One transaction at a time: control sends the next after
the ack. What does not fit (wrong base, digest) is answered by a Nack and costs nothing; control then sends everything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns
from typing import TypeVar
from weakref import WeakSet

import msgspec

from rauta_control import ir, state
from rauta_control.cluster import Clusters, Endpoint
from rauta_control.frames import FrameDecoder, FrameError, frame
from rauta_control.messages import PROTOCOL_VERSION, Ack, FromWorker, Hello, Nack, Publish
from rauta_control.slices import Slices, finish
from rauta_control.table import EMPTY, Draft, Rule, Table

SLICE = 1_000_000  # ns of staging between two turns of the loop
DECODE_SLICE = 128  # resources decoded between two looks at the clock

T = TypeVar("T")
log = logging.getLogger(__name__)
_decoder = msgspec.msgpack.Decoder(Publish)
_encoder = msgspec.msgpack.Encoder()


class Follower:
    """The configuration of a worker. `committed` is called with each new table, in the step in which it takes effect."""

    def __init__(self, index: int, committed: Callable[[Table], None]) -> None:
        self._index = index
        self._committed = committed
        self._state = state.EMPTY
        self._link: asyncio.Transport | None = None
        self._frames = FrameDecoder()
        self._retired: deque[tuple[int, WeakSet[Rule | Endpoint]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self.clusters = Clusters()
        self.table = EMPTY
        self.stall = 0  # ns, the longest slice so far

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
        """Apply the last good snapshot and what came after it, from memfds of one encoded Publish each."""
        for fd in fds:
            encoded = os.pread(fd, os.fstat(fd).st_size, 0)
            finish(self._apply(_decoder.decode(encoded)))

    async def connect(self, sock: socket.socket) -> None:
        """Use `sock` as the link to control from now on."""
        if self._link is not None:
            self._link.abort()
        loop = asyncio.get_running_loop()
        self._frames = FrameDecoder()
        link, _ = await loop.create_unix_connection(lambda: _Link(self), sock=sock)
        self._link = link
        self._send(Hello(PROTOCOL_VERSION, self._index, os.getpid(), self.generation, self._state.digest))

    def received(self, data: bytes) -> None:
        """Take bytes of the link."""
        try:
            payloads = self._frames.feed(data)
        except FrameError:
            log.exception("link to control is garbled; waiting for a new one")
            if self._link is not None:
                self._link.abort()
            return
        for payload in payloads:
            task = asyncio.get_running_loop().create_task(self._follow(payload))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _follow(self, payload: bytes) -> None:
        async with self._turn:
            publish = _decoder.decode(payload)
            try:
                await self._in_turns(self._apply(publish))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the old configuration serves on
                log.warning("generation %d was not applied: %r", publish.generation, error)
                self._send(Nack(publish.generation, f"{type(error).__name__}: {error}"))
            else:
                self._send(Ack(self.generation, self._state.digest))

    def _apply(self, publish: Publish) -> Slices[None]:
        new = yield from self._state.applying(publish)
        draft = Draft(self.table, self.clusters, replace=publish.base < 0)
        upserts: list[ir.Resource] = []
        for count, encoded in enumerate(publish.upserts.values(), 1):
            upserts.append(state.decode(encoded))
            if not count % DECODE_SLICE:
                yield
        yield from draft.stage(upserts, publish.deletes)
        self.table = draft.commit(publish.generation)
        self._state = new
        self._retired.append((publish.generation, WeakSet(draft.retired)))
        for endpoint in draft.retired:
            if isinstance(endpoint, Endpoint):
                for connection in list(endpoint.idle):
                    connection.close()
        self._committed(self.table)

    async def _in_turns(self, slices: Slices[T]) -> None:
        """Do the work, giving the loop a turn after each SLICE."""
        started = perf_counter_ns()
        for _ in slices:
            took = perf_counter_ns() - started
            if took > SLICE:
                self.stall = max(self.stall, took)
                await asyncio.sleep(0)
                started = perf_counter_ns()
        self.stall = max(self.stall, perf_counter_ns() - started)

    def _send(self, message: FromWorker) -> None:
        if self._link is not None and not self._link.is_closing():
            self._link.write(frame(_encoder.encode(message)))


class _Link(asyncio.Protocol):
    """Passes bytes on; a lost link is replaced by the supervisor when control is back."""

    def __init__(self, follower: Follower) -> None:
        self.data_received = follower.received  # type: ignore[method-assign]
