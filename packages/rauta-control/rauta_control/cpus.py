"""How many CPUs this process may use: the cores it may run on, or less when a cgroup limits its time.

A container with a limit of 2 on a machine of 64 cores that started 64 workers would be throttled most of each period.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_MOUNT = Path("/sys/fs/cgroup")


def available(mount: Path = _MOUNT, membership: Path = Path("/proc/self/cgroup")) -> float:
    """Return the CPUs, which may be a fraction. Limits of all enclosing cgroups count; what cannot be read does not."""
    quotas = [quota for files in limit_files(_text(membership)) if (quota := _quota(mount, files)) is not None]
    return min([float(len(os.sched_getaffinity(0))), *quotas])


def limit_files(membership: str) -> Iterator[tuple[str, ...]]:
    """The files that may hold limits, relative to the mount, given /proc/self/cgroup.

    One name: cpu.max of version 2. Two names: quota and period of version 1. A container that sees only its own cgroup
    sees it as the root whatever the membership says, so enclosing folders up to the root are all candidates.
    """
    for line in membership.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
            inside = str(folder).lstrip("/")
            if number == "0":
                yield (f"{inside}/cpu.max".lstrip("/"),)
                yield (f"unified/{inside}/cpu.max",)
            elif "cpu" in controllers.split(","):
                for name in {"cpu", controllers}:
                    yield (f"{name}/{inside}/cpu.cfs_quota_us", f"{name}/{inside}/cpu.cfs_period_us")


def quota_v2(text: str) -> float | None:
    """CPUs of a cpu.max: `150000 100000` is 1.5, `max 100000` is no limit."""
    return _ratio(*text.split()[:2]) if len(text.split()) >= 2 else None


def quota_v1(quota: str, period: str) -> float | None:
    """CPUs of cpu.cfs_quota_us and cpu.cfs_period_us: 150000 and 100000 are 1.5, -1 is no limit."""
    return _ratio(quota.strip(), period.strip())


def _ratio(quota: str, period: str) -> float | None:
    if not (quota.isdigit() and period.isdigit() and int(period)):
        return None
    return int(quota) / int(period)


def _quota(mount: Path, files: tuple[str, ...]) -> float | None:
    texts = [_text(mount / name) for name in files]
    return quota_v2(texts[0]) if len(texts) == 1 else quota_v1(texts[0], texts[1])


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
