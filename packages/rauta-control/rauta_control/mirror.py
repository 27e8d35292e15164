"""Copies of requests for mirrors: sent beside the request, never waited for, their answers dropped.

A Mirror is a client that nobody hears: to an upstream connection it looks like one (pool, framing, stale connections,
timeouts are the same), but what it is told goes nowhere, and whatever fails only ends the copy. It never slows its
request down: where a backend takes a body more slowly than the client sends it, the copy is given up.

Bounded: MAX_MIRRORS copies a worker, and of each what came in one read with the head and MAX_BUFFERED bytes more, and
the time of its answer: an endless one would be taken long after everybody else has left.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rauta_control import requestbody
from rauta_control.clientstate import BODY, CLOSED, NEVER, WAIT
from rauta_control.downstream import Downstream
from rauta_control.ledger import record_copy
from rauta_control.reasons import Reason

if TYPE_CHECKING:
    from rauta_control.cluster import Cluster

MAX_MIRRORS = 1_024  # under way in a worker; as many as connections to one endpoint
MAX_BUFFERED = 65_536  # bytes of a body that wait for a connection, or in it (uvloop's high-water mark)


class Nobody(asyncio.Transport):
    """The client of a copy."""

    def write(self, data: object) -> None:
        """See asyncio.WriteTransport."""


NOBODY = Nobody()


class Mirror(Downstream):
    """One copy of a request. Made before the request is sent, as that takes its body, and started after that."""

    __slots__ = ("bucket", "due", "waiting")

    def __init__(self, request: Downstream) -> None:
        super().__init__(request.worker, request.port, request.client.decode(), 0)
        self.transport = NOBODY
        self.flow = request.flow
        self.started = request.started
        self.method = request.method
        self.bytes_in = request.bytes_in
        self.phase = request.phase
        self.outgoing = list(request.outgoing)
        self.waiting = 0  # bytes that came while there was no connection
        self.deadline = NEVER  # while the body comes its request has one
        self.due = NEVER  # from then on, see wheel.py
        self.bucket = 0

    @property
    def unfinished(self) -> bool:
        """Whether more of the body is to come."""
        return self.phase == BODY

    def start(self, cluster: Cluster, message: bytes) -> None:
        """Send the copy, its head finished, to one endpoint of `cluster`, unless its request has failed at once."""
        if self.phase == CLOSED:
            return
        worker = self.worker
        endpoint = cluster.pick(cluster.flow(self.flow, self.client, message[:-2]))
        if endpoint is None or len(worker.mirrors) >= MAX_MIRRORS:
            self._end(answered=False)
            return
        self.endpoint = endpoint
        worker.mirrors.add(self)
        if not self.unfinished:
            self._limit()
        self.dispatch(endpoint, message)

    def take(self, data: bytes, *, last: bool) -> None:
        """Send a piece of the body, framed for a backend, or give up."""
        if self.phase != BODY:
            return
        self.bytes_in += len(data)
        self.outgoing.append(data)
        upstream = self.upstream
        if upstream is None:
            self.waiting += len(data)
        if self.waiting > MAX_BUFFERED or (upstream is not None and upstream.blocked):
            self._end(answered=False)
            return
        if last:
            self.phase = WAIT
            self._limit()
            if upstream is not None:
                upstream.request_sent()
        requestbody.send(self)

    def regulate(self) -> None:
        """Never stops anybody from reading."""

    def finish(self) -> None:
        """The answer is complete."""
        self._end(answered=True)

    def fail(self, reason: Reason) -> None:  # noqa: ARG002
        """The copy could not be sent or was not answered."""
        self._end(answered=False)

    def tried(self, head: bytes) -> None:
        """See Downstream: there is no other attempt."""

    def failed(self, reason: Reason) -> None:
        """The attempt at it has failed: a copy is not worth another."""
        if reason is Reason.UPSTREAM_OVERFLOW:
            self.endpoint = None  # nothing was asked of it
        self.fail(reason)

    def stop(self) -> None:
        """The request ends before its body does, or the worker."""
        self._end(answered=False)

    def _limit(self) -> None:
        """The copy is complete: its answer is to be, in time."""
        self.worker.wheel.set(self, self.worker.loop.time() + self.worker.limits.response_timeout)

    def lapse(self) -> None:
        """It was not."""
        self._end(answered=False)

    def _end(self, *, answered: bool) -> None:
        if self.phase == CLOSED:
            return
        upstream = self.upstream
        if upstream is not None and not answered:
            upstream.abandon()
        self.worker.mirrors.discard(self)
        self.worker.wheel.clear(self)
        record_copy(self, answered=answered)
        self.reset()
        self.phase = CLOSED
