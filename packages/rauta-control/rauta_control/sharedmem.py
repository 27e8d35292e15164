"""The shared words: one sparse memfd of 64-bit words, where workers report and everybody reads.

Each word has exactly one writer, the worker whose block it is in or control, so plain stores suffice: an aligned 8-byte
store is one instruction on every platform we run on. Nobody waits and a killed worker leaves no lock behind. A worker
counts in local arrays and copies what changed here every 100 ms (recorder.py); control adds up (counters.py).

Layout, in words. Only touched pages take memory.

    0                                    HEADER: magic, layout version; control's heartbeat
    HEADER_WORDS + i * WORKER_WORDS      the block of worker i:
        0    .. VITALS_WORDS                   heartbeat, generation, gauges (Vital)
        ROUTES    + slot * ROUTE_WORDS         counters of a route (RouteWord)
        ENDPOINTS + slot * ENDPOINT_WORDS      counters of an endpoint (EndpointWord)

A slot's first word is the epoch at which it was given to its present owner (slots.py); a reader ignores the block of a
worker whose epoch differs, a worker clears it. So a counter never mixes two owners, and survives the worker's death.
"""

from __future__ import annotations

import mmap
import os
from enum import IntEnum

MAGIC = 0x5241555441_03  # "RAUTA", layout 3
MAX_WORKERS = 64
MAX_ROUTES = 32_768
MAX_ENDPOINTS = 32_768

HEADER_WORDS = 512
VITALS_WORDS = 192  # copied every tick: no more than there is use for
ROUTE_WORDS = 48
ENDPOINT_WORDS = 16
CONTROL_HEARTBEAT = 1  # monotonic ns of the last turn of a timer of control's loop; 0 before the first
DIRTY = 1  # of a route or an endpoint, and local to a worker (recorder.py): 0 in here
ROUTES = VITALS_WORDS
ENDPOINTS = ROUTES + MAX_ROUTES * ROUTE_WORDS
WORKER_WORDS = ENDPOINTS + MAX_ENDPOINTS * ENDPOINT_WORDS
TOTAL_BYTES = 8 * (HEADER_WORDS + MAX_WORKERS * WORKER_WORDS)


class Vital(IntEnum):
    """Words of a worker about itself. All but the counters are zeroed by the supervisor at the worker's death."""

    PID = 0
    HEARTBEAT = 1  # monotonic ns of the last turn of its loop's timer, at most 100 ms old in a healthy worker
    GENERATION = 2  # 1 + the generation acknowledged; 0 before the first
    DRAINED = 3  # 1 + the generation up to which no request in flight uses older resources
    CONNECTIONS = 4  # open downstream connections
    REQUESTS_ACTIVE = 5  # requests in flight
    UPSTREAMS = 6  # open upstream connections
    STALL_CHANGE = 7  # longest step of applying a change of the configuration, ns
    STALL_WHOLE = 8  # of applying a whole one while another served, ns
    TURN_CPU_CHANGE = 9  # the same two in CPU time of the worker, ns
    TURN_CPU_WHOLE = 10
    MEMO_SIZE = 11  # decisions remembered
    CONNECTIONS_LIMIT = 12  # of downstream connections
    # -- counters from here on: they outlive the process
    ACCEPTED = 16  # connections accepted
    REQUESTS = 17  # requests answered, RAUTA's own answers included
    MEMO_HITS = 18
    MEMO_MISSES = 19
    LOG_LINES = 21
    LOG_DROPPED = 22
    REFUSED = 23  # connections closed at once because a limit was reached
    UPSTREAM_CONNECTS = 24
    UPSTREAM_REUSES = 25
    RETRIES_DENIED = 26  # because the budget was used up
    MIRRORED = 32  # copies of requests that a backend answered
    MIRRORS_DROPPED = 33  # copies that were not sent, not taken or not answered
    TLS_HANDSHAKES = 40  # completed
    TLS_FAILURES = 48  # + HandshakeFailure.number: those that came to nothing
    REASONS = 64  # + Reason.number: what RAUTA answered itself or ended, by reason


COUNTERS = Vital.ACCEPTED
PID_SHIFT = 32


class RouteWord(IntEnum):
    """Words of a route. BUCKETS + k counts requests of duration < 2**k microseconds (k 0-31), not cumulative.

    What every request adds to is side by side, so that it misses the caches once.
    """

    EPOCH = 0
    STATUS_1XX = 2  # + status // 100 - 1, up to 5xx
    BYTES_OUT = 7
    DURATION_SUM = 8  # microseconds
    BYTES_IN = 9
    RETRIES = 10  # attempts after the first
    REQUESTS = 11  # the sum by status
    BUCKETS = 12


class EndpointWord(IntEnum):
    """Words of an endpoint."""

    EPOCH = 0
    REQUESTS = 2
    FAILURES = 3  # connect failures, resets, timeouts, invalid responses
    STATUS_5XX = 4
    DURATION_SUM = 5  # microseconds of its requests, to their end
    CONNECTS = 6
    ACTIVE = 7  # gauge, so it ends with its process: pid << PID_SHIFT | requests


class SharedWords:
    """A mapping of the shared words. `words` is a memoryview of u64: index it with the offsets of this module."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, TOTAL_BYTES)
        self.words = memoryview(self._map).cast("Q")
        if self.words[0] not in (0, MAGIC):
            raise ValueError(f"shared words have layout {self.words[0]:#x}, expected {MAGIC:#x}")
        self.words[0] = MAGIC

    @classmethod
    def create(cls) -> SharedWords:
        """Make new words, all zero."""
        fd = os.memfd_create("rauta-words", os.MFD_CLOEXEC)
        os.ftruncate(fd, TOTAL_BYTES)
        return cls(fd)

    def clear_process_words(self, index: int) -> None:
        """Zero what worker `index` held or reported as a process; its counters stay."""
        base = worker_base(index)
        self.words[base : base + COUNTERS] = memoryview(bytes(8 * COUNTERS)).cast("Q")

    def close(self) -> None:
        """Unmap and close."""
        self.words.release()
        self._map.close()
        os.close(self.fd)


def worker_base(index: int) -> int:
    """Offset of the block of worker `index`."""
    if not 0 <= index < MAX_WORKERS:
        raise ValueError(f"worker index {index} is outside 0-{MAX_WORKERS - 1}")
    return HEADER_WORDS + index * WORKER_WORDS
