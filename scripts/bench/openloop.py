"""Load at a fixed rate: requests are due at random instants (a Poisson process) whether or not earlier ones were
answered.

Latency counts from the instant a request was due, so a proxy that stalls is charged for every request it held up (no
"coordinated omission"), and so is our own lateness, which is reported beside it. wrk cannot do this (it waits for the
answer), and h2load sends the same heads on each connection and keeps to whole milliseconds, in bursts. One thread,
epoll, and `select` for its microseconds; every answer is checked.
"""

import ctypes
import gc
import random
import re
import select
import socket
import time
from dataclasses import dataclass, field

from . import heads
from .setup import Route
from .wire import WrongAnswerError

CONNECTIONS = 64
PR_SET_TIMERSLACK = 29  # prctl(2): the kernel may oversleep by 50 us unless told otherwise
LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: (\d+)\r\n")
ETAG = re.compile(rb'\r\n[Ee][Tt]ag: "([0-9a-f]+)"\r\n')


@dataclass(slots=True)
class Outcome:
    """Seconds from due to answered, and from due to sent, in the order of the answers."""

    latencies: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    wall: float = 0.0


def instants(rate: float, seconds: float, seed: int) -> list[float]:
    """When requests are due, from 0; the mean is the rate. Pure."""
    draw = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    at, found = 0.0, []
    while (at := at + draw.expovariate(rate)) < seconds:
        found.append(at)
    return found


def whole(answer: bytes) -> bool:
    """Whether an answer is complete; WrongAnswerError if it is not the backend's 200."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise WrongAnswerError(f"not 200: {answer[:80]!r}")
    length = LENGTH.search(answer, 0, end + 2)
    if not length:
        raise WrongAnswerError("no length")
    missing = end + 4 + int(length[1]) - len(answer)
    if missing < 0:
        raise WrongAnswerError("more than one answer")
    if missing:
        return False
    tag = ETAG.search(answer, 0, end + 2)
    if not tag or not answer.startswith(b'{"id":"' + tag[1], end + 4):
        raise WrongAnswerError("the body of one answer with the head of another")
    return True


def run(port: int, route: Route, rate: float, seconds: float, seed: int) -> Outcome:
    """Send, and collect, until all are answered. WrongAnswerError or OSError at the first wrong answer."""
    due = instants(rate, seconds, seed)
    texts = [heads.head(seed, n, route) for n in range(len(due))]
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    gc.collect()
    gc.disable()
    try:
        return _drive(peers, due, texts)
    finally:
        gc.enable()
        for peer in peers:
            peer.close()


def _drive(peers: list[socket.socket], due: list[float], texts: list[bytes]) -> Outcome:
    """The loop: straight code, because its own time is in the way of what it measures."""
    found = Outcome()
    poll = select.epoll()
    for peer in peers:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setblocking(False)
        poll.register(peer, select.EPOLLIN)
    by_fd = {peer.fileno(): peer for peer in peers}
    idle = list(by_fd)
    was_due: dict[int, float] = {}
    partial: dict[int, bytes] = {}
    clock, total, sent = time.monotonic, len(due), 0
    start = clock()
    due = [start + instant for instant in due]
    while len(found.latencies) < total:
        now = clock()
        while sent < total and idle and due[sent] <= now:
            fd = idle.pop()
            by_fd[fd].send(texts[sent])
            was_due[fd] = due[sent]
            found.late.append(now - due[sent])
            sent += 1
        until = due[sent] - clock() if sent < total and idle else 1.0
        if until > 0 and not select.select([poll], [], [], until)[0] and until == 1.0:
            raise WrongAnswerError("no answer for a second")
        for fd, _ in poll.poll(0):
            data = by_fd[fd].recv(65536)
            if not data or fd not in was_due:
                raise WrongAnswerError("a connection was closed")
            answer = partial.pop(fd, b"") + data
            if whole(answer):
                found.latencies.append(clock() - was_due.pop(fd))
                idle.append(fd)
            else:
                partial[fd] = answer
    found.wall = clock() - start
    poll.close()
    return found
