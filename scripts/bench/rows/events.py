"""The row of server-sent events: many small chunks on a few open connections; what each costs, how late it is."""

import json
import selectors
import time
from contextlib import ExitStack

from ..setup import SHARED_HOST
from ..stats import quantile
from ..wire import READ, Chunks, Client, WrongAnswerError
from .model import WAITED, Measure, Row, Sample, Turn
from .requests import plain

PER_STREAM = 20  # events a second; with 50 streams 1,000
SHARE = 0.95  # of the events that were due must come in the slice: a proxy that holds them back fails
ACCEPT = f"Host: {SHARED_HOST}\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n"
MEASURES = (
    Measure("cpu", "CPU us/event", 1e3, quartiles=True),
    Measure("p50", "delay p50 ms", 1e6, 2, quartiles=True),
    Measure("p99", "delay p99 ms", 1e6, 2, quartiles=True),
    Measure("rate", "events/s", digits=0),
    Measure("pss", "PSS MiB", 1 << 20),
    WAITED,
)


class Stream:
    """One stream of events: decodes, and insists that none is missing, doubled or out of order."""

    def __init__(self, port: int) -> None:
        """Ask for it, and read the head of the answer."""
        self.client = Client(port)
        self.client.send(f"GET /py/events/{PER_STREAM} HTTP/1.1\r\n{ACCEPT}".encode())
        head = self.client.head()
        if head.status != 200 or not head.chunked:
            raise WrongAnswerError(f"no stream: {head}")
        self._chunks = Chunks()
        self._text = b""
        self._next = 0
        self.take(self.client.rest)

    def take(self, data: bytes) -> list[int]:
        """The clocks (ns) at which the events in `data` were sent."""
        self._text += b"".join(self._chunks.feed(data))
        *whole, self._text = self._text.split(b"\n\n")
        clocks = []
        for event in whole:
            said = json.loads(event.removeprefix(b"data: "))
            if said["n"] != self._next:
                raise WrongAnswerError(f"event {said['n']} where {self._next} was due")
            self._next += 1
            clocks.append(said["t"])
        return clocks


def listen(turn: Turn) -> Sample:
    """Open all streams, let them run for half a second, then meter."""
    instance, seconds = turn.instance, turn.size.seconds
    delays: list[int] = []
    with ExitStack() as closing, selectors.EpollSelector() as selector:
        for _ in range(turn.size.streams):
            stream = Stream(instance.port(instance.setup.routes[1]))
            closing.callback(stream.client.close)
            selector.register(stream.client.socket, selectors.EVENT_READ, stream)
            time.sleep(1 / PER_STREAM / turn.size.streams)  # so that the streams do not send in step
        _collect(selector, 0.5)
        with instance.metered() as meter:
            delays = _collect(selector, seconds)
    due = turn.size.streams * PER_STREAM * seconds
    if len(delays) < SHARE * due:
        return Sample(failure=f"{len(delays)} events in a slice in which {due:.0f} were due")
    values = {
        "cpu": meter.cpu_ns / len(delays),
        "p50": quantile(delays, 0.5),
        "p99": quantile(delays, 0.99),
        "rate": len(delays) / seconds,
        "pss": instance.footprint(),
        "waited": meter.waited,
    }
    return Sample(values, logged=turn.size.streams)


def _collect(selector: selectors.BaseSelector, seconds: float) -> list[int]:
    """Delays (ns) of the events of the next seconds."""
    delays: list[int] = []
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            data = key.data.client.socket.recv(READ)
            now = time.monotonic_ns()
            if not data:
                raise WrongAnswerError("a stream was closed")
            delays += [now - clock for clock in key.data.take(data)]
    return delays


ROWS = (Row("events", "1,000 server-sent events a second on 50 streams", MEASURES, listen, plain),)
