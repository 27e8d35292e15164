"""What the connections of a worker share, and a request needs on its way: limits, gates, clocks, what is counted.

Every slot of a Worker is here: where there are so many, attributes without slots cost a request 0.3 us.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import replace
from time import gmtime, monotonic, strftime, time
from typing import TYPE_CHECKING

from rauta_control import filelimit
from rauta_control.due import Due
from rauta_control.forwarded import Trust
from rauta_control.head import RequestHead
from rauta_control.ledger import endpoint_words
from rauta_control.limits import Limits, share
from rauta_control.recorder import Recorder
from rauta_control.response import ResponseHead
from rauta_control.shape import Shapes, of_request, of_response
from rauta_control.sharedmem import EndpointWord, Vital
from rauta_control.splice import Allowance
from rauta_control.sweep import Sweep
from rauta_control.wheel import Wheel

if TYPE_CHECKING:
    from rauta_control.cluster import Endpoint
    from rauta_control.inherit import Inherited
    from rauta_control.messages import Retune
    from rauta_control.reasons import Reason
    from rauta_control.settings import Settings

LONGEST_TICK = 1.0  # seconds; what a tick is later than that, the machine slept, and no deadline comes closer
SPARE_DESCRIPTORS = 64  # for everything that is not a connection

log = logging.getLogger(__name__)


class WorkerState:
    """The clocks are coarse, set by each tick, all in seconds.

    `now` is for deadlines: how long this process has been running, not how long it or its machine was suspended; `wall`
    turns monotonic into wall-clock time. `capacity`: connections of clients. `request_prefix`, `requests`: an
    x-request-id is 20 random hex digits of the process, then 12 that count.
    """

    __slots__ = (
        "_complaints",
        "_ports",
        "_tasks",
        "_ticked",
        "_ticks",
        "_tunnels",
        "acceptor",
        "capacity",
        "connections",
        "contexts",
        "date",
        "done",
        "draining",
        "due",
        "follower",
        "index",
        "limits",
        "log",
        "loop",
        "mirrors",
        "now",
        "recorder",
        "request_head",
        "request_prefix",
        "request_shapes",
        "requests",
        "response_head",
        "response_shapes",
        "second",
        "second_text",
        "secure_head",
        "splices",
        "sweep",
        "trust",
        "via",
        "vitals",
        "wall",
        "wheel",
    )

    def __init__(self, inherited: Inherited, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.index = inherited.index
        self.recorder = Recorder(inherited.words.words, inherited.index)
        self.vitals = self.recorder.vitals
        self.vitals[Vital.PID] = os.getpid()
        descriptors = filelimit.raised()
        self.splices = Allowance(descriptors)
        # each request in flight needs a second connection
        self.capacity = max(16, (descriptors - self.splices.descriptors - SPARE_DESCRIPTORS) // 2)
        self.request_head = RequestHead(inherited.settings.limits)
        self.secure_head = RequestHead(inherited.settings.limits, scheme=b"https")
        self.response_head = ResponseHead()
        self.request_shapes = Shapes(of_request)
        self.response_shapes = Shapes(of_response)
        self.sweep = Sweep()
        self.wheel = Wheel(loop.time, loop.call_at)
        self.draining = False
        self.due = Due()
        self.now = self._ticked = monotonic()
        self.retune(inherited.settings)
        self.wall = time() - self._ticked
        self.second = -1
        self.second_text = self.date = b""  # for the log, and for responses without one
        self.request_prefix = os.urandom(10).hex().encode()
        self.requests = 0

    def retune(self, settings: Settings | Retune) -> None:
        """Have these limits, trusted proxies and Via from now on."""
        self.limits = self._fit(settings.limits, settings.workers)
        self.request_head.retune(self.limits)
        self.secure_head.retune(self.limits)
        self.due.reckon(self.now, self.limits)
        self.trust = Trust(settings.trusted_proxies)
        self.via = settings.via

    def _fit(self, limits: Limits, workers: int) -> Limits:
        """Return this worker's part of `limits`, with no more connections than there are descriptors for."""
        own = share(limits, workers)
        connections = min(own.max_connections or self.capacity, self.capacity)
        if self.index == 0 and own.max_connections > connections:
            text = "--max-connections %d is more than the %d that the limit of file descriptors allows"
            log.warning(text, limits.max_connections, connections * workers)
        self.vitals[Vital.CONNECTIONS_LIMIT] = connections
        return replace(own, max_connections=connections)

    def set_clocks(self) -> None:
        """Look at the time: a tick."""
        before, self._ticked = self._ticked, monotonic()
        self.advance(min(self._ticked - before, LONGEST_TICK))
        self.wall = time() - self._ticked

    def advance(self, seconds: float) -> None:
        """Let so much time have passed."""
        self.now += seconds
        self.due.reckon(self.now, self.limits)

    def today(self) -> bytes:
        """Return what a Date field says now."""
        second = int(monotonic() + self.wall)
        if second != self.second:
            self.set_second(second)
        return self.date

    def set_second(self, second: int) -> None:
        """Prepare what is said of the time in a new second of wall-clock time."""
        self.second = second
        moment = gmtime(second)
        self.second_text = strftime("%Y-%m-%dT%H:%M:%S", moment).encode()
        self.date = strftime("%a, %d %b %Y %H:%M:%S GMT", moment).encode()  # in English: nobody sets a locale here

    def count_failure(self, endpoint: Endpoint) -> None:
        """Count a failure to connect, a reset, a timeout or an invalid response."""
        endpoint_words(self, endpoint)[EndpointWord.FAILURES] += 1

    def count_reason(self, reason: Reason) -> None:
        """Count why a connection was ended, or answered, without a request."""
        self.vitals[Vital.REASONS + reason.number] += 1
