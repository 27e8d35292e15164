"""A connection to a backend: sends one request at a time, relays its response, goes back to the pool.

The other half of the hot path (see downstream.py): `data_received` takes what the backend sends and writes to the
client, most often one read that is a whole response whose bytes are passed on as they came. Bodies with a length are
counted, not parsed; chunked and close-delimited ones are framed anew.

Phases: NEW (connected, not used yet), IDLE (in the pool), HEAD (request sent, response head outstanding), LENGTH,
CHUNKS, STREAM (a body of known length, chunked, until the backend closes), CLOSED (closing, or closed), DISCARD (the
rest of a response that nobody wants). Only IDLE ones are in `Endpoint.idle`, and they leave it the moment anything
happens to them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rauta_control import handshake, rawsocket, tunnel
from rauta_control.downstream import BODY, DEFAULT_HIGH_WATER, WAIT
from rauta_control.framing import LAST_CHUNK, BadChunkError, ChunkedDecoder, chunk
from rauta_control.handshake import TRAILERS
from rauta_control.head import CHUNKED, without
from rauta_control.reasons import Reason, Refused
from rauta_control.response import MAX_HEAD, UNTIL_CLOSE, ResponseHead
from rauta_control.sharedmem import Vital

if TYPE_CHECKING:
    from rauta_control.cluster import Endpoint
    from rauta_control.downstream import Downstream
    from rauta_control.worker import Worker

NEW, IDLE, HEAD, LENGTH, CHUNKS, STREAM, CLOSED, DISCARD = range(8)

MAX_INTERIM = 10  # 1xx responses to one request
LAST_WORDS = 1 << 20  # bytes of a response read after the connection broke
DISCARDED = 65_536  # bytes of an unwanted body that are read to keep a connection
DISCARD_TIMEOUT = 1.0  # for them to come

_REUSES = int(Vital.UPSTREAM_REUSES)  # see ledger.py


class Upstream(asyncio.Protocol):
    """One connection to one endpoint. `replay` is the request's head while it may be sent again on another one."""

    __slots__ = (
        "blocked",
        "buffer",
        "chunked",
        "deadline",
        "decoder",
        "downstream",
        "endpoint",
        "interim",
        "keep_alive",
        "left",
        "phase",
        "replay",
        "transport",
        "unsent",
        "used",
        "worker",
    )

    transport: asyncio.Transport

    def __init__(self, worker: Worker, endpoint: Endpoint) -> None:
        self.worker = worker
        self.endpoint = endpoint
        self.downstream: Downstream | None = None
        self.decoder: ChunkedDecoder | None = None
        self.phase = NEW
        self.deadline = float("inf")
        self.buffer = b""  # a response head that is not complete
        self.replay = b""
        self.left = 0  # bytes of the body still to come, in LENGTH
        self.interim = 0  # 1xx responses to the present request
        self.chunked = False  # the client gets the body in chunks
        self.blocked = False  # the backend is slow: its write buffer is over the high-water mark
        self.unsent = -1  # bytes the backend had still to take when that was last looked at
        self.keep_alive = True
        self.used = False

    # -- towards the backend

    def send(self, downstream: Downstream, request: bytes) -> None:
        """Send a request's head and expect the response."""
        worker = self.worker
        self.downstream = downstream
        self.phase = HEAD
        self.deadline = worker.now + worker.limits.response_timeout
        if self.used:
            self.replay = request
            worker.vitals[_REUSES] += 1
        self.used = True
        self.transport.write(request)

    def request_sent(self) -> None:
        """The last byte of a request with a body is on its way: from now on the backend is waited for."""
        if self.phase == HEAD:
            self.deadline = self.worker.now + self.worker.limits.response_timeout

    def abandon(self) -> None:
        """The request is over before its response: the connection cannot be used again."""
        self.downstream = None
        self.phase = CLOSED
        self.transport.abort()

    # -- transport callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = transport  # type: ignore[assignment]
        high_water = self.worker.limits.max_buffered_bytes
        if high_water != DEFAULT_HIGH_WATER:
            self.transport.set_write_buffer_limits(high_water)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol. For a request this may be the end of its response, a second try, or a failure."""
        if exc is not None and self.downstream is not None:
            self._last_words()
        downstream, phase = self.downstream, self.phase
        self._leave_pool()
        self.phase = CLOSED
        self.endpoint.forget()
        self.worker.sweep.discard(self)
        if downstream is None:
            return
        if phase == STREAM and exc is None:
            if self.chunked:
                downstream.transport.write(LAST_CHUNK)
            self.keep_alive = False
            self._end(downstream)
        elif phase == HEAD and self.replay and not self.buffer and downstream.can_replay() and self._reserve():
            self.downstream = None
            downstream.replay(self.replay)
        else:
            self._failed(downstream, Reason.UPSTREAM_RESET)

    def eof_received(self) -> None:
        """See asyncio.Protocol: the backend takes nothing more either. Nobody may take this from the pool meanwhile."""
        self._leave_pool()
        self.transport.abort()

    def pause_writing(self) -> None:
        """See asyncio.Protocol: the backend is slow."""
        self.blocked = True
        if self.downstream is not None:
            self.downstream.regulate()

    def resume_writing(self) -> None:
        """See asyncio.Protocol: the backend has taken everything."""
        self.blocked = False
        if self.downstream is not None:
            self.downstream.regulate()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the backend."""
        downstream = self.downstream
        phase = self.phase
        if downstream is None:
            if phase == DISCARD:
                self._discard(data)
                return
            self._leave_pool()  # bytes nobody asked for: whatever follows could not be trusted
            self.phase = CLOSED
            self.transport.abort()
            return
        if phase == HEAD:
            searched = 0
            if self.buffer:
                searched = max(0, len(self.buffer) - 3)
                data = self.buffer + data
            end = data.find(b"\r\n\r\n", searched)
            if end < 0:
                self.buffer = data
                if len(data) > MAX_HEAD:
                    self._failed(downstream, Reason.UPSTREAM_INVALID)
                return
            head = self.worker.response_head
            try:
                head.read(data, end, no_body=downstream.method == b"HEAD")
            except Refused as refused:
                self._failed(downstream, refused.reason)
                return
            length = head.length
            if head.fields is not None or head.status < 200 or not downstream.plain or downstream.phase != WAIT:
                self._relay(downstream, head, data, end + 4)
                return
            # The common case: the head goes out as it came, with as much of the body as is here.
            downstream.status = head.status
            self.keep_alive = head.keep_alive
            size = len(data)
            left = end + 4 + length - size
            if left == 0:
                downstream.bytes_out = size
                downstream.transport.write(data)
                self._end(downstream)
            elif left > 0:
                self.phase = LENGTH
                self.left = left
                self.deadline = self.worker.now + self.worker.limits.stream_timeout
                downstream.bytes_out = size
                downstream.transport.write(data)
            else:
                self._surplus(downstream, data[:left])
        elif phase == LENGTH:
            size = len(data)
            self.deadline = self.worker.now + self.worker.limits.stream_timeout
            left = self.left = self.left - size
            if left < 0:
                self._surplus(downstream, data[:left])
                return
            downstream.bytes_out += size
            downstream.transport.write(data)
            if not left:
                self._end(downstream)
        else:
            self.deadline = self.worker.now + self.worker.limits.stream_timeout
            self._relay_body(downstream, data)

    # -- the less common responses

    def _relay(self, downstream: Downstream, head: ResponseHead, data: bytes, start: int) -> None:
        """Relay a response whose head is not passed on as it came; its body starts at `start` of `data`."""
        self.buffer = b""
        if head.status < 200:
            self._relay_interim(downstream, head, data, start)
            return
        attempts = downstream.attempts
        if attempts is not None and attempts.again(None, head.status):
            self._let_go(downstream, head, data[start:])
            attempts.proceed()
            return
        downstream.status = head.status
        self.keep_alive = head.keep_alive
        self.left = length = head.length
        self.deadline = self.worker.now + self.worker.limits.stream_timeout
        if downstream.phase == BODY or self.worker.draining:
            downstream.keep_alive = False
        trailers = downstream.wish == TRAILERS
        if downstream.wish and not trailers and downstream.buffer:  # for a tunnel that is none: no request to be taken
            downstream.keep_alive = False
        lines = [head.fields or without(data[: start - 2], {b"connection"})]
        if downstream.exchange is not None:
            lines[0] = downstream.exchange.response_fields(lines[0])
        self.chunked = length < 0 and not downstream.http10
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked\r\n")
            if trailers and head.trailer:
                lines.append(b"Trailer: %b\r\n" % head.trailer)
        elif length < 0:
            downstream.keep_alive = False
        if not downstream.keep_alive:
            lines.append(b"Connection: close\r\n")
        elif downstream.http10:
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        out = b"".join(lines)
        downstream.bytes_out = len(out)
        downstream.transport.write(out)
        body = data[start:]
        if length == CHUNKED:
            self.phase = CHUNKS
            self.decoder = ChunkedDecoder()
            if trailers:
                self.decoder.keep_trailers()
        elif length == UNTIL_CLOSE:
            self.phase = STREAM
        elif length:
            self.phase = LENGTH
        else:
            self.keep_alive = self.keep_alive and not body
            self._end(downstream)
            return
        if body:
            self.data_received(body)

    def _relay_interim(self, downstream: Downstream, head: ResponseHead, data: bytes, start: int) -> None:
        """Relay a 1xx response (RFC 9110 15.2) and go on to the next head. From here on there is no second try."""
        self.replay = b""
        self.interim += 1
        token = downstream.wish
        asked = token and token != TRAILERS and head.fields is not None and head.upgrade == token
        if head.status == 101 and asked and not self.transport.is_closing():
            self._tunnel(downstream, head, data[start:])
            return
        if head.status == 101 or self.interim > MAX_INTERIM:  # nobody asked for this upgrade
            self._failed(downstream, Reason.UPSTREAM_INVALID)
            return
        if not downstream.http10:
            downstream.transport.write((head.fields or data[: start - 2]) + b"\r\n")
            if downstream.attempts is not None:
                downstream.attempts.heard = True
        if len(data) > start:
            self.data_received(data[start:])  # at most MAX_INTERIM deep

    def _tunnel(self, downstream: Downstream, head: ResponseHead, early: bytes) -> None:
        """The backend changes to the protocol that was asked for (RFC 9110 7.8): so does everything here."""
        fields = head.fields or b""
        if downstream.exchange is not None:
            fields = downstream.exchange.response_fields(fields)
        if downstream.attempts is not None:
            downstream.attempts.settle()
        downstream.status = head.status
        downstream.upstream = self.downstream = None
        self.phase = CLOSED
        tunnel.begin(downstream, self, handshake.change(fields, head.upgrade), early)

    def _relay_body(self, downstream: Downstream, data: bytes) -> None:
        """Relay body bytes of a chunked (CHUNKS) or close-delimited (STREAM) response."""
        decoder = self.decoder
        if decoder is not None:
            try:
                data = decoder.relay(data) if self.chunked else decoder.feed(data)
            except BadChunkError:
                self._failed(downstream, Reason.UPSTREAM_INVALID)
                return
        elif self.chunked:
            data = chunk(data)
        if data:
            downstream.bytes_out += len(data)
            downstream.transport.write(data)
        if decoder is not None and decoder.done:
            self.keep_alive = self.keep_alive and not decoder.rest
            self._end(downstream)

    def _surplus(self, downstream: Downstream, data: bytes) -> None:
        """The backend sent more than its response: relay the response, and never use the connection again."""
        downstream.bytes_out += len(data)
        downstream.transport.write(data)
        self.keep_alive = False
        self._end(downstream)

    def _let_go(self, downstream: Downstream, head: ResponseHead, body: bytes) -> None:
        """Nobody wants this response, of whose body there is `body`: keep the connection if little more of it comes."""
        self.downstream = downstream.upstream = None
        self.replay = self.buffer = b""
        self.interim = 0
        if downstream.blocked:
            self.transport.resume_reading()
        in_step = head.keep_alive and downstream.complete() and not self.blocked
        if not in_step or head.length > DISCARDED or self.transport.is_closing():  # the last: see _last_words
            self.close()
            return
        self.phase = DISCARD
        self.deadline = self.worker.now + DISCARD_TIMEOUT
        self.decoder = ChunkedDecoder() if head.length == CHUNKED else None
        self.left = DISCARDED if self.decoder is not None else head.length
        self._discard(body)

    def _discard(self, data: bytes) -> None:
        """Read on to the end of a response that nobody wants."""
        self.left -= len(data)
        decoder, done, fine = self.decoder, self.left == 0, self.left >= 0
        if decoder is not None:
            try:
                decoder.feed(data)
            except BadChunkError:
                fine = False
            done, fine = decoder.done, fine and not decoder.rest
        if not fine:
            self.close()
        elif done:
            self.decoder = None
            self.release()

    def _last_words(self) -> None:
        """Relay what the backend said before it broke the connection: a 413, and a reset because we sent on."""
        heard = 0
        while self.downstream is not None and heard < LAST_WORDS and (data := rawsocket.read(self.transport)):
            heard += len(data)
            self.data_received(data)

    # -- the outcome

    def _end(self, downstream: Downstream) -> None:
        """The response is complete: back to the pool if both sides are in step, then tell the client's side."""
        self.downstream = None
        self.decoder = None
        self.replay = self.buffer = b""
        self.interim = 0
        if downstream.blocked:
            self.transport.resume_reading()
        endpoint = self.endpoint
        if self.keep_alive and downstream.phase == WAIT and endpoint.users and not self.blocked:
            self.phase = IDLE
            worker = self.worker
            self.deadline = worker.now + worker.limits.pool_timeout
            endpoint.idle.append(self)
        else:
            self.phase = CLOSED
            self.transport.abort()
        downstream.finish()

    def _failed(self, downstream: Downstream, reason: Reason) -> None:
        """The backend failed this request: close, count, and let the client's side answer or cut."""
        self.downstream = None
        self.phase = CLOSED
        self.transport.abort()
        self.worker.count_failure(self.endpoint)
        downstream.upstream = None
        downstream.failed(reason)

    # -- the pool

    def _reserve(self) -> bool:
        return self.endpoint.reserve(self.worker.limits.max_endpoint_connections)

    def release(self) -> None:
        """Wait in the pool for a request."""
        if not self.endpoint.users:
            self.close()
            return
        self.phase = IDLE
        self.deadline = self.worker.now + self.worker.limits.pool_timeout
        self.endpoint.idle.append(self)

    def close(self) -> None:
        """Close a connection that has no request."""
        self._leave_pool()
        self.phase = CLOSED
        self.transport.abort()

    def _leave_pool(self) -> None:
        if self.phase == IDLE:
            self.phase = CLOSED
            self.endpoint.idle.remove(self)

    def expire(self) -> None:
        """The deadline has passed: idle too long, or silent too long, unless it is the client that is waited for."""
        downstream = self.downstream
        if downstream is None:
            self.close()
        elif downstream.blocked or (downstream.phase == BODY and not self._stuck()) or self._unlimited(downstream):
            self.deadline = self.worker.now + self.worker.limits.response_timeout
        else:
            self._failed(downstream, Reason.UPSTREAM_STALLED if downstream.status else Reason.UPSTREAM_TIMEOUT)

    def _unlimited(self, downstream: Downstream) -> bool:
        """Whether the rule has its own opinion on how long to wait for a response head."""
        attempts = downstream.attempts
        return self.phase == HEAD and attempts is not None and not attempts.policy.limited

    def _stuck(self) -> bool:
        """Whether the backend has taken nothing of the request's body since we last looked."""
        if not self.blocked:
            return False
        before, self.unsent = self.unsent, rawsocket.unsent(self.transport)
        return self.unsent == before
