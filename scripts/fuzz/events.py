"""The target `events`: clients, backends, gates, clocks and configurations do what the bytes say, in any order.

What requests say is well formed: it is the order of things that is tried here, over rules that do everything. Each
request carries a number, which whoever answers repeats, so that nothing can get mixed up unnoticed. Two of three
clients have TLS, and some say the same several times, so that what is remembered of it is used.
"""

from __future__ import annotations

import random
import ssl

from rauta_control.faketransport_test import End
from rauta_control.fakewire_test import Wire
from rauta_control.gate import Answer
from rauta_control.table import Rule

from .judgement import judge_answers, judge_copies
from .players import KINDS, PLAIN, Asked, Browser, Gate, Peer
from .rules import CONFIGURATIONS, GATED, PATHS
from .secure import CUTS, SecureEnd
from .target import Rig

METHODS = (b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"PATCH")
STEPS = 60
MAX_CLIENTS = 3
SETTLED = 400  # seconds after which no deadline is left
_EXTRAS = (
    b"",
    b'X-Gone: 1\r\nx-set: old\r\nX-ADD: a\r\nX-Odd: \x80\xff\t;"\r\n',
    b"Origin: https://a.b.example\r\nAccess-Control-Request-Method: PUT\r\n",
    b"Origin: null\r\nX-Kind: cat\xfe\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Connection: TE\r\nTE: trailers\r\n",
    b"X-Kind: \r\nX-Kind: dog\r\nCookie: a=b\r\nCookie: c\r\n",
)
_QUERIES = (b"", b"&a+b=1", b"&a%20b=1&a+b=2", b"&;a%20b=1", b'&x="<>|\\')


class Choices:
    """The bytes of an input, as decisions; 0 after their end."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)
        self.over = False

    def pick(self, count: int) -> int:
        """A number below `count`."""
        chosen = next(self._bytes, None)
        self.over = self.over or chosen is None
        return (chosen or 0) % count


class Play:
    """One input."""

    def __init__(self, wire: Wire, choices: Choices) -> None:
        self.wire = wire
        self.pick = choices.pick
        self.gate = Gate()
        self.browsers: list[Browser] = []
        self.peers: list[Peer] = []
        self.asked: dict[int, Asked] = {}
        self._known = len(wire.backends)
        self._publish(0)

    def step(self) -> None:
        """One event."""
        match self.pick(15):
            case 0 | 1:
                self._ask()
            case 2:
                self._send()
            case 3 | 4 | 5:
                self._answer(self.pick(KINDS))
            case 6:
                self.wire.wait(
                    *((0.01, 0.01), (0.03, 0.01), (0.3, 0.1), (1.1, 0.1), (6.0, 1.0), (70.0, 10.0))[self.pick(6)]
                )
            case 7:
                verdicts = (None, None, Answer(401, (("X-Id", "0"),), b"no"), ValueError("broken"))
                self.gate.decide(verdicts[self.pick(4)])
                self.wire.loop.settle()
            case 8:
                self._leave()
            case 9:
                self._publish(self.pick(len(CONFIGURATIONS)))
            case 10:
                self._connections()
            case 12:
                if not self.pick(4):
                    self._drain()
            case 13:
                self._repeat()
            case _:
                self._flow()
        self.look()

    def look(self) -> None:
        """Read what everybody got."""
        for end in self.wire.backends[self._known :]:
            self.peers.append(Peer(end))
        self._known = len(self.wire.backends)
        for peer in self.peers:
            for copy in peer.read():
                self.asked[copy.number].copies.append(copy)
        for browser in self.browsers:
            browser.heard += browser.end.heard()

    def _ask(self) -> None:
        if len(self.browsers) < MAX_CLIENTS and (not self.browsers or self.pick(3) == 0):
            self.browsers.append(Browser(self._connect_client(f"198.51.100.{len(self.browsers)}")))
        browser = self.browsers[self.pick(len(self.browsers))]
        number = len(self.asked) + 1
        method, path = METHODS[self.pick(len(METHODS))], PATHS[self.pick(len(PATHS))]
        extra, query, shape = _EXTRAS[self.pick(len(_EXTRAS))], _QUERIES[self.pick(len(_QUERIES))], self.pick(6)
        body = b"" if shape < 2 else b"%d," % number * (10 if shape < 5 else 30_000)
        framed, fields = body, b"Content-Length: %d\r\n" % len(body) if body else b""
        if shape == 3:
            fields, framed = b"Transfer-Encoding: chunked\r\n", b"a\r\n%b\r\n%x;x\r\n%b\r\n0\r\nA: b\r\n\r\n" % (
                body[:10], len(body) - 10, body[10:],
            )  # fmt: skip
        elif shape == 4:
            fields += b"Expect: 100-continue\r\n"
        line = b"%b %b/x?id=%d%b HTTP/1.%d\r\n" % (method, path.encode(), number, query, shape != 1)
        message = b"%bHost: H%d:80\r\nX-Id: %d\r\n%b%b\r\n%b" % (line, number, number, extra, fields, framed)
        self.asked[number] = Asked(number, method, path, body, b"Upgrade" in extra, message)
        browser.ask(self.asked[number])
        self._say(browser)

    def _repeat(self) -> None:
        """Somebody says the same several times, and is answered each time, most often at once and well."""
        if not self.browsers:
            return
        browser = self.browsers[self.pick(len(self.browsers))]
        if not browser.asked or browser.asked[-1].body or self.pick(2):
            number = len(self.asked) + 1
            message = b"GET /plain/x?id=%d HTTP/1.1\r\nHost: H%d:80\r\nX-Id: %d\r\n\r\n" % (number, number, number)
            self.asked[number] = Asked(number, b"GET", "/plain", b"", False, message)  # of PATHS, what is remembered
            browser.ask(self.asked[number])
        for _ in range(self.pick(6)):
            self._say(browser)
            self.look()
            self._answer(PLAIN if self.pick(4) else self.pick(KINDS))
            self.look()
            browser.ask(browser.asked[-1])

    def _connect_client(self, address: str) -> End | SecureEnd:
        kind = self.pick(3)
        if not kind:
            return self.wire.client(address)
        version = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)[kind - 1]
        return SecureEnd(self.wire, address, version, CUTS[self.pick(len(CUTS))])

    def _send(self) -> None:
        if self.browsers:
            self._say(self.browsers[self.pick(len(self.browsers))])

    def _say(self, browser: Browser) -> None:
        size = (1 << 20, 1 << 20, 30, 200, 400, 66_000)[self.pick(6)]
        said, browser.todo = browser.todo[:size], browser.todo[size:]
        if said and browser.end.open and not browser.done:
            browser.end.say(said)

    def _answer(self, kind: int) -> None:
        busy = [peer for peer in self.peers if peer.end.open and (peer.copy or peer.rest)]
        if busy:
            peer = busy[self.pick(len(busy))]
            peer.say(kind)
        elif idle := [peer for peer in self.peers if peer.end.open]:
            idle[self.pick(len(idle))].say(0)

    def _leave(self) -> None:
        if self.browsers:
            browser = self.browsers[self.pick(len(self.browsers))]
            if browser.end.open and not browser.done:
                browser.done = True
                (browser.end.break_off if self.pick(2) else browser.end.half_close)()

    def _publish(self, number: int) -> None:
        self.wire.publish(*CONFIGURATIONS[number])
        for host in self.wire.worker.follower.table.listeners["l"].names.values():
            rule = host.decide(b"GET", GATED.encode())
            if isinstance(rule, Rule) and rule.treatment is not None:
                rule.treatment.gates = (self.gate,)

    def _connections(self) -> None:
        """Connections to backends hang, are refused, or are made."""
        loop = self.wire.loop
        match self.pick(4):
            case 0:
                loop.hang = True
            case 1:
                loop.refuse = ConnectionRefusedError()
            case 2:
                self._connect()
            case _:
                self._connect()
                loop.hang, loop.refuse = False, None

    def _connect(self) -> None:
        for waiting in self.wire.loop.connecting:
            if not waiting.done():
                waiting.set_result(None)
        self.wire.loop.connecting.clear()
        self.wire.loop.settle()

    def _ends(self) -> list[End | SecureEnd]:
        ends: list[End | SecureEnd] = [*(browser.end for browser in self.browsers), *(peer.end for peer in self.peers)]
        return [end for end in ends if not end.lost]

    def _drain(self) -> None:
        """The worker is to end soon: what is under way goes on."""
        self.wire.worker.draining = True
        for each in list(self.wire.downstreams):
            each.drain()

    def _flow(self) -> None:
        """Somebody takes what waits for it only when told, or takes all."""
        if ends := self._ends():
            end = ends[self.pick(len(ends))]
            if self.pick(3):
                end.take_all()
            else:
                end.take(1_000)

    def finish(self) -> None:
        """Everybody leaves; nothing may be left."""
        wire, worker = self.wire, self.wire.worker
        wire.loop.hang, wire.loop.refuse = False, None
        worker.draining = False
        for end in self._ends():
            end.take_all()
        self.look()
        for browser in self.browsers:
            browser.end.break_off()
        while self.gate.waiting:
            self.gate.decide(None)
        self._connect()
        self.look()
        for end in wire.backends:
            if not end.lost:
                end.break_off()
        wire.loop.settle()
        wire.wait(SETTLED, 100.0)
        wire.check()
        assert not worker.mirrors
        assert not len(worker.wheel)
        assert not worker._tasks, worker._tasks  # noqa: SLF001
        assert not len(worker.sweep)
        for cluster in worker.follower.clusters.by_name.values():
            assert not cluster.requests, cluster.name
            assert not cluster.retries, cluster.name

    def judge(self) -> None:
        """What may have happened."""
        for browser in self.browsers:
            judge_answers(browser)
        for asked in self.asked.values():
            judge_copies(asked)


def events(rig: Rig, data: bytes) -> None:
    """Let happen what `data` says."""
    random.seed(0)
    choices = Choices(data)
    play = Play(rig.wire(), choices)
    for _ in range(STEPS):
        if choices.over:
            break
        play.step()
    play.finish()
    play.judge()
