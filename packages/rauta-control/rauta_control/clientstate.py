"""What is known of a client's connection and of its present request: every slot of a Downstream, and its phases.

Phases, and what `buffer` holds in them:

    IDLE    between requests                                       pipelined requests, about to be taken
    HEAD    a head has begun to arrive                             what is there of it
    BODY    the request's body still arrives                       nothing
    WAIT    the request is complete, its response is not           pipelined requests
    LINGER  answered before all of the request was read: discard what comes for a moment, then close
    CLOSED  closing: what is written may still have to be taken by the client

Who changes what: downstream.py takes heads and says how requests end, clientbuffer.py keeps what is not taken yet,
requestbody.py passes bodies on, replay.py has them sent again, leaving.py ends the connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rauta_common.hashing import flow_hash
from rauta_control.shape import NONE

if TYPE_CHECKING:
    from rauta_control.attempts import Attempts
    from rauta_control.cluster import Endpoint
    from rauta_control.exchange import Exchange
    from rauta_control.framing import ChunkedDecoder
    from rauta_control.port import Port
    from rauta_control.repetition import Repetition
    from rauta_control.table import Rule
    from rauta_control.upstream import Upstream
    from rauta_control.worker import Worker

IDLE, HEAD, BODY, WAIT, LINGER, CLOSED = range(6)

NEVER = float("inf")  # a deadline, in seconds on the worker's clock


class ClientState(asyncio.Protocol):
    """One client connection, from when it is accepted until it is lost."""

    __slots__ = (  # noqa: RUF023 - sorted within each lifetime
        # -- per connection
        "blocked",
        "buffer",
        "client",
        "deadline",
        "ended",
        "flow",
        "forwarded",
        "forwarded_host",
        "head",
        "known",
        "phase",
        "port",
        "queued",
        "reading",
        "seen",
        "shape",
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
        "expects",
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
        self.forwarded_host = b""  # what X-Forwarded-Host says, if that is not the Host field
        self.seen = b""  # a whole head without a body, the last one, in case it comes again
        self.known: Repetition | None = None  # about a head that is `seen`, once it came again
        self.shape = NONE  # of the last heads
        self.buffer = b""
        self.queued = 0  # requests taken from `buffer` since it was filled
        self.phase = IDLE
        self.reading = True
        self.ended = False  # the client has said all it will
        self.blocked = False  # the client is slow: its write buffer is over the high-water mark
        self.unsent = -1  # bytes the client had still to take when that was last looked at
        self.deadline = worker.due.head  # one that never says anything is not worth more
        self.ticket = 0  # grows with each connection that is begun, and when the last one is given up: then it is void
        self.started = 0.0  # of the last request, monotonic; 0: there was none yet
        self.outgoing: list[bytes] = []  # of the request, what no upstream has taken yet
        self.attempts: Attempts | None = None
        self.exchange: Exchange | None = None
        self.expects = False  # in BODY: the client waits for a 100 of the backend
        self.reset()

    def reset(self) -> None:
        """Let go of everything that belonged to the last request."""
        self.rule: Rule | None = None
        self.endpoint: Endpoint | None = None
        self.upstream: Upstream | None = None
        self.decoder: ChunkedDecoder | None = None
        if self.exchange is not None:
            self.exchange.stop()
            self.exchange = None
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

    def complete(self) -> bool:
        """Whether all of the request is here."""
        return self.phase == WAIT

    def withholds(self) -> bool:
        """Whether the body does not come because the backend has not asked for it yet (RFC 9110 10.1.1)."""
        return self.phase == BODY and self.expects and not self.bytes_in

    def waits(self, ticket: int) -> bool:
        """Whether the request that a connection was to be made for still waits for it: the client may have left."""
        return self.ticket == ticket and self.phase in (BODY, WAIT)

    def regulate(self) -> None:
        """Read from the client exactly if there is a place for what it sends; call it when that may have changed."""
        phase = self.phase
        if phase == BODY:
            upstream = self.upstream
            reading = upstream is not None and not upstream.blocked and upstream.splice is None
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
