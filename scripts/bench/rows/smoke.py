"""The row for CI: small requests with client and backend in Python.

It proves that proxy, harness and checks work; its figures mean nothing.
"""

import time

from ..probe import ask
from ..wire import Client
from .model import CPU, RATE, Row, Sample, Turn
from .requests import plain

CLIENTS = 8
FEWEST = 20  # requests, however slow the machine is


def checked(turn: Turn) -> Sample:
    """Different heads one after another over a few connections, all answers checked."""
    instance = turn.instance
    route = instance.setup.routes[0]
    clients = [Client(instance.port(route)) for _ in range(CLIENTS)]
    count, wrong, start = 0, "", time.monotonic()
    try:
        with instance.metered() as meter:
            while not wrong and (count < FEWEST or time.monotonic() < start + turn.size.seconds):
                wrong = ask(clients[count % CLIENTS], turn.seed, count, route, proxied=instance.is_proxy)
                count += 1
    finally:
        for client in clients:
            client.close()
    if wrong or (instance.is_proxy and not meter.cpu_ns):
        return Sample(failure=wrong or "it worked without CPU time: the accounting is broken")
    return Sample({"cpu": meter.cpu_ns / count, "rps": count / meter.wall}, logged=count)


ROWS = (Row("smoke", "small requests, client and backend in Python: not a measurement", (CPU, RATE), checked, plain),)
