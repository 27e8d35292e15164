"""A client's connection: reads request heads, decides, hands each request to an upstream connection, logs the outcome.

The hot path of RAUTA, one straight function a direction (`data_received` here, the same in upstream.py): per request no
object, task, closure or timer is made. State lives in slots that are set anew, deadlines are plain numbers that a sweep
looks at (worker.py), counters are list elements. Only a pool miss makes a task.

    client --data_received--> head gate -> host -> rule -> cluster -> endpoint -> Upstream.send
    client <----------------- Upstream relays head and body, then calls `finish`

Phases, and what `buffer` holds in them:

    IDLE    between requests                                       pipelined requests, about to be taken
    HEAD    a head has begun to arrive                             what is there of it
    BODY    the request's body still arrives                       nothing
    WAIT    the request is complete, its response is not           pipelined requests
    LINGER  answered before all of the request was read: discard what comes for a moment, then close
    CLOSED  closing: what is written may still have to be taken by the client

Nothing gathers without bound: `regulate` reads from the client only where there is a place for what it sends. A client
can queue one read's worth of requests; while it does not take its responses, its next request is not begun.

Longer than most files because a connection is one state machine: every change of phase, deadline and reading is here.
"""

from __future__ import annotations

import asyncio
import re
from random import random
from time import monotonic
from typing import TYPE_CHECKING

from rauta_common.hashing import flow_hash
from rauta_control import policy, rawsocket
from rauta_control.attempts import Attempts
from rauta_control.choice import Choice
from rauta_control.framing import BadChunkError, ChunkedDecoder, ChunkOverheadError
from rauta_control.gate import enter
from rauta_control.handshake import TRAILERS, change
from rauta_control.head import CHUNKED, check_unfinished
from rauta_control.ledger import record
from rauta_control.reasons import Reason, Refused, answer
from rauta_control.sharedmem import Vital

if TYPE_CHECKING:
    from rauta_control.cluster import Endpoint
    from rauta_control.exchange import Exchange
    from rauta_control.port import Port
    from rauta_control.table import Rule
    from rauta_control.upstream import Upstream
    from rauta_control.worker import Worker

IDLE, HEAD, BODY, WAIT, LINGER, CLOSED = range(6)

# Seconds on the worker's clock, which a sweep compares with: up to one more may pass. limits.py has the others.
DEFAULT_HIGH_WATER = 65_536  # of transports: bytes not taken by the peer above which we are told to pause
LINGER_TIME = 10.0  # in which a client may read an early answer before the connection closes
FRESH_TIME = 1.0  # for the first byte of a connection that was accepted before draining began
NEVER = float("inf")
TLS_BUFFER = 65_536  # bytes, as for connections without TLS; uvloop's defaults for TLS are 512 and 256 KiB

MAX_PIECES = 64  # of what is kept of a body: each is an object, and a client may send two bytes at a time
MAX_LOGGED_METHOD = 32  # bytes; the longest registered one has 17

_EMPTY_LINES = re.compile(rb"(?:\r\n)*+")
_MEMO_HITS, _MEMO_MISSES = int(Vital.MEMO_HITS), int(Vital.MEMO_MISSES)  # see ledger.py


class Downstream(asyncio.Protocol):
    """One client connection. Created by the accept loop; lives until the connection is lost."""

    __slots__ = (  # noqa: RUF023 - sorted within each lifetime
        # -- per connection
        "blocked",
        "buffer",
        "client",
        "deadline",
        "flow",
        "forwarded",
        "forwarded_host",
        "head",
        "phase",
        "port",
        "queued",
        "reading",
        "ticket",
        "transport",
        "unsent",
        "worker",
        # -- per request
        "attempts",
        "bytes_in",
        "bytes_out",
        "decoder",
        "endpoint",
        "exchange",
        "host",
        "http10",
        "keep_alive",
        "left",
        "method",
        "outgoing",
        "plain",
        "request_id",
        "retained",
        "rule",
        "started",
        "status",
        "target",
        "upstream",
        "wish",
    )

    transport: asyncio.Transport

    def __init__(self, worker: Worker, port: Port, address: str, number: int) -> None:
        client = address.removeprefix("::ffff:").encode()
        self.worker = worker
        self.port = port
        self.client = client
        self.flow = flow_hash(b"%b:%d" % (client, number))
        self.head = worker.secure_head if port.secure else worker.request_head
        self.forwarded = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (client, self.head.scheme)
        self.forwarded_host = b""  # the X-Forwarded-Host line, if it is not the Host field that makes it
        self.buffer = b""
        self.queued = 0  # requests taken from `buffer` since it was filled
        self.phase = IDLE
        self.reading = True
        self.blocked = False  # the client is slow: its write buffer is over the high-water mark
        self.unsent = -1  # bytes the client had still to take when that was last looked at
        self.deadline = worker.now + worker.limits.head_timeout  # one that never says anything is not worth more
        self.ticket = 0  # of the last attempt to connect, and whatever made it void since
        self.started = 0.0  # of the last request, monotonic; 0: there was none yet
        self.outgoing: list[bytes] = []  # of the request, what no upstream has taken yet
        self.attempts: Attempts | None = None
        self._reset()

    def _reset(self) -> None:
        """Let go of everything that belonged to the last request."""
        self.rule: Rule | None = None
        self.endpoint: Endpoint | None = None
        self.upstream: Upstream | None = None
        self.decoder: ChunkedDecoder | None = None
        self.exchange: Exchange | None = None
        self.retained: list[bytes] | None = None  # of the body, what was sent, while it may have to be sent again
        if self.outgoing:
            self.outgoing = []
        if self.attempts is not None:
            self.attempts.stop()
            self.attempts = None
        self.method = self.target = self.host = self.request_id = self.wish = b""
        self.left = self.bytes_in = self.bytes_out = 0
        self.status = 0  # of the response, once a byte of it was written
        self.keep_alive = True
        self.http10 = False
        self.plain = True  # the response head may be passed on as it comes

    # -- transport callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol. On a TLS listener this comes after the handshake."""
        self.transport = transport  # type: ignore[assignment]
        high_water = self.worker.limits.max_buffered_bytes
        if self.port.secure:
            self.deadline = self.worker.now + self.worker.limits.head_timeout
            high_water = min(high_water, TLS_BUFFER)
            transport.set_read_buffer_limits(TLS_BUFFER)  # type: ignore[attr-defined]
        if high_water != DEFAULT_HIGH_WATER:
            self.transport.set_write_buffer_limits(high_water)
        self.worker.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See asyncio.Protocol. A request in flight ends here: its upstream connection cannot be used again."""
        upstream = self.upstream
        if self.phase in (BODY, WAIT):
            self.status = self.status or Reason.CLIENT_CLOSED.status
            record(self, Reason.CLIENT_CLOSED)
        self.phase = CLOSED
        if upstream is not None:
            upstream.abandon()
        self._reset()
        self.buffer = b""
        self.worker.disconnected(self)

    def eof_received(self) -> bool:
        """A client may half-close and still wait for its answer (RFC 9112 9.6); otherwise there is nothing to do."""
        self.keep_alive = self.plain = False
        if self.wish != TRAILERS:
            self.wish = b""  # a tunnel with nobody in it
        if self.phase == BODY:
            self.fail(Reason.BAD_BODY)
        elif self.phase < BODY:
            self._close()
        if self.port.secure:  # uvloop ends the connection, and would take more of the answer only to drop it
            if self.phase == WAIT:
                self.transport.abort()
            return False
        return self.phase == WAIT

    def pause_writing(self) -> None:
        """See asyncio.Protocol: the client is slow. Only comes from within a write, so there is a request."""
        self.blocked = True
        self.deadline = self.worker.now + self.worker.limits.write_timeout
        if self.upstream is not None:
            self.upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        """See asyncio.Protocol: the client has taken everything."""
        self.blocked = False
        if self.phase == IDLE:
            self.deadline = self.worker.now + self.worker.limits.keep_alive_timeout
        elif self.phase == WAIT:
            self.deadline = NEVER
        elif self.phase == BODY:
            self.deadline = self.worker.now + self.worker.limits.body_timeout
        if self.upstream is not None:
            self.upstream.transport.resume_reading()
        if self.phase == IDLE and self.buffer:
            self._next_pipelined()
        else:
            self.regulate()

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
        head = self.head
        try:
            head.read(data, end)
            routes = self.port.routes
            found = routes.seen.get(head.host) or routes.find(head.host)
        except Refused as refused:
            self.method = head.method[:MAX_LOGGED_METHOD]
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
            self.fail(routes.missing(head.host))
            return
        host, forwarded_host = found
        rule = host.memo.get(method + head.path)
        if rule is None:
            worker.vitals[_MEMO_MISSES] += 1
            rule = host.decide(method, head.path)
            if rule is None:
                self.fail(Reason.NO_ROUTE)
                return
        else:
            worker.vitals[_MEMO_HITS] += 1
        if rule.treatment is not None:
            if isinstance(rule, Choice):
                rule = rule.choose(data[: end + 2], target)
                if rule is None:
                    self.fail(Reason.NO_ROUTE)
                    return
            if rule.treatment is not None:
                self.rule = rule
                enter(self, rule.treatment, head, data, end, self.forwarded_host or forwarded_host)
                return
        self.rule = rule
        cluster = rule.cluster or rule.draw(random())  # noqa: S311 - shares, not secrets
        if cluster is None:
            self.fail(rule.nobody)
            return
        if cluster.slots:
            endpoint = cluster.endpoints[cluster.table[self.flow % cluster.slots]]
        else:
            picked = cluster.pick(cluster.flow(self.flow, self.client, data[: end + 2]))
            if picked is None:
                self.fail(Reason.NO_ENDPOINTS)
                return
            endpoint = picked
        self.endpoint = endpoint
        if head.fields is None:
            request = b"%b%b%bX-Request-Id: %b\r\n\r\n" % (data[: end + 2], self.forwarded, forwarded_host, request_id)
        else:
            request = b"%b %b HTTP/1.1\r\n%b%b%bX-Request-Id: %b\r\n\r\n" % (
                method,
                target,
                head.fields,
                self.forwarded,
                self.forwarded_host or forwarded_host,
                request_id,
            )
            if head.wish:
                request = self.grant(head.wish, request)
        self.dispatch(endpoint, request)

    # -- the request

    def grant(self, wish: bytes, request: bytes) -> bytes:
        """Return the request head with what the client may have of its `wish` (handshake.py)."""
        assert self.rule is not None  # noqa: S101 - for the type checker: it is decided
        if wish == TRAILERS:
            self.wish = wish
        elif wish in self.rule.upgrades and not self.worker.draining:
            self.wish = wish
            self.plain = False
            return change(request[:-2], wish)
        return request

    def dispatch(self, endpoint: Endpoint, request: bytes) -> None:
        """Send a request, its head finished, with what has come of its body, to `endpoint`."""
        if self.attempts is not None:
            self.attempts.begin(endpoint, request)
        idle = endpoint.idle
        if idle:
            upstream = idle.pop()
            self.upstream = upstream
            upstream.send(self, request)
            if self.outgoing:
                self._send_body()
        else:
            self.outgoing.insert(0, request)
            self.send(endpoint)

    def send(self, endpoint: Endpoint) -> None:
        """Send what has gathered of a request to `endpoint`."""
        if endpoint.idle:
            self.attached(endpoint.idle.pop())
        elif endpoint.reserve(self.worker.limits.max_endpoint_connections):
            if self.phase == BODY:
                self.regulate()  # no more of the body until there is somebody to send it to
            self.worker.connect(endpoint, self)
        else:
            self.fail(Reason.UPSTREAM_OVERFLOW)

    def _partial(self, data: bytes) -> None:
        """Buffer an unfinished head, within its limits; a head that is now complete goes the usual way."""
        # Search only what is new (and three bytes before): a head dripped byte by byte stays linear.
        before = max(0, len(self.buffer) - 3)
        data = self.buffer + data
        if data[0] == 13 and (empty := _EMPTY_LINES.match(data)) and empty.end():
            data = data[empty.end() :]  # RFC 9112 2.2: empty lines before a request line are ignored
            before = 0
        if not data:
            self.buffer = b""
            self.phase = IDLE
        elif data[0] == 13 and len(data) > 1:
            self.refuse(Reason.BAD_REQUEST_LINE)
        elif data.find(b"\r\n\r\n", before) >= 0:
            self.buffer = b""
            self.phase = IDLE
            self.data_received(data)
        elif len(data) > self.worker.limits.max_head_bytes:
            self.refuse(Reason.HEAD_TOO_LARGE if b"\n" in data else Reason.TARGET_TOO_LONG)
        else:
            try:
                check_unfinished(data, before)
            except Refused as refused:
                self.refuse(refused.reason)
                return
            self.buffer = data
            if self.phase == IDLE:
                self.phase = HEAD
                self.started = monotonic()
                self.deadline = self.worker.now + self.worker.limits.head_timeout

    def _begin_body(self, length: int, data: bytes) -> bool:
        """Set up for a body of `length`; `data` is what came after the head. False: it was malformed and is refused."""
        if length == 0:
            self._hold(data)
            return True
        limits = self.worker.limits
        self.phase = BODY
        self.deadline = self.worker.now + limits.body_timeout
        self.left = length
        self.retained = []
        if length == CHUNKED:
            self.decoder = ChunkedDecoder(limits.max_chunk_overhead)
            if self.head.wish == TRAILERS:  # which rebuilds all heads of chunked bodies: this one's
                self.decoder.keep_trailers()
        return not data or self._take_body(data)

    def _more(self, data: bytes) -> None:
        """Take bytes outside of IDLE. In LINGER and CLOSED nobody wants them."""
        phase = self.phase
        if phase == BODY:
            self.deadline = self.worker.now + self.worker.limits.body_timeout
            if self._take_body(data):
                if self.exchange is not None:
                    self.exchange.copy_body(self.outgoing[-1], last=self.phase == WAIT)
                self._send_body()
        elif phase == HEAD:
            self._partial(data)
        elif phase == WAIT:
            self._hold(data)

    def _take_body(self, data: bytes) -> bool:
        """Add body bytes to `outgoing`, framed for the backend; hold what is beyond them. False as in `_begin_body`."""
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
            self.outgoing.append(decoder.relay(data))
        except BadChunkError as error:
            self.fail(Reason.CHUNK_OVERHEAD if isinstance(error, ChunkOverheadError) else Reason.BAD_BODY)
            return False
        if decoder.done:
            self._end_body(decoder.rest)
        return True

    def _end_body(self, rest: bytes) -> None:
        self.phase = WAIT
        self.deadline = NEVER
        self.bytes_in -= len(rest)
        if self.upstream is not None:
            self.upstream.request_sent()
        if self.attempts is not None:
            self.attempts.limit()
        self._hold(rest)

    def _send_body(self) -> None:
        upstream = self.upstream
        if upstream is not None and self.outgoing:
            if self.retained is not None:
                self._retain(self.retained)
            upstream.transport.writelines(self.outgoing)
            self.outgoing = []

    def _retain(self, retained: list[bytes]) -> None:
        """Keep what is about to be sent of a body, if that is of use and little enough."""
        repeats = self.method in policy.IDEMPOTENT or (self.attempts is not None and self.attempts.policy.codes)
        if repeats and self.bytes_in <= policy.RETAINED:
            retained += self.outgoing
            if len(retained) > MAX_PIECES:
                retained[:] = (b"".join(retained),)
        else:
            self.retained = None

    def _hold(self, data: bytes) -> None:
        """Keep pipelined bytes and stop reading until this request is answered."""
        if data:
            if self.reading:
                self.queued = 0
            self.buffer += data
            self.regulate()

    def regulate(self) -> None:
        """Read from the client exactly if there is a place for what it sends; call it when that may have changed."""
        phase = self.phase
        if phase == BODY:
            reading = self.upstream is not None and not self.upstream.blocked
        elif phase in (WAIT, IDLE):
            reading = not self.buffer and not (self.blocked and phase == IDLE)
        else:
            reading = True
        if reading and not self.reading:
            self.reading = True
            self.transport.resume_reading()
        elif self.reading and not reading:
            self.reading = False
            self.transport.pause_reading()

    # -- further attempts

    def complete(self) -> bool:
        """Whether all of the request is here."""
        return self.phase == WAIT

    def retains(self) -> bool:
        """Whether all that was sent of the request is still here."""
        return self.retained is not None or not self.bytes_in

    def can_replay(self) -> bool:
        """Whether the request may be sent again without anybody having asked for it: idempotent, and still here."""
        attempts = self.attempts
        return self.method in policy.IDEMPOTENT and self.retains() and (attempts is None or attempts.replayable())

    def rewind(self, head: bytes) -> None:
        """Have everything that was sent, which began with `head`, wait to be sent again."""
        self.outgoing = [head, *(self.retained or ()), *self.outgoing]
        if self.retained is not None:
            self.retained = []

    def replay(self, head: bytes) -> None:
        """Send the request, which began with `head`, again on a new connection, for which room is reserved."""
        assert self.endpoint is not None  # noqa: S101 - for the type checker: it was sent there before
        self.upstream = None
        if self.attempts is not None:
            self.attempts.replayed()
        self.rewind(head)
        self.regulate()
        self.worker.connect(self.endpoint, self)

    def detach(self) -> None:
        """Have nothing more to do with the connection that the request was sent on, or waits for."""
        self.ticket += 1
        upstream = self.upstream
        if upstream is not None:
            self.upstream = None
            upstream.abandon()

    def failed(self, reason: Reason) -> None:
        """An attempt has failed before it was answered: make another if that is worth it."""
        if self.attempts is None and reason in policy.CONNECT_FAILURES and self.endpoint is not None:
            self.attempts = Attempts(self, policy.DEFAULT)
            self.attempts.begin(self.endpoint, self.outgoing[0])
        if self.attempts is not None and self.attempts.again(reason):
            self.attempts.proceed()
        else:
            self.fail(reason)

    # -- the outcome

    def waits(self, ticket: int) -> bool:
        """Whether the request that a connection was to be made for still waits for it: the client may have left."""
        return self.ticket == ticket and self.phase in (BODY, WAIT)

    def attached(self, upstream: Upstream) -> None:
        """A connection to the backend is there: send what has gathered."""
        self.upstream = upstream
        upstream.send(self, self.outgoing.pop(0))
        self._send_body()
        self.regulate()

    def finish(self) -> None:
        """The response has been relayed to its end: log it, and be ready for the next request."""
        record(self, None)
        self._next()

    def _next(self) -> None:
        worker = self.worker
        if not self.keep_alive or self.phase == BODY or worker.draining:
            self._leave()
            return
        self.phase = IDLE
        self.deadline = worker.now + worker.limits.keep_alive_timeout
        self._reset()
        if not self.reading or self.blocked:
            self.regulate()
            if self.buffer:
                worker.loop.call_soon(self._next_pipelined)  # not deeper: a client may have queued thousands

    def _next_pipelined(self) -> None:
        """Take what waits in the buffer, once the client has taken enough of the last response."""
        if self.phase == IDLE and self.buffer and not self.blocked:
            self.queued += 1
            if self.queued >= self.worker.limits.max_pipelined:
                self.started = monotonic()
                self.refuse(Reason.PIPELINED_TOO_DEEP)
                return
            data, self.buffer = self.buffer, b""
            self.data_received(data)
            self.regulate()

    def _leave(self) -> None:
        """End the connection after an answer.

        The client must be able to read it: closing with bytes unread would send a reset that may overtake it. So if
        there can be any, say that no more comes, and discard for a while what the client says.
        """
        lingers = self.phase == BODY or not self.reading
        self._reset()
        self.buffer = b""
        if not lingers:
            self._close()
            return
        self.phase = LINGER
        self.deadline = self.worker.now + LINGER_TIME
        if self.port.secure:
            self.transport.close()  # says that no more comes, and discards what does until the client closes
        else:
            self.transport.write_eof()
        self.regulate()

    def _close(self) -> None:
        self.phase = CLOSED
        # A TLS client is to say that it has understood; many never do.
        self.deadline = self.worker.now + (FRESH_TIME if self.port.secure else self.worker.limits.write_timeout)
        self.transport.close()

    def forget(self) -> None:
        """The connection was handed on (tunnel.py) and that is over: hold nothing that others wait for."""
        self.phase = CLOSED
        self._reset()

    def refuse(self, reason: Reason) -> None:
        """The bytes are not a request we accept: say so, forward nothing, close."""
        self.phase = BODY  # whatever follows is not read as a request
        self.fail(reason)

    def fail(self, reason: Reason) -> None:
        """Answer with `reason` if nothing was answered yet, or else cut the connection so that the client can tell."""
        self.detach()
        if self.attempts is not None:
            self.attempts.stop()
        if self.status:
            record(self, reason)
            if self.http10:
                rawsocket.reset(self.transport)
            self._close()
            return
        self.status = reason.status
        if self.http10 or self.phase == BODY or self.worker.draining:
            self.keep_alive = False
        response = answer(reason, self.request_id, close=not self.keep_alive, head_only=self.method == b"HEAD")
        if self.exchange is not None:
            response = self.exchange.own_answer(response)
        self._say(reason, response)

    def respond(self, reason: Reason, status: int, head: bytes, body: bytes = b"") -> None:
        """Answer with `status`: status line and field lines are `head`. It is no failure."""
        self.status = status
        if self.http10 or self.phase == BODY or self.worker.draining:
            self.keep_alive = False
        self._say(reason, b"%b%b\r\n%b" % (head, b"" if self.keep_alive else b"Connection: close\r\n", body))

    def _say(self, reason: Reason, response: bytes) -> None:
        """Give a whole answer of our own, for `reason`."""
        self.bytes_out += len(response)
        self.transport.write(response)
        record(self, reason)
        self._next()

    # -- what the worker does

    def expire(self) -> None:
        """The deadline has passed."""
        phase = self.phase
        if phase == HEAD:
            self.refuse(Reason.HEAD_TIMEOUT)
        elif phase >= LINGER or self.blocked:
            unsent = rawsocket.unsent(self.transport)
            if unsent and unsent != self.unsent:  # slow, but not dead
                self.unsent = unsent
                self.deadline = self.worker.now + self.worker.limits.write_timeout
            else:
                if phase in (BODY, WAIT):
                    self._give_up()
                self.transport.abort()
        elif phase == BODY and self.reading:
            self.fail(Reason.BODY_TIMEOUT)
        elif phase == BODY:  # it is the backend's turn, for which the upstream connection has its own deadline
            self.deadline = self.worker.now + self.worker.limits.body_timeout
        else:
            reason = Reason.KEEP_ALIVE_TIMEOUT if self.started else Reason.HEAD_TIMEOUT
            self.worker.vitals[Vital.REASONS + reason.number] += 1
            self._close()

    def _give_up(self) -> None:
        """The client takes nothing of its response: that is how the request ends."""
        self.phase = CLOSED
        if self.upstream is not None:
            self.upstream.abandon()
            self.upstream = None
        self.status = self.status or Reason.WRITE_TIMEOUT.status
        record(self, Reason.WRITE_TIMEOUT)

    def drain(self) -> None:
        """Answer the request in flight with `Connection: close`; without one, close.

        A connection that has not had its first request gets a moment for it: its client would not try again.
        """
        self.plain = False
        if not self.started:
            self.deadline = self.worker.now + FRESH_TIME
        elif self.phase == IDLE and not self.buffer and not rawsocket.unread(self.transport):
            self._close()

    def stop(self) -> None:
        """The worker ends: say so to a client that waits, as far as that is still possible, and close."""
        if self.phase == WAIT:
            self.fail(Reason.UPSTREAM_TIMEOUT)
        elif self.phase == BODY:
            self.fail(Reason.BODY_TIMEOUT)
        self.transport.abort()
