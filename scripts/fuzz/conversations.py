"""The kind `conversations`: whole ones over real sockets through real workers, judged from both ends.

In each round a dozen clients talk at once, each on a connection of its own, to backends that do to every copy of a
request what its scripts say (scripted.py). Requests carry a number that whoever answers repeats, in head and body. What
is said may be malformed, cut off, early, late or too much; endpoints come and go. Demanded is that each answer belongs
to its request, and is whole or seen not to be; that one is missing or RAUTA's own only where client or backend gave
cause; that backends get only what was asked, whole; and that in the end nothing is left.

A seed says what is said, not what comes first: what one finds may take a few rounds with it to be seen again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from rauta_control import ir
from rauta_control.action import Filters, HeaderEdit, Mirror, Retry
from rauta_control.messages import Ack, Hello
from rauta_control.pki_test import Pair, pair
from rauta_control.proxyharness_test import Proxy, cluster
from rauta_control.sharedmem import Vital

from .plot import Plot
from .scripted import PATIENCE, Asked, Backend
from .talker import HEARD, Client, Place

CLIENTS = 12  # of a round
AT_ONCE = 3  # rounds
BETWEEN = 30  # rounds, between looks for what is left
LIMITS = {
    **dict.fromkeys(("head_timeout", "body_timeout", "keep_alive_timeout", "write_timeout", "tunnel_timeout"), 12),
    "pool_timeout": 2,
}


def resources(backends: list[Backend], made: Pair | None, *, fewer: bool) -> Iterator[ir.Resource]:
    """Rules that are as different as can be."""
    host = "l|a.example" if made else "l|*"
    retry, mirrors = Retry(2, (503,), 5), (Mirror("shadow"), Mirror("shade"))
    edits = Filters(HeaderEdit((("X-Set", "new"),), (), ("x-gone",)))
    if made:
        yield made.secret("s")
        names = (ir.ServerName("a.example", ("s",)),)
        yield ir.VirtualHost("l", "a.example", "", "section")
        yield ir.Listener("l", "127.0.0.1", 0, 443, "HTTPS", (), names)
    else:
        yield ir.Listener("l", "127.0.0.1", 0, 80)
        yield ir.VirtualHost("l", "*")
    ports = [each.port for each in backends]
    for name, of in (
        ("one", ports[:1]),
        ("three", ports[1 : 2 if fewer else 4]),
        ("shadow", ports[4:5]),
        ("shade", ports[5:]),
    ):
        yield cluster(name, *of)
    rules: dict[str, tuple[str, dict[str, object]]] = {
        "/": ("one", {}),
        "/plain": ("one", {}),
        "/retry": ("three", {"retry": retry}),
        "/timed": ("three", {"request_timeout": 1_500, "backend_timeout": 700, "retry": Retry(1, (), 0)}),
        "/mirror": ("one", {"filters": Filters(mirrors=mirrors)}),
        "/edit": ("one", {"filters": edits}),
        "/both": ("three", {"filters": Filters(mirrors=mirrors), "retry": retry}),
    }
    for slot, (path, (to, more)) in enumerate(rules.items()):
        rule = ir.Rule(path, path, host, path, "prefix", (ir.ClusterWeight(to),), slot=slot, epoch=1)
        yield msgspec.structs.replace(rule, **more)


def descriptors(proxy: Proxy) -> set[str]:
    """The sockets and pipes of a worker."""
    links = {str(each.readlink()) for each in Path(f"/proc/{proxy.process.pid}/fd").iterdir()}
    return {each for each in links if each.startswith(("socket", "pipe"))}


def left(place: Place) -> str:
    """What is left of requests in a worker."""
    vitals = [place.proxy.vital(each) for each in (Vital.CONNECTIONS, Vital.REQUESTS_ACTIVE, Vital.UPSTREAMS)]
    more = descriptors(place.proxy) - place.before
    return f"{vitals} connections, requests, backends' connections, and {more}" if any(vitals) or more else ""


async def settle(places: list[Place]) -> None:
    """Wait until nothing is left. Raises AssertionError."""
    deadline = time.monotonic() + PATIENCE
    while any(map(left, places)):
        assert time.monotonic() < deadline, [left(place) for place in places]
        await asyncio.sleep(0.1)


async def play(plot: Plot, places: list[Place], faults: list[str]) -> bool:
    """One round; whether all was well."""
    clients = [Client(plot, plot.random.choice(places), number) for number in range(CLIENTS)]
    for place in places:
        answer = place.proxy.publish(plot.random.choice(place.configurations))
        assert isinstance(answer, Ack), answer
    found = await asyncio.gather(*(each.play() for each in clients), return_exceptions=True)
    wrong = [(client, error) for client, error in zip(clients, found, strict=True) if error is not None]
    if not wrong and not faults:
        return True
    print(f"--- seed {plot.seed}")
    for client, error in wrong:
        print(f"{type(error).__name__}: {error}\n{client}")
    print(*faults, sep="\n", flush=True)
    faults.clear()
    return False


async def run(seconds: float, seed: int, silence: float = 8) -> int:
    """Play; return the number of rounds with faults. `silence` is the time that a worker gives a backend."""
    asked: dict[int, Asked] = {}
    faults: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="conversations-")))
        backends = [Backend(asked, faults, shadow=number > 3) for number in range(6)]
        serving = [asyncio.create_task(each.serve()) for each in backends]
        places: list[Place] = []
        for made, more in (
            (None, {}),
            (pair("a.example"), {}),
            (None, {"max_buffered_bytes": 4_096}),
            (None, {"max_endpoint_connections": 3}),
        ):
            given = [list(resources(backends, made, fewer=fewer)) for fewer in (False, True)]
            log = folder / str(len(places))
            limits = {**LIMITS, "response_timeout": silence, "stream_timeout": silence, **more}
            proxy = stack.enter_context(Proxy(given[0], limits=limits, log=str(log)))
            assert isinstance(proxy.link.receive(), Hello)
            places.append(
                Place(proxy, made is not None, "max_endpoint_connections" in more, given, log, descriptors(proxy))
            )
        deadline, first, bad = time.monotonic() + seconds, seed, 0
        while seed == first or time.monotonic() < deadline:
            plots = [Plot(seed + number, asked) for number in range(min(AT_ONCE, 1 + int(seconds)))]
            seed += len(plots)
            bad += (await asyncio.gather(*(play(plot, places, faults) for plot in plots))).count(False)
            if (seed - first) % BETWEEN == 0 or time.monotonic() >= deadline:
                await settle(places)
                asked.clear()
                memory = [each.proxy.memory() >> 10 for each in places]
                print(f"{seed - first} rounds, {bad} bad; KiB of the workers: {memory}; {dict(HEARD)}", flush=True)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
    return bad


def main(arguments: list[str]) -> int:
    """SECONDS, 60 by default, from the round SEED on, 1 by default; 1 if something was found."""
    seconds, seed = (*map(int, arguments), *(60, 1)[len(arguments) :])
    return 1 if asyncio.run(run(seconds, seed)) else 0
