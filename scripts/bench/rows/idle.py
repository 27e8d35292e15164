"""The row of idle connections: what each takes after one request, while it waits for the next.

Honest means a new process for each slice (one that had as many connections before has kept their memory and would
seem to need none), warmed by a few (code and buffers of first use belong to no connection), and everything it grew by
divided by all of them. Kernel memory of the sockets is not in it, nor what nginx reserves for all its
`worker_connections` at start.
"""

import select
import time
from contextlib import ExitStack

from .. import heads
from ..instance import Instance
from ..wire import Client, WrongAnswerError
from .model import Measure, Row, Sample, Turn
from .requests import plain

WARM_CONNECTIONS, WARM_REQUESTS = 32, 20
SETTLE = 2.0  # seconds: longer than any of them waits before it gives buffers back
EVERY = 20  # one in so many is asked again, to see that it was kept and not only left open
MEASURES = (
    Measure("bytes", "bytes each", digits=0, quartiles=True),
    Measure("first", "of the first quarter", digits=0),
    Measure("before", "PSS before MiB", 1 << 20),
    Measure("after", "PSS after MiB", 1 << 20),
)


def hold(turn: Turn) -> Sample:
    """Open the connections, a request each, hold them, read memory, see that all still live."""
    instance, count = turn.instance, turn.size.connections
    _warm(instance)
    before = _settled(instance)
    with ExitStack() as closing:
        clients: list[Client] = []
        _open(instance, clients, closing, count // 4, turn.seed)
        quarter = _settled(instance)
        _open(instance, clients, closing, count, turn.seed)
        after = _settled(instance)
        _alive(instance, clients, turn.seed)
    values = {
        "bytes": (after - before) / count,
        "first": (quarter - before) / (count // 4),
        "before": before,
        "after": after,
    }
    return Sample(values, logged=count)


def _warm(instance: Instance) -> None:
    for _ in range(WARM_CONNECTIONS):
        with Client(instance.port(instance.setup.routes[0])) as client:
            for n in range(WARM_REQUESTS):
                _ask(client, instance, 7, n)


def _ask(client: Client, instance: Instance, seed: int, n: int) -> None:
    head, _ = client.exchange(heads.head(seed, n, instance.setup.routes[0]))
    if head.status != 200:
        raise WrongAnswerError(f"status {head.status}")


def _settled(instance: Instance) -> int:
    time.sleep(SETTLE)
    return instance.footprint()


def _open(instance: Instance, clients: list[Client], closing: ExitStack, count: int, seed: int) -> None:
    while len(clients) < count:
        client = Client(instance.port(instance.setup.routes[0]))
        closing.callback(client.close)
        _ask(client, instance, seed, len(clients))
        clients.append(client)


def _alive(instance: Instance, clients: list[Client], seed: int) -> None:
    poll = select.poll()
    for client in clients:
        poll.register(client.socket, select.POLLIN)
    if gone := len(poll.poll(0)):
        raise WrongAnswerError(f"{gone} idle connections were closed")
    for n, client in enumerate(clients[::EVERY]):
        _ask(client, instance, seed + 1, n)


ROWS = (Row("idle", "idle connections after one request", MEASURES, hold, plain, fresh=True, most=5),)
