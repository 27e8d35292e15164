"""Where the runner keeps what it builds, and what each run leaves behind."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "RAUTA_CONFORMANCE_CACHE"
KEPT = 5  # folders of earlier runs


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
        """A new folder for logs and results; the oldest beyond the last few are deleted."""
        runs = self.root / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        for old in sorted(runs.iterdir())[: -KEPT + 1]:
            shutil.rmtree(old, ignore_errors=True)
        made = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000_000:09}"
        made.mkdir()
        return made
