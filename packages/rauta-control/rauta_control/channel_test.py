from __future__ import annotations

import asyncio
import os
import selectors
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import uvloop

from rauta_control import channel, messages
from rauta_control.channel import (
    BATCH,
    MAX_MESSAGE,
    MAX_QUEUED,
    Channel,
    ChannelClosedError,
    ChannelError,
    ChannelFullError,
)
from rauta_control.messages import Bind, Bound, ControlLink, Drain, Listen, Snapshot, Unlisten, WorkerGone, WorkerLink

Pair = tuple[Channel[messages.ToSupervisor], Channel[messages.ToWorker]]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    supervisor, worker = channel.supervisor_end(ours), channel.worker_end(theirs)
    yield supervisor, worker
    supervisor.close()
    worker.close()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def text_fd(text: bytes) -> int:
    fd = os.memfd_create("test")
    os.write(fd, text)
    return fd


def test_messages_arrive_whole_and_in_order(pair: Pair) -> None:
    supervisor, worker = pair
    sent: list[messages.ToWorker] = [Unlisten("a"), Drain(1.5), Unlisten("b" * 1000)]
    for message in sent:
        supervisor.send(message)
    assert worker.receive() == [(message, ()) for message in sent]
    assert worker.receive() == []


@pytest.mark.parametrize(
    ("message", "decoder"),
    [
        (Bind({"a": ("::", 80)}), messages.ToSupervisor),
        (Bound("a", "::", 80, "no"), messages.ToControl),
        (WorkerGone(3, 99, "signal 9"), messages.ToControl),
        (messages.Reload(), messages.ToControl),
        (messages.Draining(), messages.ToControl),
        (Drain(2.0), messages.ToWorker),
    ],
)
def test_encoding_round_trips(message: channel.Message, decoder: Any) -> None:
    assert channel.decode(msgspec.msgpack.Decoder(decoder), channel.encode(message), ()) == message


def test_descriptors_travel_and_do_not_leak_into_other_programs(pair: Pair) -> None:
    supervisor, worker = pair
    fd = text_fd(b"hello")
    supervisor.send(Listen("web"), [fd])
    os.close(fd)  # ours to close as soon as it is sent
    [(message, [received])] = worker.receive()
    assert message == Listen("web")
    assert os.pread(received, 10, 0) == b"hello"
    assert not os.get_inheritable(received)
    os.close(received)


@pytest.mark.parametrize("message", [Listen("x"), ControlLink(), WorkerLink(0, 1), Snapshot(1), messages.Since(1)])
def test_a_message_without_its_descriptor_is_a_bug_of_the_sender(message: channel.Message) -> None:
    with pytest.raises(ValueError, match="with 0 descriptors"):
        channel.encode(message)
    with pytest.raises(ValueError, match="with 1 descriptors"):
        channel.encode(Unlisten("x"), [0])


def test_descriptors_lost_on_the_way_are_an_error_and_nothing_leaks(pair: Pair) -> None:
    supervisor, worker = pair
    before = open_descriptors()
    fd = text_fd(b"x")
    supervisor.send(Listen("first"), [fd])
    socket.send_fds(_sock(supervisor), [msgspec.msgpack.encode(Listen("x"))], [])
    os.close(fd)
    with pytest.raises(ChannelError, match="Listen came with 0 descriptors"):
        worker.receive()
    assert open_descriptors() == before


@pytest.mark.parametrize("data", [b"\x00", b"\xc1", msgspec.msgpack.encode({"type": "unheard of"}), b"x" * 1000])
def test_what_is_no_message_is_an_error(pair: Pair, data: bytes) -> None:
    supervisor, worker = pair
    _sock(supervisor).send(data)
    with pytest.raises(ChannelError, match="not a message"):
        worker.receive()


def test_a_message_has_a_maximum_and_the_biggest_fits(pair: Pair) -> None:
    supervisor, worker = pair
    rest = len(channel.encode(Unlisten("x" * 70_000))) - 70_000
    biggest = Unlisten("x" * (MAX_MESSAGE - rest))
    supervisor.send(biggest)
    assert worker.receive() == [(biggest, ())]
    with pytest.raises(ValueError, match="longer than"):
        supervisor.send(Unlisten("x" * (MAX_MESSAGE - rest + 1)))


def test_the_end_comes_after_everything_that_was_sent(pair: Pair) -> None:
    supervisor, worker = pair
    supervisor.send(Drain(1.0))
    supervisor.close()
    assert worker.receive() == [(Drain(1.0), ())]
    with pytest.raises(ChannelClosedError):
        worker.receive()
    worker.send(Bind({}))  # nobody is there: no error


def test_a_peer_that_ends_without_reading_is_just_gone(pair: Pair) -> None:
    supervisor, worker = pair
    supervisor.send(Drain(1.0))
    worker.close()
    with pytest.raises(ChannelClosedError):
        supervisor.receive()


def test_one_turn_takes_a_batch_only(pair: Pair) -> None:
    supervisor, worker = pair
    for _ in range(BATCH + 1):
        supervisor.send(Unlisten("x"))
    assert [len(worker.receive()) for _ in range(3)] == [BATCH, 1, 0]


def test_sending_never_blocks_and_the_queue_has_an_end(pair: Pair) -> None:
    supervisor, worker = pair
    before = open_descriptors()
    blocked: list[bool] = []
    supervisor.on_blocked = blocked.append
    fd = text_fd(b"kept")
    sent = 0
    while len(supervisor.queued()) < MAX_QUEUED:
        supervisor.send(Listen(str(sent)), [fd])
        sent += 1
    with pytest.raises(ChannelFullError):
        supervisor.send(Listen("one too many"), [fd])
    assert blocked == [True]
    os.close(fd)  # what waits has its own copies

    names = []
    while packets := worker.receive():
        for message, [received] in packets:
            assert isinstance(message, Listen)
            assert os.pread(received, 10, 0) == b"kept"
            os.close(received)
            names.append(message.listener)
        supervisor.flush()
    assert names == [str(number) for number in range(sent)]
    assert blocked[-1] is False
    assert open_descriptors() == before


def test_closing_gives_back_what_waits(pair: Pair) -> None:
    supervisor, worker = pair
    before = open_descriptors()
    fd = text_fd(b"x")
    while not supervisor.queued():
        supervisor.send(Listen("x"), [fd])
    os.close(fd)
    worker.close()
    supervisor.flush()
    supervisor.close()
    assert supervisor.fileno() == -1
    assert open_descriptors() == before - 2


def test_a_queue_moves_to_a_new_owner_of_the_socket(pair: Pair) -> None:
    supervisor, worker = pair
    while len(supervisor.queued()) < 3:
        supervisor.send(Unlisten("x" * 5000))
    heir = channel.supervisor_end(_sock(supervisor).dup())
    blocked: list[bool] = []
    heir.on_blocked = blocked.append
    heir.requeue(supervisor.queued())
    assert blocked == [True]
    received = 0
    while packets := worker.receive():
        received += len(packets)
        heir.flush()
    assert received > 3
    heir.close()


def test_it_serves_a_selectors_loop(pair: Pair) -> None:
    supervisor, worker = pair
    with selectors.DefaultSelector() as selector:
        selector.register(worker, selectors.EVENT_READ)
        assert selector.select(0) == []
        supervisor.send(Drain(0.0))
        assert selector.select(0)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_it_serves_an_asyncio_loop(pair: Pair, new_loop: Any) -> None:
    supervisor, worker = pair

    async def serve() -> tuple[list[messages.ToWorker], int]:
        loop = asyncio.get_running_loop()
        received: list[messages.ToWorker] = []
        over = loop.create_future()
        channel.attach(worker, loop, lambda message, fds: received.append(message), lambda: over.set_result(None))
        while not worker.queued():  # a supervisor that is slow to read
            worker.send(Bind({"x" * 1000: ("::", 1)}))
        total = 0
        while worker.queued():
            total += len(supervisor.receive())
            await asyncio.sleep(0)
        supervisor.send(Unlisten("a"))
        supervisor.send(Unlisten("b"))
        supervisor.close()
        await over
        return received, total

    with asyncio.Runner(loop_factory=new_loop) as runner:
        received, total = runner.run(serve())
    assert received == [Unlisten("a"), Unlisten("b")]
    assert total > 3


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("unread", [0, 3])
def test_an_attached_channel_notices_the_end_whatever_the_supervisor_left_unread(
    pair: Pair, new_loop: Any, unread: int
) -> None:
    supervisor, worker = pair

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        channel.attach(worker, loop, lambda message, fds: None, lambda: over.set_result(None))
        for _ in range(unread):
            worker.send(Bind({}))
        await asyncio.sleep(0)
        supervisor.close()
        await over

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve())


def test_a_detached_channel_is_silent(pair: Pair) -> None:
    supervisor, worker = pair

    async def serve() -> list[messages.ToWorker]:
        received: list[messages.ToWorker] = []
        loop = asyncio.get_running_loop()
        channel.attach(worker, loop, lambda message, fds: received.append(message), lambda: None)
        supervisor.send(Drain(1.0))
        while not received:
            await asyncio.sleep(0)
        channel.detach(worker, loop)
        channel.detach(worker, loop)
        supervisor.send(Drain(2.0))
        while not worker.queued():
            worker.send(Bind({"x" * 1000: ("::", 1)}))
        await asyncio.sleep(0.01)
        return received

    assert asyncio.run(serve()) == [Drain(1.0)]


def test_a_broken_message_ends_an_attached_channel_with_a_report(pair: Pair) -> None:
    supervisor, worker = pair

    async def serve() -> list[BaseException]:
        loop = asyncio.get_running_loop()
        errors: list[BaseException] = []
        loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
        over = loop.create_future()
        channel.attach(worker, loop, lambda message, fds: None, lambda: over.set_result(None))
        _sock(supervisor).send(b"nonsense")
        await over
        return errors

    [error] = asyncio.run(serve())
    assert isinstance(error, ChannelError)


def _sock(end: Channel[Any]) -> socket.socket:
    return end._sock
