"""Rows of one large body at a time: both framings, both ways; every byte compared, memory sampled."""

import json
from collections.abc import Callable, Iterator
from functools import partial

from ..instance import Instance
from ..pattern import Check, framed, pieces
from ..wire import Client
from .model import WAITED, Measure, Row, Sample, Turn
from .requests import plain

MEASURES = (
    Measure("cpu", "CPU s", 1e9, 3, quartiles=True),
    Measure("wall", "wall s", digits=2, quartiles=True),
    Measure("growth", "RSS growth MiB", 1 << 20),
    Measure("busy", "own core %", 0.01, 0),
    WAITED,
)


def _request(method: str, target: str, *fields: str) -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: shop.example", *fields, "", ""]).encode()


def down(kind: str, client: Client, size: int) -> str:
    """Fetch and compare; what was wrong, or nothing."""
    client.send(_request("GET", f"/py/{kind}/{size}"))
    head, check = client.head(), Check()
    if head.status != 200:
        return f"status {head.status}"
    for piece in client.body(head):
        check.feed(piece)
    if (check.position, check.exact) != (size, True):
        return f"{check.position} bytes of {size}, {'right' if check.exact else 'wrong'} ones"
    return ""


def up(framing: str, parts: Callable[[int], Iterator[bytes]], client: Client, size: int) -> str:
    """Send, and hear from the backend what it got; what was wrong, or nothing."""
    client.send(_request("POST", "/py/up", framing.format(size)))
    for piece in parts(size):
        client.send(piece)
    head = client.head()
    answer = b"".join(client.body(head))
    if head.status != 200:
        return f"status {head.status}: {answer[:200]!r}"
    got = json.loads(answer)
    return "" if got == {"bytes": size, "exact": True} else f"of {size} bytes the backend got {got}"


def transfer(work: Callable[[Client, int], str], turn: Turn) -> Sample:
    """One body over a connection of its own."""
    instance, size = turn.instance, turn.size.body
    with Client(_port(instance)) as client, instance.watched() as memory, instance.metered() as meter:
        wrong = work(client, size)
    if wrong:
        return Sample(failure=wrong)
    values = {
        "cpu": meter.cpu_ns,
        "wall": meter.wall,
        "growth": memory.growth,
        "busy": meter.cpu_ns / 1e9 / meter.wall,
        "waited": meter.waited,
    }
    return Sample(values, logged=1)


def _port(instance: Instance) -> int:
    return instance.port(instance.setup.routes[1])


def _row(name: str, title: str, work: Callable[[Client, int], str]) -> Row:
    return Row(name, title, MEASURES, partial(transfer, work), plain)


ROWS = (
    _row("down", "1 GiB down, Content-Length", partial(down, "down")),
    _row("down-chunked", "1 GiB down, chunked (16 KiB chunks)", partial(down, "chunked")),
    _row("up", "1 GiB up, Content-Length", partial(up, "Content-Length: {}", pieces)),
    _row("up-chunked", "1 GiB up, chunked (16 KiB chunks)", partial(up, "Transfer-Encoding: chunked", framed)),
)
