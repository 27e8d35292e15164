"""The row of a fixed rate: how long an answer takes when the proxy is half busy, which is how proxies are run."""

from collections.abc import Mapping

from .. import load, openloop
from ..instance import Instance
from ..stats import quantile
from .model import CPU, WAITED, Measure, Row, Sample, Size, Turn
from .requests import NEEDS, plain

SHARE = 0.5  # of RAUTA's own maximum
WARM = 1000.0  # requests/s of the slice before calibration, which is thrown away
CALIBRATION = 2.0  # seconds, if this run has not measured the maximum
MEASURES = (
    Measure("p50", "p50 ms", 1e-3, 3, quartiles=True),
    Measure("p99", "p99 ms", 1e-3, 3, quartiles=True),
    Measure("p999", "p99.9 ms", 1e-3, 2, quartiles=True),
    CPU,
    Measure("rps", "requests/s", digits=0),
    Measure("late", "sent late p99 ms", 1e-3, 3),
    WAITED,
)


def half(instances: list[Instance], earlier: Mapping[str, float], _: Size) -> float:
    """Half of what RAUTA can do with different heads; without RAUTA, of what the slowest can.

    `earlier` is requests/s in row `distinct`, by proxy.
    """
    rauta = [instance for instance in instances if instance.name == "rauta"]
    found = []
    for instance in rauta or instances:
        rate = earlier.get(instance.name)
        if rate is None:
            work = load.Load(instance.setup.routes[:1], seed=1)
            done = load.run(work, instance.port(work.routes[0]), CALIBRATION, instance.cores.load, instance.folder)
            rate = done.requests / (done.us / 1e6)
            instance.lines()
        found.append(rate)
    return SHARE * min(found)


def paced(turn: Turn) -> Sample:
    """One slice at the rate that was found; different heads, every answer checked."""
    instance = turn.instance
    route = instance.setup.routes[0]
    with instance.metered() as meter:
        done = openloop.run(instance.port(route), route, turn.target or WARM, turn.size.seconds, turn.seed)
    count = len(done.latencies)
    values = {
        "p50": quantile(done.latencies, 0.5),
        "p99": quantile(done.latencies, 0.99),
        "p999": quantile(done.latencies, 0.999),
        "cpu": meter.cpu_ns / count,
        "rps": count / done.wall,
        "late": quantile(done.late, 0.99),
        "waited": meter.waited,
    }
    return Sample(values, logged=count)


ROWS = (
    Row("rate", "fixed rate, half of RAUTA's maximum, different heads", MEASURES, paced, plain, NEEDS, calibrate=half),
)
