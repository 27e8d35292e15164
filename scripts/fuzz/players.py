"""Who takes part in what `events.py` lets happen: clients, backends and gates, and what they remember of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import h11

from rauta_control.faketransport_test import End
from rauta_control.gate import Inquiry, Verdict

from .secure import SecureEnd

KINDS = 20  # of what a backend may say
PLAIN = 5  # of them: a whole answer, its length first
_HEAD = b"Date: x\r\nX-Id: %d\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Type: x\r\nVary: Accept, Origin\r\n"


@dataclass
class Asked:
    """A request that a client means to send, perhaps several `times`; `copies` are what backends got of it."""

    number: int
    method: bytes
    path: str
    body: bytes
    upgrade: bool
    message: bytes
    times: int = 0
    copies: list[Copy] = field(default_factory=list)


@dataclass(eq=False)
class Copy:
    """A request as a backend gets it. `answered` is the final status, 0 without one."""

    number: int
    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]
    end: Peer
    body: bytes = b""
    complete: bool = False
    answered: int = 0


class Gate:
    """Decides when it is told."""

    timeout = 2.0

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Verdict]] = []

    async def ask(self, inquiry: Inquiry) -> Verdict:  # noqa: ARG002
        self.waiting.append(asyncio.get_running_loop().create_future())
        return await self.waiting[-1]

    def decide(self, verdict: Verdict | Exception) -> None:
        """Answer the first that waits."""
        while self.waiting:
            first = self.waiting.pop(0)
            if not first.done():
                if isinstance(verdict, Exception):
                    first.set_exception(verdict)
                else:
                    first.set_result(verdict)
                return


class Browser:
    """A client: what it still has to say, and what it asked."""

    def __init__(self, end: End | SecureEnd) -> None:
        self.end = end
        self.todo = b""
        self.done = False  # has said that no more comes, or left
        self.asked: list[Asked] = []
        self.heard = b""

    def ask(self, asked: Asked) -> None:
        """Mean to say it, for the first time or once more, byte by byte the same."""
        asked.times += 1
        self.asked.append(asked)
        self.todo += asked.message


class Peer:
    """A backend's end of a connection, and the copy that is to be answered."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.port = end.port
        self.data = b""
        self.copy: Copy | None = None
        self.rest = b""  # of a response
        self.tunnel = False
        self.done = False  # has said that no more comes
        self.spoilt = False  # has said what nobody may, so that no request may follow

    def read(self) -> Iterator[Copy]:
        """Copies whose head is new. AssertionError for bytes that are no request, or come before their turn."""
        self.data += self.end.heard()
        while self.data and not self.tunnel:
            server = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
            server.receive_data(self.data)
            head = server.next_event()
            if not isinstance(head, h11.Request):
                return
            copy = self.copy
            if copy is None:
                assert not self.spoilt, f"sent on a connection that is out of step: {head}"
                fields = [(name, value) for name, value in head.headers]
                number = [value for name, value in fields if name == b"x-id"]
                assert len(number) == 1, fields
                copy = self.copy = Copy(int(number[0]), head.method, head.target, fields, self)
                yield copy
            body = b""
            while isinstance(event := server.next_event(), h11.Data):
                body += event.data
            copy.body = body
            copy.complete = isinstance(event, h11.EndOfMessage)
            rest = server.trailing_data[0] if copy.complete else b""
            if not copy.complete or not copy.answered or self.rest:
                assert not rest, f"sent before the answer: {rest!r}"
                return
            self.data, self.copy = rest, None

    def say(self, kind: int) -> None:
        """Answer, or misbehave."""
        copy, end = self.copy, self.end
        if not end.open or self.done:
            return
        if self.rest:
            said, self.rest = self.rest, b""
            end.say(said)
        elif self.tunnel and kind > 1:
            end.say(b"more")
        elif kind == 0 or copy is None or (copy.answered and not self.tunnel):
            end.break_off()
        elif kind == 1:
            self.done = True
            end.half_close()
        elif kind == 2:
            end.say(b"HTTP/1.1 103 Early Hints\r\nX-Id: %d\r\n\r\n" % copy.number)
        elif kind == 3:
            end.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif kind > 15:
            self._spoil(copy, kind)
        elif kind == 15 or (kind > 9 and b"upgrade" in dict(copy.fields)):
            copy.answered, self.tunnel = 101, True
            head = b"HTTP/1.1 101 Said\r\nX-Id: %d\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\nhello"
            end.say(head % copy.number)
        elif kind == 4:
            end.say(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n")
        else:
            self._answer(copy, kind)

    def _answer(self, copy: Copy, kind: int) -> None:
        end = self.end
        status = (200, 503, 500, 204, 304, 503, 200, 200, 503, 200)[kind - 5]
        copy.answered = status
        head = b"HTTP/1.1 %d Said\r\n%b" % (status, _HEAD % copy.number)
        body = b"" if status in (204, 304) or copy.method == b"HEAD" else b"%d;" % copy.number * 20
        match kind:
            case 5 | 6 | 7:
                end.say(head + b"Content-Length: %d\r\n\r\n" % (len(body) or 60) + body)
            case 8 | 9:
                end.say(head + b"\r\n")
            case 10:  # in chunks, more than is discarded
                body *= 1_500
                end.say(head + b"Transfer-Encoding: chunked\r\n\r\n")
                if body:
                    end.say(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            case 11:  # in two parts
                end.say(head + b"Content-Length: %d\r\n\r\n" % (len(body) or 60) + body[:7])
                self.rest = body[7:]
            case 12:  # until the end
                end.say(head + b"\r\n" + body)
                if end.open:
                    end.half_close()
            case 13:
                end.say(head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (len(body) or 60) + body)
            case _:
                end.break_off(head + b"Content-Length: %d\r\n\r\n" % (len(body) or 60) + body)

    def _spoil(self, copy: Copy, kind: int) -> None:
        """Say too much, too little, or what is not framed."""
        self.spoilt = True
        copy.answered = 204 if kind == 19 else 200
        head = b"HTTP/1.1 %d Said\r\n%b" % (copy.answered, _HEAD % copy.number)
        body = b"" if copy.method == b"HEAD" else b"%d;" % copy.number * 20
        match kind:
            case 16:
                junk = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\njunk"
                self.end.say(head + b"Content-Length: %d\r\n\r\n" % (len(body) or 60) + body + junk)
            case 17:
                self.end.say(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\nzz\r\n" % (len(body) or 9, body))
            case 18:
                self.end.say(head + b"Content-Length: %d\r\n\r\n" % (len(body) * 2 or 60) + body)
                if self.end.open:
                    self.done = True
                    self.end.half_close()
            case _:
                self.end.say(head + b"Content-Length: 4\r\n\r\njunk")
