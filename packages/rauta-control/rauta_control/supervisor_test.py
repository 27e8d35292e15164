"""The supervisor from its start to its end: what children inherit, listeners, deaths, stopping."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from rauta_control.supervisorharness_test import Start, ask, ready

# -- start


def test_children_inherit_what_is_theirs_and_nothing_else(start: Start) -> None:
    gateway = start()
    ready(gateway)
    gateway.bind(web=("127.0.0.1", 0))
    gateway.order(do="keep", data="J")
    gateway.order(do="snapshot", data="S")
    gateway.order(do="since", data="T")
    gateway.order(do="keep", data="K")
    gateway.wait_event("Listen", times=2)
    for child in ("worker-0", "worker-1", "control"):  # again, now that there is more to inherit
        os.kill(gateway.pid(child), signal.SIGKILL)
        gateway.wait_event("born", child, 2)
    born = gateway.events("born")
    assert len(born) == 6
    for birth in born:
        others = {fd: what for fd, what in birth["held"].items() if fd not in birth["owned"]}
        assert all("rauta-words" in what for what in others.values())  # the mapping's own copy
        assert len(others) == 1
        assert set(birth["owned"]) <= set(birth["held"])
        assert birth["comm"] == f"rauta:{birth['child']}"
    latest = {birth["child"]: birth for birth in born}
    assert latest["control"]["nice"] == min(latest["worker-0"]["nice"] + 5, 19)
    assert latest["worker-0"]["listeners"] == ["web"]
    assert (latest["worker-0"]["snapshot"], latest["worker-0"]["since"]) == ("S", ["T"])
    assert (latest["worker-0"]["kept"], latest["control"]["kept"]) == (None, "K")
    assert latest["control"]["listeners"] == []
    assert latest["control"]["workers"] == [[0, gateway.pid("worker-0")], [1, gateway.pid("worker-1")]]


def test_a_port_in_use_names_the_flag_and_ends_the_start(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        gateway = start("--admin-port", port, "--probe-host", "192.0.2.1")
        assert gateway.wait_exit() == 1
    admin, probe = gateway.log()
    assert f"--admin-port {port}: cannot listen on 127.0.0.1:{port}: address already in use" in admin
    assert "RAUTA_ADMIN_PORT" in admin
    assert "--probe-host 192.0.2.1: cannot listen on 192.0.2.1:0: no such address on this machine" in probe


# -- listeners


def test_listeners_come_stay_move_and_go(start: Start) -> None:
    gateway = start()
    ready(gateway)
    gateway.bind(a=("127.0.0.1", 0), b=("::", 0))
    a, b = gateway.port("a"), gateway.port("b")
    assert ask(a)[1] in (gateway.pid("worker-0"), gateway.pid("worker-1"))
    assert ask(b)
    assert ask(b, "::1")
    assert gateway.logged(f" listening listener=a address=127.0.0.1:{a}")
    assert gateway.logged(f" listening listener=b address=[::]:{b}")
    gateway.wait_event("Listen", times=4)

    gateway.bind(a=("127.0.0.1", 0), b=("::", 0), taken=("127.0.0.1", a), nowhere=("192.0.2.1", 0))
    gateway.wait_event("Bound", times=4)
    errors = {e["message"]["listener"]: e["message"]["error"] for e in gateway.events("Bound")[2:]}
    assert errors == {
        "taken": "cannot listen: address already in use: stop the program that has it or choose another port",
        "nowhere": "cannot listen: no such address on this machine",
    }
    assert len(gateway.events("Listen")) == 4  # nothing new for workers

    gateway.bind(c=("127.0.0.1", b))  # another address of a port that a worker may still hold
    assert gateway.port("c") == b
    gateway.wait_event("Unlisten", times=4)
    gateway.wait_event("Listen", times=6)
    assert ask(b)
    with pytest.raises(ConnectionRefusedError):
        ask(a)

    gateway.bind(c=("127.0.0.1", b), d=("127.0.0.1", b))
    refused = gateway.wait_event("Bound", times=6)[-1]["message"]
    assert refused["error"] == f"127.0.0.1:{b} is taken by listener c"

    gateway.bind(d=("127.0.0.1", b))  # a new name for the same place: the very same socket
    assert gateway.port("d") == b
    gateway.wait_event("Listen", times=8)
    assert ask(b)


# -- deaths


def test_a_killed_worker_is_replaced_and_no_client_is_refused(start: Start) -> None:
    gateway = start(workers=1)
    ready(gateway, 1)
    gateway.bind(web=("127.0.0.1", 0))
    port = gateway.port("web")
    first = ask(port)[1]
    for death in range(3):
        os.kill(gateway.pid("worker-0"), signal.SIGKILL)
        assert ask(port)[1] != first  # waits in the socket's queue meanwhile
        gateway.wait_event("greeted", "control", death + 2)
    assert len(set(gateway.pids("worker-0"))) == 4
    gone = [event["message"] for event in gateway.events("WorkerGone")]
    assert [(each["pid"], each["reason"]) for each in gone] == [
        (pid, "signal 9") for pid in gateway.pids("worker-0")[:3]
    ]
    order = [e["event"] for kind in ("WorkerGone", "WorkerLink") for e in gateway.events(kind)]
    assert sorted(order) == ["WorkerGone"] * 3 + ["WorkerLink"] * 4


def test_a_killed_control_finds_everything_again(start: Start) -> None:
    gateway = start()
    ready(gateway)
    gateway.bind(web=("127.0.0.1", 0))
    port = gateway.port("web")
    gateway.order(do="snapshot", data="old")
    gateway.order(do="since", data="older")
    gateway.order(do="snapshot", data="new")
    gateway.order(do="since", data="one")
    gateway.order(do="since", data="two")
    os.kill(gateway.pid("control"), signal.SIGKILL)
    birth = gateway.wait_event("born", "control", 2)[1]
    assert birth["snapshot"] == "new"
    assert birth["since"] == ["one", "two"]
    assert birth["bound"] == [{"type": "bound", "listener": "web", "address": "127.0.0.1", "port": port, "error": ""}]
    ready(gateway, 4)
    assert len(gateway.pids("worker-0")) == len(gateway.pids("worker-1")) == 1
    gateway.order(do="exit", code=3, worker=1)  # over the new link
    assert gateway.wait_event("WorkerGone")[0]["message"]["reason"] == "exit 3"
    assert ask(port)


def test_a_crash_is_logged_in_one_line(start: Start) -> None:
    gateway = start(workers=1)
    ready(gateway, 1)
    gateway.order(do="crash", worker=0)
    gateway.wait_event("WorkerGone")
    [line] = gateway.wait_logged("error worker-0 crashed")
    assert "error=\"RuntimeError('as ordered')\" traceback=" in line
    assert gateway.logged("ended child=worker-0 pid=" + str(gateway.pids("worker-0")[0]) + ' reason="exit 1"')


def test_a_crash_loop_backs_off_and_ends_when_the_cause_does(start: Start) -> None:
    gateway = start(workers=1, patience={"healthy": 1.0, "backoff": [0.0, 0.05, 0.2]})
    ready(gateway, 1)
    cause = Path(f"{gateway.events_file}.crash")
    cause.touch()
    os.kill(gateway.pid("worker-0"), signal.SIGKILL)
    gateway.wait_logged('reason="exit 7"', 3)
    cause.unlink()
    gateway.wait_event("greeted", "control", 2)
    waits = [float(line.rpartition("=")[2]) for line in gateway.logged("ended child=worker-0")]
    assert waits[1:4] == [0.05, 0.2, 0.2] or waits[:4] == [0.0, 0.0, 0.05, 0.2]  # had the first one lived a second?
    assert gateway.events("WorkerGone")[-1]["message"]["reason"] == "exit 7"


# -- stopping


def test_sigterm_serves_on_then_drains(start: Start) -> None:
    gateway = start("--drain-delay", "1.5", "--drain-timeout", "20")
    ready(gateway)
    gateway.bind(web=("127.0.0.1", 0))
    port = gateway.port("web")
    gateway.signal(signal.SIGTERM)
    gateway.wait_event("Draining", "control")
    os.kill(gateway.pid("worker-0"), signal.SIGKILL)  # still serving: still replaced
    gateway.wait_event("greeted", "control", 3)
    assert ask(port)
    assert gateway.wait_exit() == 0
    drains = gateway.events("Drain")
    assert [drain["message"]["timeout"] for drain in drains] == [20.0, 20.0]
    assert min(drain["at"] for drain in drains) - gateway.events("Draining")[0]["at"] >= 1.0
    assert gateway.events("orphaned", "control")  # after the workers
    assert gateway.logged("stopped")


def test_a_control_that_starts_in_the_delay_is_told_that_the_gateway_stops(start: Start) -> None:
    gateway = start("--drain-delay", "2")
    ready(gateway)
    gateway.signal(signal.SIGTERM)
    gateway.wait_event("Draining", "control")
    os.kill(gateway.pid("control"), signal.SIGKILL)
    gateway.wait_event("Draining", "control", 2)
    assert gateway.wait_exit() == 0


def test_a_worker_that_dies_while_draining_is_not_replaced_and_one_that_takes_too_long_is_killed(start: Start) -> None:
    gateway = start("--drain-timeout", "0.5", patience={"overtime": 0.3})
    ready(gateway)
    for worker in (0, 1):
        gateway.order(do="be busy", worker=worker, seconds=60)
    gateway.wait_event("ordered", times=2)
    gateway.signal(signal.SIGTERM)
    gateway.wait_event("Drain", times=2)
    os.kill(gateway.pid("worker-0"), signal.SIGKILL)
    assert gateway.wait_exit() == 0
    assert gateway.wait_logged("ended child=worker-1")[0].count('reason="did not drain in 0.5 s"') == 1
    assert len(gateway.pids("worker-0")) == 1


def test_clients_are_refused_once_the_workers_have_closed(start: Start) -> None:
    gateway = start(workers=1)
    ready(gateway, 1)
    gateway.bind(web=("127.0.0.1", 0))
    port = gateway.port("web")
    gateway.wait_event("Listen")
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit() == 0
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_ctrl_c_has_little_patience(start: Start) -> None:
    gateway = start("--drain-delay", "60", "--drain-timeout", "60", patience={"interrupt": 0.3, "overtime": 0.1})
    ready(gateway)
    gateway.order(do="be busy", worker=0, seconds=60)
    gateway.wait_event("ordered")
    gateway.signal(signal.SIGINT)
    assert gateway.wait_exit() == 0
    assert gateway.events("Drain")[0]["message"]["timeout"] == 0.3


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(start: Start, second: int) -> None:
    gateway = start()
    ready(gateway)
    for worker in (0, 1):
        gateway.order(do="be busy", worker=worker, seconds=60)
    gateway.wait_event("ordered", times=2)
    gateway.signal(signal.SIGTERM)
    gateway.wait_event("Drain", times=2)
    gateway.signal(second)
    assert gateway.wait_exit() == 128 + second
    gateway.wait_ended("worker-0", "worker-1", "control")


def test_signals_to_the_whole_group_are_the_supervisors(start: Start) -> None:
    gateway = start()
    ready(gateway)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(gateway.pid("worker-0"), number)
        os.kill(gateway.pid("control"), number)
    gateway.bind(web=("127.0.0.1", 0))
    assert ask(gateway.port("web"))
    assert not gateway.logged("ended")
    assert not gateway.logged("stopping")


def test_children_notice_that_the_supervisor_is_gone(start: Start) -> None:
    gateway = start()
    ready(gateway)
    for child in (
        "worker-0",
        "control",
        "worker-1",
    ):  # born at different times: nobody may hold a copy of another's channel
        os.kill(gateway.pid(child), signal.SIGKILL)
        gateway.wait_event("born", child, 2)
    gateway.wait_event("greeted", "control", 4)
    gateway.signal(signal.SIGKILL)
    gateway.wait_event("orphaned", times=3)
    gateway.wait_ended("worker-0", "worker-1", "control")
