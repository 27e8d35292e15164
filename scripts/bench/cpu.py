"""CPU time of a whole process tree, in nanoseconds, from /proc.

`/proc/PID/task/TID/schedstat` counts run time by the scheduler's clock, so it is exact where `utime`/`stime` may be
sampled by tick. The kernel brings it up to date when a task leaves the CPU: read it when the load has ended. Every
thread of every process below the one that was started counts: Envoy's flush thread, nginx's master, RAUTA's
supervisor and control process.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
Task = tuple[int, int]  # (pid, tid)


class GoneError(Exception):
    """A process that was measured has ended: its CPU time is lost, and it should not have ended."""


class Times(NamedTuple):
    """Nanoseconds: on a CPU, and ready to run while somebody else had the CPU."""

    run: int
    wait: int


def parse_schedstat(text: str) -> Times:
    """The line is `run_ns wait_ns slices`."""
    run, wait, _ = text.split()
    return Times(int(run), int(wait))


def parse_parent(stat: str) -> int:
    """The parent's pid in a /proc/PID/stat line. The command name may hold parentheses: count from the last."""
    return int(stat[stat.rindex(")") + 2 :].split()[1])


def parse_start(stat: str) -> int:
    """When the process started (clock ticks after boot); with the pid it names a process for good."""
    return int(stat[stat.rindex(")") + 2 :].split()[19])


def parse_used(stat: str) -> float:
    """Seconds on a CPU, in user mode and in the kernel."""
    user, system = stat[stat.rindex(")") + 2 :].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def descendants(root: int, parents: Mapping[int, int]) -> list[int]:
    """The root and all below it, given every process's parent."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


def spent(before: Mapping[Task, Times], after: Mapping[Task, Times]) -> Times:
    """Between two readings: the run time of all threads, and the waiting time of the one that ran most.

    Of that one only, because the others may have waited for it. A thread may come or go; if a process went, GoneError.
    """
    lost = {pid for pid, _ in before} - {pid for pid, _ in after}
    if lost:
        raise GoneError(f"{len(lost)} of its processes ended while it was measured")
    none = Times(0, 0)
    pairs = ((now, before.get(task, none)) for task, now in after.items())
    deltas = [Times(now.run - old.run, now.wait - old.wait) for now, old in pairs]
    return Times(sum(delta.run for delta in deltas), max(deltas, default=none).wait)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _parents() -> Iterator[tuple[int, int]]:
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (stat := _read(entry / "stat")):
            yield int(entry.name), parse_parent(stat)


def tree(root: int) -> list[int]:
    """The pids of a process and everything below it, now."""
    return descendants(root, dict(_parents()))


def used(pid: int) -> float:
    """Seconds that one process has run, by tick: less exact than `reading`, and cheap."""
    return parse_used((PROC / str(pid) / "stat").read_text())


def start_of(pid: int) -> int | None:
    """See `parse_start`; None if there is no such process."""
    stat = _read(PROC / str(pid) / "stat")
    return parse_start(stat) if stat else None


def reading(root: int) -> dict[Task, Times]:
    """Of every thread of the tree, since it began."""
    found = {}
    for pid in tree(root):
        try:
            tasks = list((PROC / str(pid) / "task").iterdir())
        except FileNotFoundError:
            continue
        for task in tasks:
            if text := _read(task / "schedstat"):
                found[pid, int(task.name)] = parse_schedstat(text)
    return found
