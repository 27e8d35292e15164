"""The body of a client's request: counted or decoded as it comes, framed for the backend, sent on.

A request without a body never comes here. Pieces wait in `outgoing` while there is no connection to a backend, and are
read only while there is a place for them (ClientState.regulate).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rauta_control import clientbuffer, replay
from rauta_control.clientstate import BODY, NEVER, WAIT
from rauta_control.framing import BadChunkError, ChunkedDecoder, ChunkOverheadError
from rauta_control.handshake import TRAILERS
from rauta_control.head import CHUNKED
from rauta_control.reasons import Reason

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream


def begin(request: Downstream, length: int, data: bytes) -> bool:
    """Set up for a body of `length`; `data` is what came after the head. False: it was malformed and is refused."""
    if length == 0:
        clientbuffer.hold(request, data)
        return True
    request.phase = BODY
    request.deadline = request.worker.due.body
    request.left = length
    request.retained = []
    request.expects = request.head.fields is not None and request.head.expects
    if length == CHUNKED:
        request.decoder = ChunkedDecoder(request.worker.limits.max_chunk_overhead)
        if request.head.wish == TRAILERS:  # which rebuilds all heads of chunked bodies: this one's
            request.decoder.keep_trailers(request.head.named)
    return not data or _take(request, data)


def more(request: Downstream, data: bytes) -> bool:
    """Take what came of it in the phase BODY, to be sent. False: it was malformed and is refused."""
    request.deadline = request.worker.due.body
    if not _take(request, data):
        return False
    if request.exchange is not None:
        request.exchange.body_came(request)
    return True


def wanted(request: Downstream) -> None:
    """The backend has asked for it: from now on the client is waited for."""
    request.expects = False
    request.deadline = request.worker.due.body


def send(request: Downstream) -> None:
    """Send what waits to the backend, if there is a connection."""
    upstream = request.upstream
    if upstream is not None and request.outgoing:
        if request.retained is not None:
            replay.retain(request, request.retained)
        upstream.transport.writelines(request.outgoing)
        request.outgoing = []


def _take(request: Downstream, data: bytes) -> bool:
    """Add body bytes to `outgoing`, framed for the backend; hold what is beyond them. False as in `begin`."""
    request.bytes_in += len(data)
    decoder = request.decoder
    if decoder is None:
        request.left -= len(data)
        if request.left > 0:
            request.outgoing.append(data)
        else:
            body_end = len(data) + request.left
            request.outgoing.append(data[:body_end])
            end(request, data[body_end:])
        return True
    try:
        request.outgoing.append(decoder.relay(data))
    except BadChunkError as error:
        request.fail(Reason.CHUNK_OVERHEAD if isinstance(error, ChunkOverheadError) else Reason.BAD_BODY)
        return False
    if decoder.done:
        end(request, decoder.rest)
    return True


def end(request: Downstream, rest: bytes) -> None:
    """All of it has been passed on; `rest` is what came after it."""
    request.phase = WAIT
    request.deadline = NEVER
    request.bytes_in -= len(rest)
    if request.upstream is not None:
        request.upstream.request_sent()
    if request.attempts is not None:
        request.attempts.limit()
    if rest:
        clientbuffer.hold(request, rest)
