"""Memory of a whole process tree, in bytes, from /proc.

PSS (each shared page divided by those who share it) is what a tree of forked processes really takes: RSS would count
the pages that RAUTA's three or nginx's two processes share more than once. Where the kernel has no `smaps_rollup`,
RSS stands in.
"""

import os
import threading
from types import TracebackType
from typing import Self

from . import cpu

PAGE = os.sysconf("SC_PAGE_SIZE")
PERIOD = 0.02  # seconds between samples while a body is in transfer: 30 to 100 samples a GiB


def parse_pss(rollup: str) -> int | None:
    """The Pss line of smaps_rollup, in bytes; None if it has none."""
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None


def parse_rss(statm: str) -> int:
    """Resident bytes in a /proc/PID/statm line, which counts pages."""
    return int(statm.split()[1]) * PAGE


def _rss(pid: int) -> int:
    try:
        return parse_rss((cpu.PROC / str(pid) / "statm").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _pss(pid: int) -> int:
    try:
        found = parse_pss((cpu.PROC / str(pid) / "smaps_rollup").read_text())
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        found = None
    return _rss(pid) if found is None else found


def footprint(root: int) -> int:
    """PSS of the tree. Exact, and slow (milliseconds in which it cannot map memory): not within a slice."""
    return sum(_pss(pid) for pid in cpu.tree(root))


def resident(pids: list[int]) -> int:
    """RSS of the given processes: cheap enough to sample."""
    return sum(_rss(pid) for pid in pids)


class Peak:
    """Samples the RSS of a tree while the block runs; `growth` is its highest above a baseline, in bytes."""

    def __init__(self, root: int | None, baseline: int) -> None:
        """Takes the tree as it is now; without a root there is nothing to sample."""
        self._pids = cpu.tree(root) if root else []
        self._baseline = baseline
        self._highest = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    @property
    def growth(self) -> int:
        """Highest sample minus the baseline; not below 0."""
        return max(0, self._highest - self._baseline)

    def _sample(self) -> None:
        while not self._done.wait(PERIOD):
            self._highest = max(self._highest, resident(self._pids))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        self._highest = max(self._highest, resident(self._pids))
