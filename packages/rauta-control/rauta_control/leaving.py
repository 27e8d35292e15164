"""How a client's connection ends: half-closed, idle or slow for too long, after an early answer, with the worker.

Whoever waits for an answer gets one that can be read; nobody holds a connection by doing nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rauta_control import rawsocket
from rauta_control.clientstate import BODY, CLOSED, HEAD, IDLE, LINGER, WAIT
from rauta_control.ledger import record
from rauta_control.reasons import Reason

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream

# Seconds on the worker's clock, which a sweep compares with: up to one more may pass. limits.py has the others.
LINGER_TIME = 10.0  # in which a client may read an early answer before the connection closes
FRESH_TIME = 1.0  # for the first byte of a connection that was accepted before draining began


def half_closed(downstream: Downstream) -> bool:
    """A client may half-close and still wait for its answers (RFC 9112 9.6); otherwise there is nothing to do.

    Return whether the connection stays, as `eof_received` of asyncio.Protocol does.
    """
    downstream.ended = True
    if downstream.buffer and downstream.phase in (IDLE, WAIT):  # with TLS it may be said while we do not read
        return True
    downstream.keep_alive = downstream.plain = False
    if downstream.phase == BODY:
        downstream.fail(Reason.BAD_BODY)
    elif downstream.phase < BODY:
        close(downstream)
    return downstream.phase == WAIT


def leave(downstream: Downstream) -> None:
    """End the connection after an answer.

    The client must be able to read it: closing with bytes unread would send a reset that may overtake it. So if
    there can be any, say that no more comes, and discard for a while what the client says.
    """
    lingers = downstream.phase == BODY or not downstream.reading
    downstream.reset()
    downstream.buffer = b""
    if not lingers:
        close(downstream)
        return
    downstream.phase = LINGER
    downstream.deadline = downstream.worker.now + LINGER_TIME
    if downstream.port.secure:
        downstream.transport.close()  # says that no more comes, and discards what does until the client closes
    else:
        downstream.transport.write_eof()
    downstream.regulate()


def close(downstream: Downstream) -> None:
    """Close the connection once the client has taken what was written."""
    downstream.phase = CLOSED
    # A TLS client is to say that it has understood; many never do.
    patience = FRESH_TIME if downstream.port.secure else downstream.worker.limits.write_timeout
    downstream.deadline = downstream.worker.now + patience
    downstream.transport.close()


def expire(downstream: Downstream) -> None:
    """The deadline has passed."""
    phase = downstream.phase
    worker = downstream.worker
    if phase == HEAD:
        downstream.refuse(Reason.HEAD_TIMEOUT, downstream.buffer)
    elif phase >= LINGER or downstream.blocked:
        unsent = rawsocket.unsent(downstream.transport)
        if unsent and unsent != downstream.unsent:  # slow, but not dead
            downstream.unsent = unsent
            downstream.deadline = worker.due.write
        else:
            if phase in (BODY, WAIT):
                _give_up(downstream)
            if unsent:
                rawsocket.discard(downstream.transport)
            downstream.transport.abort()
    elif phase == BODY and (downstream.reading or _splices(downstream)) and not downstream.withholds():
        downstream.fail(Reason.BODY_TIMEOUT)
    elif phase == BODY:  # it is the backend's turn, for which the upstream connection has its own deadline
        downstream.deadline = worker.due.body
    else:
        reason = Reason.KEEP_ALIVE_TIMEOUT if downstream.started else Reason.HEAD_TIMEOUT
        worker.count_reason(reason)
        close(downstream)


def _splices(downstream: Downstream) -> bool:
    """Whether more of the body would be moved to the backend without being read."""
    upstream = downstream.upstream
    return upstream is not None and upstream.splice is not None and not upstream.blocked


def _give_up(downstream: Downstream) -> None:
    """The client takes nothing of its response: that is how the request ends."""
    downstream.detach()
    downstream.phase = CLOSED
    downstream.status = downstream.status or Reason.WRITE_TIMEOUT.status
    record(downstream, Reason.WRITE_TIMEOUT)
    downstream.reset()


def drain(downstream: Downstream) -> None:
    """Answer the request in flight with `Connection: close`; without one, close.

    A connection that has not had its first request gets a moment for it: its client would not try again.
    """
    downstream.plain = False
    if not downstream.started:
        downstream.deadline = downstream.worker.now + FRESH_TIME
    elif downstream.phase == IDLE and not downstream.buffer and not rawsocket.unread(downstream.transport):
        close(downstream)


def stop(downstream: Downstream) -> None:
    """The worker ends: say so to a client that waits, as far as that is still possible, and close."""
    if downstream.phase in (BODY, WAIT):
        downstream.fail(Reason.STOPPED)
    downstream.transport.abort()
