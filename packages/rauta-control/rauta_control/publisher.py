"""What each worker is sent, and what each has acknowledged. Pure: messages in and out; publish.py carries them.

A worker has at most one configuration in flight. While it works on that one, newer ones only replace what is wanted, so
a slow worker gets one delta from what it acknowledged to what is wanted by then, never a queue. What differs is found
once for all workers that start from the same state. A worker that refuses a delta gets everything; if it refuses
everything, it keeps what it serves, the refusal is reported, and the next configuration is a new attempt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rauta_control.messages import PROTOCOL_VERSION, Ack, FromWorker, Hello, Nack, Publish
from rauta_control.state import EMPTY, State, diff

RECENT = 4  # states kept for workers that come back with one: the last snapshot and what was published since


class Send(NamedTuple):
    """Send a Publish to a worker, in place of what is left of one before."""

    worker: int
    publish: Publish


@dataclass(slots=True)
class Worker:
    """What is known of one live worker. `generation` is what it acknowledged, -1 for nothing yet."""

    pid: int
    generation: int = -1
    greeted: bool = False
    base: State = EMPTY  # what it holds for certain; EMPTY: it must be sent everything
    sent: State | None = None  # in flight, as a delta from `base`
    refused: State | None = None  # what it did not take even as a whole
    refusal: str = ""  # why, as it put it; empty while it follows


class Publisher:
    """The published state and the workers that follow it.

    `ready` latches when every live worker, and at least `expected`, acknowledged the first complete configuration.
    """

    def __init__(self, state: State, expected: int) -> None:
        self.state = state
        self.ready = False
        self.workers: dict[int, Worker] = {}
        self.expected = expected
        self._first: int | None = None
        self._recent = deque([state], maxlen=RECENT)
        self._steps: dict[int, Publish] = {}  # to the present state, by the generation they start from

    def publish(self, state: State, step: Publish | None = None) -> list[Send]:
        """Make `state` what every worker should have; `step` leads there from the present state, if it is known."""
        self.state = state
        self._recent.append(state)
        self._steps.clear()
        if step is not None:
            self._steps[step.base] = step
        return self._sends(self.workers)

    def complete(self) -> None:
        """Say that the present state is complete, which readiness waits for; only the first time counts."""
        if self._first is None:
            self._first = self.state.generation
        self._latch()

    def connect(self, index: int, pid: int) -> None:
        """Take note of a new link to a worker, which replaces any older one; its Hello comes first."""
        self.workers[index] = Worker(pid)

    def disconnect(self, index: int, pid: int) -> None:
        """Forget a worker whose link or process ended, unless another process has its index by now."""
        if index in self.workers and self.workers[index].pid == pid:
            del self.workers[index]
            self._latch()

    def receive(self, index: int, message: FromWorker) -> list[Send]:
        """Take what worker `index` said and return what that makes us send."""
        worker = self.workers[index]
        sent = worker.sent
        match message:
            case Hello():
                self._greet(worker, message)
            case Ack() if sent is not None:
                if (message.generation, message.digest) == (sent.generation, sent.digest):
                    worker.base, worker.sent, worker.generation, worker.refusal = sent, None, sent.generation, ""
                else:
                    _refuse(worker, f"acknowledged {message.generation} ({message.digest:#x}), not what was sent")
            case Nack() if sent is not None:
                _refuse(worker, message.reason)
        self._latch()
        sends = self._sends([index])
        if not any(worker.sent for worker in self.workers.values()):
            self._steps.clear()  # nobody is on the way
        return sends

    def _greet(self, worker: Worker, hello: Hello) -> None:
        held = (hello.generation, hello.digest)
        worker.base = next((state for state in self._recent if (state.generation, state.digest) == held), EMPTY)
        worker.generation = hello.generation
        worker.sent = None
        worker.greeted = hello.version == PROTOCOL_VERSION
        worker.refusal = "" if worker.greeted else f"speaks version {hello.version}, not {PROTOCOL_VERSION}"

    def _sends(self, indices: Iterable[int]) -> list[Send]:
        return [Send(index, publish) for index in indices if (publish := self._next(self.workers[index]))]

    def _next(self, worker: Worker) -> Publish | None:
        """Return what to send to `worker` now, having noted that it is in flight; None for nothing."""
        idle = worker.greeted and worker.sent is None
        if not idle or self.state in (worker.base, worker.refused):
            return None
        worker.sent = self.state
        publish = self._steps.get(worker.base.generation)
        if publish is None:
            publish = self._steps[worker.base.generation] = diff(worker.base, self.state)
        return publish

    def _latch(self) -> None:
        """See `ready`. Nobody behind the first complete configuration, and nobody missing."""
        first = self._first
        if first is None or len(self.workers) < self.expected:
            return
        self.ready = self.ready or all(w.greeted and w.generation >= first for w in self.workers.values())


def _refuse(worker: Worker, reason: str) -> None:
    if worker.base is EMPTY:
        worker.refused = worker.sent
    worker.sent = None
    worker.base = EMPTY
    worker.refusal = reason
