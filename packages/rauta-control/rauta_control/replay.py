"""Sending a request again: what has to be kept of its body for that, and when it may be done.

Two ask for it: a pooled connection that turns out to be dead (upstream.py), and a failed attempt (attempts.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rauta_control import policy

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream

MAX_PIECES = 64  # of what is kept of a body: each is an object, and a client may send two bytes at a time


def retain(request: Downstream, retained: list[bytes]) -> None:
    """Keep what is about to be sent of a body, if that is of use and little enough."""
    repeats = request.method in policy.IDEMPOTENT or (request.attempts is not None and request.attempts.policy.codes)
    if repeats and request.bytes_in <= policy.RETAINED:
        retained += request.outgoing
        if len(retained) > MAX_PIECES:
            retained[:] = (b"".join(retained),)
    else:
        request.retained = None


def retains(request: Downstream) -> bool:
    """Whether all that was sent of the request is still here."""
    return request.retained is not None or not request.bytes_in


def allowed(request: Downstream) -> bool:
    """Whether the request may be sent again without anybody having asked for it: idempotent, and still here."""
    attempts = request.attempts
    return request.method in policy.IDEMPOTENT and retains(request) and (attempts is None or attempts.replayable())


def rewind(request: Downstream, head: bytes) -> None:
    """Have everything that was sent, which began with `head`, wait to be sent again."""
    request.outgoing = [head, *(request.retained or ()), *request.outgoing]
    if request.retained is not None:
        request.retained = []


def begin(request: Downstream, head: bytes) -> None:
    """Send the request, which began with `head`, again on a new connection, for which room is reserved."""
    assert request.endpoint is not None  # noqa: S101 - for the type checker: it was sent there before
    request.upstream = None
    if request.attempts is not None:
        request.attempts.replayed()
    rewind(request, head)
    request.regulate()
    request.worker.connect(request.endpoint, request)
