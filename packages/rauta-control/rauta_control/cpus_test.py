import os
from pathlib import Path

import pytest

from rauta_control import cpus

CORES = len(os.sched_getaffinity(0))


def machine(tmp_path: Path, membership: str, files: dict[str, str]) -> float:
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "membership").write_text(membership)
    return cpus.available(tmp_path / "cgroup", tmp_path / "membership")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("150000 100000\n", 1.5), ("max 100000\n", None), ("5000 10000", 0.5), ("", None), ("max", None), ("1 0", None)],
)
def test_cpu_max(text: str, expected: float | None) -> None:
    assert cpus.quota_v2(text) == expected


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [("150000\n", "100000\n", 1.5), ("-1\n", "100000\n", None), ("", "", None), ("100", "0", None)],
)
def test_cfs_quota(quota: str, period: str, expected: float | None) -> None:
    assert cpus.quota_v1(quota, period) == expected


def test_no_cgroup_leaves_the_cores(tmp_path: Path) -> None:
    assert machine(tmp_path, "", {}) == CORES


def test_version_2_in_a_container_that_sees_itself_as_the_root(tmp_path: Path) -> None:
    assert machine(tmp_path, "0::/\n", {"cpu.max": "50000 100000"}) == 0.5


def test_version_2_counts_the_tightest_enclosing_limit(tmp_path: Path) -> None:
    files = {"a/b/cpu.max": "90000 100000", "a/cpu.max": "25000 100000", "cpu.max": "max 100000"}
    assert machine(tmp_path, "0::/a/b\n", files) == 0.25


def test_version_1_beside_an_empty_version_2(tmp_path: Path) -> None:
    files = {"cpu,cpuacct/pod/cpu.cfs_quota_us": "40000", "cpu,cpuacct/pod/cpu.cfs_period_us": "100000"}
    assert machine(tmp_path, "4:memory:/x\n3:cpu,cpuacct:/pod\n0::/\n", files) == 0.4


def test_version_1_path_of_the_host_seen_from_a_container(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "30000", "cpu/cpu.cfs_period_us": "100000"}
    assert machine(tmp_path, "3:cpu,cpuacct:/kubepods/pod1/c1\n", files) == 0.3


def test_a_limit_above_the_cores_does_not_matter(tmp_path: Path) -> None:
    assert machine(tmp_path, "0::/\n", {"cpu.max": f"{(CORES + 5) * 100000} 100000"}) == CORES


def test_here() -> None:
    assert 0 < cpus.available() <= CORES
