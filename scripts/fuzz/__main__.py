"""`hatch run fuzz TARGET`: coverage-guided, until the time is up or something is found."""

import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["rauta_control"]):
    from .events import events
    from .target import Rig, requests, responses

from ..peers.requests import REQUESTS
from ..peers.responses import RESPONSES

TARGETS: dict[str, Callable[[Rig, bytes], None]] = {"requests": requests, "responses": responses, "events": events}
SEEDS: dict[str, list[bytes]] = {
    "requests": [b"\0" + case.sent for case in REQUESTS],
    "responses": [b"\0" + case.sent for case in RESPONSES],
    "events": [random.Random(number).randbytes(250) for number in range(100)],  # noqa: S311 - the same each time
}
LARGE = 20_000
USAGE = f"usage: hatch run fuzz {'|'.join(TARGETS)} [SECONDS] [LIBFUZZER OPTION]..."


def main(arguments: list[str]) -> int:
    """Fuzz; libFuzzer ends the program itself: 0 when the time is up, 77 when something was found."""
    if not arguments or arguments[0] not in TARGETS or not (arguments[1:2] or ["60"])[0].isdigit():
        print(USAGE, file=sys.stderr)
        return 2
    name, seconds = arguments[0], (arguments[1:2] or ["60"])[0]
    target, rig = TARGETS[name], Rig()
    with tempfile.TemporaryDirectory(prefix="corpus-") as corpus:
        for number, seed in enumerate(SEEDS[name]):
            if len(seed) < LARGE:
                Path(corpus, str(number)).write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={512 if name == 'events' else 4096}",
            "-print_final_stats=1",
            *arguments[2:],
        ]
        atheris.Setup([sys.argv[0], corpus, *options], lambda data: target(rig, data))
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
