"""The accept loop on a real listening socket, and what it does when descriptors run out."""

import errno
import os
import resource
import select
import socket
from collections.abc import Iterator

import pytest

from rauta_control.port import BATCH, Port, Reserve

Accepted = list[tuple[Port, socket.socket, str, int]]


@pytest.fixture
def port() -> Iterator[Port]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield Port("l", listening)


@pytest.fixture
def reserve() -> Iterator[Reserve]:
    made = Reserve()
    yield made
    if made._fd is not None:
        os.close(made._fd)


def accept(port: Port, reserve: Reserve) -> tuple[Accepted, int]:
    accepted: Accepted = []
    refused: list[None] = []
    port.accept(lambda *connection: accepted.append(connection), lambda: refused.append(None), reserve)
    return accepted, len(refused)


def connect(port: Port) -> socket.socket:
    assert port.sock is not None
    client = socket.create_connection(port.sock.getsockname())
    select.select([port.sock], [], [], 10)
    return client


def test_accepts_a_batch_a_turn_and_says_who_it_is(port: Port, reserve: Reserve) -> None:
    clients = [connect(port) for _ in range(BATCH + 1)]
    first, refused = accept(port, reserve)
    second, _ = accept(port, reserve)
    third, _ = accept(port, reserve)
    assert (len(first), len(second), len(third), refused) == (BATCH, 1, 0, 0)
    assert [(address, number) for _, _, address, number in first + second] == [c.getsockname() for c in clients]
    for _, sock, _, _ in first + second:
        sock.close()
    for client in clients:
        client.close()


def test_without_descriptors_a_client_is_closed_instead_of_left_waiting(port: Port, reserve: Reserve) -> None:
    client = connect(port)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))  # the next descriptor would be `lowest`
    try:
        outcome = [accept(port, reserve), accept(port, reserve)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert outcome == [([], 1), ([], 0)]
    client.settimeout(10)
    assert client.recv(1) == b""
    client.close()
    client = connect(port)  # and all is well again
    ((_, sock, _, _),), _ = accept(port, reserve)
    sock.close()
    client.close()


def test_the_reserve_recovers_when_somebody_else_took_the_last_descriptor(
    port: Port, reserve: Reserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert port.sock is not None
    before = reserve._fd
    with monkeypatch.context() as patch:

        def refuse(*_: object) -> int:
            raise OSError(errno.ENFILE, "no file")

        patch.setattr(os, "open", refuse)
        reserve.refuse(port.sock)
        assert reserve._fd is None
        with pytest.raises(OSError):
            os.fstat(before or 0)
    reserve.refuse(port.sock)  # closes nothing that is not its own
    assert reserve._fd is not None


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EHOSTUNREACH, errno.EPERM])
def test_a_connection_that_is_gone_already_is_skipped(reserve: Reserve, number: int) -> None:
    class Listening:
        def __init__(self) -> None:
            self.outcomes: list[object] = [OSError(number, "gone"), ("sock", ("192.0.2.1", 1))]

        def accept(self) -> object:
            outcome = self.outcomes.pop(0) if self.outcomes else BlockingIOError()
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    accepted, refused = accept(Port("l", Listening()), reserve)  # type: ignore[arg-type]
    assert [address for _, _, address, _ in accepted] == ["192.0.2.1"]
    assert refused == 0


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOMEM])
def test_without_memory_for_a_connection_it_waits(reserve: Reserve, number: int) -> None:
    """As an error it would be a traceback in the log at each turn of the loop."""

    class Listening:
        def accept(self) -> object:
            raise OSError(number, "no memory")

    assert accept(Port("l", Listening()), reserve) == ([], 0)  # type: ignore[arg-type]


def test_any_other_error_is_a_bug(reserve: Reserve) -> None:
    with socket.socket() as not_listening:
        not_listening.setblocking(False)
        with pytest.raises(OSError):
            accept(Port("l", not_listening), reserve)
