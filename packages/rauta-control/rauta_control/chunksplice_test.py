"""The engine of spliced chunked bodies over real sockets: what goes on was looked at, what is odd is read."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import stat
from collections.abc import Awaitable, Callable

import pytest

from rauta_control import chunksplice
from rauta_control.chunksplice import ALIKE, ChunkSplice
from rauta_control.framing import LAST_CHUNK, BadChunkError, ChunkedDecoder, ChunkOverheadError, chunk
from rauta_control.splice import Allowance
from rauta_control.spliceharness_test import Body, Wires, wired

LARGE = chunk(os.urandom(100_003))
FIRST, REST = LARGE[:1000], LARGE[1000:]  # the first was read before a splice begins
SMALL = chunk(b"small")


class Reader:
    """What reads the source where it is not spliced; `read` is how many bytes each time."""

    def __init__(self) -> None:
        self.decoder = ChunkedDecoder()
        assert self.decoder.relay(FIRST) == FIRST
        self.read: list[int] = []
        self.refused = asyncio.get_running_loop().create_future()

    def relay(self, data: bytes) -> bytes:
        """Return what goes on."""
        self.read.append(len(data))
        try:
            return self.decoder.relay(data)
        except BadChunkError as error:
            self.refused.set_result(error)
            return b""


def chunked(test: Callable[[Wires, Reader], Awaitable[None]]) -> None:
    """As `wired`, for a chunked body of which FIRST was read."""
    readers: list[Reader] = []

    def make(loop: asyncio.AbstractEventLoop, allowance: Allowance, body: Body) -> ChunkSplice:
        readers.append(Reader())
        return ChunkSplice(loop, allowance, body, readers[-1].decoder)

    async def run(wires: Wires) -> None:
        wires.source.relay = readers[-1].relay
        await test(wires, readers[-1])

    wired(run, make)


def record_looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines each look at nothing else was at."""
    looks: list[int] = []
    real = ChunkedDecoder.follow_alike

    def follow_alike(self: ChunkedDecoder, look: Callable[[int, int], bytes], end: int) -> int:
        looks.append(0)

        def counted(at: int, size: int) -> bytes:
            looks[-1] += 1
            return look(at, size)

        return real(self, counted, end)

    monkeypatch.setattr(ChunkedDecoder, "follow_alike", follow_alike)
    return looks


async def pass_on(wires: Wires, rest: bytes) -> None:
    """Splice, and see that FIRST and `rest`, of which everything is plain, arrive as they are."""
    assert wires.begin(FIRST)
    (_, taken) = await asyncio.gather(wires.send(rest), wires.take(len(FIRST + rest)))
    assert taken == FIRST + rest
    assert await wires.body.over == "given back"


@pytest.mark.parametrize("seed", range(4))
def test_chunks_of_all_sizes_arrive_as_they_are(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - just sizes and bytes
    sizes = [draw.choice((draw.randint(1, 20), 4096, 16_384, 65_536, draw.randint(1, 1 << 21))) for _ in range(60)]
    wire = REST + b"".join(chunk(draw.randbytes(size)) for size in sizes) + LAST_CHUNK

    async def test(wires: Wires, reader: Reader) -> None:
        await pass_on(wires, wire)
        assert reader.decoder.done
        assert sum(reader.read) == len(LAST_CHUNK)
        assert wires.body.moved == len(wire) - len(LAST_CHUNK)

    chunked(test)


@pytest.mark.parametrize("far", [True, False])
@pytest.mark.parametrize("size", [ALIKE, ALIKE + 1, 65_536, 200_000])
def test_chunks_that_are_alike_arrive_as_they_are(monkeypatch: pytest.MonkeyPatch, size: int, far: bool) -> None:
    """Also where the kernel lets a look begin nowhere else. Each payload is full of such lines."""
    if not far:
        monkeypatch.setattr(chunksplice, "SO_PEEK_OFF", 9_999)
    alike = chunk((b"\r\n%x\r\n" % size * size)[:size])
    odd = chunk(bytes(size - 5)) + chunk(bytes(size + 1))
    wire = REST + alike * 90 + odd + alike * 70 + b"4000;a\r\n" + bytes(0x4000) + b"\r\n"
    looks = record_looks(monkeypatch)

    async def test(wires: Wires, reader: Reader) -> None:
        assert wires.begin(FIRST)
        plain = len(FIRST + wire) - 0x4000 - 10
        (_, taken) = await asyncio.gather(wires.send(wire), wires.take(plain))
        assert taken == (FIRST + wire)[:plain]
        assert await wires.body.over == "given back"
        assert far or not looks
        assert sum(looks) or not far or size > ALIKE + 1  # of the others, so many seldom wait at once

    chunked(test)


def test_a_body_is_malformed_too_where_chunks_were_alike() -> None:
    alike = chunk(bytes(ALIKE))

    async def test(wires: Wires, reader: Reader) -> None:
        assert wires.begin(FIRST)
        plain = REST + alike * 100
        sending = asyncio.ensure_future(wires.send(plain + alike[:-1] + b"0\n" + alike))
        assert await wires.take(len(FIRST + plain)) == FIRST + plain
        assert isinstance(await reader.refused, BadChunkError)
        wires.sink.transport.close()
        assert (alike[:-1]).startswith(await wires.take(1 << 20))
        await sending

    chunked(test)


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_line_whose_end_has_not_come_is_read_instead(cut: int) -> None:
    line, payload = b"\r\nABCDE\r\n", bytes(0xABCDE)
    goes = {1: 0, 9: 9}.get(cut, 2)  # the end of the chunk before

    async def test(wires: Wires, reader: Reader) -> None:
        assert wires.begin(FIRST)
        before = REST[:-2]
        (_, taken) = await asyncio.gather(wires.send(before + line[:cut]), wires.take(len(FIRST + before) + goes))
        assert taken == FIRST + before + line[:goes]
        if cut != 2:  # nothing is left to be read
            assert await wires.body.over == "given back"
        rest = line[cut:] + payload + b"\r\n" + LAST_CHUNK
        (_, taken) = await asyncio.gather(wires.send(rest), wires.take(len(line) - goes + len(payload) + 7))
        assert taken == line[goes:] + payload + b"\r\n" + LAST_CHUNK
        assert reader.decoder.done

    chunked(test)


@pytest.mark.parametrize(
    ("odd", "payload"),
    [
        (b"5;a=b\r\nhello\r\n" + LAST_CHUNK, b"hello"),
        (b"0000000000005\r\nhello\r\n" + LAST_CHUNK, b"hello"),
        (b"05\r\nhello\r\n" + SMALL + LAST_CHUNK, b"hellosmall"),
        (b"0\r\nTrailer: x\r\n\r\n", b""),
        (b"0;a=b\r\n\r\n", b""),
        (b"00\r\n\r\n", b""),
    ],
)
def test_what_is_not_plain_is_read_and_put_in_our_own_words(odd: bytes, payload: bytes) -> None:
    async def test(wires: Wires, reader: Reader) -> None:
        assert wires.begin(FIRST)
        plain = REST + LARGE * 20
        (_, taken) = await asyncio.gather(wires.send(plain + odd), wires.take(len(FIRST + plain)))
        assert taken == FIRST + plain
        told = bytearray()
        while not told.endswith(LAST_CHUNK):
            told += await wires.take(1)
        assert ChunkedDecoder().feed(bytes(told)) == payload
        assert b"Trailer" not in told
        assert reader.decoder.done
        assert sum(reader.read) == len(odd)

    chunked(test)


@pytest.mark.parametrize(
    "bad",
    [
        b"5 \r\nhello\r\n",
        b"5\nhello\r\n",
        b"\r\n5\r\nhello\r\n",
        b"g\r\n",
        b"123456789abcdef01\r\n",
        b"5\r\nhelloo\r\n",
        b"5\r\nhello\r5\r\nhello\r\n",
        b"186a3\r\n" + LARGE[7:-2] + b"186a3\r\n" + LARGE[7:],  # no line end after the first
        LARGE[:-2] + b"\r\r186a3\r\n" + LARGE[7:],
    ],
)
def test_nothing_goes_on_that_is_malformed(bad: bytes) -> None:
    async def test(wires: Wires, reader: Reader) -> None:
        assert wires.begin(FIRST)
        plain = REST + LARGE * 20
        sending = asyncio.ensure_future(wires.send(plain + bad))
        arrived = await wires.take(len(FIRST + plain))
        assert isinstance(await reader.refused, BadChunkError)
        wires.sink.transport.close()
        arrived += await wires.take(1 << 20)
        assert arrived.startswith(FIRST + plain)
        assert bad.startswith(arrived[len(FIRST + plain) :])  # its plain beginning may have gone
        assert len(arrived) < len(FIRST + plain + bad)
        await sending

    chunked(test)


def test_small_chunks_are_moved_like_others() -> None:
    small = SMALL * 10_000

    async def test(wires: Wires, reader: Reader) -> None:
        await pass_on(wires, REST + LARGE * 20 + small + LAST_CHUNK)
        assert sum(reader.read) == len(LAST_CHUNK)

    chunked(test)


def test_who_takes_nothing_holds_it_up() -> None:
    wire = REST + LARGE * 100 + chunk(bytes(64)) * 20_000 + LAST_CHUNK

    async def test(wires: Wires, reader: Reader) -> None:
        wires.taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        assert wires.begin(FIRST)
        sending = asyncio.ensure_future(wires.send(wire))
        while "held up" not in wires.body.said:
            await asyncio.sleep(0.001)
        assert await wires.take(len(FIRST + wire)) == FIRST + wire
        await sending
        assert reader.decoder.done
        assert wires.body.said[-1] == "flows"

    chunked(test)


@pytest.mark.parametrize("nth", [1, 2, 5])
def test_what_was_looked_at_is_not_read_again_where_it_cannot_be_moved(
    monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    real = os.splice
    calls: list[int] = []

    def refuse(source: int, sink: int, size: int, *, flags: int) -> int:
        if stat.S_ISSOCK(os.fstat(source).st_mode):
            calls.append(size)
            if len(calls) >= nth:
                raise OSError(errno.EINVAL, "not here")
        return real(source, sink, min(size, 70_000), flags=flags)

    async def test(wires: Wires, reader: Reader) -> None:
        wire = REST + SMALL * 100_000 + LAST_CHUNK
        await pass_on(wires, wire)
        assert wires.body.moved + sum(reader.read) == len(wire)
        assert not wires.splice.begin(b"", 1e9)

    monkeypatch.setattr(os, "splice", refuse)
    chunked(test)


def test_what_was_looked_at_comes_whole_although_the_pipe_has_less_room(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.splice

    def some(source: int, sink: int, size: int, *, flags: int) -> int:
        return real(source, sink, min(size, 70_000), flags=flags)

    async def test(wires: Wires, reader: Reader) -> None:
        await pass_on(wires, REST + LARGE * 20 + SMALL * 10_000 + LAST_CHUNK)
        assert sum(reader.read) == len(LAST_CHUNK)

    monkeypatch.setattr(os, "splice", some)
    chunked(test)


def test_chunks_that_cost_too_much_are_for_the_reader_to_refuse() -> None:
    async def test(wires: Wires, reader: Reader) -> None:
        reader.decoder = wires.splice._decoder = ChunkedDecoder(overhead=1_024)  # type: ignore[attr-defined]
        assert reader.decoder.relay(FIRST) == FIRST
        assert wires.begin(FIRST)
        (_, taken) = await asyncio.gather(wires.send(REST + chunk(b"x") * 100_000), wires.take(len(FIRST + REST)))
        assert taken == FIRST + REST
        assert isinstance(await reader.refused, ChunkOverheadError)

    chunked(test)


@pytest.mark.parametrize("end", [b"", b"\r", b"\r\n", b"\r\nff", b"\r\nff\r", b"\r\n1000\r\nabc"])
def test_an_end_too_early_is_found_by_the_transport(end: bytes) -> None:
    async def test(wires: Wires, reader: Reader) -> None:
        assert wires.begin(FIRST)
        await wires.send(REST[:-2] + end)
        wires.sender.close()
        assert await wires.source.lost is None
        wires.sink.transport.close()
        arrived = await wires.take(1 << 20)
        assert (FIRST + REST[:-2] + end).startswith(arrived)
        assert len(arrived) >= len(FIRST + REST[:-2])
        assert not reader.decoder.done

    chunked(test)


def test_behind_an_urgent_byte_all_is_read_that_was_looked_at() -> None:
    async def test(wires: Wires, reader: Reader) -> None:
        assert wires.begin(FIRST)
        (_, taken) = await asyncio.gather(wires.send(REST[:-2]), wires.take(len(FIRST + REST) - 2))
        wires.sender.send(b"!", socket.MSG_OOB)
        rest = b"\r\n" + SMALL * 1_000 + LAST_CHUNK
        (_, more) = await asyncio.gather(wires.send(rest), wires.take(len(rest)))
        assert taken + more == FIRST + REST[:-2] + rest
        assert await wires.body.over == "given back"
        assert reader.decoder.done

    chunked(test)


def test_peers_that_are_gone_are_found_by_the_transports() -> None:
    async def source(wires: Wires, reader: Reader) -> None:
        assert wires.begin(FIRST)
        assert await wires.take(len(FIRST)) == FIRST
        wires.sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wires.sender.close()
        await wires.source.lost

    async def sink(wires: Wires, reader: Reader) -> None:
        wires.sink.transport.pause_reading()
        wires.taker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wires.taker.close()
        assert wires.begin(FIRST)
        assert await wires.body.over == "given back"
        assert isinstance(await wires.sink.lost, OSError)

    chunked(source)
    chunked(sink)


def test_where_none_is_allowed_nothing_is_opened() -> None:
    async def test(wires: Wires, reader: Reader) -> None:
        wires.allowance.open = wires.allowance.most
        assert not wires.begin(FIRST)
        wires.allowance.open = 0

    chunked(test)
