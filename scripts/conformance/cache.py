"""Where the runner keeps what it builds, and what each run leaves behind."""

import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "RAUTA_CONFORMANCE_CACHE"
KEPT = 10  # folders of runs
LOCK = "lock"


def default() -> Path:
    """The folder of the variable, else one in the user's cache folder (XDG base directory specification)."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).resolve()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "rauta" / "conformance"


@dataclass(frozen=True, slots=True)
class Cache:
    """One folder: `bin` and `crds` outlive runs, `runs` holds a folder a run."""

    root: Path

    @property
    def bin(self) -> Path:
        """Executables, each with a stamp of what it was built from beside it."""
        return self.root / "bin"

    def crds(self, version: str, channel: str) -> Path:
        """The manifests of one release of the Gateway API."""
        return self.root / "crds" / version / channel

    def new_run(self) -> Path:
        """A new folder for logs and results, held until this process ends. Old ones that nobody holds are deleted."""
        runs = self.root / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        for old in sorted(runs.iterdir())[: -KEPT + 1]:
            if not _in_use(old):
                shutil.rmtree(old, ignore_errors=True)
        made = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000_000:09}"
        made.mkdir()
        fcntl.flock(os.open(made / LOCK, os.O_CREAT | os.O_WRONLY), fcntl.LOCK_EX)  # until this process ends
        return made


def _in_use(run: Path) -> bool:
    """Whether the process that made the folder is still there."""
    try:
        with (run / LOCK).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
