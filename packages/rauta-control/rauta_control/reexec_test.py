"""New settings and a new program: what a supervisor takes over into either, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

from rauta_control.supervisorharness_test import Start, ask, ready


def test_the_access_log_is_opened_anew_at_sigusr1_and_whatever_sighup_finds(start: Start) -> None:
    gateway = start()
    ready(gateway)
    gateway.signal(signal.SIGUSR1)
    gateway.wait_event("Retune", times=2)
    assert not gateway.events("Reload")
    gateway.flags.write_text("--workers none")
    gateway.signal(signal.SIGHUP)
    assert {event["message"]["access_log"] for event in gateway.wait_event("Retune", times=4)} == {"stdout"}


def test_sighup_reaches_control_and_fits_the_workers(start: Start) -> None:
    gateway = start()
    ready(gateway)
    gateway.signal(signal.SIGHUP)
    gateway.wait_event("Reload", "control")
    gateway.wait_event("Retune", times=2)
    gateway.flags.write_text(
        "--workers 3\n--admin-host ::1\n--admin-port 1\n--head-timeout 3\n--via edge\n--access-log off"
    )
    gateway.signal(signal.SIGHUP)
    gateway.wait_event("greeted", "control", 3)
    for event in gateway.wait_event("Retune", times=4)[2:]:
        assert (event["message"]["limits"]["head_timeout"], event["message"]["via"]) == (3, "edge")
        assert event["message"]["access_log"] == "off"
    settings = [line.partition(" setting=")[2] for line in gateway.wait_logged("takes effect at the next start", 2)]
    assert settings == ['"--admin-host ::1"', '"--admin-port 1"']
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
    gateway = start(COMMAND=json.dumps([str(program)]), patience={"trial": 0.2, "check": 0.05})
    ready(gateway)
    gateway.signal(signal.SIGUSR2)
    assert gateway.wait_logged("re-exec refused")[0].endswith('ended="signal 9"')
