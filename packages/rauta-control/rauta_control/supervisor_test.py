"""The supervisor with real processes: fakechildren_test.py is the program, signals and kills are real."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest

PROGRAM = Path(__file__).with_name("fakechildren_test.py")
PATIENCE = 30.0  # seconds until a test gives up; nothing here takes long unless it is broken


class Gateway:
    """A running supervisor with fake children."""

    def __init__(self, folder: Path, args: list[str], limits: dict[str, object], **extra: str) -> None:
        self.events_file = folder / "events"
        self.log_file = folder / "log"
        self.flags = folder / "flags"
        self.flags.write_text("\n".join(args))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_")}
        environ |= {"EVENTS": str(self.events_file), "LIMITS": json.dumps(limits), **extra}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, PROGRAM, "--to", "web:1", "--admin-port", "0", "--probe-port", "0", f"@{self.flags}"],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    # -- what happened

    def log(self) -> list[str]:
        return self.log_file.read_text().splitlines()

    def logged(self, text: str) -> list[str]:
        return [line for line in self.log() if text in line]

    def events(self, event: str, child: str = "") -> list[dict[str, Any]]:
        text = self.events_file.read_text() if self.events_file.exists() else ""
        found = [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]  # the last may be half written
        return [each for each in found if each["event"] == event and child in ("", each["child"])]

    def wait(self, condition: Callable[[], Any], what: str = "") -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if result := condition():
                return result
            time.sleep(0.01)
        events = self.events_file.read_text() if self.events_file.exists() else ""
        pytest.fail(f"never: {what}\n" + "\n".join(self.log()) + "\n" + events)

    def wait_logged(self, text: str, times: int = 1) -> list[str]:
        self.wait(lambda: len(self.logged(text)) >= times, f"log {text!r} x {times}")
        return self.logged(text)

    def wait_event(self, event: str, child: str = "", times: int = 1) -> list[dict[str, Any]]:
        self.wait(lambda: len(self.events(event, child)) >= times, f"{child} {event} x {times}")
        return self.events(event, child)

    def wait_ended(self, *children: str) -> None:
        for pid in map(self.pid, children):
            self.wait(partial(ended, pid), f"{pid} ended")

    def wait_exit(self) -> int:
        code = self.process.wait(PATIENCE)
        assert self.process.stdout
        assert self.process.stdout.read() == b""  # standard output is the access log's
        return code

    # -- who is there

    def pids(self, child: str) -> list[int]:
        """All processes that were ever started for `child`, in order."""
        return [int(line.rpartition("pid=")[2]) for line in self.logged(f" started child={child} ")]

    def pid(self, child: str) -> int:
        return self.pids(child)[-1]

    # -- what to do

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def order(self, **order: object) -> None:
        where = self.wait_logged("admin listening")[-1].rpartition(":")[2]
        with socket.create_connection(("127.0.0.1", int(where)), PATIENCE) as connection, _lines(connection) as lines:
            connection.sendall(json.dumps(order).encode() + b"\n")
            assert lines.readline() == b"done\n"

    def bind(self, **listeners: tuple[str, int]) -> None:
        self.order(do="bind", listeners=listeners)

    def port(self, name: str) -> int:
        bound = self.wait(
            lambda: [e for e in self.events("Bound") if e["message"]["listener"] == name], f"{name} bound"
        )
        return int(bound[-1]["message"]["port"])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()
        for child in ("worker-0", "worker-1", "worker-2", "control"):
            for pid in self.pids(child):
                if ended(pid):
                    continue
                os.kill(pid, signal.SIGKILL)


def _lines(connection: socket.socket) -> BinaryIO:
    return connection.makefile("rb")


def ended(pid: int) -> bool:
    """Whether a process is gone, or is one of ours no longer."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        name = Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z" or not name.startswith("rauta:")


def ask(port: int, host: str = "127.0.0.1") -> tuple[int, int]:
    """Connect to a worker: its index and pid."""
    with socket.create_connection((host, port), PATIENCE) as connection, _lines(connection) as lines:
        index, pid = lines.readline().split()
        return int(index), int(pid)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    running: list[Gateway] = []

    def start(*args: str, workers: int = 2, limits: dict[str, object] | None = None, **extra: str) -> Gateway:
        gateway = Gateway(tmp_path, ["--workers", str(workers), *args], limits or {}, **extra)
        running.append(gateway)
        return gateway

    yield start
    for gateway in running:
        gateway.end()


Start = Callable[..., Gateway]


def ready(gateway: Gateway, workers: int = 2) -> None:
    """Wait until control has a link to every worker."""
    gateway.wait_event("greeted", "control", workers)


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
    gateway = start(workers=1, limits={"healthy": 1.0, "backoff": [0.0, 0.05, 0.2]})
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


# -- hangs

QUICK = {"check": 0.05, "hung": 0.6, "first_beat": 1.0, "late": 0.5}


def test_a_hanging_worker_is_replaced(start: Start) -> None:
    gateway = start(limits=QUICK)
    ready(gateway)
    gateway.order(do="hang", worker=0)
    [gone] = gateway.wait_event("WorkerGone")
    assert re.fullmatch(r"hung for \d\.\d s", gone["message"]["reason"])
    gateway.wait_event("greeted", "control", 3)
    assert len(gateway.pids("worker-1")) == 1


def test_a_stopped_worker_is_replaced(start: Start) -> None:
    gateway = start(limits=QUICK)
    ready(gateway)
    os.kill(gateway.pid("worker-1"), signal.SIGSTOP)
    [gone] = gateway.wait_event("WorkerGone")
    assert gone["message"]["index"] == 1
    assert gone["message"]["reason"].startswith("hung for")


def test_a_worker_that_never_comes_up_is_replaced(start: Start) -> None:
    gateway = start(workers=1, limits=QUICK)
    ready(gateway, 1)
    silent = Path(f"{gateway.events_file}.silent")
    silent.touch()
    os.kill(gateway.pid("worker-0"), signal.SIGKILL)
    gateway.wait_event("born silent")
    silent.unlink()
    gone = gateway.wait_event("WorkerGone", times=2)[1]
    assert gone["message"]["reason"].startswith("did not come up in")


def test_a_machine_that_slept_kills_nobody(start: Start) -> None:
    gateway = start(limits=QUICK | {"hung": 1.5})
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
    gateway = start(workers=1, limits={"overtime": 0.2})
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
    gateway = start("--drain-timeout", "0.5", limits={"overtime": 0.3})
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
    gateway = start("--drain-delay", "60", "--drain-timeout", "60", limits={"interrupt": 0.3, "overtime": 0.1})
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
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
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


# -- new settings, new program


def test_sighup_reaches_control_and_fits_the_workers(start: Start) -> None:
    gateway = start()
    ready(gateway)
    gateway.signal(signal.SIGHUP)
    gateway.wait_event("Reload", "control")
    gateway.wait_event("Retune", times=2)
    gateway.flags.write_text("--workers 3\n--admin-port 1\n--head-timeout 3\n--via edge")
    gateway.signal(signal.SIGHUP)
    gateway.wait_event("greeted", "control", 3)
    for event in gateway.wait_event("Retune", times=4)[2:]:
        assert (event["message"]["limits"]["head_timeout"], event["message"]["via"]) == (3, "edge")
    assert gateway.wait_logged("takes effect at the next start")[0].endswith('setting="--admin-port 127.0.0.1:1"')
    gateway.flags.write_text("--workers 1\n--log debug\n")
    gateway.signal(signal.SIGHUP)
    gateway.wait_logged("takes effect in processes that start from now on setting=log")
    gateway.wait_event("WorkerGone", times=2)
    assert {event["child"] for event in gateway.events("Drain")} == {"worker-1", "worker-2"}
    gateway.flags.write_text("--workers none")  # control complains; the supervisor keeps what it has
    gateway.signal(signal.SIGHUP)
    gateway.wait_event("Reload", times=4)
    os.kill(gateway.pid("control"), signal.SIGKILL)
    assert gateway.wait_event("born", "control", 2)[1]["workers_wanted"] == 1
    assert len(gateway.pids("worker-0")) == 1


class Clients:
    """Clients that connect one after the other, from a thread, until they are told to stop."""

    def __init__(self, port: int) -> None:
        self.answers: list[tuple[int, int]] = []
        self.errors: list[OSError | ValueError] = []
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Clients:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            try:
                self.answers.append(ask(self._port))
            except (OSError, ValueError) as error:
                self.errors.append(error)


def test_re_exec_keeps_children_and_sockets(start: Start) -> None:
    gateway = start()
    ready(gateway)
    gateway.bind(web=("127.0.0.1", 0))
    port = gateway.port("web")
    gateway.order(do="snapshot", data="S")
    gateway.order(do="since", data="T")
    gateway.order(do="keep", data="K")
    children = {child: gateway.pid(child) for child in ("worker-0", "worker-1", "control")}
    with Clients(port) as clients:
        for turn in range(2):
            gateway.signal(signal.SIGUSR2)
            gateway.wait_logged("continues after re-exec", turn + 1)
            clients.answers.clear()
            gateway.wait(lambda: len(clients.answers) > 5, "clients served")
    assert not clients.errors
    assert {pid for _, pid in clients.answers} <= set(children.values())
    assert {child: gateway.pids(child) for child in children} == {child: [pid] for child, pid in children.items()}

    gateway.bind(web=("127.0.0.1", 0), more=("127.0.0.1", 0))  # the channels work, both ways
    assert ask(gateway.port("more"))
    assert gateway.port("web") == port
    os.kill(children["worker-0"], signal.SIGKILL)  # and so does everything else
    birth = gateway.wait_event("born", "worker-0", 2)[1]
    assert (birth["snapshot"], birth["since"], birth["listeners"]) == ("S", ["T"], ["more", "web"])
    others = {fd: what for fd, what in birth["held"].items() if fd not in birth["owned"]}
    assert ["rauta-words" in what for what in others.values()] == [True]
    gateway.wait_event("greeted", "control", 3)
    os.kill(children["control"], signal.SIGKILL)
    assert gateway.wait_event("born", "control", 2)[1]["kept"] == "K"
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit() == 0


def test_re_exec_fits_the_workers_to_new_settings(start: Start) -> None:
    gateway = start()
    ready(gateway)
    gateway.flags.write_text("--workers 1")
    gateway.signal(signal.SIGUSR2)
    gateway.wait_event("WorkerGone")
    assert gateway.events("Drain")[0]["child"] == "worker-1"
    gateway.flags.write_text("--workers 3")
    gateway.signal(signal.SIGUSR2)
    gateway.wait_event("greeted", "control", 4)
    assert [len(gateway.pids(child)) for child in ("worker-0", "worker-1", "worker-2")] == [1, 2, 1]


def test_re_exec_into_a_program_that_does_not_start_is_refused(start: Start) -> None:
    gateway = start()
    ready(gateway)
    good = gateway.flags.read_text()
    gateway.flags.write_text("--workers many")
    gateway.signal(signal.SIGUSR2)
    assert gateway.wait_logged("re-exec refused")[0].endswith('ended="exit 2"')
    gateway.flags.write_text(good)
    gateway.signal(signal.SIGUSR2)
    gateway.wait_logged("continues after re-exec")
    assert not gateway.logged("ended child")


def test_re_exec_of_what_is_not_there_goes_on(start: Start) -> None:
    gateway = start(COMMAND='["/nonexistent/python"]')
    ready(gateway)
    gateway.signal(signal.SIGUSR2)
    gateway.wait_logged("re-exec failed")
    os.kill(gateway.pid("worker-0"), signal.SIGKILL)
    gateway.wait_event("greeted", "control", 3)


def test_a_failing_exec_goes_on(start: Start, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nrm {program}\n")  # passes its trial, and is gone afterwards
    program.chmod(0o755)
    gateway = start(COMMAND=json.dumps([str(program)]))
    ready(gateway)
    gateway.signal(signal.SIGUSR2)
    gateway.wait_logged("re-exec failed")
    for child in ("worker-0", "control"):
        os.kill(gateway.pid(child), signal.SIGKILL)
        birth = gateway.wait_event("born", child, 2)[1]
        assert set(birth["owned"]) < set(birth["held"])
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit() == 0


def test_a_trial_that_never_ends_is_ended(start: Start, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    gateway = start(COMMAND=json.dumps([str(program)]), limits={"trial": 0.2, "check": 0.05})
    ready(gateway)
    gateway.signal(signal.SIGUSR2)
    assert gateway.wait_logged("re-exec refused")[0].endswith('ended="signal 9"')
