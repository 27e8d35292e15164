"""The engine of spliced bodies over real sockets, where the kernel or the allowance says no."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket

import pytest

from rauta_control.splice import MAX_FIRST, MAX_SPLICES, RETRY, Allowance, plain
from rauta_control.spliceharness_test import BODY, SIZE, Wires, wired


def test_what_was_read_goes_first_and_the_last_byte_ends_it() -> None:
    async def test(wires: Wires) -> None:
        assert wires.begin(b"first")
        assert wires.allowance.open == 1
        (_, taken) = await asyncio.gather(wires.send(BODY + b"after"), wires.take(5 + SIZE))
        assert taken == b"first" + BODY
        assert await wires.body.over == "finished"
        wires.source.transport.resume_reading()
        assert await wires.take(5) == b"after"

    wired(test)


def test_who_takes_nothing_holds_it_up() -> None:
    async def test(wires: Wires) -> None:
        wires.taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
        assert wires.begin()
        wires.body.still = len(BODY) * 4
        sending = asyncio.ensure_future(wires.send(BODY * 4))
        while "held up" not in wires.body.said:
            await asyncio.sleep(0.001)
        assert await wires.take(4 * SIZE) == BODY * 4
        await sending
        assert await wires.body.over == "finished"
        assert wires.body.said[-1] == "flows"

    wired(test)


def test_a_sink_that_was_full_before_is_known_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int, flags: int) -> int:
        raise BlockingIOError(flags)

    async def test(wires: Wires) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "splice", refuse)
            assert wires.begin(b"first")
            while not wires.body.said:
                await asyncio.sleep(0)
        (_, taken) = await asyncio.gather(wires.send(BODY), wires.take(5 + SIZE))
        assert taken == b"first" + BODY
        assert await wires.body.over == "finished"
        assert wires.body.said[:2] == ["held up", "flows"]

    wired(test)


@pytest.mark.parametrize("side", [0, 1])
def test_a_kernel_or_sandbox_without_it_is_asked_once(monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    real = os.splice
    calls: list[int] = []

    def refuse(source: int, sink: int, count: int, *, flags: int) -> int:
        calls.append(count)
        if len(calls) > side:
            raise OSError(errno.EINVAL, "not here")
        return real(source, sink, count, flags=flags)

    async def test(wires: Wires) -> None:
        assert wires.begin(b"" if side else b"first")
        (_, taken) = await asyncio.gather(wires.send(BODY), wires.take(SIZE + (0 if side else 5)))
        assert taken == (BODY if side else b"first" + BODY)
        assert await wires.body.over == "given back"
        assert not wires.splice.begin(b"", 1e9)

    monkeypatch.setattr(os, "splice", refuse)
    wired(test)


def test_an_end_too_early_is_found_by_the_transport() -> None:
    async def test(wires: Wires) -> None:
        assert wires.begin(b"first")
        await wires.send(BODY[:1000])
        wires.sender.close()
        assert await wires.take(1005) == b"first" + BODY[:1000]
        assert await wires.body.over == "given back"
        assert await wires.source.lost is None

    wired(test)


def test_an_urgent_byte_is_left_to_the_transport() -> None:
    """The kernel moves nothing past it, and says all the while that there is something to read."""

    async def test(wires: Wires) -> None:
        assert wires.begin()
        (_, taken) = await asyncio.gather(wires.send(BODY[:1000]), wires.take(1000))
        wires.sender.send(b"!", socket.MSG_OOB)
        (_, more) = await asyncio.gather(wires.send(BODY[1000:2000]), wires.take(1000))
        assert taken + more == BODY[:2000]
        assert await wires.body.over == "given back"

    wired(test)


def test_a_peer_that_is_gone_is_found_by_the_transport() -> None:
    async def test(wires: Wires) -> None:
        wires.sink.transport.pause_reading()
        wires.taker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wires.taker.close()
        assert wires.begin(b"first")
        assert await wires.body.over == "given back"
        assert isinstance(await wires.sink.lost, OSError)

    wired(test)


def test_there_is_an_allowance() -> None:
    async def test(wires: Wires) -> None:
        assert wires.allowance.most == MAX_SPLICES
        wires.allowance.open = MAX_SPLICES
        assert not wires.begin()
        wires.allowance.open = 0
        assert not wires.begin(bytes(MAX_FIRST + 1))
        assert wires.begin(bytes(MAX_FIRST))
        assert await wires.take(MAX_FIRST) == bytes(MAX_FIRST)

    wired(test)


def test_without_a_large_pipe_there_is_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EPERM, "too many pages")

    async def test(wires: Wires) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(fcntl, "fcntl", refuse)
            assert not wires.begin()
        assert not wires.splice.begin(b"", RETRY / 2)
        assert wires.splice.begin(b"", RETRY)

    wired(test)


def test_only_plain_connections_with_nothing_left_to_write_will_do() -> None:
    async def test(wires: Wires) -> None:
        transport = wires.sink.transport
        assert plain(transport)
        transport.write(bytes(64 << 20))
        assert not plain(transport)
        transport.abort()
        assert not plain(transport)

    wired(test)
    assert not plain(asyncio.Transport())


@pytest.mark.parametrize(("descriptors", "most"), [(256, 0), (1024, 2), (1 << 20, MAX_SPLICES)])
def test_few_descriptors_are_for_connections(descriptors: int, most: int) -> None:
    allowance = Allowance(descriptors)
    assert (allowance.most, allowance.descriptors) == (most, 4 * most)
