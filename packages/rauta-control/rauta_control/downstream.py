"""A client's connection: reads request heads, decides, hands each request to an upstream connection, logs the outcome.

The hot path of RAUTA, one straight function a direction (`data_received` here, the same in upstream.py): per request no
object, task, closure or timer is made. State lives in slots that are set anew (clientstate.py), deadlines are plain
numbers that a sweep looks at (sweep.py), counters are list elements. Only a pool miss makes a task; only a head that
comes twice in a row makes an object, which spares the next ones like it all up to the rule (repetition.py).

    client --data_received--> head gate -> host -> rule -> cluster -> endpoint -> Upstream.send
    client <----------------- Upstream relays head and body, then calls `finish`

Nothing gathers without bound: `regulate` reads from the client only where there is a place for what it sends. A client
can queue one read's worth of requests (clientbuffer.py); while it does not take its responses, its next request is not
begun. What only some requests and connections need is beside this: requestbody.py, replay.py, leaving.py.
"""

from __future__ import annotations

import asyncio
from random import random
from time import monotonic
from typing import TYPE_CHECKING

from rauta_control import clientbuffer, largebody, leaving, policy, rawsocket, requestbody
from rauta_control.attempts import Attempts
from rauta_control.choice import Choice
from rauta_control.claim import claimed
from rauta_control.clientstate import BODY, CLOSED, HEAD, IDLE, NEVER, WAIT, ClientState
from rauta_control.forwarded import host_line
from rauta_control.gate import enter
from rauta_control.handshake import TRAILERS, change
from rauta_control.largebody import LEAST, READ
from rauta_control.ledger import record
from rauta_control.reasons import Reason, Refused, answer
from rauta_control.repetition import MAX_REPEATED, Repetition
from rauta_control.sharedmem import Vital
from rauta_control.table import Host, Rule

if TYPE_CHECKING:
    from rauta_control.cluster import Endpoint
    from rauta_control.upstream import Upstream

DEFAULT_HIGH_WATER = 65_536  # of transports: bytes not taken by the peer above which we are told to pause

_MEMO_HITS, _MEMO_MISSES = int(Vital.MEMO_HITS), int(Vital.MEMO_MISSES)  # see ledger.py


class Downstream(ClientState):
    """One client connection. Created by the accept loop; lives until the connection is lost."""

    __slots__ = ()

    # -- transport callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol. On a TLS listener this comes after the handshake."""
        self.transport = transport  # type: ignore[assignment]
        high_water = self.worker.limits.max_buffered_bytes
        if self.port.secure:
            self.deadline = self.worker.due.head
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
        self.reset()
        self.buffer = b""
        self.worker.disconnected(self)

    def eof_received(self) -> bool:
        """See asyncio.Protocol."""
        return leaving.half_closed(self)

    def pause_writing(self) -> None:
        """See asyncio.Protocol: the client is slow. Only comes from within a write, so there is a request."""
        self.blocked = True
        self.deadline = self.worker.due.write
        if self.upstream is not None:
            self.upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        """See asyncio.Protocol: the client has taken everything."""
        self.blocked = False
        if self.phase == IDLE:
            self.deadline = self.worker.due.keep_alive
        elif self.phase == WAIT:
            self.deadline = NEVER
        elif self.phase == BODY:
            self.deadline = self.worker.due.body
        if self.upstream is not None:
            self.upstream.transport.resume_reading()
        if self.phase == IDLE and self.buffer:
            clientbuffer.take_next(self)
        else:
            self.regulate()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client: nearly always exactly one whole head."""
        if self.phase != IDLE:
            self._more(data)
            return
        same = data == self.seen
        if not same:
            self.known = None
        elif self.known is not None and self._repeat(self.known):
            return
        shape = self.shape
        match = shape.match(data)
        if match is not None:
            end = match.end() - 4
        elif (end := data.find(b"\r\n\r\n")) < 0 or data[0] == 13:
            clientbuffer.gather(self, data)
            return
        worker = self.worker
        self.started = monotonic()
        head = self.head
        try:
            if (match is None or not head.take(match, shape.lines)) and head.read(data, end):
                self.shape = worker.request_shapes.another(data, end, worker.now)
            routes = self.port.routes
            found = routes.seen.get(head.host) or routes.find(head.host)
        except Refused as refused:
            self.refuse(refused.reason, data)
            return
        self.method = method = head.method
        self.target = target = head.target
        self.host = head.host
        self.http10 = head.http10
        self.keep_alive = head.keep_alive
        self.plain = head.keep_alive and not head.http10 and not worker.draining
        if head.request_id:
            self.request_id = head.request_id
        else:
            worker.requests = number = worker.requests + 1
            self.request_id = b"%b%012x" % (worker.request_prefix, number)
        self.phase = WAIT
        self.deadline = NEVER
        length = head.length
        if (length or end + 4 != len(data)) and not requestbody.begin(self, length, data[end + 4 :]):
            return
        if found is None:
            self.fail(routes.missing(head.host))
            return
        try:
            rule = found if isinstance(found, Rule) else found.memo.get(found.key(method, head.path))
            if rule is None:
                worker.vitals[_MEMO_MISSES] += 1
                assert isinstance(found, Host)  # noqa: S101 - for the type checker
                rule = found.decide(method, head.path)
                if rule is None:
                    self.fail(found.missing())
                    return
            else:
                worker.vitals[_MEMO_HITS] += 1
            if rule.treatment is not None:
                if isinstance(rule, Choice):
                    stated = self.forwarded + host_line(self.forwarded_host or head.host)
                    rule = rule.choose(data[: end + 2], target, stated, self.request_id)
                    if rule is None:
                        self.fail(Reason.NO_ROUTE)
                        return
                if rule.treatment is not None:
                    self.rule = rule
                    enter(self, rule.treatment, head, data, end, host_line(self.forwarded_host or head.host))
                    return
        except Refused as refused:  # a value too long for an expression
            self.fail(refused.reason)
            return
        lines = data[: end + 2]
        start = b"" if head.fields is None else b"%b %b HTTP/1.1\r\n%b" % (method, target, head.fields)
        if start and head.wish:
            self._forward(rule, lines, start, head.wish)
            return
        if same and self.plain and not head.request_id:
            line = (method, target, self.host)
            self.known = Repetition(routes.serial, worker.limits, line, start, rule)
        elif not length and end < MAX_REPEATED and end + 4 == len(data):
            self.seen = data
        self._forward(rule, lines, start or lines, b"")

    def _repeat(self, known: Repetition) -> bool:
        """Take the head of the last request once more; False if it has to be read and decided anew."""
        worker, rule = self.worker, known.rule()
        current = known.serial == self.port.routes.serial and known.limits is worker.limits
        if rule is None or not current or worker.draining:
            return False
        self.started = monotonic()
        self.method = known.method
        self.target = known.target
        self.host = known.host
        worker.requests = number = worker.requests + 1
        self.request_id = b"%b%012x" % (worker.request_prefix, number)
        self.phase = WAIT
        self.deadline = NEVER
        worker.vitals[_MEMO_HITS] += 1
        lines = self.seen[:-2]
        self._forward(rule, lines, known.start or lines, b"")
        return True

    def _forward(self, rule: Rule, lines: bytes, start: bytes, wish: bytes) -> None:
        """Send the request on by its rule. The client's head is `lines`, what the backend gets of it `start`."""
        self.rule = rule
        cluster = rule.cluster or rule.draw(random())  # noqa: S311 - shares, not secrets
        if cluster is None:
            self.fail(rule.nobody)
            return
        if cluster.slots:
            endpoint = cluster.endpoints[cluster.table[self.flow % cluster.slots]]
        else:
            picked = cluster.pick(cluster.flow(self.flow, self.client, lines))
            if picked is None:
                self.fail(Reason.NO_ENDPOINTS)
                return
            endpoint = picked
        self.endpoint = endpoint
        fields, host, request_id = self.forwarded, self.forwarded_host or self.host, self.request_id
        if host:
            request = b"".join(
                (start, fields, b"X-Forwarded-Host: ", host, b"\r\nX-Request-Id: ", request_id, b"\r\n\r\n")
            )
        else:  # HTTP/1.0 may do without
            request = b"".join((start, fields, b"X-Request-Id: ", request_id, b"\r\n\r\n"))
        self.dispatch(endpoint, self.grant(wish, request) if wish else request)

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
                requestbody.send(self)
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
            self.failed(Reason.UPSTREAM_OVERFLOW)

    def _more(self, data: bytes) -> None:
        """Take bytes outside of IDLE. In LINGER and CLOSED nobody wants them."""
        phase = self.phase
        if phase == BODY:
            if requestbody.more(self, data):
                large = self.left >= LEAST if self.decoder is None else len(data) >= READ
                if not large or not largebody.upload(self):
                    requestbody.send(self)
        elif phase == HEAD:
            clientbuffer.gather(self, data)
        elif phase == WAIT:
            clientbuffer.hold(self, data)

    # -- further attempts

    def detach(self) -> None:
        """Have nothing more to do with the connection that the request was sent on, or waits for."""
        self.ticket += 1
        upstream = self.upstream
        if upstream is not None:
            self.upstream = None
            upstream.abandon()

    def tried(self, head: bytes) -> None:
        """The request, which begins with `head`, comes to nothing at its endpoint: there may be another attempt."""
        if self.attempts is None and self.endpoint is not None:
            self.attempts = Attempts(self, policy.DEFAULT)
            self.attempts.begin(self.endpoint, head)

    def failed(self, reason: Reason) -> None:
        """An attempt has failed before it was answered: make another if that is worth it."""
        if reason in policy.CONNECT_FAILURES:
            self.tried(self.outgoing[0])
        if self.attempts is not None and self.attempts.again(reason):
            self.attempts.proceed()
        else:
            self.fail(reason)

    # -- the outcome

    def attached(self, upstream: Upstream) -> None:
        """A connection to the backend is there: send what has gathered."""
        self.upstream = upstream
        upstream.send(self, self.outgoing.pop(0))
        requestbody.send(self)
        self.regulate()

    def finish(self) -> None:
        """The response has been relayed to its end: log it, and be ready for the next request."""
        record(self, None)
        self._next()

    def _next(self) -> None:
        worker = self.worker
        if not self.keep_alive or self.phase == BODY or worker.draining:
            leaving.leave(self)
            return
        self.phase = IDLE
        self.deadline = worker.due.keep_alive
        self.reset()
        if not self.reading or self.blocked:
            self.regulate()
            if self.buffer:
                worker.loop.call_soon(clientbuffer.take_next, self)  # not deeper: a client may have queued thousands

    def forget(self) -> None:
        """The connection was handed on (tunnel.py) and that is over: hold nothing that others wait for."""
        self.phase = CLOSED
        self.reset()

    def refuse(self, reason: Reason, head: bytes) -> None:
        """The bytes, `head` or a part of one first, are no request we accept: say so, forward nothing, close."""
        self.phase = BODY  # whatever follows is not read as a request
        self.method, self.host, self.target = claimed(head, reason)
        self.fail(reason)

    def fail(self, reason: Reason) -> None:
        """Answer with `reason` if nothing was answered yet, or else cut the connection so that the client can tell."""
        self.detach()
        if self.status:
            record(self, reason)
            if self.http10:
                rawsocket.reset(self.transport)
                leaving.close(self)
                self.reset()
            else:
                leaving.leave(self)
            return
        self.status = reason.status
        hasty = self.buffer and self.wish not in (b"", TRAILERS)  # for a tunnel that is none: no request to be taken
        if self.http10 or self.phase == BODY or self.worker.draining or hasty:
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
        """Give a whole answer of our own, for `reason`; it says when (RFC 9110 6.6.1)."""
        head, _, body = response.partition(b"\r\n\r\n")
        if b"\r\ndate:" not in head.lower():  # a filter or a gate may say something else
            response = b"%b\r\nDate: %b\r\n\r\n%b" % (head, self.worker.today(), body)
        self.bytes_out += len(response)
        self.transport.write(response)
        record(self, reason)
        self._next()

    # -- what the worker does

    def expire(self) -> None:
        """The deadline has passed."""
        leaving.expire(self)

    def drain(self) -> None:
        """The worker takes no more requests than those that are under way."""
        leaving.drain(self)

    def stop(self) -> None:
        """The worker ends."""
        leaving.stop(self)
