"""Which bodies are spliced (splice.py, chunksplice.py), both ways, and what is kept in step meanwhile.

Without TLS, and if nobody else (a mirror, another attempt) may want its bytes: the rest of a body of known length, once
that is LEAST or more; and of a chunked one of which as much has passed, while it comes fast. Counters,
`blocked` and deadlines of the two connections stay what `data_received`, `pause_writing` and `resume_writing` make of
them for other bodies, so that whoever looks at them sees no difference.

The splice belongs to the Upstream, which lives no longer than either connection is in use for the request: it ends at
the latest in its `connection_lost`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rauta_control import rawsocket, requestbody
from rauta_control.backendstate import HEAD
from rauta_control.chunksplice import ChunkSplice
from rauta_control.clientstate import NEVER, WAIT
from rauta_control.splice import Splice, plain

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream
    from rauta_control.framing import ChunkedDecoder
    from rauta_control.upstream import Upstream

LEAST = 1 << 20  # bytes still to come: setting up costs some 60 us, as much as moving 300 KiB gains
READ = 1 << 15  # bytes that one read of a chunked body must have brought: it does not come event by event


def download(upstream: Upstream, downstream: Downstream, data: bytes) -> bool:
    """Have the rest of a response spliced; `data`, counted already, goes before it. False: that cannot be, write it."""
    if downstream.phase != WAIT or downstream.blocked or upstream.splice is not None:
        return False
    if not _worth(upstream.left, upstream.decoder, downstream.bytes_out):
        return False
    return _start(upstream, Download(upstream, downstream), upstream.decoder, data)


def upload(request: Downstream) -> bool:
    """Have the rest of a request's body spliced; what waits in `outgoing` goes before it. False: that cannot be."""
    upstream = request.upstream
    if upstream is None or upstream.phase != HEAD or upstream.blocked or upstream.splice is not None:
        return False
    if request.retained is not None or (request.exchange is not None and request.exchange.mirrors):
        return False
    if not _worth(request.left, request.decoder, request.bytes_in):
        return False
    if not _start(upstream, Upload(upstream, request), request.decoder, b"".join(request.outgoing)):
        return False
    request.outgoing = []
    return True


def _worth(left: int, decoder: ChunkedDecoder | None, passed: int) -> bool:
    """Whether a body is large enough, of which `left` bytes are to come if it has no `decoder`."""
    if decoder is None:
        return left >= LEAST
    return passed >= LEAST and decoder.ahead > 0


def _start(upstream: Upstream, ends: Download | Upload, decoder: ChunkedDecoder | None, first: bytes) -> bool:
    if not (plain(ends.source) and plain(ends.sink)):
        return False
    worker = upstream.worker
    shared = worker.loop, worker.splices
    splice = Splice(*shared, ends) if decoder is None else ChunkSplice(*shared, ends, decoder)
    if not splice.begin(first, worker.now):
        return False
    upstream.splice = splice
    ends.begin()
    return True


class Download:
    """The body of a response."""

    __slots__ = ("_downstream", "_upstream", "sink", "source")

    def __init__(self, upstream: Upstream, downstream: Downstream) -> None:
        self.source = upstream.transport
        self.sink = downstream.transport
        self._upstream = upstream
        self._downstream = downstream

    def begin(self) -> None:
        """The source is not to be read otherwise any more."""
        self.source.pause_reading()

    def left(self) -> int:
        """See Ends."""
        return self._upstream.left

    def came(self, size: int) -> None:
        """See Ends."""
        upstream = self._upstream
        upstream.left -= size  # means nothing for chunks
        upstream.deadline = upstream.worker.due.stream
        self._downstream.bytes_out += size

    def held_up(self) -> None:
        """See Ends."""
        downstream = self._downstream
        downstream.blocked = True
        downstream.deadline = downstream.worker.due.write

    def flows(self) -> None:
        """See Ends."""
        upstream = self._upstream
        self._downstream.blocked = False
        self._downstream.deadline = NEVER
        upstream.deadline = upstream.worker.due.stream

    def finish(self) -> None:
        """See Ends."""
        upstream = self._upstream
        if rawsocket.unread(upstream.transport):  # the backend sent more than its response
            upstream.keep_alive = False
        self.resume()
        upstream.end(self._downstream)

    def resume(self) -> None:
        """See Ends."""
        self._upstream.splice = None
        if not self._downstream.blocked and not self.sink.is_closing():
            self._upstream.transport.resume_reading()


class Upload:
    """The body of a request."""

    __slots__ = ("_request", "_upstream", "sink", "source")

    def __init__(self, upstream: Upstream, request: Downstream) -> None:
        self.source = request.transport
        self.sink = upstream.transport
        self._upstream = upstream
        self._request = request

    def begin(self) -> None:
        """See Download."""
        self._request.regulate()

    def left(self) -> int:
        """See Ends."""
        return self._request.left

    def came(self, size: int) -> None:
        """See Ends."""
        request = self._request
        request.left -= size  # means nothing for chunks
        request.bytes_in += size
        request.deadline = request.worker.due.body

    def held_up(self) -> None:
        """See Ends."""
        self._upstream.blocked = True

    def flows(self) -> None:
        """See Ends."""
        request = self._request
        self._upstream.blocked = False
        request.deadline = request.worker.due.body

    def finish(self) -> None:
        """See Ends."""
        requestbody.end(self._request, b"")
        self.resume()

    def resume(self) -> None:
        """See Ends."""
        self._upstream.splice = None
        self._request.regulate()
