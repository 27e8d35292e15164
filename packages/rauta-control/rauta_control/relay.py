"""Relaying the less common responses: heads that are made anew, 1xx, and bodies that are chunked or end with a close.

The common one, a head that goes out as it came and a body of known length, is `Upstream.data_received` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rauta_control import handshake, largebody, requestbody, tunnel
from rauta_control.backendstate import CHUNKS, CLOSED, LENGTH, STREAM
from rauta_control.clientstate import BODY
from rauta_control.framing import BadChunkError, ChunkedDecoder, chunk
from rauta_control.handshake import TRAILERS
from rauta_control.head import CHUNKED, without
from rauta_control.largebody import READ
from rauta_control.reasons import Reason
from rauta_control.response import UNTIL_CLOSE, UPGRADE_REQUIRED

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream
    from rauta_control.response import ResponseHead
    from rauta_control.upstream import Upstream

MAX_INTERIM = 10  # 1xx responses to one request


def response(upstream: Upstream, downstream: Downstream, head: ResponseHead, data: bytes, start: int) -> None:
    """Relay a response whose head is not passed on as it came; its body starts at `start` of `data`."""
    upstream.buffer = b""
    if head.status < 200:
        _interim(upstream, downstream, head, data, start)
        return
    attempts = downstream.attempts
    if attempts is not None:
        if attempts.again(None, head.status):
            upstream.let_go(downstream, head, data[start:])
            attempts.proceed()
            return
        attempts.answered()
    downstream.status = head.status
    upstream.keep_alive = head.keep_alive
    upstream.deadline = upstream.worker.due.stream
    upstream.chunked = head.length < 0 and not downstream.http10
    fields = head.fields or without(data[: start - 2], {b"connection"})
    if head.fields is not None and not head.dated:
        fields += b"Date: %b\r\n" % downstream.worker.today()
    out = _final_head(downstream, head, fields, upstream.chunked)
    downstream.bytes_out = len(out)
    downstream.transport.write(out)
    _begin_body(upstream, downstream, head, data[start:])


def _final_head(downstream: Downstream, head: ResponseHead, fields: bytes, chunked: bool) -> bytes:
    """Return the head for the client: `fields`, the status line and lines of the backend, and those that frame it."""
    if downstream.phase == BODY or downstream.worker.draining:
        downstream.keep_alive = False
    trailers = downstream.wish == TRAILERS
    if downstream.wish and not trailers and downstream.buffer:  # for a tunnel that is none: no request to be taken
        downstream.keep_alive = False
    if downstream.exchange is not None:
        fields = downstream.exchange.response_fields(fields)
    lines = [fields]
    # RFC 9110 15.5.22: it says what the client must change to. Connection goes with it (7.8).
    upgrade = b", Upgrade" if head.status == UPGRADE_REQUIRED and b"\r\nupgrade:" in fields.lower() else b""
    if chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
        if trailers and head.trailer:
            lines.append(b"Trailer: %b\r\n" % head.trailer)
    elif head.length < 0:
        downstream.keep_alive = False
    if not downstream.keep_alive:
        lines.append(b"Connection: close%b\r\n" % upgrade)
    elif downstream.http10 or upgrade:
        lines.append(b"Connection: keep-alive%b\r\n" % upgrade)
    lines.append(b"\r\n")
    return b"".join(lines)


def _begin_body(upstream: Upstream, downstream: Downstream, head: ResponseHead, data: bytes) -> None:
    """Set up for the body that follows `head`, and relay what is there of it."""
    upstream.left = length = head.length
    if length == CHUNKED:
        upstream.phase = CHUNKS
        upstream.decoder = ChunkedDecoder()
        if downstream.wish == TRAILERS:
            upstream.decoder.keep_trailers(head.named)
    elif length == UNTIL_CLOSE:
        upstream.phase = STREAM
    elif length:
        upstream.phase = LENGTH
    else:
        upstream.keep_alive = upstream.keep_alive and not data
        upstream.end(downstream)
        return
    if data:
        upstream.data_received(data)


def body(upstream: Upstream, downstream: Downstream, data: bytes) -> None:
    """Relay body bytes of a chunked (CHUNKS) or close-delimited (STREAM) response."""
    decoder = upstream.decoder
    if decoder is not None:
        try:
            data = decoder.relay(data) if upstream.chunked else decoder.feed(data)
            if decoder.done and downstream.exchange is not None and upstream.chunked:
                data = decoder.strip_trailers(data, downstream.exchange.edits)
        except BadChunkError:
            upstream.failed(downstream, Reason.UPSTREAM_INVALID)
            return
    elif upstream.chunked:
        data = chunk(data)
    if data:
        downstream.bytes_out += len(data)
        large = len(data) >= READ and decoder is not None and upstream.chunked
        if large and largebody.download(upstream, downstream, data):
            return
        downstream.transport.write(data)
    if decoder is not None and decoder.done:
        upstream.keep_alive = upstream.keep_alive and not decoder.rest
        upstream.end(downstream)


def _interim(upstream: Upstream, downstream: Downstream, head: ResponseHead, data: bytes, start: int) -> None:
    """Relay a 1xx response (RFC 9110 15.2) and go on to the next head. From here on there is no second try."""
    upstream.replay = b""
    upstream.interim += 1
    if head.status == 100 and downstream.withholds():
        requestbody.wanted(downstream)
    token = downstream.wish
    asked = token and token != TRAILERS and head.fields is not None and head.upgrade == token
    if head.status == 101 and asked and not upstream.transport.is_closing():
        _tunnel(upstream, downstream, head, data[start:])
        return
    if head.status == 101 or upstream.interim > MAX_INTERIM:  # nobody asked for this upgrade
        upstream.failed(downstream, Reason.UPSTREAM_INVALID)
        return
    if not downstream.http10:
        fields = head.fields or data[: start - 2]
        if downstream.exchange is not None:
            fields = downstream.exchange.interim_fields(fields)
        downstream.transport.write(fields + b"\r\n")
        if downstream.attempts is not None:
            downstream.attempts.heard = True
    if len(data) > start:
        upstream.data_received(data[start:])  # at most MAX_INTERIM deep


def _tunnel(upstream: Upstream, downstream: Downstream, head: ResponseHead, early: bytes) -> None:
    """The backend changes to the protocol that was asked for (RFC 9110 7.8): so does everything here."""
    fields = head.fields or b""
    if downstream.exchange is not None:
        fields = downstream.exchange.response_fields(fields)
    if downstream.attempts is not None:
        downstream.attempts.settle()
    downstream.status = head.status
    downstream.upstream = upstream.downstream = None
    upstream.phase = CLOSED
    tunnel.begin(downstream, upstream, handshake.change(fields, head.upgrade), early)
