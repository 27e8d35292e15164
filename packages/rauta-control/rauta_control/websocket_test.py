"""WebSocket through a real worker, between a client and a server that know the protocol."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import WSMsgType, web

from rauta_control.proxyharness_test import PATIENCE, Client, Proxy, eventually, site
from rauta_control.sharedmem import Vital

MIB = bytes(range(256)) * 4096


async def _talk(request: web.Request) -> web.StreamResponse:
    """Echo messages; `close` makes the server close, `abort` cut."""
    if request.path == "/no":
        return web.Response(status=403, text="no")
    server = web.WebSocketResponse(max_msg_size=8 << 20, protocols=("chat",))
    await server.prepare(request)
    await server.send_str("hello")
    async for message in server:
        if message.type == WSMsgType.TEXT and message.data == "close":
            await server.close(code=4001, message=b"done")
        elif message.type == WSMsgType.TEXT and message.data == "abort":
            assert request.transport is not None
            request.transport.abort()
        elif message.type == WSMsgType.TEXT:
            await server.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await server.send_bytes(message.data)
    return server


@contextmanager
def served() -> Iterator[int]:
    """A WebSocket server in a thread; its port."""
    loop = asyncio.new_event_loop()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", _talk)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    sock = socket.create_server(("127.0.0.1", 0))
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.SockSite(runner, sock).start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "access.log"


@pytest.fixture(scope="module")
def proxy(log: Path) -> Iterator[Proxy]:
    with served() as port, Proxy(site(port), log=str(log)) as made:
        yield made


async def _conversation(port: int) -> None:
    url = f"http://127.0.0.1:{port}/chat"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            url, max_msg_size=8 << 20, protocols=("chat",), timeout=aiohttp.ClientWSTimeout(ws_close=PATIENCE)
        ) as client,
    ):
        assert client.protocol == "chat"
        assert await client.receive_str() == "hello"
        for size in (0, 1, 125, 126, 65_535, 65_536, len(MIB)):
            await client.send_bytes(MIB[:size])
            assert await client.receive_bytes() == MIB[:size]
        await client.ping(b"are you there")
        await asyncio.gather(*(client.send_bytes(MIB) for _ in range(8)), _receive(client, 8))
        await client.send_str("close")
        message = await client.receive()
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 4001, "done")


async def _receive(client: aiohttp.ClientWebSocketResponse, count: int) -> None:
    for _ in range(count):
        assert await client.receive_bytes() == MIB


def test_a_conversation(proxy: Proxy, log: Path) -> None:
    before = len(log.read_bytes().splitlines()) if log.exists() else 0
    asyncio.run(asyncio.wait_for(_conversation(proxy.port), PATIENCE))
    eventually(lambda: len(log.read_bytes().splitlines()) > before)
    line = msgspec.json.decode(log.read_bytes().splitlines()[before])
    assert (line["status"], line["reason"], line["path"]) == (101, "", "/chat")
    assert line["bytes_in"] > 9 * len(MIB)
    assert line["bytes_out"] > 9 * len(MIB)
    assert line["duration_us"] > 0


def test_many_at_once(proxy: Proxy) -> None:
    async def all_of_them() -> None:
        await asyncio.gather(*(_conversation(proxy.port) for _ in range(4)))

    asyncio.run(asyncio.wait_for(all_of_them(), PATIENCE))
    eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0)


@pytest.mark.parametrize("who", ["client", "server"])
def test_an_abort_reaches_the_other_side(proxy: Proxy, who: str) -> None:
    async def conversation() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{proxy.port}/") as client,
        ):
            assert await client.receive_str() == "hello"
            if who == "server":
                await client.send_str("abort")
                message = await client.receive()
                assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR, WSMsgType.CLOSE)
            else:
                connection = client._response.connection
                assert connection is not None
                assert connection.transport is not None
                connection.transport.abort()

    asyncio.run(asyncio.wait_for(conversation(), PATIENCE))
    eventually(lambda: proxy.vital(Vital.CONNECTIONS) == 0 and proxy.vital(Vital.UPSTREAMS) == 0)


def test_a_refused_handshake_is_an_answer(proxy: Proxy) -> None:
    async def refused() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                await session.ws_connect(f"http://127.0.0.1:{proxy.port}/no")
            assert error.value.status == 403

    asyncio.run(refused())


def test_half_a_close_is_passed_on(proxy: Proxy) -> None:
    """As far as TCP goes: the client sends its end, and the server's close frame still comes through."""
    with Client(proxy.port) as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        assert client.head().startswith(b"HTTP/1.1 101 ")
        assert client.body(7) == b"\x81\x05hello"
        client.send(b"\x88\x82\0\0\0\0\x03\xe8")  # close, 1000
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest().startswith(b"\x88\x02\x03\xe8")
