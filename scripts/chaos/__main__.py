"""`hatch run chaos`: do every fault to a gateway, print what was to be seen and what was."""

import argparse
import asyncio
import sys
import time

from ..bench.machine import raise_file_limit
from . import backends, certificates, clients, handshakes, processes, resources
from .verdict import Fault, report

FAULTS = sorted(
    (
        *processes.FAULTS,
        *backends.FAULTS,
        *certificates.FAULTS,
        *handshakes.FAULTS,
        *clients.FAULTS,
        *resources.FAULTS,
    ),
    key=lambda each: each.number,
)
SMOKE = 0.02  # of the size, for those that make sense small


async def main() -> int:
    """Run; 0 if every criterion is met, 1 if not, 2 for wrong arguments."""
    found = argparse.ArgumentParser(prog="chaos", description=__doc__)
    found.add_argument("--faults", metavar="N,N", help="only these numbers (--list names them)")
    found.add_argument("--smoke", action="store_true", help="a few seconds: those that make sense small")
    found.add_argument("--list", action="store_true", help="name the faults, and end")
    options = found.parse_args()
    known = {str(fault.number): fault for fault in FAULTS}
    numbers = options.faults.split(",") if options.faults else list(known)
    if unknown := [number for number in numbers if number not in known]:
        print(f"--faults: {', '.join(unknown)}: none of {', '.join(known)}", file=sys.stderr)
        return 2
    chosen: list[Fault] = [known[number] for number in numbers if known[number].smoke or not options.smoke]
    if options.list:
        print("\n".join(f"{fault.number:>2} {fault.title}" for fault in chosen))
        return 0
    raise_file_limit()
    failed = []
    for fault in chosen:
        begin = time.monotonic()
        verdicts = await fault.run(SMOKE if options.smoke else 1.0)
        print("\n".join(report(fault, verdicts)), f"   ({time.monotonic() - begin:.1f} s)", sep="\n", flush=True)
        if not all(each.met for each in verdicts):
            failed.append(fault.number)
    print(f"{len(chosen)} faults, {len(failed)} not as wanted{': ' if failed else ''}{', '.join(map(str, failed))}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
