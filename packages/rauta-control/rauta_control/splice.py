"""Bytes moved from one transport's socket to another's by the kernel, through a pipe (splice(2)): none come up here.

The transports stay open and are told nothing: the caller pauses the one that is read from, the other has nothing left
to write, and duplicates of their descriptors are polled (uvloop lets nobody poll a transport's own). Whatever ends
otherwise than at the last byte is given back: what is in the pipe is written, reading goes on, and the transports find
for themselves that a peer is gone.

Either nothing in the pipe may go and we wait for bytes, or something may and we wait for room. So no more than PIPE
waits in it. What may go is, of a run of known length, all of it; see chunksplice.py for others.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from typing import Protocol, cast

from rauta_control import sidepipe
from rauta_control.sidepipe import SidePipe

PIPE = 1 << 20  # bytes: what /proc/sys/fs/pipe-max-size lets anybody have. With 64 KiB nothing is gained.
MAX_FIRST = 1 << 18  # bytes that were read before and go through the pipe, too: in pages, they fit into a quarter of it
MAX_SPLICES = 16  # at a time in a worker: as a user's pipes may have 64 MiB in all
DESCRIPTORS = 4  # of each; all have at most one of SHARE of what the worker may have
SHARE = 128
ROUNDS = 2  # of at most PIPE, some 0.2 ms each (0.6 if looked into), before other connections have their turn
RETRY = 1.0  # seconds until a pipe is asked for again where there was none

_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
UNSUPPORTED = frozenset((errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP))  # by this kernel, or a sandbox


class Allowance:
    """How many splices a worker has `open`, how many at `most`, and from when on, by its clock, it may have more."""

    __slots__ = ("descriptors", "looks", "most", "open", "side", "since")

    def __init__(self, descriptors: int) -> None:
        self.most = min(MAX_SPLICES, descriptors // (SHARE * DESCRIPTORS))
        # to be had in readiness, of all those `descriptors`; one side pipe is for all, as it is empty between looks
        self.descriptors = self.most * DESCRIPTORS + sidepipe.DESCRIPTORS if self.most else 0
        self.open = 0
        self.since = 0.0
        self.side: SidePipe | None = None  # to look into a pipe by
        self.looks = True  # nobody has found yet that this does not work

    def open_side(self) -> None:
        """Have one; OSError."""
        if self.side is None:
            self.side = SidePipe(PIPE)

    def close_side(self, error: OSError | None = None) -> None:
        """Have none; it may have raised `error`."""
        if error is not None and error.errno in UNSUPPORTED:
            self.looks = False
        if self.side is not None:
            self.side.close()
            self.side = None


def plain(transport: asyncio.Transport) -> bool:
    """Whether what `transport` reads and writes is what its socket does, now: no TLS, nothing left to write."""
    if transport.get_extra_info("socket") is None or transport.get_extra_info("sslcontext") is not None:
        return False
    return not transport.is_closing() and not transport.get_write_buffer_size()


class Ends(Protocol):
    """Whose bytes are moved, from `source` to `sink`, both `plain`: they are told what the transports would tell."""

    source: asyncio.Transport
    sink: asyncio.Transport

    def left(self) -> int:
        """Return how many bytes are still to come from the source, if that is known."""

    def came(self, size: int) -> None:
        """So many have come that will go on."""

    def held_up(self) -> None:
        """The sink takes no more, or only some: we wait for its peer."""

    def flows(self) -> None:
        """The sink has taken everything."""

    def finish(self) -> None:
        """The last byte is in the sink's socket, and the splice is closed."""

    def resume(self) -> None:
        """It is closed without a last byte: read from the source as usual, unless the sink is full again."""


class Splice:
    """One run of bytes, of known length, on its way from one of its `ends` to the other.

    Between `begin` and `close`, the source must not be read by others, and nothing be written to the sink. `close` must
    come before, or from within, the `connection_lost` of either.
    """

    __slots__ = ("_allowance", "_descriptors", "_ends", "_held", "_loop", "_piped", "_polled")

    def __init__(self, loop: asyncio.AbstractEventLoop, allowance: Allowance, ends: Ends) -> None:
        self._loop = loop
        self._allowance = allowance
        self._ends = ends
        self._descriptors: tuple[int, ...] = ()  # of the source, of the pipe to write and to read, of the sink
        self._polled = -1  # one of them
        self._piped = 0  # bytes in the pipe that may go
        self._held = 0  # bytes behind them that may not, or not yet

    # -- what others call

    def begin(self, first: bytes, now: float) -> bool:
        """Begin with `first`, which the source has given already. False: there is no allowance, descriptor or pipe."""
        allowance = self._allowance
        if allowance.open >= allowance.most or now < allowance.since or len(first) > MAX_FIRST:
            return False
        opened: list[int] = []
        try:
            self._prepare()
            out, into = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            opened += (into, out)
            fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, PIPE)
            for transport in (self._ends.source, self._ends.sink):
                opened.append(os.dup(transport.get_extra_info("socket").fileno()))
            self._piped = os.write(into, first)
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            allowance.since = now + RETRY
            return False
        allowance.open += 1
        self._descriptors = (opened[2], into, out, opened[3])
        self._loop.call_soon(self._move)
        return True

    def close(self) -> None:
        """Stop, and drop what is in the pipe."""
        if self._descriptors:
            self._poll(-1)
            self._allowance.open -= 1
            for descriptor in self._descriptors:
                os.close(descriptor)
            self._descriptors = ()

    # -- hooks: whatever comes may go, until so many have come

    def _prepare(self) -> None:
        """Have what it takes besides a pipe; OSError."""

    def _wanted(self) -> int:
        """Return how many bytes may come now, at most."""
        return min(self._ends.left(), PIPE)

    def _came(self, size: int) -> None:
        """So many have come into the pipe: say which of what is in it may go."""
        self._piped = size
        self._ends.came(size)

    def _over(self) -> bool:
        """End this if nothing follows what has gone."""
        if self._ends.left():
            return False
        self.close()
        self._ends.finish()
        return True

    # -- moving

    def _move(self) -> None:
        """Move what there is, and room for, and wait for one or the other."""
        if not self._descriptors:
            return
        if self._ends.source.is_closing() or self._ends.sink.is_closing():
            self.close()
            return
        for _ in range(ROUNDS):
            if not self._piped and not self._fill():
                return
            if self._piped and not self._empty():
                return
            if self._over():
                return
        # Not by polling again: of a socket with an error uvloop does not say twice that there is something to read.
        self._poll(-1)
        self._loop.call_soon(self._move)

    def _fill(self) -> bool:
        """Have bytes come into the pipe, in which nothing may go. False: there are none for now, or for good."""
        source, into, _, _ = self._descriptors
        try:
            size = os.splice(source, into, self._wanted(), flags=_FLAGS)
        except BlockingIOError:
            self._poll(source)
            return False
        except OSError as error:
            self._give_back(error)
            if error.errno not in UNSUPPORTED:
                self._ends.source.abort()  # it would hear nothing of an error that was said once already
            return False
        if not size:
            self._give_back()
            return False
        self._came(size)
        return True

    def _empty(self) -> bool:
        """Have what may go go out. False: there is no room for all of it for now, or for good."""
        _, _, out, sink = self._descriptors
        size = 0
        try:
            size = os.splice(out, sink, self._piped, flags=_FLAGS)
        except BlockingIOError:
            pass
        except OSError as error:
            self._give_back(error)
            return False
        self._piped -= size
        if self._piped:
            if size or self._polled != sink:
                self._ends.held_up()
            self._poll(sink)
            return False
        if self._polled == sink:
            self._ends.flows()
        return True

    def _give_back(self, error: OSError | None = None) -> None:
        """Leave what is in the pipe and what is to come to the transports, and what is held to who reads the source."""
        if error is not None and error.errno in UNSUPPORTED:
            self._allowance.since = float("inf")
        ends = self._ends
        data, held = self._take_out(self._piped), self._take_out(self._held)
        ends.flows()
        self.close()
        if data:
            ends.sink.write(data)
        ends.resume()
        if held:
            cast(asyncio.Protocol, ends.source.get_protocol()).data_received(held)

    def _take_out(self, size: int) -> bytes:
        """Return the next `size` bytes of the pipe."""
        pieces = []
        while size:
            pieces.append(os.read(self._descriptors[2], size))
            size -= len(pieces[-1])
        return b"".join(pieces)

    def _poll(self, descriptor: int) -> None:
        """Poll this one from now on, or none (-1)."""
        polled = self._polled
        if descriptor == polled:
            return
        self._polled = descriptor
        sink = self._descriptors[3]
        if polled == sink:
            self._loop.remove_writer(polled)
        elif polled >= 0:
            self._loop.remove_reader(polled)
        if descriptor == sink:
            self._loop.add_writer(descriptor, self._move)
        elif descriptor >= 0:
            self._loop.add_reader(descriptor, self._move)
