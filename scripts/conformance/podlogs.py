"""The part of a kubelet's HTTPS server that the API server asks for `GET .../pods/NAME/log`."""

import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from .certificates import Authority
from .network import HOST
from .transcript import Transcript

KNOWN = {"sinceTime", "sinceSeconds", "tailLines", "limitBytes", "timeout"}


def answer(transcript: Transcript, query: dict[str, str], now: float) -> bytes:
    """What the parameters of a request select (PodLogOptions); ValueError for what is not supported or valid."""
    wanted = {name: value for name, value in query.items() if value not in ("", "false")}
    if unknown := wanted.keys() - KNOWN:
        raise ValueError(f"{', '.join(sorted(unknown))}: not supported by this kubelet")
    since = 0.0
    if "sinceTime" in wanted:
        since = datetime.datetime.fromisoformat(wanted["sinceTime"]).timestamp()
    if "sinceSeconds" in wanted:
        since = now - int(wanted["sinceSeconds"])
    text = transcript.read(since, int(wanted["tailLines"]) if "tailLines" in wanted else None)
    return text[: int(wanted["limitBytes"])] if "limitBytes" in wanted else text


@asynccontextmanager
async def served(
    authority: Authority, find: Callable[[str, str], Transcript | None], now: Callable[[], float]
) -> AsyncIterator[int]:
    """Serve logs on the host's address while the context lasts; the port. Only the API server may ask."""

    async def logs(request: web.Request) -> web.Response:
        transcript = find(request.match_info["namespace"], request.match_info["pod"])
        if transcript is None:
            raise web.HTTPNotFound(text="no such Pod runs here")
        try:
            return web.Response(body=answer(transcript, dict(request.query), now()), content_type="text/plain")
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error

    pair = authority.issue("kubelet", addresses=(HOST,))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.certificate))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(pair.certificate, pair.key)
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, 0, ssl_context=context)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
