"""Children that hang, do not read or misbehave: the supervisor replaces them, and nobody else."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from rauta_control.supervisorharness_test import Start, ask, ended, ready

QUICK = {"check": 0.05, "hung": 0.6, "first_beat": 1.0, "late": 0.5}
QUICK_CONTROL = {"check": 0.05, "control_hung": 2.0, "control_first_beat": 2.0, "late": 0.5}


def test_a_hanging_worker_is_replaced(start: Start) -> None:
    gateway = start(patience=QUICK)
    ready(gateway)
    gateway.order(do="hang", worker=0)
    [gone] = gateway.wait_event("WorkerGone")
    assert re.fullmatch(r"hung for \d\.\d s", gone["message"]["reason"])
    gateway.wait_event("greeted", "control", 3)
    assert len(gateway.pids("worker-1")) == 1


def test_a_stopped_worker_is_replaced(start: Start) -> None:
    gateway = start(patience=QUICK)
    ready(gateway)
    os.kill(gateway.pid("worker-1"), signal.SIGSTOP)
    [gone] = gateway.wait_event("WorkerGone")
    assert gone["message"]["index"] == 1
    assert gone["message"]["reason"].startswith("hung for")


def test_a_worker_that_never_comes_up_is_replaced(start: Start) -> None:
    gateway = start(workers=1, patience=QUICK)
    ready(gateway, 1)
    silent = Path(f"{gateway.events_file}.silent")
    silent.touch()
    os.kill(gateway.pid("worker-0"), signal.SIGKILL)
    gateway.wait_event("born silent")
    silent.unlink()
    gone = gateway.wait_event("WorkerGone", times=2)[1]
    assert gone["message"]["reason"].startswith("did not come up in")


def test_the_last_words_of_who_is_gone_are_nobodys_death(start: Start) -> None:
    gateway = start(workers=1)
    ready(gateway, 1)
    babbler = gateway.pid("control")
    gateway.order(do="die babbling")
    gateway.wait(lambda: ended(babbler), "control ended")
    gateway.signal(signal.SIGCONT)
    gateway.wait_event("greeted", "control", 2)
    assert gateway.logged(f'ended child=control pid={babbler} reason="exit 0"')
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit() == 0


def test_a_stopped_control_is_replaced_and_its_workers_are_not(start: Start) -> None:
    gateway = start(patience=QUICK_CONTROL)
    ready(gateway)
    os.kill(gateway.pid("control"), signal.SIGSTOP)
    [line] = gateway.wait_logged(" ended child=control ")
    assert re.search(r'reason="hung for \d\.\d s"', line)
    gateway.wait_event("greeted", "control", 4)
    gateway.bind(web=("127.0.0.1", 0))
    assert ask(gateway.port("web"))
    assert [len(gateway.pids(child)) for child in ("control", "worker-0", "worker-1")] == [2, 1, 1]


def test_a_control_that_never_comes_up_is_replaced(start: Start) -> None:
    gateway = start(workers=1, patience=QUICK_CONTROL)
    ready(gateway, 1)
    silent = Path(f"{gateway.events_file}.silent")
    silent.touch()
    os.kill(gateway.pid("control"), signal.SIGKILL)
    gateway.wait_event("born silent", "control")
    silent.unlink()
    assert 'reason="did not come up in' in gateway.wait_logged(" ended child=control ", 2)[1]
    gateway.wait_event("greeted", "control", 2)


def test_a_machine_that_slept_kills_nobody(start: Start) -> None:
    gateway = start(patience=QUICK | {"hung": 1.5})
    ready(gateway)
    everybody = [gateway.process.pid, *(gateway.pid(child) for child in ("worker-0", "worker-1", "control"))]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2.5)  # the sleep is what is tested
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    gateway.bind(web=("127.0.0.1", 0))
    assert ask(gateway.port("web"))
    assert not gateway.logged("ended")


def test_a_worker_that_closes_its_channel_is_replaced(start: Start) -> None:
    gateway = start(workers=1, patience={"overtime": 0.2})
    ready(gateway, 1)
    gateway.order(do="hang up", worker=0)
    assert gateway.wait_event("WorkerGone")[0]["message"]["reason"] == "closed its channel"


def test_a_worker_that_does_not_read_is_replaced_and_nobody_waits_for_it(start: Start) -> None:
    gateway = start(MAX_QUEUED="20")
    ready(gateway)
    gateway.order(do="deafen", worker=0)
    gateway.wait_event("ordered", "worker-0")
    for turn in range(1, 41):  # more messages than the socket and the queue hold
        gateway.bind(**{f"{turn}{'x' * 20_000}": ("127.0.0.1", 0)})
        gateway.wait_event("Listen", "worker-1", turn)
    gone = gateway.wait_event("WorkerGone")[0]["message"]
    assert gone["index"] == 0
    assert gone["reason"].startswith("cannot be told anything")
    assert len(gateway.pids("worker-1")) == 1


@pytest.mark.parametrize(
    ("order", "child", "reason"), [("rebel", "worker-0", "sent Snapshot"), ("babble", "control", "not a message")]
)
def test_children_that_misbehave_are_replaced(start: Start, order: str, child: str, reason: str) -> None:
    gateway = start(workers=1)
    ready(gateway, 1)
    gateway.order(do="snapshot", data="good")
    gateway.order(do=order, worker=0)
    assert gateway.wait_logged(f"ended child={child}")[0].count(f'reason="{reason}') == 1
    assert gateway.wait_event("born", child, 2)[1]["snapshot"] == "good"


def test_orphans_are_reaped(start: Start, tmp_path: Path) -> None:
    gateway = start(workers=1, SUBREAPER="1")
    ready(gateway, 1)
    gateway.order(do="orphan", worker=0, file=str(tmp_path / "orphan"))
    gateway.wait((tmp_path / "orphan").exists, "orphan ran")

    def children() -> list[str]:
        listing = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text()
        return sorted(listing.split())

    gateway.wait(lambda: children() == sorted(str(gateway.pid(child)) for child in ("worker-0", "control")), "reaped")
