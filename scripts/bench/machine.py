"""The machine: which cores there are, who is pinned to which, and the facts that belong beside every figure."""

import os
import platform
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .network import congestion_control


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where. `shared` means that there was one core only: figures are then worth nothing."""

    proxy: int
    load: int

    @property
    def shared(self) -> bool:
        """Whether load and proxy take the core from each other."""
        return self.proxy == self.load


def cores() -> Cores:
    """The first two cores this process may use: the proxy on one; load, backend and this program on the other."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1] if len(usable) > 1 else usable[0])


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started in the block inherits the core (as `taskset -c` would do); this thread is put back afterwards."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_model(cpuinfo: str) -> str:
    """The first `model name` of /proc/cpuinfo; Arm has none there."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine() or "unknown"


def ticks(stat: str) -> tuple[int, int]:
    """Of all cores since boot, by /proc/stat: ticks in which they were idle, and all ticks."""
    user, nice, system, idle, iowait, *rest = (int(field) for field in stat.splitlines()[0].split()[1:9])
    return idle + iowait, user + nice + system + idle + iowait + sum(rest)


def idle_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """The part of the cores' time, 0 to 1, that nobody used between two readings of `ticks`; of no time, none."""
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def raise_file_limit() -> None:
    """As many open files as we may have: clients are many. What we start inherits it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def output(*command: str) -> str:
    """What a short command prints (both streams), or an empty string if it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()


def facts() -> dict[str, str | int]:
    """What a reader needs to judge the figures; nothing that names the machine or its folders."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cores": os.cpu_count() or 0,
        "virtual": "yes" if " hypervisor" in Path("/proc/cpuinfo").read_text() else "no",
        "kernel": f"{platform.system()} {platform.release()}",
        "tcp": congestion_control(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "commit": output("git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*") or "unknown",
    }
