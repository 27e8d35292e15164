"""The demo: backends to play with, in a process of their own, and what to try first.

`/` is one service of three endpoints, where a connection stays with its endpoint; `/api` is split 90 to 10 between a
stable release and a canary. Every backend answers who it is and what it was sent, so what the gateway adds can be seen.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from shlex import quote

import msgspec
import uvloop
from aiohttp import web

from rauta_agent_api import DEFAULT_URL
from rauta_control.inherit import Inherited
from rauta_control.listening import bind, place
from rauta_control.routespec import Address, BackendSpec, RouteSpec

HOST = "127.0.0.1"
KEEPALIVE = 75.0  # seconds, longer than a gateway keeps an idle connection
POOL = ("web-1", "web-2", "web-3")  # of the route "/"
SPLIT = {"api-stable": 90, "api-canary": 10}  # of the route "/api"


class Demo:
    """The backends' listening sockets, bound before any process starts, so that all know the ports the kernel chose."""

    def __init__(self) -> None:
        self._sockets = {name: bind(HOST, 0) for name in (*POOL, *SPLIT)}

    @property
    def routes(self) -> tuple[RouteSpec, ...]:
        """The routes to the backends."""
        ports = {name: place(sock).port for name, sock in self._sockets.items()}
        return (
            RouteSpec("", "/", tuple(BackendSpec(HOST, ports[name]) for name in POOL)),
            RouteSpec("", "/api", tuple(BackendSpec(HOST, ports[name], weight) for name, weight in SPLIT.items())),
        )

    def run(self, inherited: Inherited) -> int:
        """Be the backends until the supervisor is gone; return the exit code."""
        uvloop.new_event_loop().run_until_complete(self.serve(inherited.channel))
        return 0

    async def serve(self, channel: socket.socket) -> None:
        """Answer on all sockets until `channel` can be read: the supervisor says nothing to the demo but goodbye."""
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(_server(name), sock=sock) for name, sock in self._sockets.items()]
        goodbye = loop.create_future()
        loop.add_reader(channel, goodbye.set_result, None)
        await goodbye
        loop.remove_reader(channel)
        for server in servers:
            server.close()

    def announce(self, listeners: Sequence[Address], admin: Address) -> None:
        """Print where the gateway is and what to try."""
        with suppress(OSError):  # nobody reads
            sys.stdout.write(announcement(listeners, admin))
            sys.stdout.flush()


def announcement(listeners: Sequence[Address], admin: Address) -> str:
    """Return what to print, for a gateway with these real addresses."""
    gateways = [_url(listener) for listener in listeners] or ["no address"]
    api = _url(admin)
    option = "" if api == DEFAULT_URL else f" --endpoint {api}"
    return f"""
RAUTA is ready at {" and ".join(gateways)}, its admin API at {api}. Ctrl-C stops it. In another shell, try:

  curl {gateways[0]}/hello
  for i in $(seq 50); do curl -s {gateways[0]}/api | grep '"backend"'; done | sort | uniq -c
  {_command("rauta")} status{option}

"""


def _server(name: str) -> web.Server:
    """One backend; answers who it is and what it was sent."""

    async def answer(request: web.BaseRequest) -> web.Response:
        received = 0
        async for chunk in request.content.iter_any():
            received += len(chunk)
        seen = {
            "backend": name,
            "method": request.method,
            "path": request.raw_path,
            "headers": dict(request.headers),
            "body_bytes": received,
        }
        body = msgspec.json.format(msgspec.json.encode(seen)) + b"\n"
        return web.Response(body=body, content_type="application/json")

    return web.Server(answer, access_log=None, keepalive_timeout=KEEPALIVE)


def _url(address: Address) -> str:
    """A URL that works on this machine, also for a listener on all addresses."""
    return f"http://{Address(HOST, address.port) if ip_address(address.host).is_unspecified else address}"


def _command(name: str) -> str:
    """How to call a program that is installed beside this one, from a shell that knows nothing of our environment."""
    if sys.prefix == sys.base_prefix:
        return name
    path = Path(sys.prefix) / "bin" / name
    return quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
