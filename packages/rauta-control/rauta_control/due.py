"""By when what a connection waits for must have come: for all that begin to wait now, as a tick (100 ms) works it out.

Pure. Connections begin to wait several times a request, and then take over a number that is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rauta_control.limits import Limits


class Due:
    """Deadlines in monotonic seconds (sweep.py), by what is waited for: each is `now` and the timeout of its name."""

    __slots__ = ("body", "head", "keep_alive", "pool", "response", "stream", "tunnel", "write")

    def reckon(self, now: float, limits: Limits) -> None:
        """From now on it is `now`, and these are the limits."""
        self.head = now + limits.head_timeout
        self.body = now + limits.body_timeout
        self.write = now + limits.write_timeout
        self.keep_alive = now + limits.keep_alive_timeout
        self.tunnel = now + limits.tunnel_timeout
        self.response = now + limits.response_timeout
        self.stream = now + limits.stream_timeout
        self.pool = now + limits.pool_timeout
