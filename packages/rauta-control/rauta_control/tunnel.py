"""An upgraded connection: after the backend's 101, bytes both ways and no more HTTP.

The two connections of the request get new protocols, one a side; the request itself stays, for its line in the log at
the end. What arrives at one side goes out at the other; a slow side stops the reading of the other, and an end that one
side sends is passed on while the other may still speak. So memory is bounded by the write buffers and one read a side.

Neither connection is used for HTTP again. Requests that ask for no other protocol never come here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rauta_control import rawsocket
from rauta_control.leaving import FRESH_TIME
from rauta_control.ledger import record
from rauta_control.reasons import Reason

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream
    from rauta_control.upstream import Upstream


def begin(downstream: Downstream, upstream: Upstream, head: bytes, early: bytes) -> None:
    """Turn the connections of a request into a tunnel: `head` is the 101 for the client, `early` what came after it."""
    tunnel = Tunnel(downstream, upstream)
    hasty, downstream.buffer = downstream.buffer, b""  # what came after the request's head
    downstream.bytes_out = len(head)
    tunnel.client.take_over(reading=downstream.reading, blocked=downstream.blocked)
    tunnel.backend.take_over(reading=not downstream.blocked, blocked=upstream.blocked)
    tunnel.client.transport.write(head)
    if early:
        tunnel.backend.data_received(early)
    if hasty:
        tunnel.client.data_received(hasty)
    if downstream.ended:
        tunnel.client.eof_received()
    tunnel.client.regulate()
    tunnel.backend.regulate()


class Tunnel:
    """Both sides of one upgraded request; counts as one connection of a client until both are gone."""

    __slots__ = (
        "backend",
        "client",
        "deadline",
        "downstream",
        "endpoint",
        "open",
        "port",
        "reason",
        "unsent",
        "worker",
    )

    def __init__(self, downstream: Downstream, upstream: Upstream) -> None:
        self.worker = downstream.worker
        self.port = downstream.port
        self.downstream = downstream
        self.endpoint = upstream.endpoint
        self.reason: Reason | None = None  # why it ended, if not because both sides were done
        self.open = 2  # connections
        self.unsent = -1  # bytes that the last of them had still to take when that was last looked at
        self.client = Side(self, downstream.transport)
        self.backend = Side(self, upstream.transport)
        self.client.other, self.backend.other = self.backend, self.client
        self.touch()
        self.worker.tunnelled(downstream, upstream, self)

    def touch(self) -> None:
        """Somebody said something."""
        self.deadline = self.worker.due.tunnel

    def lost(self, side: Side, exc: Exception | None) -> None:
        """One connection is gone: what was said to the other is still sent, then that is closed too."""
        self.open -= 1
        if side is self.backend:
            self.endpoint.forget()
        if self.open:
            if exc is not None and self.reason is None:
                self.reason = Reason.CLIENT_CLOSED if side is self.client else Reason.UPSTREAM_RESET
            # A TLS client is to say that it has understood; many never do.
            secure = self.port.secure and side is self.backend
            self.deadline = self.worker.now + FRESH_TIME if secure else self.worker.due.write
            side.other.transport.close()
            return
        request = self.downstream
        request.bytes_in += self.client.count
        request.bytes_out += self.backend.count
        record(request, self.reason)
        request.forget()
        self.worker.disconnected(self)
        # Not left to the collector: it does not look at what was frozen after a change of configuration (follow.py).
        client, backend = self.client, self.backend
        del self.client, self.backend, client.other, backend.other

    def expire(self) -> None:
        """The deadline has passed: nobody said anything, or the side that is left does not take what it was sent."""
        if self.open == 2:
            self.cut(Reason.TUNNEL_TIMEOUT)
            return
        left = (self.client if self.backend.lost else self.backend).transport
        unsent = rawsocket.unsent(left)
        if unsent and unsent != self.unsent:  # slow, but not dead
            self.unsent = unsent
            self.deadline = self.worker.due.write
        else:
            if unsent:
                rawsocket.discard(left)
            self.cut(self.reason)

    def cut(self, reason: Reason | None) -> None:
        """End it now."""
        self.reason = reason
        for side in (self.client, self.backend):
            if not side.lost:
                side.transport.abort()

    def drain(self) -> None:
        """The worker drains: a tunnel has as long as the drain lasts."""

    def stop(self) -> None:
        """The worker ends."""
        self.cut(Reason.STOPPED)


class Side(asyncio.Protocol):
    """One connection of a tunnel: what arrives here goes out at the other."""

    __slots__ = ("blocked", "count", "ended", "lost", "other", "reading", "transport", "tunnel")

    other: Side

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport) -> None:
        self.tunnel = tunnel
        self.transport = transport
        self.count = 0  # bytes that arrived
        self.reading = True
        self.blocked = False  # the peer is slow: the write buffer is over the high-water mark
        self.ended = False  # the peer has said all it will
        self.lost = False

    def take_over(self, *, reading: bool, blocked: bool) -> None:
        """Become the protocol of the connection, which is read now or not, and whose peer is slow or not."""
        self.reading = reading
        self.blocked = blocked
        self.transport.set_protocol(self)

    def regulate(self) -> None:
        """Read exactly if the other side takes what comes."""
        wanted = not self.other.blocked and not self.ended
        if wanted == self.reading or self.tunnel.open < 2:
            return
        self.reading = wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self.count += len(data)
        self.tunnel.touch()
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Pass it on; when both have said all, or the other's transport cannot say so (TLS), both are closed."""
        self.ended = True
        self.reading = False
        other = self.other
        if other.ended or not other.transport.can_write_eof():
            other.transport.close()
            return False
        other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.blocked = True
        self.other.regulate()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.blocked = False
        self.other.regulate()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.lost = True
        self.tunnel.lost(self, exc)
