"""Bytes moved from one transport's socket to another's by the kernel, through a pipe (splice(2)): none come up here.

The transports stay open and are told nothing: the caller pauses the one that is read from, the other has nothing left
to write, and duplicates of their descriptors are polled (uvloop lets nobody poll a transport's own). Whatever ends
otherwise than at the last byte is given back: what is in the pipe is written, reading goes on, and the transports find
for themselves that a peer is gone.

Either the pipe is empty and we wait for bytes, or it is not and we wait for room. So no more than PIPE waits in it.
What may come is, of a run of known length, all of it; see chunksplice.py for others.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from contextlib import suppress
from typing import Protocol

PIPE = 1 << 20  # bytes: what /proc/sys/fs/pipe-max-size lets anybody have. With 64 KiB nothing is gained.
MAX_FIRST = 1 << 18  # bytes that were read before and go through the pipe, too: in pages, they fit into a quarter of it
MAX_SPLICES = 16  # at a time in a worker: as a user's pipes may have 64 MiB in all
DESCRIPTORS = 4  # of each; all have at most one of SHARE of what the worker may have
SHARE = 128
ROUNDS = 2  # of at most PIPE, some 0.2 ms each (0.4 if looked at), before other connections have their turn
RETRY = 1.0  # seconds until a pipe is asked for again where there was none

_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
UNSUPPORTED = frozenset((errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP))  # by this kernel, or a sandbox


class Allowance:
    """How many splices a worker has `open`, how many at `most`, and from when on, by its clock, it may have more."""

    __slots__ = ("descriptors", "most", "open", "seen", "since")

    def __init__(self, descriptors: int) -> None:
        self.most = min(MAX_SPLICES, descriptors // (SHARE * DESCRIPTORS))
        self.descriptors = self.most * DESCRIPTORS  # to be had in readiness, of all those `descriptors`
        self.open = 0
        self.since = 0.0
        self.seen = bytearray(PIPE)  # by whoever has just looked at what is to come


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


def read(descriptor: int, size: int) -> bytes:
    """Return the next `size` bytes, which are there; less if it broke meanwhile."""
    pieces = []
    with suppress(OSError):
        while size and (piece := os.read(descriptor, size)):
            pieces.append(piece)
            size -= len(piece)
    return b"".join(pieces)


class Splice:
    """One run of bytes, of known length, on its way from one of its `ends` to the other.

    Between `begin` and `close`, the source must not be read by others, and nothing be written to the sink. `close` must
    come before, or from within, the `connection_lost` of either.
    """

    __slots__ = ("_allowance", "_descriptors", "_ends", "_loop", "_piped", "_polled")

    def __init__(self, loop: asyncio.AbstractEventLoop, allowance: Allowance, ends: Ends) -> None:
        self._loop = loop
        self._allowance = allowance
        self._ends = ends
        self._descriptors: tuple[int, ...] = ()  # of the source, of the pipe to write and to read, of the sink
        self._polled = -1  # one of them
        self._piped = 0  # bytes in the pipe

    # -- what others call

    def begin(self, first: bytes, now: float) -> bool:
        """Begin with `first`, which the source has given already. False: there is no allowance, descriptor or pipe."""
        allowance = self._allowance
        if allowance.open >= allowance.most or now < allowance.since or len(first) > MAX_FIRST:
            return False
        opened: list[int] = []
        try:
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

    def _wanted(self) -> int:
        """Return how many bytes may come now, at most; 0: none, what comes is not for us. OSError."""
        return min(self._ends.left(), PIPE)

    def _came(self, size: int) -> None:
        """So many have come into the pipe."""
        self._piped = size
        self._ends.came(size)

    def _take_out(self) -> bytes:
        """Return what has come and did not go."""
        return read(self._descriptors[2], self._piped)

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
        promised = self._polled == self._descriptors[0]
        for _ in range(ROUNDS):
            if not self._piped and not self._fill(promised=promised):
                return
            if self._piped and not self._empty():
                return
            if self._over():
                return
            promised = False
        # Not by polling again: of a socket with an error uvloop does not say twice that there is something to read.
        self._poll(-1)
        self._loop.call_soon(self._move)

    def _fill(self, *, promised: bool) -> bool:
        """Have bytes come into the pipe, which is empty. False: there are none for now, or for good.

        Where there are none although the source was said to have some, an urgent byte is the next (TCP): the kernel
        moves nothing past it and would say the same for ever. Those who read step over it.
        """
        source, into, _, _ = self._descriptors
        try:
            wanted = self._wanted()
            size = os.splice(source, into, wanted, flags=_FLAGS) if wanted else 0
        except BlockingIOError:
            if promised:
                self._give_back()
            else:
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
        """Have what is in the pipe go out. False: there is no room for all of it for now, or for good."""
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
        """Leave what is in the pipe, and what is to come, to the transports."""
        if error is not None and error.errno in UNSUPPORTED:
            self._allowance.since = float("inf")
        ends = self._ends
        data = self._take_out()
        ends.flows()
        self.close()
        if data:
            ends.sink.write(data)
        ends.resume()

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
