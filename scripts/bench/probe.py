"""Is the answer right? Asked of single requests while the load runs: the load generator itself sees little more than
the status.

The backend answers with an id in both its ETag and its body, with the port it was reached on, and with what it was
sent.
"""

import json
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from . import heads
from .instance import Instance
from .setup import Route
from .wire import Client, Head, WrongAnswerError

PERIOD = 0.05  # seconds between probes
ASK = "x-probe: 1\r\n"


def complaint(route: Route, target: str, head: Head, body: bytes, *, proxied: bool, scheme: str = "http") -> str:
    """What is wrong with an answer of the backend to a request with `x-probe`; empty if nothing. Pure."""
    if head.status != 200:
        return f"status {head.status} for {target}: {body[:200]!r}"
    fields = head.fields
    try:
        said = json.loads(body)
    except ValueError:
        return f"a body that is not the backend's: {body[:200]!r}"
    wrong = []
    if fields.get("etag", "").strip('"') != said["id"]:
        wrong.append("the body of one answer with the head of another")
    if proxied and said["port"] != route.port:
        wrong.append(f"{route} was answered by port {said['port']}")
    if fields.get("x-seen-target") != target:
        wrong.append(f"target {target} arrived as {fields.get('x-seen-target')}")
    if proxied and not fields.get("x-seen-for"):  # Envoy, asked from loopback, names an address of the machine
        wrong.append("no x-forwarded-for")
    if proxied and fields.get("x-seen-proto") != scheme:
        wrong.append("no x-forwarded-proto")
    if proxied and not fields.get("x-seen-id"):
        wrong.append("no x-request-id")
    return ", ".join(wrong)


def ask(
    client: Client, seed: int, n: int, route: Route, *, proxied: bool, body: bytes = b"", scheme: str = "http"
) -> str:
    """One probe; with a body it is a POST, and the backend must have got that body."""
    extra = f"{ASK}Content-Length: {len(body)}\r\n" if body else ASK
    request = heads.head(seed, n, route, method="POST" if body else "GET", extra=extra)
    head, answer = client.exchange(request + body)
    wrong = complaint(route, heads.path(seed, n, route), head, answer, proxied=proxied, scheme=scheme)
    if body and not wrong and json.loads(answer).get("body") != body.decode():
        return "the backend got another body"
    return wrong


@dataclass
class Probe:
    """Asks in a thread while the block runs; `wrong` is the first complaint, `asked` how many were sent."""

    instance: Instance
    routes: tuple[Route, ...]
    seed: int
    body: bytes = b""
    asked: int = 0
    wrong: str = ""
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def _run(self) -> None:
        try:
            scheme = "https" if self.instance.secure else "http"
            with self.instance.client(self.routes[0]) as client:
                while not self.wrong:
                    route = self.routes[(self.asked * 7919 + self.seed) % len(self.routes)]
                    self.wrong = ask(
                        client,
                        self.seed,
                        self.asked,
                        route,
                        proxied=self.instance.is_proxy,
                        body=self.body,
                        scheme=scheme,
                    )
                    self.asked += 1
                    if self._done.wait(PERIOD):
                        return
        except (WrongAnswerError, OSError) as error:
            self.wrong = f"a probe failed: {error}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        if self._thread:
            self._thread.join()
