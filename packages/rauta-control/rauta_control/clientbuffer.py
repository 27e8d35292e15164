"""What a client has sent and nobody has taken yet: part of a head, or requests behind the present one (pipelining).

Bounded by limits.py: a head by its size, requests by one read and their number. While there is something behind the
present request, or the client does not take its responses, it is not read from (ClientState.regulate).
"""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING

from rauta_control.clientstate import HEAD, IDLE
from rauta_control.leaving import half_closed
from rauta_control.reasons import Reason, Refused
from rauta_control.requestline import check_unfinished

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream

_EMPTY_LINES = re.compile(rb"(?:\r\n)*+")


def gather(downstream: Downstream, data: bytes) -> None:
    """Buffer an unfinished head, within its limits; a head that is now complete goes the usual way."""
    # Search only what is new (and three bytes before): a head dripped byte by byte stays linear.
    before = max(0, len(downstream.buffer) - 3)
    data = downstream.buffer + data
    if data[0] == 13 and (empty := _EMPTY_LINES.match(data)) and empty.end():
        data = data[empty.end() :]  # RFC 9112 2.2: empty lines before a request line are ignored
        before = 0
    if not data:
        downstream.buffer = b""
        downstream.phase = IDLE
        return
    if downstream.phase == IDLE:
        downstream.started = monotonic()
    if data[0] == 13 and len(data) > 1:
        downstream.refuse(Reason.BAD_REQUEST_LINE, data)
    elif data.find(b"\r\n\r\n", before) >= 0:
        downstream.buffer = b""
        downstream.phase = IDLE
        downstream.data_received(data)
    elif len(data) > downstream.worker.limits.max_head_bytes:
        downstream.refuse(Reason.HEAD_TOO_LARGE if b"\n" in data else Reason.TARGET_TOO_LONG, data)
    else:
        try:
            check_unfinished(data, before)
        except Refused as refused:
            downstream.refuse(refused.reason, data)
            return
        downstream.buffer = data
        if downstream.phase == IDLE:
            downstream.phase = HEAD
            due = downstream.worker.due.head
            # Half an empty line may be no beginning of a head, and then it gives no time for another one.
            downstream.deadline = min(due, downstream.deadline) if data == b"\r" else due


def hold(downstream: Downstream, data: bytes) -> None:
    """Keep pipelined bytes and stop reading until this request is answered."""
    if downstream.reading:
        downstream.queued = 0
    downstream.buffer += data
    downstream.regulate()


def take_next(downstream: Downstream) -> None:
    """Take what waits in the buffer, once the client has taken enough of the last response."""
    if downstream.phase == IDLE and downstream.buffer and not downstream.blocked:
        downstream.queued += 1
        if downstream.queued >= downstream.worker.limits.max_pipelined:
            downstream.started = monotonic()
            downstream.refuse(Reason.PIPELINED_TOO_DEEP, downstream.buffer)
            return
        data, downstream.buffer = downstream.buffer, b""
        downstream.data_received(data)
        downstream.regulate()
        if downstream.ended:
            half_closed(downstream)
