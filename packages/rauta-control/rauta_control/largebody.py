"""Which bodies are spliced (splice.py), both ways, and what is kept in step meanwhile.

The rest of a body of known length, once that is LEAST or more, without TLS, and if nobody else (a mirror, another
attempt) may want its bytes. Counters, `blocked` and deadlines of the two connections stay what `data_received`,
`pause_writing` and `resume_writing` make of them for other bodies, so that whoever looks at them sees no difference.

The splice belongs to the Upstream, which lives no longer than either connection is in use for the request: it ends at
the latest in its `connection_lost`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rauta_control import rawsocket, requestbody
from rauta_control.backendstate import HEAD
from rauta_control.clientstate import NEVER, WAIT
from rauta_control.splice import Splice, plain

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream
    from rauta_control.upstream import Upstream

LEAST = 1 << 20  # bytes still to come: setting up costs some 60 us, as much as moving 300 KiB gains


def download(upstream: Upstream, downstream: Downstream, data: bytes) -> bool:
    """Have the rest of a response spliced; `data`, counted already, goes before it. False: that cannot be, write it."""
    if downstream.phase != WAIT or downstream.blocked or upstream.splice is not None:
        return False
    if not (plain(upstream.transport) and plain(downstream.transport)):
        return False
    return Download(upstream, downstream).start(data)


def upload(upstream: Upstream, request: Downstream, data: bytes) -> bool:
    """Have the rest of a request's body spliced; `data`, not counted yet, goes before it. False: that cannot be."""
    if upstream.phase != HEAD or upstream.blocked or upstream.splice is not None or request.outgoing:
        return False
    if request.retained is not None or (request.exchange is not None and request.exchange.mirrors):
        return False
    if not (plain(upstream.transport) and plain(request.transport)):
        return False
    return Upload(upstream, request).start(data)


class Download(Splice):
    """The body of a response."""

    __slots__ = ("_downstream", "_upstream")

    def __init__(self, upstream: Upstream, downstream: Downstream) -> None:
        worker = upstream.worker
        super().__init__(worker.loop, worker.splices, upstream.transport, downstream.transport)
        self._upstream = upstream
        self._downstream = downstream

    def start(self, data: bytes) -> bool:
        """See `download`."""
        upstream = self._upstream
        if not self.begin(data, upstream.worker.now):
            return False
        upstream.splice = self
        upstream.transport.pause_reading()
        return True

    def left(self) -> int:
        """See Splice."""
        return self._upstream.left

    def came(self, size: int) -> None:
        """See Splice."""
        upstream = self._upstream
        upstream.left -= size
        upstream.deadline = upstream.worker.now + upstream.worker.limits.stream_timeout
        self._downstream.bytes_out += size

    def held_up(self) -> None:
        """See Splice."""
        downstream = self._downstream
        downstream.blocked = True
        downstream.deadline = downstream.worker.now + downstream.worker.limits.write_timeout

    def flows(self) -> None:
        """See Splice."""
        upstream = self._upstream
        self._downstream.blocked = False
        self._downstream.deadline = NEVER
        upstream.deadline = upstream.worker.now + upstream.worker.limits.stream_timeout

    def finish(self) -> None:
        """See Splice."""
        upstream = self._upstream
        if rawsocket.unread(upstream.transport):  # the backend sent more than its response
            upstream.keep_alive = False
        self.resume()
        upstream.end(self._downstream)

    def resume(self) -> None:
        """See Splice."""
        self._upstream.splice = None
        if not self._downstream.blocked and not self.sink.is_closing():
            self._upstream.transport.resume_reading()


class Upload(Splice):
    """The body of a request."""

    __slots__ = ("_request", "_upstream")

    def __init__(self, upstream: Upstream, request: Downstream) -> None:
        worker = upstream.worker
        super().__init__(worker.loop, worker.splices, request.transport, upstream.transport)
        self._upstream = upstream
        self._request = request

    def start(self, data: bytes) -> bool:
        """See `upload`."""
        if not self.begin(data, self._upstream.worker.now):
            return False
        self.came(len(data))
        self._upstream.splice = self
        self._request.regulate()
        return True

    def left(self) -> int:
        """See Splice."""
        return self._request.left

    def came(self, size: int) -> None:
        """See Splice."""
        request = self._request
        request.left -= size
        request.bytes_in += size
        request.deadline = request.worker.now + request.worker.limits.body_timeout

    def held_up(self) -> None:
        """See Splice."""
        self._upstream.blocked = True

    def flows(self) -> None:
        """See Splice."""
        request = self._request
        self._upstream.blocked = False
        request.deadline = request.worker.now + request.worker.limits.body_timeout

    def finish(self) -> None:
        """See Splice."""
        requestbody.end(self._request, b"")
        self.resume()

    def resume(self) -> None:
        """See Splice."""
        self._upstream.splice = None
        self._request.regulate()
