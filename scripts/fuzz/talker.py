"""Clients of `conversations.py`: what each says, and what it may hear."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rauta_control import ir
from rauta_control.policy import IDEMPOTENT, RETAINED
from rauta_control.proxyharness_test import Proxy
from rauta_control.tlsharness_test import context

from .plot import HASTY, REFUSED, Plot
from .scripted import PATIENCE, TORN, Asked
from .sockets import CutError, Fields, SecureWire, Wire, pieces

TLS = context()
HEARD: Counter[str] = Counter()  # what became of requests
_BACKENDS_FAULT = frozenset(
    b"upstream_reset upstream_invalid upstream_timeout upstream_stalled backend_timeout request_timeout".split()
)


@dataclass
class Place:
    """A worker, and how clients get to it."""

    proxy: Proxy
    secure: bool
    tight: bool
    configurations: list[list[ir.Resource]]
    log: Path
    before: set[str]

    async def connect(self, random: Random) -> Wire:
        """A new connection. Raises OSError."""
        sock = socket.socket()
        sock.setblocking(False)
        slow = random.random() < 0.15
        if slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        pace = random.choice((3_000, 20_000)) if slow else 0
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.proxy.port))
        if not self.secure:
            return Wire(sock, pace)
        wire = SecureWire(sock, TLS, "a.example", pace)
        await wire.shake()
        return wire


class Client:
    """One connection: what is said on it, and what may be heard."""

    def __init__(self, plot: Plot, place: Place, number: int) -> None:
        random = plot.random
        self.random = Random(random.randrange(1 << 30))  # noqa: S311
        self.place = place
        sober = number < 2
        count = random.choice((1, 2, 3, 5, 8))
        self.plan = [plot.request(sober=sober, last=at == count - 1) for at in range(count)]
        self.refused = b"" if sober or random.random() < 0.7 else random.choice(REFUSED)
        if self.refused and (b"Connection: close" in self.plan[-1].fields or self.plan[-1].version == b"HTTP/1.0"):
            self.refused = b""
        self.goes = "" if sober else random.choice(("", "", "", "", "ends", "ends", "resets", "leaves", "stops"))
        self.pace = 0
        self.after = random.choice((0.0, 0.001, 0.01, 0.05, 0.2))
        self.pipelines = random.random() < 0.4
        self.cut = random.choice((0, 0, 0, 1, 3, 100, 3_000))
        self.heard = 0  # answers
        self.continued = asyncio.Event()
        self.moved = asyncio.Event()

    def __repr__(self) -> str:
        traits = [f"pace {self.pace}", f"pieces of {self.cut}", *filter(None, ("TLS" * self.place.secure, self.goes))]
        if self.pipelines:
            traits.append("pipelines")
        lines = [f"  a client: {', '.join(traits)}; heard {self.heard} answers"]
        for asked in self.plan:
            head = asked.wire.partition(b"\r\n\r\n")[0][:300]
            lines += [f"    {'sent' if asked.sent else 'not sent'} {head!r} and {len(asked.body)} bytes"]
            lines += [f"      {number}: {copy}" for number, copy in enumerate(asked.copies)]
            lines += [
                f"      {line}" for line in self.place.log.read_text().splitlines() if f'id={asked.number}"' in line
            ]
        return "\n".join((*lines, f"    refused: {self.refused[:200]!r}"))

    async def play(self) -> None:
        """Say and hear all. Raises AssertionError."""
        try:
            async with asyncio.timeout(PATIENCE):
                wire = await self.place.connect(self.random)
        except (OSError, TimeoutError) as error:
            raise AssertionError(f"no connection: {error!r}") from None
        self.pace = wire.pace
        speaking = asyncio.create_task(self._speak(wire))
        hearing = asyncio.create_task(self._hear(wire))
        leaving = self.goes in {"resets", "leaves"}
        try:
            done, _ = await asyncio.wait({hearing}, timeout=self.after if leaving else PATIENCE)
            if not done and not leaving:
                raise AssertionError("it hangs")
            if done:
                hearing.result()
        finally:
            for task in (speaking, hearing):
                task.cancel()
            await asyncio.gather(speaking, hearing, return_exceptions=True)
            if self.goes == "resets":
                wire.reset()
            wire.sock.close()

    # -- what is said

    async def _speak(self, wire: Wire) -> None:
        try:
            for index, asked in enumerate(self.plan):
                if not self.pipelines:
                    await self._until(index)
                if self.goes == "stops" and index == len(self.plan) - 1:
                    await self._say(wire, asked.wire[: self.random.randrange(len(asked.wire))])
                    await asyncio.sleep(self.after)
                    await wire.end()
                    return
                if asked.expects:
                    await self._say(wire, asked.wire[: asked.expects])
                    self.continued.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.1):
                            await self.continued.wait()
                    await self._say(wire, asked.wire[asked.expects :])
                elif asked.hasty:
                    await wire.send(asked.wire)
                else:
                    await self._say(wire, asked.wire)
                asked.sent = True
                if asked.upgrade:
                    await self._until(index + 1)
            await self._say(wire, self.refused)
            if self.goes == "ends":
                await wire.end()
        except OSError:
            pass  # what is heard says whether that may be

    async def _until(self, count: int) -> None:
        while self.heard < count:
            self.moved.clear()
            await self.moved.wait()

    async def _say(self, wire: Wire, data: bytes) -> None:
        if self.cut == 0 or len(data) > 100_000:
            await wire.send(data)
            return
        budget = 300
        for piece in pieces(data, iter(lambda: self.random.randint(1, max(self.cut, len(data) // 300)), 0)):
            await wire.send(piece)
            budget -= 1
            await asyncio.sleep(0.001 if budget % 40 == 0 else 0)

    # -- what is heard

    async def _hear(self, wire: Wire) -> None:
        for asked in self.plan:
            goes_on = await self._answer(wire, asked)
            self.heard += 1
            self.continued.set()
            self.moved.set()
            if not goes_on:
                await self._closes(wire)
                return
        if self.refused:
            head = await wire.head()
            assert head, "no answer to what was refused"
            assert b"x-rauta-reason" in head, f"an answer to what was to be refused: {head.start!r} {head}"
            assert int(head.start.split()[1]) >= 400, head
            await wire.body(head, answer=True)
            HEARD["refused"] += 1
            await self._closes(wire)
        elif self.goes == "ends":
            await self._closes(wire)

    async def _closes(self, wire: Wire) -> None:
        assert not await wire.more(), f"more after the last answer: {wire.data[:200]!r}"

    async def _answer(self, wire: Wire, asked: Asked) -> bool:
        """The answer to one request; whether there may be another."""
        try:
            head = await wire.head()
            while head is not None and head.start.startswith(b"HTTP/1.1 1"):
                if head.start.startswith(b"HTTP/1.1 101"):
                    await self._tunnel(wire, asked, head)
                    return False
                self.continued.set()
                if b"100" not in head.start:
                    assert head[b"x-id"] == b"%d" % asked.number, f"{asked.number} got the hint of {head}"
                assert asked.version == b"HTTP/1.1", "an interim response to a client of HTTP/1.0"
                head = await wire.head()
        except CutError as cut:
            raise AssertionError(f"{asked.number}: half a head: {cut.said!r}") from None
        if head is None:
            assert self.goes == "stops", f"{asked.number}: no answer"
            HEARD["excused"] += 1
            return False
        close = head.get(b"connection") == b"close"
        if asked.version == b"HTTP/1.0":
            close = head.get(b"connection") != b"keep-alive"
        if b"x-rauta-reason" in head:
            HEARD[head[b"x-rauta-reason"].decode()] += 1
            self._own(asked, head)
            await wire.body(head, answer=True) if asked.method != b"HEAD" else None
            return not close
        return await self._judge(wire, asked, head) and not close

    async def _judge(self, wire: Wire, asked: Asked, head: Fields) -> bool:
        """An answer that a backend gave; whether it was whole."""
        number = asked.number
        assert head.get(b"x-id") == b"%d" % number, f"{number} got the answer of {head.start!r} {head}"
        copy = int(head[b"x-copy"])
        assert copy == len(asked.copies) - 1, f"{number}: the answer to copy {copy} of {len(asked.copies)}"
        script = asked.copies[copy]
        assert int(head.start.split()[1]) == script.status, f"{number}: {head.start!r} for {script}"
        for name in (b"x-hop", b"keep-alive", b"upgrade"):
            assert name not in head, head
        body = asked.payload(script, copy)
        whole = True
        try:
            if asked.method == b"HEAD" or script.status in (204, 304):
                heard = b""
            else:
                heard = await wire.body(head, answer=True)
        except CutError as cut:
            heard, whole = cut.said, False
        last = self.plan[-1]  # of HTTP/1.0: where its answer is cut off, a reset says so, which may overtake others
        reset = last.version == b"HTTP/1.0" and not all(each.good for each in last.copies)
        excused = not script.good or asked.path == "/timed" or reset or (self.goes == "stops" and not asked.sent)
        if not whole or (len(heard) < len(body) and b"content-length" not in head and b"transfer-encoding" not in head):
            assert excused, f"{number}: only {len(heard)} of {len(body)} for {script}"
            assert body.startswith(heard), f"{number}: not its body: {heard[:100]!r}"
            HEARD["cut off"] += 1
            return False
        assert heard == body, f"{number}: not its body: {len(heard)} of {len(body)}: {heard[:100]!r} for {script}"
        assert script.kind not in TORN, f"{number}: looks whole: {script}"
        HEARD["whole"] += 1
        if asked.hasty:
            assert head.get(b"connection") == b"close", f"{number}: what was meant for a tunnel may become a request"
        return True

    def _own(self, asked: Asked, head: Fields) -> None:
        reason, copies = head[b"x-rauta-reason"], asked.copies
        told = f"{asked.number}: {reason.decode()} after {copies}"
        if not asked.sent and self.goes == "stops":
            return
        if asked.path == "/timed" and reason in {b"request_timeout", b"backend_timeout"}:
            return
        if reason == b"upstream_overflow" and self.place.tight:
            return
        assert reason in _BACKENDS_FAULT, told
        if copies and (not copies[-1].good or copies[-1].status == 503):
            return
        replayed = asked.method in IDEMPOTENT and len(asked.body) < RETAINED
        assert reason == b"upstream_reset", told
        assert not copies, told
        assert not replayed, told

    async def _tunnel(self, wire: Wire, asked: Asked, head: Fields) -> None:
        assert asked.upgrade, f"{asked.number} did not ask for a tunnel"
        assert head[b"x-id"] == b"%d" % asked.number
        hello = b"hello %d;" % asked.number
        try:
            assert await wire.exactly(len(hello)) == hello
            expected = HASTY if asked.hasty else b""
            more = b"%d-" % asked.number * self.random.choice((1, 100, 20_000))
            sending = asyncio.create_task(wire.send(more))
            expected += more
            heard = await wire.exactly(len(expected))
            assert heard == expected, f"{asked.number}: not its tunnel"
            HEARD["tunnel"] += 1
            await sending
            await wire.end()
        except CutError as cut:
            raise AssertionError(f"{asked.number}: the tunnel broke: {cut.said[:100]!r}") from None
