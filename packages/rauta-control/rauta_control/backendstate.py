"""What is known of a connection to a backend and of the response that comes on it: every slot of an Upstream.

Phases: NEW (connected, not used yet), IDLE (in the pool), HEAD (request sent, response head outstanding), LENGTH,
CHUNKS, STREAM (a body of known length, chunked, until the backend closes), CLOSED (closing, or closed), DISCARD (the
rest of a response that nobody wants). Only IDLE ones are in `Endpoint.idle`, and they leave it the moment anything
happens to them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rauta_control.cluster import Endpoint
    from rauta_control.downstream import Downstream
    from rauta_control.framing import ChunkedDecoder
    from rauta_control.splice import Splice
    from rauta_control.worker import Worker

NEW, IDLE, HEAD, LENGTH, CHUNKS, STREAM, CLOSED, DISCARD = range(8)


class BackendState(asyncio.Protocol):
    """One connection to one endpoint. `replay` is the request's head while it may be sent again on another one.

    `used`: it has been in the pool, so it may be dead when it gets a request.
    """

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
        "splice",
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
        self.splice: Splice | None = None  # what moves a large body of the present request or response
        self.keep_alive = True
        self.used = False
