"""A connection to a backend: sends one request at a time, relays its response, goes back to the pool.

The other half of the hot path (see downstream.py): `data_received` takes what the backend sends and writes to the
client, most often one read that is a whole response whose bytes are passed on as they came. Bodies with a length are
counted, not parsed; chunked and close-delimited ones are framed anew (relay.py). Phases and slots are in
backendstate.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rauta_control import largebody, rawsocket, relay, replay
from rauta_control.backendstate import CLOSED, DISCARD, HEAD, IDLE, LENGTH, STREAM, BackendState
from rauta_control.clientstate import BODY, WAIT
from rauta_control.downstream import DEFAULT_HIGH_WATER
from rauta_control.framing import LAST_CHUNK, BadChunkError, ChunkedDecoder
from rauta_control.head import CHUNKED
from rauta_control.largebody import LEAST
from rauta_control.reasons import Reason, Refused
from rauta_control.response import ResponseHead, may_begin
from rauta_control.sharedmem import Vital

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream

LAST_WORDS = 1 << 20  # bytes of a response read after the connection broke
DISCARDED = 65_536  # bytes of an unwanted body that are read to keep a connection
DISCARD_TIMEOUT = 1.0  # for them to come

_REUSES = int(Vital.UPSTREAM_REUSES)  # see ledger.py


class Upstream(BackendState):
    """One connection to one endpoint. Created once there is room for it; lives until the connection is lost."""

    __slots__ = ()

    # -- towards the backend

    def send(self, downstream: Downstream, request: bytes) -> None:
        """Send a request's head and expect the response."""
        worker = self.worker
        self.downstream = downstream
        self.phase = HEAD
        self.deadline = worker.due.response
        self.replay = request
        if self.used:
            worker.vitals[_REUSES] += 1
        self.transport.write(request)

    def request_sent(self) -> None:
        """The last byte of a request with a body is on its way: from now on the backend is waited for."""
        if self.phase == HEAD:
            self.deadline = self.worker.due.response

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
        if self.splice is not None:
            self.splice.close()
            self.splice = None
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
            self.end(downstream)
            return
        if phase == HEAD and self.replay:
            if self.used and not self.buffer and replay.allowed(downstream) and self._reserve():
                self.downstream = None
                replay.begin(downstream, self.replay)
                return
            downstream.tried(self.replay)
        self.failed(downstream, Reason.UPSTREAM_RESET)

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
            known = downstream.known
            if known and known.reply and data.startswith(known.reply) and downstream.plain and not self.buffer:
                start, length = len(known.reply), known.length
                downstream.status = known.status
            else:
                head = self.worker.response_head
                no_body = downstream.method == b"HEAD"
                match = None if self.buffer or no_body else self.endpoint.shape.match(data)
                if match is not None and head.take(match):
                    start = match.end()
                else:
                    data = self.buffer + data
                    start = self._read_head(downstream, head, data, no_body=no_body)
                    if not start:
                        return
                length = head.length
                if head.fields is not None or head.status < 200 or not downstream.plain or downstream.phase != WAIT:
                    relay.response(self, downstream, head, data, start)
                    return
                downstream.status = head.status
                if known:
                    known.learn(data[:start], head.status, length)
            # The common case: the head goes out as it came, with as much of the body as is here.
            self.keep_alive = True
            size = len(data)
            left = start + length - size
            if left == 0:
                downstream.bytes_out = size
                downstream.transport.write(data)
                self.end(downstream)
            elif left > 0:
                self.phase = LENGTH
                self.left = left
                self.deadline = self.worker.due.stream
                downstream.bytes_out = size
                downstream.transport.write(data)
            else:
                self._surplus(downstream, data[:left])
        elif phase == LENGTH:
            size = len(data)
            self.deadline = self.worker.due.stream
            left = self.left = self.left - size
            if left < 0:
                self._surplus(downstream, data[:left])
                return
            downstream.bytes_out += size
            if left >= LEAST and largebody.download(self, downstream, data):
                return
            downstream.transport.write(data)
            if not left:
                self.end(downstream)
        else:
            self.deadline = self.worker.due.stream
            if self.chunked and self.decoder is not None and self.decoder.is_chunk(data):
                downstream.bytes_out += len(data)
                downstream.transport.write(data)
            else:
                relay.body(self, downstream, data)

    def _read_head(self, downstream: Downstream, head: ResponseHead, data: bytes, *, no_body: bool) -> int:
        """Read a head of no known shape, and return where the body begins; 0 if it is not whole yet, or refused."""
        searched = max(0, len(self.buffer) - 3)
        end = data.find(b"\r\n\r\n", searched)
        if end < 0:
            self.buffer = data
            if not may_begin(data, searched):
                self.failed(downstream, Reason.UPSTREAM_INVALID)
            return 0
        try:
            if head.read(data, end, no_body=no_body) and not self.buffer:  # in pieces it was not tried
                self.endpoint.shape = self.worker.response_shapes.another(data, end, self.worker.now)
        except Refused as refused:
            self.failed(downstream, refused.reason)
            return 0
        return end + 4

    # -- what is left of a response

    def _surplus(self, downstream: Downstream, data: bytes) -> None:
        """The backend sent more than its response: relay the response, and never use the connection again."""
        downstream.bytes_out += len(data)
        downstream.transport.write(data)
        self.keep_alive = False
        self.end(downstream)

    def let_go(self, downstream: Downstream, head: ResponseHead, body: bytes) -> None:
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

    def end(self, downstream: Downstream) -> None:
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
            self.used = True
            worker = self.worker
            self.deadline = worker.due.pool
            endpoint.idle.append(self)
        else:
            self.phase = CLOSED
            self.transport.abort()
        downstream.finish()

    def failed(self, downstream: Downstream, reason: Reason) -> None:
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
        """Wait in the pool for a request, unless the backend has spoken or left already."""
        if not self.endpoint.users or self.transport.is_closing():
            self.close()
            return
        self.phase = IDLE
        self.used = True
        self.deadline = self.worker.due.pool
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
        elif downstream.blocked or self._may_wait(downstream):
            self.deadline = self.worker.due.response
        else:
            self.failed(downstream, Reason.UPSTREAM_STALLED if downstream.status else Reason.UPSTREAM_TIMEOUT)

    def _may_wait(self, downstream: Downstream) -> bool:
        """Whether it takes the request's body, or the rule has its own opinion on how long to wait for a response head.

        That opinion begins with a complete request (policy.py): who takes nothing of one, or does not ask for it, would
        have all the time.
        """
        if downstream.phase == BODY:
            return not (downstream.withholds() or self._stuck())
        attempts = downstream.attempts
        return self.phase == HEAD and attempts is not None and not attempts.policy.limited

    def _stuck(self) -> bool:
        """Whether the backend has taken nothing of the request's body since we last looked."""
        if not self.blocked:
            return False
        before, self.unsent = self.unsent, rawsocket.unsent(self.transport)
        return self.unsent == before
