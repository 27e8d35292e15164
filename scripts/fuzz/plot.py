"""What is asked in `conversations.py`, and what backends make of it: requests and scripts by chance."""

from __future__ import annotations

from random import Random

from ..peers.requests import REQUESTS
from .scripted import GOOD, LARGE, MUTE, SILENT, TORN, Asked, Script, chunked

PATHS = ("/plain", "/retry", "/timed", "/mirror", "/edit", "/both")
HASTY = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
_REFUSED = [each.sent for each in REQUESTS if len(each.statuses) == 1 and min(each.statuses[0]) >= 400]
REFUSED = [sent for sent in _REFUSED if len(sent) < 20_000]


class Plot:
    """What one seed says: who asks what, and what becomes of it."""

    def __init__(self, seed: int, asked: dict[int, Asked]) -> None:
        self.random = Random(seed)  # noqa: S311 - the same each time
        self.asked = asked
        self.seed = seed
        self._next = seed * 1_000

    def request(self, *, sober: bool, last: bool = False) -> Asked:
        """A request that must be answered."""
        random, number = self.random, self._next
        self._next += 1
        method = random.choice((b"GET", b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH"))
        path = "/plain" if sober else random.choice(PATHS)
        old = last and random.random() < 0.3
        fields = b"Host: a.example\r\nX-Id: %d\r\n" % number
        fields += random.choice(
            (
                *(b"", b"", b"", b"X-Gone: 1\r\nX-Set: old\r\n", b"X-Long: %b\r\n" % (b"y" * 7_000)),
                *(b"Connection: X-Hop\r\nX-Hop: 1\r\n", b"TE: trailers\r\nConnection: TE\r\n"),
            )
        )
        upgrade = method == b"GET" and not sober and random.random() < 0.3
        if upgrade:
            fields = b"Host: a.example\r\nX-Id: %d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" % number
        elif last and random.random() < 0.5 and b"Connection" not in fields:
            fields += b"Connection: close\r\n"
        body = framed = b""
        if not upgrade and (method in {b"POST", b"PUT", b"PATCH"} or random.random() < 0.1):
            size = random.choice((0, 1, 90, 5_000, 70_000)) if random.random() < 0.9 else LARGE
            told = b"%d," % number
            body = framed = (told * (size // len(told) + 1))[:size]
            if not old and random.random() < 0.5:
                fields += b"Transfer-Encoding: chunked\r\n"
                framed = chunked(body, random)
            else:
                fields += b"Content-Length: %d\r\n" % size
        expects = not old and body and random.random() < 0.2
        if expects:
            fields += b"Expect: 100-continue\r\n"
        version = b"HTTP/1.0" if old else b"HTTP/1.1"
        head = b"%b %b/x?id=%d %b\r\n%b\r\n" % (method, path.encode(), number, version, fields)
        scripts = [self._script(method, sober=sober, body=bool(body)) for _ in range(3)]
        if path in {"/retry", "/both"}:
            for script in scripts[: random.choice((0, 0, 1, 2))]:
                script.status = 503 if script.status == 200 else script.status
        asked = Asked(number, method, path, version, fields, body, head + framed, scripts, upgrade)
        asked.expects = len(head) if expects else 0
        if upgrade and random.random() < 0.3:
            asked.hasty = True
            asked.wire += HASTY
        self.asked[number] = asked
        return asked

    def _script(self, method: bytes, *, sober: bool, body: bool) -> Script:
        random = self.random
        kind, early = random.choice(GOOD), ""
        if not sober and random.random() < 0.3:
            kind = random.choice(MUTE + TORN) if random.random() < 0.95 else random.choice(SILENT)
        if body and not sober and random.random() < 0.15:
            kind = random.choice(("plain", "chunks", "reset", "shut", "short", "bad chunk"))
            early = random.choice(("reads", "reads", "shuts", "resets"))
        if method == b"HEAD" and kind in {*TORN, "eof", "stall"}:
            kind = "plain"
        status = {"bodiless": random.choice((204, 304)), "bodied": 200 if method == b"HEAD" else 204}.get(kind, 200)
        size = random.choice((0, 2, 50, 3_000, 30_000, 200_000))
        if kind.startswith("large"):
            size = LARGE
        elif kind == "surplus":
            size = min(size, 30_000)
        elif kind in TORN or kind == "stall":
            size = max(50, size)
        wait = random.choice((0.0, 0.0, 0.0, 0.002, 0.02, 0.1))
        cut = random.choice((0, 0, 0, 1, 20, 200)) if kind != "surplus" else 0
        return Script(kind, status, size, wait, cut, early, random.random() < 0.1, random.randrange(1 << 30))
