"""The HTTP servers of the control process: admin (everything that can be asked) and probe (health and metrics only).

A shell around aiohttp's low-level server: what is answered comes from rest.respond, metrics.py and crossorigin.py.
Read-only: GET and HEAD. Both servers are meant for few clients and stand up to bad ones: bounded connections, of which
the oldest makes room, so that a flood keeps no kubelet out; nobody can hold a connection by reading or writing slowly.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest

from rauta_agent_api import rest
from rauta_agent_api.errors import AgentApiError, Code
from rauta_control import crossorigin, metrics
from rauta_control.log import Log
from rauta_control.picture import Picture
from rauta_control.turns import in_turns
from rauta_control.view import ControlQuery

MAX_CONNECTIONS = 64  # of each server
KEEPALIVE = 15.0  # seconds a connection may be idle, or take for the head of a request
WRITE_TIMEOUT = 30.0  # seconds a client may take to read an answer
TEXT = "text/plain; charset=utf-8"
METHODS = ("GET", "HEAD")


class Admin:
    """Both servers. `take` returns the picture of this moment, from which everything is answered."""

    def __init__(self, take: Callable[[], Picture], log: Log) -> None:
        self._take = take
        self._log = log
        self._servers: list[asyncio.Server] = []
        self._thread = ThreadPoolExecutor(1, "admin")  # a list of 10,000 routes must not hold up publishing
        self._scrape: asyncio.Task[bytes] | None = None
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._probes = {"/healthz": self._healthz, "/readyz": self._readyz, "/metrics": self._metrics}

    async def serve(self, admin: Iterable[socket.socket], probe: Iterable[socket.socket]) -> None:
        """Serve on these listening sockets, until closed."""
        await self._listen(admin, (*self._probes, *rest.PATHS), guarded=True)
        await self._listen(probe, tuple(self._probes), guarded=False)

    def close(self) -> None:
        """Stop listening; what is being answered ends with the process."""
        for server in self._servers:
            server.close()
        self._thread.shutdown(wait=False)

    async def _listen(self, sockets: Iterable[socket.socket], paths: Collection[str], *, guarded: bool) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(request, paths, guarded=guarded)

        quiet = logging.getLogger("rauta_control.admin.http")
        quiet.disabled = True  # aiohttp logs a traceback whenever somebody sends garbage; our own faults we log below
        http = BoundedServer(handle, keepalive_timeout=KEEPALIVE, lingering_time=2.0, access_log=None, logger=quiet)
        loop = asyncio.get_running_loop()
        self._servers += [await loop.create_server(http, sock=sock) for sock in sockets]

    async def _handle(self, request: web.BaseRequest, paths: Collection[str], *, guarded: bool) -> web.StreamResponse:
        try:
            response = await self._respond(request, paths, guarded=guarded)
        except Exception as error:  # noqa: BLE001 - the client learns that, the log learns what
            self._log.error("cannot answer", target=request.raw_path, error=repr(error))
            response = _problem("failure", "the answer could not be made", "the gateway's log says why")
        response.headers["Server"] = "rauta"
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _respond(self, request: web.BaseRequest, paths: Collection[str], *, guarded: bool) -> web.Response:
        if guarded and (why := crossorigin.refusal(request.headers.get("Host"), request.headers.get("Origin"))):
            return _problem("denied", why, "ask for http://localhost or an IP address, from no other site")
        target = request.raw_path
        path = target.partition("?")[0]
        if path not in paths:
            return _problem("not_found", f"there is no {path}", f"ask for one of {', '.join(paths)}")
        if request.method not in METHODS:
            return _method_not_allowed(request.method, path)
        if path in self._probes:
            return await self._probes[path]()
        query = ControlQuery(self._take())
        loop = asyncio.get_running_loop()
        status, content_type, body = await loop.run_in_executor(self._thread, rest.respond, query, target)
        return web.Response(status=status, body=body, content_type=content_type)

    async def _healthz(self) -> web.Response:
        return _text(200, "ok")

    async def _readyz(self) -> web.Response:
        picture = self._take()
        if picture.draining:
            return _text(503, "draining")
        return _text(200, "ready") if picture.ready else _text(503, "starting")

    async def _metrics(self) -> web.Response:
        """Those who ask while a rendering is under way get that one, so that no number of them costs more."""
        if self._scrape is None or self._scrape.done():
            self._scrape = asyncio.get_running_loop().create_task(self._render())
        body = await asyncio.shield(self._scrape)
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _render(self) -> bytes:
        return await in_turns(metrics.exposition(self._take())) + generate_latest(self._registry)


class BoundedServer(web.Server):
    """aiohttp's server with at most MAX_CONNECTIONS connections: a new one takes the place of the oldest."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], **options: Any) -> None:
        super().__init__(handler, **options)
        self._open: dict[web.RequestHandler, None] = {}

    def __call__(self) -> web.RequestHandler:
        """Make the protocol of a new connection."""
        connection = super().__call__()
        self._open[connection] = None
        if len(self._open) > MAX_CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.force_close()
        return connection

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Called by a connection once it has its transport; it may have lost its place already."""
        super().connection_made(handler, transport)
        if handler not in self._open:
            transport.abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Called by a connection at its end."""
        self._open.pop(handler, None)
        super().connection_lost(handler, exc)


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, body=f"{text}\n".encode(), headers={"Content-Type": TEXT})


def _problem(code: Code, detail: str, fix: str) -> web.Response:
    """An RFC 9457 problem like those of rest.respond."""
    error = AgentApiError(code, detail, fix)
    return web.Response(status=error.status, body=msgspec.json.encode(error.to_problem()), content_type=rest.PROBLEM)


def _method_not_allowed(method: str, path: str) -> web.Response:
    """The one status that no error of the agent API has: nobody else speaks in methods."""
    problem = AgentApiError("usage", f"{method} is not offered for {path}", "ask with GET").to_problem()
    problem |= {"status": 405, "title": HTTPStatus(405).phrase}
    headers = {"Allow": ", ".join(METHODS)}
    return web.Response(status=405, body=msgspec.json.encode(problem), content_type=rest.PROBLEM, headers=headers)
