"""`hatch run peers`: run every case through RAUTA and its peers, print the table, judge RAUTA."""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..bench import machine
from ..bench.instance import started
from ..bench.peers import PROXIES, Proxy
from ..bench.setup import Route, Setup
from . import client
from .backend import Backend
from .case import Case, Seen, wrong
from .requests import REQUESTS
from .responses import RESPONSES

DEFAULT = ("rauta", "nginx", "haproxy", "caddy", "envoy")


@contextlib.contextmanager
def running(proxy: Proxy, binary: Path, scratch: Path) -> Iterator[Callable[[Case, bool], Seen]]:
    """A proxy before a backend of its own; the function runs one case through it."""
    backend = Backend()
    setup = Setup((Route("", "/", backend.port),))
    try:
        with started(proxy, binary, setup, machine.cores(), scratch) as instance:
            port = instance.port(setup.routes[0])
            yield lambda case, response: client.run(case, port, backend, response=response)
    finally:
        backend.close()


def column(proxy: Proxy, binary: Path, cases: Sequence[tuple[Case, bool]]) -> list[Seen]:
    """What a proxy makes of the cases, each (case, whether the backend sends it)."""
    with tempfile.TemporaryDirectory(prefix="peers-") as scratch, running(proxy, binary, Path(scratch)) as through:
        return [through(case, response) for case, response in cases]


def chosen(pattern: str) -> list[tuple[Case, bool]]:
    """The cases whose names contain `pattern`."""
    every = [*((case, False) for case in REQUESTS), *((case, True) for case in RESPONSES)]
    return [(case, response) for case, response in every if pattern.lower() in case.name.lower()]


def table(names: Sequence[str], cases: Sequence[tuple[Case, bool]], columns: Sequence[list[Seen]]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield f"| case | {' | '.join(names)} |"
    yield "|---|" + "---|" * len(names)
    for index, (case, response) in enumerate(cases):
        cells = " | ".join(column[index].cell for column in columns)
        name = case.name.replace("|", "\\|")
        yield f"| {'response: ' if response else ''}{name} | {cells} |"


def main() -> int:
    """Run; 0 if RAUTA did everything right (or was not asked), 1 if not, 2 for wrong arguments."""
    found = argparse.ArgumentParser(prog="peers", description=__doc__)
    found.add_argument("--proxies", metavar="A,B", default=",".join(DEFAULT), help="default: %(default)s")
    found.add_argument("--cases", metavar="TEXT", default="", help="only those whose names contain it")
    options = found.parse_args()
    names = options.proxies.split(",")
    unknown = [name for name in names if name not in PROXIES]
    binaries = {name: PROXIES[name].find({}) for name in names if name in PROXIES}
    missing = [PROXIES[name].package for name, binary in binaries.items() if binary is None]
    cases = chosen(options.cases)
    if unknown or missing or not cases:
        if unknown:
            print(f"--proxies: {', '.join(unknown)}: none of {', '.join(PROXIES)}", file=sys.stderr)
        if missing:
            print(f"not installed here: {', '.join(missing)}; `hatch run peers` installs them", file=sys.stderr)
        if not cases:
            print(f"--cases: no name contains {options.cases!r}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(len(names)) as pool:
        columns = list(pool.map(lambda name: column(PROXIES[name], _known(binaries[name]), cases), names))
    print("\n".join(table(names, cases, columns)))
    if "rauta" not in names:
        return 0
    faults = [
        f"{case.name}: {fault}"
        for (case, _), seen in zip(cases, columns[names.index("rauta")], strict=True)
        if (fault := wrong(case, seen))
    ]
    print(f"\n{len(cases)} cases, RAUTA wrong in {len(faults)}", *faults, sep="\n")
    return 1 if faults else 0


def _known(binary: Path | None) -> Path:
    assert binary is not None  # noqa: S101 - for the type checker: main has looked
    return binary


if __name__ == "__main__":
    sys.exit(main())
