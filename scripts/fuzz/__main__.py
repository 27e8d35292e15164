"""`hatch run fuzz TARGET`: coverage-guided, until the time is up or something is found; and `conversations`, random."""

import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["rauta_control"]):
    from rauta_control import ir
    from rauta_control.fakewire_test import CONFIGURATION

    from .events import events
    from .rules import CHANGED, FULL
    from .target import Rig, requests, responses

from ..peers.requests import REQUESTS
from ..peers.responses import RESPONSES
from . import conversations


class Target(NamedTuple):
    """What is called, over which configuration, and inputs to begin with."""

    run: Callable[[Rig, bytes], None]
    resources: tuple[ir.Resource, ...]
    seeds: list[bytes]


_REQUESTS = [b"\0" + case.sent for case in REQUESTS]
_RESPONSES = [b"\0" + case.sent for case in RESPONSES]
TARGETS = {
    "requests": Target(requests, CONFIGURATION, _REQUESTS),
    "responses": Target(responses, CONFIGURATION, _RESPONSES),
    "changed-requests": Target(requests, CHANGED, _REQUESTS),
    "changed-responses": Target(responses, CHANGED, _RESPONSES),
    "events": Target(events, FULL, [Random(number).randbytes(250) for number in range(100)]),  # noqa: S311
}
LARGE = 20_000
USAGE = f"usage: hatch run fuzz {'|'.join(TARGETS)} [SECONDS] [LIBFUZZER OPTION]..."
USAGE += "\n       hatch run fuzz conversations [SECONDS] [SEED]"


def main(arguments: list[str]) -> int:
    """Fuzz; libFuzzer ends the program itself: 0 when the time is up, 77 when something was found."""
    if arguments[:1] == ["conversations"] and all(each.isdigit() for each in arguments[1:]) and len(arguments) < 4:
        return conversations.main(arguments[1:])
    if not arguments or arguments[0] not in TARGETS or not (arguments[1:2] or ["60"])[0].isdigit():
        print(USAGE, file=sys.stderr)
        return 2
    name, seconds = arguments[0], (arguments[1:2] or ["60"])[0]
    target = TARGETS[name]
    rig = Rig(target.resources)
    logging.disable()  # what gates get wrong is logged at length
    with tempfile.TemporaryDirectory(prefix="corpus-") as corpus:
        for number, seed in enumerate(target.seeds):
            if len(seed) < LARGE:
                Path(corpus, str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=4096", "-print_final_stats=1", *arguments[2:]]
        atheris.Setup([sys.argv[0], corpus, *options], lambda data: target.run(rig, data))
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
