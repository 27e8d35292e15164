"""Backends that reset, go stale, talk garbage or too much, and answer before they were asked."""

import asyncio
import collections
import re
import tempfile
import time
from pathlib import Path

from ..bench.process import free_ports
from ..peers.responses import BAD, RESPONSES
from .backend import OK, Head, backend, body, good, reset
from .gateway import running
from .load import Client, FailedError
from .verdict import Fault, Verdict, at_most, exactly

_TARGET = re.compile(rb"\A[A-Z]+ ([^ ]+) ")


def target(head: Head) -> str:
    """The request target of a head."""
    found = _TARGET.match(head)
    return found[1].decode() if found else ""


async def _outcome(client: Client, method: str = "GET", path: str = "/", content: bytes = b"") -> str:
    """`200`, or `cut` if the connection ended before the answer did."""
    try:
        return str((await client.ask(method, path, content))[0])
    except FailedError:
        return "cut"


async def reset_within(size: float) -> list[Verdict]:  # noqa: ARG001
    """A reset in the middle of a body."""

    async def answer(head: Head, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        framing = b"Content-Length: 1000" if target(head) == "/length" else b"Transfer-Encoding: chunked"
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n5\r\nabcde\r\n" % framing)
        await writer.drain()
        await asyncio.sleep(0.1)
        reset(writer)
        return False

    async with backend(answer) as bad, running(backend=bad.port) as gateway:
        seen = [await _outcome(Client(gateway.port), path=path) for path in ("/length", "/chunks")]
        return [
            exactly("the client sees that it was cut (length, chunks)", seen, ["cut", "cut"]),
            exactly("requests that the backend saw", len(bad.heads), 2),
        ]


async def reset_before(size: float) -> list[Verdict]:  # noqa: ARG001
    """A reset before the response, on a new connection."""

    async def answer(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await body(head, reader)
        reset(writer)
        return False

    async with backend(answer) as bad, running(backend=bad.port) as gateway:
        get = await _outcome(Client(gateway.port))
        gets = len(bad.heads)
        post = await _outcome(Client(gateway.port), "POST", content=b"abc")
        posts = len(bad.heads) - gets
        return [
            exactly("GET answered", get, "502"),
            at_most("GETs that the backend saw", gets, 2),
            exactly("POST answered", post, "502"),
            exactly("POSTs that the backend saw", posts, 1),
        ]


async def stale(size: float) -> list[Verdict]:
    """A backend that closes kept connections just when they are used again."""
    number = int(10_000 * size)
    hits: collections.Counter[str] = collections.Counter()

    async def answer(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await body(head, reader)
        hits[target(head)] += 1
        writer.write(OK if not head.startswith(b"HEAD") else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await writer.drain()
        return hash(head) % 3 != 0  # closes without having said so

    failed: collections.Counter[str] = collections.Counter()

    async def client(methods: tuple[str, ...], share: int, name: str, port: int) -> None:
        connection = Client(port)
        for index in range(share):
            method = methods[index % len(methods)]
            outcome = await _outcome(connection, method, f"/{name}/{method}/{index}")
            failed[method] += outcome != "200"

    async with (
        backend(answer) as bad,
        running("--workers=1", backend=bad.port) as gateway,
        asyncio.TaskGroup() as tasks,
    ):
        for index in range(8):
            share = number // 8
            methods = ("GET", "HEAD", "DELETE", "PUT")
            tasks.create_task(client(methods, share, f"safe{index}", gateway.port))
            tasks.create_task(client(("POST",), share // 4, f"post{index}", gateway.port))
        await asyncio.sleep(0)
    twice = sum(count > 1 for path, count in hits.items() if "/POST/" in path)
    safe = sum(count for method, count in failed.items() if method != "POST")
    return [
        exactly(f"failed of {number} GET, HEAD, DELETE and PUT", safe, 0),
        exactly(f"POSTs sent twice, of {number // 4}", twice, 0),
    ]


async def garbage(size: float) -> list[Verdict]:  # noqa: ARG001
    """Responses that are none."""
    cases = [case for case in RESPONSES if case.statuses == BAD]
    wrong = []
    sent = b""

    async def answer(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if target(head) == "/good":
            return await good(head, reader, writer)
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.05)
        return False

    async with backend(answer) as bad, running(backend=bad.port) as gateway:
        client = Client(gateway.port)
        for case in cases:
            sent = case.sent
            outcome = await _outcome(client, path="/bad"), await _outcome(client, path="/good")
            if outcome != ("502", "200"):
                wrong.append(f"{case.name}: {outcome}")
    return [exactly(f"{len(cases)} kinds answered other than 502, or the next request harmed", wrong, [])]


async def too_much(size: float) -> list[Verdict]:
    """A second response that nobody asked for, after each."""
    number = int(10_000 * size)

    async def answer(head: Head, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        own = target(head).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(own), own))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        return True

    leaked = failed = 0

    async def client(name: str, port: int) -> None:
        nonlocal leaked, failed
        connection = Client(port)
        for index in range(number // 8):
            path = f"/{name}/{index}"
            try:
                _, content = await connection.ask(target=path)
            except FailedError:
                failed += 1
            else:
                leaked += content != path.encode()

    async with backend(answer) as bad, running(backend=bad.port) as gateway, asyncio.TaskGroup() as tasks:
        for name in "abcdefgh":
            tasks.create_task(client(name, gateway.port))
        await asyncio.sleep(0)
    return [
        exactly(f"answers that were not the request's own, of {number}", leaked, 0),
        exactly("failed", failed, 0),
    ]


async def half_close(size: float) -> list[Verdict]:  # noqa: ARG001
    """A body that is too short, and a client that says that it sends no more."""

    async def answer(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if target(head) == "/short":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            return False
        await asyncio.sleep(0.2)
        return await good(head, reader, writer)

    async with backend(answer) as bad, running(backend=bad.port) as gateway:
        short = await _outcome(Client(gateway.port), path="/short")
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        writer.write_eof()
        answered = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    return [
        exactly("a short body is seen as one", short, "cut"),
        exactly("the half-closed client got its answer", answered.startswith(b"HTTP/1.1 200"), True),
    ]


async def early_answer(size: float) -> list[Verdict]:  # noqa: ARG001
    """413 while the client still sends."""

    async def answer(_: Head, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        await writer.drain()
        return False

    async with backend(answer) as bad, running(backend=bad.port) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        begin = time.monotonic()
        heard = asyncio.create_task(reader.read())
        sent = 0
        while not heard.done() and sent < 100_000_000 and time.monotonic() - begin < 5:
            writer.write(b"a" * 65_536)
            sent += 65_536
            try:
                await writer.drain()
            except OSError:
                break
            await asyncio.sleep(0.002)
        answered = await asyncio.wait_for(heard, 5)
        took = time.monotonic() - begin
        writer.close()
    return [
        exactly("413 and its body were read", answered.startswith(b"HTTP/1.1 413") and answered.endswith(b"big"), True),
        at_most("the upload ended after", took, 1.0, " s"),
    ]


async def slow_head(size: float) -> list[Verdict]:  # noqa: ARG001
    """A response head that does not come, and one that drips."""

    async def answer(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        left = asyncio.create_task(reader.read())
        while not left.done():
            if target(head) == "/drip":
                writer.write(b"a")
            await asyncio.wait((left,), timeout=0.5)
        return False

    async def waited(path: str, port: int) -> tuple[str, float]:
        begin = time.monotonic()
        return await _outcome(Client(port, patience=30.0), path=path), time.monotonic() - begin

    limit = 10.0
    async with backend(answer) as bad, running(f"--response-timeout={limit:g}", backend=bad.port) as gateway:
        silent, dripping = await asyncio.gather(waited("/silent", gateway.port), waited("/drip", gateway.port))
    return [
        exactly("answered (silent, dripping)", [silent[0], dripping[0]], ["504", "504"]),
        at_most("the later after", max(silent[1], dripping[1]), limit * 1.1, " s"),
        Verdict("not before", f"{min(silent[1], dripping[1]):.1f} s", min(silent[1], dripping[1]) >= limit),
    ]


RETRYING = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: g, namespace: default}}
spec:
  gatewayClassName: rauta
  listeners: [{{name: http, port: {port}, protocol: HTTP}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: r, namespace: default}}
spec:
  parentRefs: [{{name: g}}]
  rules:
  - backendRefs: [{{name: s, port: 80}}]
    retry: {{codes: [503], attempts: 5, backoff: 10ms}}
---
apiVersion: v1
kind: Service
metadata: {{name: s, namespace: default}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s, namespace: default, labels: {{kubernetes.io/service-name: s}}}}
addressType: IPv4
ports: [{{port: {backend}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"""


async def retry_storm(size: float) -> list[Verdict]:
    """503 to everything, and a route that retries that five times."""
    clients, each = 50, max(4, int(40 * size))

    async def answer(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await body(head, reader)
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        return True

    async def ask(port: int) -> None:
        client = Client(port)
        for _ in range(each):
            await client.ask()

    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        async with backend(answer) as bad:
            manifests = Path(folder, "routes.yaml")
            manifests.write_text(RETRYING.format(port=free_ports(1)[0], backend=bad.port))
            async with running("--workers=1", f"--config={manifests}", "--addresses=127.0.0.1") as gateway:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(clients):
                        tasks.create_task(ask(gateway.port))
                attempts, number = len(bad.heads), clients * each
    return [at_most(f"attempts for {number} requests", attempts, 1.2 * number + 3)]


FAULTS = (
    Fault(5, "the backend resets in the middle of a response", reset_within, smoke=True),
    Fault(6, "the backend resets before its response", reset_before, smoke=True),
    Fault(7, "kept connections to the backend are stale", stale, smoke=True),
    Fault(8, "the head of the response does not come, or drips", slow_head),
    Fault(9, "the backend talks garbage", garbage, smoke=True),
    Fault(10, "the backend answers twice", too_much, smoke=True),
    Fault(11, "a short body; a client that half-closes", half_close, smoke=True),
    Fault(12, "413 while the client still sends", early_answer, smoke=True),
    Fault(24, "the backend answers 503, and the route retries", retry_storm),
)
