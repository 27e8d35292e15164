"""A proxy before the API server that counts requests by kind, and fails as told.

refused      nobody listens, and what was connected is reset
unavailable  503 for everything
expired      410 for every watch, on streams that are open as an event
busy         429 with Retry-After for everything
truncated    every watch breaks in the middle of a line
silent       watches that are open when it begins say nothing any more, and never end
"""

import asyncio
import contextlib
import ssl
from collections import Counter
from typing import Literal, TypeAlias, get_args

import aiohttp
from aiohttp import web

from scripts.conformance.cluster import Cluster
from scripts.conformance.network import HOST

Fault: TypeAlias = Literal["refused", "unavailable", "expired", "busy", "truncated", "silent"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
RETRY_AFTER = 10  # seconds
HALF = b'{"type":"MODIFIED","object":{"apiVersion":"gateway.netw'
EXPIRED = b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","message":"too old","code":410}'
DROPPED = ("Host", "Content-Length", "Transfer-Encoding", "Connection")


class ApiProxy:
    """Use as an asynchronous context manager; it listens at `url` then."""

    def __init__(self, made: Cluster) -> None:
        self.url = ""
        self.requests: Counter[str] = Counter()  # lists and watches by plural of the kind, and all about Leases
        self._server = made.server
        self._fault: Fault | None = None
        self._turn = asyncio.Event()  # set and replaced when the fault changes
        self._upstream = made.context(made.authority.issue("rauta-scale-proxy", "system:masters"))
        pair = made.authority.issue("rauta-scale-proxy-serving", addresses=(HOST,))
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(pair.certificate, pair.key)
        self._port = 0
        self._site: web.TCPSite | None = None
        self._connections: set[asyncio.Transport] = set()

    async def __aenter__(self) -> "ApiProxy":
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(ssl=self._upstream, limit=0)
        self._session = aiohttp.ClientSession(self._server, connector=connector, timeout=timeout, auto_decompress=False)
        self._runner = web.ServerRunner(web.Server(self._handle), handler_cancellation=True)
        await self._runner.setup()
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._abort()
        await self._runner.cleanup()
        await self._session.close()

    async def fail(self, fault: Fault | None) -> None:
        """Fail in this way from now on; None: not at all."""
        if fault == "refused" and self._site is not None:
            await self._site.stop()
            self._site = None
            self._abort()
        self._fault = fault
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()
        if fault != "refused" and self._site is None:
            await self._listen()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, HOST, self._port, ssl_context=self._context, reuse_address=True)
        await self._site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"https://{HOST}:{self._port}"

    def _abort(self) -> None:
        for transport in self._connections:
            transport.abort()
        self._connections.clear()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if isinstance(request.transport, asyncio.Transport):
            self._connections.add(request.transport)
        watch = "watch" in request.query
        kind = plural(request.path)
        # The further pages of a list are one list: how many there are depends on the number of objects alone.
        if (request.method == "GET" and "continue" not in request.query) or kind == "leases":
            self.requests[kind] += 1
        if self._fault == "unavailable":
            return web.Response(status=503, text="down")
        if self._fault == "busy":
            return web.Response(status=429, headers={"Retry-After": str(RETRY_AFTER)}, text="busy")
        if self._fault == "expired" and watch:
            return web.Response(status=410, body=EXPIRED, content_type="application/json")
        headers = {key: value for key, value in request.headers.items() if key not in DROPPED}
        data = await request.read() if request.can_read_body else None
        async with self._session.request(request.method, request.path_qs, headers=headers, data=data) as answer:
            kept = {key: value for key, value in answer.headers.items() if key not in DROPPED}
            if not watch or answer.status != 200:
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
            response = web.StreamResponse(headers=kept)
            await response.prepare(request)
            with contextlib.suppress(ConnectionResetError, aiohttp.ClientError):  # one of both is gone
                await self._relay(answer, response, request)
            return response

    async def _relay(
        self, answer: aiohttp.ClientResponse, response: web.StreamResponse, request: web.BaseRequest
    ) -> None:
        """Pass a watch on until it ends, or a fault ends it."""
        while True:
            if self._fault == "truncated":
                await response.write(HALF)
                if request.transport is not None:
                    request.transport.close()
                return
            turned = asyncio.create_task(self._turn.wait())
            reading = asyncio.create_task(answer.content.readany())
            try:
                await asyncio.wait((turned, reading), return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    if not (data := reading.result()):
                        return
                    await response.write(data)
            finally:
                turned.cancel()
                if not reading.done():
                    reading.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await reading
            if turned.done() and not turned.cancelled():
                if self._fault == "silent":
                    await asyncio.Event().wait()  # until the client is gone
                if self._fault == "expired":
                    await response.write(b'{"type":"ERROR","object":' + EXPIRED + b"}\n")
                if self._fault in ("expired", "unavailable", "busy"):
                    return


def plural(path: str) -> str:
    """The plural of the kind that a path is about, `discovery` if none."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if len(rest) > 2 and rest[0] == "namespaces":
        rest = rest[2:]
    return rest[0] if rest else "discovery"
