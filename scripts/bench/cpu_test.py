"""The accounting, on texts of /proc and on this very process."""

import os
import time

import pytest

from . import cpu

STAT = "4242 (nginx: (worker) x) S 4241 4240 4240 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 1 0 987654 1000 200"


def test_a_command_name_with_parentheses_does_not_shift_the_fields() -> None:
    assert cpu.parse_parent(STAT) == 4241
    assert cpu.parse_start(STAT) == 987654
    assert cpu.parse_used(STAT) == 10 / os.sysconf("SC_CLK_TCK")


def test_schedstat_is_run_time_and_then_waiting_time() -> None:
    assert cpu.parse_schedstat("180670199 14585098 380\n") == cpu.Times(run=180670199, wait=14585098)


def test_a_tree_is_everything_below_and_nothing_beside() -> None:
    parents = {10: 1, 11: 10, 12: 11, 13: 1, 14: 13}
    assert sorted(cpu.descendants(10, parents)) == [10, 11, 12]


def test_a_new_thread_counts_from_zero_and_a_lost_process_is_an_error() -> None:
    first, second = cpu.Times(100, 7), cpu.Times(30, 2)
    assert cpu.spent({(1, 1): first}, {(1, 1): cpu.Times(150, 8), (1, 2): second}) == cpu.Times(80, 1)
    assert cpu.spent({(1, 1): first, (1, 2): second}, {(1, 1): cpu.Times(150, 7)}) == cpu.Times(50, 0)
    with pytest.raises(cpu.GoneError):
        cpu.spent({(1, 1): first, (2, 2): second}, {(1, 1): first})


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="needs Linux schedstat")
def test_work_done_here_is_seen_here() -> None:
    before = cpu.reading(os.getpid())
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass
    assert cpu.spent(before, cpu.reading(os.getpid())).run > 10_000_000
