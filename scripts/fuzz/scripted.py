"""Backends of `conversations.py`: what each says to a request is written in the request's `Script`s, one a copy."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from rauta_control.policy import IDEMPOTENT

from ..peers.responses import BAD, RESPONSES
from .sockets import CutError, Fields, Wire, pieces

GOOD = ("plain",) * 6 + (
    *("chunks", "chunks", "eof", "old", "bye", "hints", "bodiless", "surplus", "bodied", "hop"),
    *("large", "large chunks"),
)
#: The client is told of these by an answer of RAUTA's.
MUTE = ("reset", "shut", "garbage", "half", "switch", "flood")
#: ... or sees that something is missing.
TORN = ("short", "torn", "bad chunk", "cut chunk")
SILENT = ("silent", "stall")
LAST = frozenset(("eof", "old", "bye", "surplus", "bodied", *MUTE, *TORN, *SILENT))  # nothing may come after them
PATIENCE = 60.0  # seconds for what must come
SILENCE = 25.0  # more than any limit of a worker here
LARGE = 2_500_000  # bytes; so large a body is spliced
_GARBAGE = [case.sent for case in RESPONSES if case.statuses == BAD and case.sent and case.sent[:4] != b"HTTP"]
_HINTS = b"HTTP/1.1 103 Early Hints\r\nX-Id: %d\r\n\r\n"


@dataclass
class Script:
    """What a backend makes of one copy. `early`: it answers before it has the body, and then reads on or does not."""

    kind: str
    status: int
    size: int
    wait: float
    cut: int
    early: str
    leaves: bool
    seed: int

    @property
    def good(self) -> bool:
        """Whether the client must get all of it."""
        return self.kind in GOOD and self.early in ("", "reads")


@dataclass
class Asked:
    """A request that a client means to make: `wire` is its bytes, `copies` what backends made of it."""

    number: int
    method: bytes
    path: str
    version: bytes
    fields: bytes
    body: bytes
    wire: bytes
    scripts: list[Script]
    upgrade: bool = False
    hasty: bool = False
    expects: int = 0  # bytes after which the client waits for leave to go on
    sent: bool = False
    copies: list[Script] = field(default_factory=list)

    def may_come(self) -> bool:
        """Whether a backend may get it, perhaps once more."""
        if not self.copies:
            return True
        last, retries = self.copies[-1], self.path in {"/retry", "/both", "/timed"}
        refused = retries and last.status == 503 and last.kind not in {*MUTE, "silent"}
        return (refused or self.method in IDEMPOTENT) and len(self.copies) < (4 if retries else 2)

    def payload(self, script: Script, copy: int) -> bytes:
        """The body of the answer to a copy."""
        if self.method == b"HEAD" or script.status in (204, 304):
            return b""
        told = b"%d.%d;" % (self.number, copy)
        return (told * (script.size // len(told) + 1))[: script.size]


class Backend:
    """Listens on `port`. `faults` is what it has seen and nobody may send."""

    def __init__(self, asked: dict[int, Asked], faults: list[str], *, shadow: bool = False) -> None:
        self._asked, self._faults, self._shadow = asked, faults, shadow
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Accept, until cancelled."""
        with self._listening:
            while True:
                sock, _ = await asyncio.get_running_loop().sock_accept(self._listening)
                task = asyncio.create_task(self._one(Wire(sock)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _one(self, wire: Wire) -> None:
        asked: list[int] = []
        try:
            while await self._exchange(wire, asked):
                pass
        except (AssertionError, ValueError, KeyError) as error:
            self._faults.append(f"a backend, after {asked}: {error!r}; then {wire.data[:200]!r}")
        except TimeoutError:
            self._faults.append(f"a backend's connection is kept after {asked}")
        except (OSError, CutError):
            pass
        finally:
            wire.sock.close()

    async def _exchange(self, wire: Wire, known: list[int]) -> bool:
        """One request; whether there may be another."""
        head = await wire.head()
        if head is None:
            return False
        if b"x-id" not in head:
            await wire.body(head)
            raise AssertionError(f"a request that was to be refused: {head.start!r} {head}")
        asked = self._asked[int(head[b"x-id"])]
        known.append(asked.number)
        _check(asked, head)
        if self._shadow:
            assert asked.path in {"/mirror", "/both"}, f"{asked.number}: a copy that nobody wants"
            copy, script = 0, asked.scripts[-1]
        else:
            assert asked.may_come(), f"{asked.number}: sent again after {asked.copies}"
            copy, script = len(asked.copies), asked.scripts[min(len(asked.copies), len(asked.scripts) - 1)]
            asked.copies.append(script)
        wire.pace = 20_000 if script.cut else 0
        say = _Sayer(wire, script)
        if script.early and asked.body:
            await _perform(wire, asked, script, copy, say)
            if script.early == "resets":
                wire.reset()
            if script.early != "reads" or script.kind in LAST:
                return False
            await _take_body(wire, asked, head)
            return True
        if head.get(b"expect"):
            await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await _take_body(wire, asked, head)
        tunnel = b"upgrade" in head and script.seed % 2 and script.kind in GOOD and not self._shadow
        await asyncio.sleep(script.wait)
        assert tunnel or asked.hasty or wire.silent(), f"{asked.number}: something comes before its answer"
        if tunnel:
            await _tunnel(wire, asked, copy)
            return False
        await _perform(wire, asked, script, copy, say)
        return await self._goes_on(wire, asked, script)

    async def _goes_on(self, wire: Wire, asked: Asked, script: Script) -> bool:
        if script.kind in LAST:
            async with asyncio.timeout(PATIENCE):
                assert not await wire.more(), f"{asked.number}: more came after {script}"
            return False
        if script.leaves:
            await asyncio.sleep(script.wait)
            return False
        return True


class _Sayer:
    """Says what a script says, in the pieces that it wants."""

    def __init__(self, wire: Wire, script: Script) -> None:
        self._wire = wire
        self._cut = script.cut
        self._random = Random(script.seed)  # noqa: S311 - the same each time

    async def __call__(self, data: bytes) -> None:
        if not self._cut:
            await self._wire.send(data)
            return
        head, rest = data[:600], data[600:]
        for piece in pieces(head, iter(lambda: self._random.randint(1, self._cut), 0)):
            await self._wire.send(piece)
            await asyncio.sleep(0)
        await self._wire.send(rest)


def _check(asked: Asked, head: Fields) -> None:
    """A head must be that of what was asked."""
    method, target, version = head.start.split(b" ")
    assert (method, version) == (asked.method, b"HTTP/1.1"), head.start
    assert target == b"%b/x?id=%d" % (asked.path.encode(), asked.number), head.start
    assert head[b"host"] == b"a.example"
    for name in (b"x-hop", b"keep-alive", b"proxy-connection", b"forwarded"):
        assert name not in head, head
    assert (b"upgrade" in head) <= asked.upgrade, head
    if asked.path == "/edit":
        assert head[b"x-set"] == b"new"
        assert b"x-gone" not in head


async def _take_body(wire: Wire, asked: Asked, head: Fields) -> None:
    """The body must be that of what was asked. Raises CutError where it is the beginning of that."""
    try:
        body = await wire.body(head)
    except CutError as cut:
        if asked.body.startswith(cut.said):
            raise
        body = cut.said
    assert body == asked.body, f"{asked.number}: not its body: {body[:100]!r}, {len(body)} of {len(asked.body)}"


async def _tunnel(wire: Wire, asked: Asked, copy: int) -> None:
    """Change protocols: repeat what comes."""
    head = b"HTTP/1.1 101 Said\r\nX-Id: %d\r\nX-Copy: %d\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    await wire.send(head % (asked.number, copy) + b"hello %d;" % asked.number)
    while wire.data or await wire.more():
        data, wire.data = wire.data, b""
        await wire.send(data)


async def _perform(
    wire: Wire, asked: Asked, script: Script, copy: int, say: Callable[[bytes], Awaitable[None]]
) -> None:
    """Answer, or misbehave."""
    kind, body = script.kind, asked.payload(script, copy)
    fields = b"Date: x\r\nX-Id: %d\r\nX-Copy: %d\r\n" % (asked.number, copy)
    head = b"HTTP/1.1 %d Said\r\n" % script.status + fields
    length = b"Content-Length: %d\r\n" % script.size
    match kind:
        case "plain" | "large":
            await say(head + length + b"\r\n" + body)
        case "bodiless":
            await say(head + b"\r\n")
        case "hop":
            hop = b"Connection: X-Hop, Keep-Alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n"
            await say(head + hop + length + b"\r\n" + body)
        case "hints":
            await say(_HINTS % asked.number * 2 + head + length + b"\r\n" + body)
        case "old":
            await say(head.replace(b"/1.1", b"/1.0") + length + b"\r\n" + body)
        case "bye":
            await say(head + b"Connection: close\r\n" + length + b"\r\n" + body)
        case "eof":
            await say(head + b"\r\n" + body)
            await wire.end()
        case "surplus":
            junk = b"HTTP/1.1 200 OK\r\nX-Id: 0\r\nContent-Length: 4\r\n\r\njunk"
            await wire.send(head + length + b"\r\n" + body + junk)
        case "bodied":
            await wire.send(head + b"Content-Length: 4\r\n\r\njunk")
        case "chunks" | "large chunks" | "bad chunk" | "cut chunk":
            chunks = chunked(body, Random(script.seed)) if asked.method != b"HEAD" else b""  # noqa: S311
            if kind == "bad chunk":
                chunks = b"%x\r\n%b\r\nzz\r\n" % (len(body) // 2, body[: len(body) // 2])
            elif kind == "cut chunk":
                chunks = chunks[: len(chunks) * 2 // 3]
            await say(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        case "short" | "torn" | "stall":
            await say(head + length + b"\r\n" + body[: len(body) // 2])
        case "garbage":
            await say(Random(script.seed).choice(_GARBAGE))  # noqa: S311
        case "half":
            await say(head)
        case "switch":
            await say(b"HTTP/1.1 101 Said\r\n" + fields + b"Connection: upgrade\r\nUpgrade: foo\r\n\r\njunk")
        case "flood":
            await say(_HINTS % asked.number * 12)
    if kind in ("silent", "stall"):
        await asyncio.sleep(SILENCE)
    elif kind in ("reset", "torn"):
        await asyncio.sleep(script.wait)
        wire.reset()
    elif kind in ("shut", "short", "half", "cut chunk"):
        await wire.end()


def chunked(body: bytes, random: Random) -> bytes:
    """`body` in chunks of many sizes, some with extensions, sometimes with trailers."""
    parts = []
    for piece in pieces(body, iter(lambda: random.choice((1, 7, 4_000, 20_000, 100_000)), 0)):
        extension = random.choice((b"", b"", b"", b';a="b;c"'))
        parts.append(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece))
    return b"".join(parts) + random.choice((b"0\r\n\r\n", b"0\r\nX-Trailer: 1\r\n\r\n", b"00;last\r\n\r\n"))
