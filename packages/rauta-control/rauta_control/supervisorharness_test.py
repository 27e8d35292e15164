"""A supervisor with real processes, for tests: fakechildren_test.py is the program, signals and kills are real."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest

PROGRAM = Path(__file__).with_name("fakechildren_test.py")
PATIENCE = 30.0  # seconds until a test gives up; nothing here takes long unless it is broken


class Gateway:
    """A running supervisor with fake children."""

    def __init__(self, folder: Path, args: list[str], patience: dict[str, object], **extra: str) -> None:
        self.events_file = folder / "events"
        self.log_file = folder / "log"
        self.flags = folder / "flags"
        self.flags.write_text("\n".join(args))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_")}
        environ |= {"EVENTS": str(self.events_file), "PATIENCE": json.dumps(patience), **extra}
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


Start = Callable[..., Gateway]


def ready(gateway: Gateway, workers: int = 2) -> None:
    """Wait until control has a link to every worker."""
    gateway.wait_event("greeted", "control", workers)
