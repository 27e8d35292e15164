import os
from collections.abc import Iterator

import msgspec
import pytest

from rauta_control import handover, snapshotfd
from rauta_control.handover import VARIABLE, ChildState, HandoverError, SocketState, State
from rauta_control.sharedmem import MAGIC


def state(pid: int, *fds: int) -> State:
    words, admin, probe, web, channel, queued, snapshot, since, kept = fds
    return State(
        pid=pid,
        started=12.5,
        words=words,
        admin=SocketState(admin, ("127.0.0.1", 9091)),
        probe=SocketState(probe, ("::", 0)),
        listeners={"web": SocketState(web, ("0.0.0.0", 80))},
        children=(
            ChildState("control", 0, 1, 4711, channel, ((b"message", (queued,)),), 13.5, (99.0, "too late"), True),
            ChildState("worker", 3, 5),
        ),
        snapshot=snapshot,
        since=(since,),
        kept=kept,
        layout=MAGIC,
    )


@pytest.fixture
def fds() -> Iterator[list[int]]:
    opened = [os.memfd_create("test") for _ in range(9)]
    yield opened
    for fd in opened:
        os.close(fd)


def test_the_state_arrives_once_and_its_descriptors_stay_in_this_program(fds: list[int]) -> None:
    handed = state(os.getpid(), *fds)
    assert sorted(handed.descriptors()) == sorted(fds)
    for fd in fds:
        os.set_inheritable(fd, True)  # as after an exec
    memfd = handover.save(handed)
    assert os.get_inheritable(memfd)
    environ = {VARIABLE: str(memfd), "OTHER": "x"}
    assert handover.take(environ) == handed
    assert environ == {"OTHER": "x"}
    assert not any(os.get_inheritable(fd) for fd in fds)
    with pytest.raises(OSError):
        os.fstat(memfd)
    assert handover.take(environ) is None


def test_the_state_of_another_process_is_not_taken_but_read(fds: list[int]) -> None:
    assert handover.take({VARIABLE: str(handover.save(state(os.getppid(), *fds)))}) is None


def memfd(data: bytes) -> str:
    return str(snapshotfd.create("test", data))


def other(fds: list[int], **changes: int) -> bytes:
    return msgspec.msgpack.encode(msgspec.structs.replace(state(os.getppid(), *fds), **changes))


def test_what_cannot_be_read_is_refused(fds: list[int]) -> None:
    cases = [
        ("x", "invalid literal"),
        ("9999", "Bad file descriptor"),
        (memfd(b"\x00"), "Expected `object`"),
        (memfd(other(fds, version=99)), "version 99, expected 1: .* start it anew"),
        (memfd(other(fds, layout=MAGIC - 1)), f"layout {MAGIC - 1:#x}, not {MAGIC:#x}: .* start it anew"),
    ]
    for text, reason in cases:
        with pytest.raises(HandoverError, match=f"{VARIABLE}={text}: .*{reason}"):
            handover.take({VARIABLE: text})


def test_a_failed_exec_leaves_everything_as_it_was(fds: list[int]) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        handover.become(["/nonexistent/program"], state(os.getpid(), *fds))
    assert not any(os.get_inheritable(fd) for fd in fds)
    assert len(os.listdir("/proc/self/fd")) == len(before)
