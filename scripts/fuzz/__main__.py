"""`hatch run fuzz TARGET`: coverage-guided, until the time is up or something is found."""

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["rauta_control"]):
    from .target import TARGETS, Rig

from ..peers.case import Case
from ..peers.requests import REQUESTS
from ..peers.responses import RESPONSES

SEEDS: dict[str, tuple[Case, ...]] = {"requests": REQUESTS, "responses": RESPONSES}
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
        for number, case in enumerate(SEEDS[name]):
            if len(case.sent) < LARGE:
                Path(corpus, str(number)).write_bytes(b"\0" + case.sent)
        options = [f"-max_total_time={seconds}", "-max_len=4096", "-print_final_stats=1", *arguments[2:]]
        atheris.Setup([sys.argv[0], corpus, *options], lambda data: target(rig, data))
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
