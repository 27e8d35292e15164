"""A client's connection: reads request heads, decides, hands each request to an upstream connection, logs the outcome.

The hot path of RAUTA, one straight function a direction (`data_received` here, the same in upstream.py): per request no
object, task, closure or timer is made. State lives in slots that are set anew, deadlines are plain numbers that a sweep
looks at (worker.py), counters are list elements. Only a pool miss makes a task.

    client --data_received--> head gate -> host -> rule -> cluster -> endpoint -> Upstream.send
    client <----------------- Upstream relays head and body, then calls `finish`

Phases: IDLE (between requests), HEAD (a partial head is buffered), BODY (request body still arriving), WAIT (request
complete, response not), LINGER (answered before the body was read: discard for a moment, then close), CLOSED.
Bytes that arrive in WAIT are a pipelined request: they stay in `buffer` and reading is paused, so a client can queue at most
one read's worth.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from rauta_common.hashing import flow_hash
from rauta_control.framing import LAST_CHUNK, BadChunkError, ChunkedDecoder, chunk
from rauta_control.head import CHUNKED, MAX_HEAD
from rauta_control.reasons import Reason, Refused, answer
from rauta_control.sharedmem import RouteWord, Vital

if TYPE_CHECKING:
    from rauta_control.cluster import Endpoint
    from rauta_control.port import Port
    from rauta_control.table import Rule
    from rauta_control.upstream import Upstream
    from rauta_control.worker import Worker

IDLE, HEAD, BODY, WAIT, LINGER, CLOSED = range(6)

HEAD_TIMEOUT = 10.0  # seconds for a whole head, from its first byte (HAProxy's `timeout http-request`: absolute)
BODY_TIMEOUT = 60.0  # seconds between two reads of a body
KEEP_ALIVE = 75.0  # seconds between requests; nginx's default
LINGER_TIME = 2.0  # seconds in which a client may read an early answer before the connection closes
NEVER = float("inf")

REPLAYABLE = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))  # RFC 9110 9.2.2: idempotent

_STATUS = RouteWord.STATUS_1XX - 1
_BUCKETS = RouteWord.BUCKETS
_LAST_BUCKET = 31
_LINE = (
    b'{"time":"%b.%03dZ",%b%b"client":"%b","method":"%b","host":"%b","path":"%b","status":%d,"reason":"%b",'
    b'"bytes_in":%d,"bytes_out":%d,"duration_us":%d,"request_id":"%b"}\n'
)


class Downstream(asyncio.Protocol):
    """One client connection. Created by the accept loop; lives until the connection is lost."""

    __slots__ = (
        # -- per connection
        "blocked",
        "buffer",
        "client",
        "deadline",
        "flow",
        "forwarded",
        "phase",
        "port",
        "reading",
        "transport",
        "worker",
        # -- per request
        "bytes_in",
        "bytes_out",
        "decoder",
        "endpoint",
        "host",
        "http10",
        "keep_alive",
        "left",
        "method",
        "outgoing",
        "plain",
        "request_id",
        "rule",
        "started",
        "status",
        "target",
        "upstream",
    )

    transport: asyncio.Transport

    def __init__(self, worker: Worker, port: Port, address: str, number: int) -> None:
        client = address.removeprefix("::ffff:").encode()
        self.worker = worker
        self.port = port
        self.client = client
        self.flow = flow_hash(b"%b:%d" % (client, number))
        self.forwarded = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: http\r\n" % client
        self.buffer = b""
        self.phase = IDLE
        self.reading = True
        self.blocked = False  # the client is slow: its write buffer is over the high-water mark
        self.deadline = worker.now + HEAD_TIMEOUT  # a connection that never says anything is not worth KEEP_ALIVE
        self.upstream: Upstream | None = None
        self.decoder: ChunkedDecoder | None = None
        self.outgoing: list[bytes] = []
        self._reset()

    def _reset(self) -> None:
        """Let go of everything that belonged to the last request."""
        self.rule: Rule | None = None
        self.endpoint: Endpoint | None = None
        self.upstream = None
        self.decoder = None
        if self.outgoing:
            self.outgoing = []
        self.method = self.target = self.host = self.request_id = b""
        self.left = self.bytes_in = self.bytes_out = self.status = 0
        self.keep_alive = True
        self.http10 = False
        self.plain = True  # the response head may be passed on as it comes

    # -- transport callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.worker.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        upstream = self.upstream
        if self.phase == BODY or self.phase == WAIT:
            self.status = self.status or 499
            self._record(Reason.CLIENT_CLOSED)
        self.phase = CLOSED
        self.upstream = None
        if upstream is not None:
            upstream.abandon()
        self._reset()
        self.worker.disconnected(self)

    def eof_received(self) -> bool:
        """A client may half-close and still wait for its answer (RFC 9112 9.6); otherwise there is nothing left to do."""
        self.keep_alive = self.plain = False
        if self.phase == BODY:
            self.fail(Reason.BAD_BODY)
        return self.phase == WAIT

    def pause_writing(self) -> None:
        self.blocked = True
        if self.upstream is not None:
            self.upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        self.blocked = False
        if self.upstream is not None:
            self.upstream.transport.resume_reading()
        elif self.phase == IDLE and self.buffer:
            self._next_pipelined()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client: nearly always exactly one whole head."""
        if self.phase != IDLE:
            self._more(data)
            return
        end = data.find(b"\r\n\r\n")
        if end < 0 or data[0] == 13:
            self._partial(data)
            return
        worker = self.worker
        self.started = monotonic()
        head = worker.request_head
        try:
            head.read(data, end)
            routes = self.port.routes
            found = routes.seen.get(head.host) or routes.find(head.host)
        except Refused as refused:
            self.method = head.method
            self.refuse(refused.reason)
            return
        self.method = method = head.method
        self.target = target = head.target
        self.host = head.host
        self.http10 = head.http10
        self.keep_alive = head.keep_alive
        self.plain = head.keep_alive and not head.http10 and not worker.draining
        if head.request_id:
            self.request_id = request_id = head.request_id
        else:
            worker.requests = number = worker.requests + 1
            self.request_id = request_id = b"%b%012x" % (worker.request_prefix, number)
        self.phase = WAIT
        self.deadline = NEVER
        length = head.length
        if (length or end + 4 != len(data)) and not self._begin_body(length, data[end + 4 :]):
            return
        if found is None:
            self.fail(Reason.NO_HOST)
            return
        host, forwarded_host = found
        rule = host.memo.get(method + head.path)
        if rule is None:
            worker.vitals[Vital.MEMO_MISSES] += 1
            rule = host.decide(method, head.path)
            if rule is None:
                self.fail(Reason.NO_ROUTE)
                return
        else:
            worker.vitals[Vital.MEMO_HITS] += 1
        self.rule = rule
        cluster = rule.cluster or rule.draw()
        if cluster is None:
            self.fail(Reason.NO_BACKENDS)
            return
        if not cluster.size:
            self.fail(Reason.NO_ENDPOINTS)
            return
        self.endpoint = endpoint = cluster.endpoints[cluster.table[self.flow % cluster.size]]
        if head.fields is None:
            request = b"%b%b%bX-Request-Id: %b\r\n\r\n" % (data[: end + 2], self.forwarded, forwarded_host, request_id)
        else:
            request = b"%b %b HTTP/1.1\r\n%b%b%bX-Request-Id: %b\r\n\r\n" % (
                method,
                target,
                head.fields,
                self.forwarded,
                forwarded_host,
                request_id,
            )
        idle = endpoint.idle
        if idle:
            upstream = idle.pop()
            self.upstream = upstream
            upstream.send(self, request)
            if length:
                self._send_body()
        elif endpoint.reserve():
            self.outgoing.insert(0, request)
            if length:
                self._pause()  # until there is somebody to send the body to
            worker.connect(endpoint, self)
        else:
            self.fail(Reason.UPSTREAM_OVERFLOW)

    # -- the request

    def _partial(self, data: bytes) -> None:
        """Buffer an unfinished head, within its limits; a head that is now complete goes the usual way."""
        if self.phase == IDLE:
            self.phase = HEAD
            self.started = monotonic()
            self.deadline = self.started + HEAD_TIMEOUT
        # Search only what is new (and three bytes before): a head dripped byte by byte stays linear.
        before = max(0, len(self.buffer) - 3)
        data = self.buffer + data
        while data[:2] == b"\r\n":  # RFC 9112 2.2: empty lines before a request line are ignored
            data = data[2:]
            before = 0
        if data.find(b"\r\n\r\n", before) >= 0:
            self.buffer = b""
            self.phase = IDLE
            self.data_received(data)
        elif len(data) > MAX_HEAD:
            self.refuse(Reason.HEAD_TOO_LARGE)
        else:
            self.buffer = data

    def _begin_body(self, length: int, data: bytes) -> bool:
        """Set up for a body of `length` of which `data` has come; what is beyond it is the next request. False: refused."""
        if length == 0:
            self._hold(data)
            return True
        self.phase = BODY
        self.deadline = self.worker.now + BODY_TIMEOUT
        self.left = length
        if length == CHUNKED:
            self.decoder = ChunkedDecoder()
        return not data or self._take_body(data)

    def _more(self, data: bytes) -> None:
        """Take bytes outside of IDLE."""
        phase = self.phase
        if phase == BODY:
            self.deadline = self.worker.now + BODY_TIMEOUT
            if self._take_body(data):
                self._send_body()
        elif phase == HEAD:
            self._partial(data)
        elif phase == WAIT:
            self._hold(data)

    def _take_body(self, data: bytes) -> bool:
        """Add the body bytes in `data` to `outgoing`, framed for the backend. False: they were malformed and are refused."""
        self.bytes_in += len(data)
        decoder = self.decoder
        if decoder is None:
            self.left -= len(data)
            if self.left > 0:
                self.outgoing.append(data)
            else:
                body_end = len(data) + self.left
                self.outgoing.append(data[:body_end])
                self._end_body(data[body_end:])
            return True
        try:
            payload = decoder.feed(data)
        except BadChunkError:
            self.fail(Reason.BAD_BODY)
            return False
        if payload:
            self.outgoing += chunk(payload)
        if decoder.done:
            self.outgoing.append(LAST_CHUNK)
            self._end_body(decoder.rest)
        return True

    def _end_body(self, rest: bytes) -> None:
        self.phase = WAIT
        self.deadline = NEVER
        self.bytes_in -= len(rest)
        self._hold(rest)

    def _send_body(self) -> None:
        upstream = self.upstream
        if upstream is not None and self.outgoing:
            upstream.transport.writelines(self.outgoing)
            self.outgoing = []

    def _hold(self, data: bytes) -> None:
        """Keep pipelined bytes and stop reading until this request is answered."""
        if data:
            self.buffer += data
            self._pause()

    def _pause(self) -> None:
        if self.reading:
            self.reading = False
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on: the backend takes more, or a request was answered."""
        if not self.reading and not (self.phase == WAIT and self.buffer):
            self.reading = True
            self.transport.resume_reading()

    def pause(self) -> None:
        """Read no more: the backend cannot take it."""
        self._pause()

    def can_replay(self) -> bool:
        """Whether the request may be sent again: idempotent (RFC 9110 9.2.2) and without a body."""
        return self.method in REPLAYABLE and not self.bytes_in and self.phase == WAIT

    def replaying(self, request: bytes) -> Downstream:
        """Prepare to send `request` again on another connection."""
        self.upstream = None
        self.outgoing = [request]
        return self

    # -- the outcome

    def attached(self, upstream: Upstream) -> None:
        """A new connection to the backend is there: send what has gathered."""
        self.upstream = upstream
        upstream.send(self, b"".join(self.outgoing))
        self.outgoing = []
        self.resume()

    def finish(self) -> None:
        """The response has been relayed to its end: log it, and be ready for the next request."""
        self._record(None)
        self._next()

    def _next(self) -> None:
        if self.phase == BODY:  # answered before the body was read
            self._linger()
            return
        if not self.keep_alive or self.worker.draining:
            self.phase = CLOSED
            self.upstream = None
            self.transport.close()
            return
        self.phase = IDLE
        self.deadline = self.worker.now + KEEP_ALIVE
        self._reset()
        if not self.reading:
            self.worker.loop.call_soon(self._next_pipelined)  # not deeper: a client may have queued thousands

    def _next_pipelined(self) -> None:
        """Take the request that waits in the buffer, once the client has taken enough of the last response."""
        if self.phase != IDLE or self.blocked:
            return
        data, self.buffer = self.buffer, b""
        if data:
            self.data_received(data)
        if self.phase != WAIT:
            self.resume()

    def _linger(self) -> None:
        """Let the client read the answer: closing with unread bytes would send a reset that may overtake it."""
        self.phase = LINGER
        self.deadline = self.worker.now + LINGER_TIME
        self.upstream = None
        self.outgoing = []
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.resume()

    def refuse(self, reason: Reason) -> None:
        """The bytes are not a request we accept: say so, forward nothing, close."""
        self.keep_alive = False
        self.phase = BODY  # whatever follows is not read as a request
        self.fail(reason)

    def fail(self, reason: Reason) -> None:
        """Answer with `reason` if nothing was answered yet; otherwise cut the connection so that the client can tell."""
        upstream = self.upstream
        self.upstream = None
        if upstream is not None:
            upstream.abandon()
        if self.status:
            self._record(reason)
            self.phase = CLOSED
            if self.http10:  # the end of the connection would look like the end of the body
                self.transport.abort()
            else:
                self.transport.close()
            return
        self.status = reason.status
        close = not self.keep_alive or self.phase == BODY or self.worker.draining
        response = answer(reason, self.request_id, close=close, head_only=self.method == b"HEAD")
        self.bytes_out += len(response)
        self.transport.write(response)
        self._record(reason)
        self._next()

    def _record(self, reason: Reason | None) -> None:
        """Count and log the request that ends now."""
        worker = self.worker
        now = monotonic()
        status = self.status
        micros = int((now - self.started) * 1_000_000)
        rule, endpoint = self.rule, self.endpoint
        if endpoint is not None:
            worker.count_request(endpoint, status, micros)
        if rule is not None:
            counter = rule.counter
            if counter is None:
                counter = rule.counter = worker.recorder.route(rule.slot, rule.epoch)
            words = counter.words
            words[_STATUS + status // 100] += 1
            words[RouteWord.BYTES_IN] += self.bytes_in
            words[RouteWord.BYTES_OUT] += self.bytes_out
            words[RouteWord.DURATION_SUM] += micros
            bucket = micros.bit_length()
            words[_BUCKETS + (bucket if bucket < _LAST_BUCKET else _LAST_BUCKET)] += 1
            if not counter.dirty:
                worker.recorder.touch(counter)
        worker.vitals[Vital.REQUESTS] += 1
        if reason is not None:
            worker.vitals[Vital.REASONS + reason.number] += 1
        log = worker.log
        if log is None:
            return
        target = self.target
        if b'"' in target or b"\\" in target:
            target = target.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        wall = now + worker.wall
        second = int(wall)
        if second != worker.second:
            worker.set_second(second)
        log.write(
            _LINE
            % (
                worker.second_text,
                (wall - second) * 1000,
                b"" if rule is None else rule.label,
                b"" if endpoint is None else endpoint.label,
                self.client,
                self.method,
                self.host,
                target,
                status,
                b"" if reason is None else reason.code_bytes,
                self.bytes_in,
                self.bytes_out,
                micros,
                self.request_id,
            )
        )

    # -- the sweep

    def expire(self) -> None:
        """The deadline has passed."""
        if self.phase == HEAD:
            self.refuse(Reason.HEAD_TIMEOUT)
        elif self.phase == BODY:
            self.fail(Reason.BODY_TIMEOUT)
        else:
            self.phase = CLOSED
            self.transport.close()
