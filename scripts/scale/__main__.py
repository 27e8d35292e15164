"""`python -m scripts.scale`: RAUTA on a real API server with many routes, and one that fails. See docs/scale.md."""

import argparse
import os
import sys
import time
from collections.abc import AsyncIterator, Callable

from scripts.bench.machine import raise_file_limit
from scripts.chaos.verdict import Verdict, lines
from scripts.conformance import cache, gobuild, network, trial
from scripts.conformance.problem import ConformanceError

from . import outages, propagation, replicas, restart, stage

PARTS: dict[str, tuple[str, Callable[[stage.Stage], AsyncIterator[list[Verdict]]]]] = {
    "propagation": ("edits and additions, with all routes loaded", propagation.run),
    "restart": ("restart of control, and of everything", restart.run),
    "replicas": ("two replicas, and the end of the one that leads", replicas.run),
    "outages": ("an API server that fails", outages.run),
}
FEWEST = 200  # routes


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="scale", description=__doc__)
    found.add_argument("--routes", metavar="N", type=int, default=5000, help="routes there are (%(default)s)")
    found.add_argument("--workers", metavar="N", type=int, default=2, help="of each replica (%(default)s)")
    found.add_argument("--outage", metavar="SECONDS", type=float, default=60, help="length of each (%(default)s)")
    found.add_argument("--parts", metavar="A,B", default=",".join(PARTS), help="only these (%(default)s)")
    found.add_argument("--ways", metavar="A,B", default=",".join(outages.WAYS), help="of outages (%(default)s)")
    return found


def chosen(given: str, known: list[str], flag: str) -> tuple[str, ...]:
    """The parts of a comma-separated option; ConformanceError names the unknown ones."""
    names = tuple(filter(None, given.split(",")))
    if unknown := [name for name in names if name not in known]:
        raise ConformanceError(f"{flag}: {', '.join(unknown)}: none of {', '.join(known)}")
    return names


async def measure(options: argparse.Namespace, kept: cache.Cache) -> int:
    """The run, within the network that was made for it; the exit status."""
    parts = chosen(options.parts, list(PARTS), "--parts")
    if options.routes < FEWEST:
        raise ConformanceError(f"--routes: {options.routes}: at least {FEWEST}, so that each part has its own to edit")
    ways = chosen(options.ways, list(outages.WAYS), "--ways")
    suite = next(iter(gobuild.SUITES))
    folder, missed = kept.new_run(), 0
    began = time.monotonic()
    async with stage.prepared(
        gobuild.paths(kept, suite),
        kept.crds(suite, gobuild.CHANNELS[0]),
        folder,
        workers=options.workers,
        routes=options.routes,
        outage=options.outage,
    ) as made:
        print(f"an API server with {options.routes} routes after {time.monotonic() - began:.0f} s", flush=True)
        for number, name in enumerate(parts, 1):
            title, run = PARTS[name]
            print(f"{number:>2} {title}", flush=True)
            began = time.monotonic()
            async for verdicts in outages.run(made, ways) if name == "outages" else run(made):
                missed += sum(not each.met for each in verdicts)
                print("\n".join(lines(verdicts)))
                print(f"   ({time.monotonic() - began:.0f} s, load average {os.getloadavg()[0]:.1f})", flush=True)
    print(f"{missed} criteria missed; logs: {folder}")
    return 1 if missed else 0


def main() -> int:
    """The exit status: 0, 1 for criteria that were missed, 2 if it could not be run, 130 if it was interrupted."""
    options = parser().parse_args()
    kept = cache.Cache(cache.default())

    def outer() -> int:
        gobuild.build(kept, next(iter(gobuild.SUITES)), trial.say, suite_only=False)
        return network.enter("scripts.scale", sys.argv[1:])

    async def inner() -> int:
        raise_file_limit()
        return await measure(options, kept)

    return network.run("scale", outer, inner)


if __name__ == "__main__":
    sys.exit(main())
