"""Rows of small requests at full load: different heads, equal heads, many routes, bodies of 64 KiB."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from .. import load, setup
from ..backend import web
from ..backend.start import Backends
from ..probe import Probe
from ..setup import Route, Setup
from .model import BUSY, CPU, P50, P99, PSS, RATE, WAITED, Row, Sample, Turn

MEASURES = (CPU, RATE, P50, P99, PSS, BUSY, WAITED)
NEEDS = frozenset({"wrk", "nginx"})
POSTED = 64 * 1024
SHORTEST = 300  # bytes of an answer with its head: less is not the backend's


def plain(backends: Backends) -> Setup:
    """Two routes: everything, and the streams."""
    return setup.plain(backends.web[0], backends.streams)


def secure(backends: Backends) -> Setup:
    """The same with TLS."""
    return replace(plain(backends), secure=True)


def spread(count: int) -> Callable[[Backends], Setup]:
    """So many routes over all ports of the fast backend."""
    return lambda backends: setup.many(count, backends.web)


def first(turn: Turn) -> tuple[Route, ...]:
    """The route of everything."""
    return turn.instance.setup.routes[:1]


def all_routes(turn: Turn) -> tuple[Route, ...]:
    """Every route."""
    return turn.instance.setup.routes


def uploads(turn: Turn) -> tuple[Route, ...]:
    """The part of the fast backend that reads bodies."""
    return (Route("", "/up", turn.instance.setup.routes[0].port),)


def loaded(
    routes: Callable[[Turn], tuple[Route, ...]], turn: Turn, *, distinct: bool = True, body: int = 0, times: int = 1
) -> Sample:
    """One slice, or `times` as long: wrk at full load, with probes beside it."""
    instance, wanted = turn.instance, routes(turn)
    work = load.Load(wanted, turn.seed, distinct=distinct, body=body)
    posted = b"0123456789abcdef" * (body // 16)
    with Probe(instance, wanted, turn.seed ^ 0x5A5A5A5A, posted) as probe, instance.metered() as meter:
        seconds, core = turn.size.seconds * times, instance.cores.load
        done = load.run(work, instance.port(wanted[0]), seconds, core, instance.folder, secure=instance.secure)
    wrong = done.complaint() or probe.wrong
    if not wrong and not SHORTEST < done.bytes / done.requests < web.LONGEST:
        wrong = f"answers of {done.bytes / done.requests:.0f} bytes are not the backend's"
    if wrong:
        return Sample(failure=wrong)
    values = {
        "cpu": meter.cpu_ns / (done.requests + probe.asked),
        "rps": done.requests / (done.us / 1e6),
        "p50": done.p50,
        "p99": done.p99,
        "pss": instance.footprint(),
        "busy": meter.cpu_ns / 1e9 / (done.us / 1e6),
        "waited": meter.waited,
    }
    return Sample(values, logged=done.requests)


def _row(name: str, title: str, work: Callable[[Turn], Sample], routing: Callable[[Backends], Setup] = plain) -> Row:
    return Row(name, title, MEASURES, work, routing, NEEDS)


ROWS = (
    _row("distinct", "every head different", partial(loaded, first)),
    _row("identical", "all heads the same", partial(loaded, first, distinct=False)),
    # Longer slices, because each begins with a handshake for each connection.
    _row("tls", "different heads over TLS, connections kept", partial(loaded, first, times=5), secure),
    _row("routes10", "different heads over 10 routes", partial(loaded, all_routes), spread(10)),
    _row("routes1000", "different heads over 1,000 routes", partial(loaded, all_routes), spread(1000)),
    _row("routes10000", "different heads over 10,000 routes", partial(loaded, all_routes), spread(10_000)),
    _row("post64k", "POST of 64 KiB, different heads", partial(loaded, uploads, body=POSTED)),
)
