"""Requests to a Kubernetes API server: one session, bounded waits, credentials renewed when they were refused.

A shell. It knows nothing of kinds. Bodies come uncompressed: inside a cluster the network costs less than inflating
megabytes on the loop would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from rauta_control.apianswer import Answer
from rauta_control.clusteraccess import AccessError, ClusterAccess

CONNECT = 5.0  # seconds; a SYN that was lost has been sent three times by then
TOTAL = 30.0  # seconds for a request that is not a watch; one on a connection that died unnoticed takes them all
SILENCE = 60.0  # seconds without a byte after which a watch is taken for dead; bookmarks come about once a minute
READ_BUFFER = 2 * 1024 * 1024  # bytes; an object is at most 1.5 MiB
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML
JSON = "application/json"

#: What can happen to a connection.
BROKEN = (aiohttp.ClientError, TimeoutError, OSError, AccessError)


def described(error: BaseException) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host} port {error.port}: {error.os_error.strerror or error.os_error}"
    return str(error) or type(error).__name__  # a TimeoutError says nothing


class Stream:
    """The body of a watch, in pieces as they come."""

    def __init__(self, response: aiohttp.ClientResponse, silence: float) -> None:
        self._response = response
        self._silence = silence

    async def read(self) -> bytes:
        """Some bytes; none at the end. Raises one of BROKEN, TimeoutError after a silence."""
        async with asyncio.timeout(self._silence):
            return await self._response.content.readany()


class ApiClient:
    """A context manager; requests raise one of BROKEN."""

    def __init__(self, access: ClusterAccess, *, silence: float = SILENCE) -> None:
        self._access = access
        self._silence = silence

    async def __aenter__(self) -> ApiClient:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # a connection for each watch: kinds times namespaces
            headers={"Accept": JSON, "Accept-Encoding": "identity", "User-Agent": "rauta-control"},
            read_bufsize=READ_BUFFER,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = JSON,
    ) -> Answer:
        """One request. `body` is anything that msgspec encodes."""
        data = None if body is None else msgspec.json.encode(body)
        timeout = aiohttp.ClientTimeout(total=TOTAL, sock_connect=CONNECT)
        response = await self._open(method, path, params or {}, timeout, content, data)
        try:
            return _answer(response, await response.read())
        finally:
            response.release()

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str]) -> AsyncIterator[Stream | Answer]:
        """A watch, or the answer if it was refused."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT)
        async with asyncio.timeout(self._silence):  # a server that takes the request and never answers is silent too
            response = await self._open("GET", path, params, timeout, JSON, None)
        try:
            if response.status == 200:
                yield Stream(response, self._silence)
            else:
                async with asyncio.timeout(self._silence):
                    body = await response.read()
                yield _answer(response, body)
        finally:
            response.close()  # never handed back to the pool: it may be in the middle of an event

    async def _open(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
        content: str,
        data: bytes | None,
    ) -> aiohttp.ClientResponse:
        access = self._access
        headers = dict(access.headers())  # first: it may renew what is read below
        if data is not None:
            headers["Content-Type"] = content
        response = await self._session.request(
            method,
            access.base_url + path,
            params=params,
            data=data,
            headers=headers,
            timeout=timeout,
            ssl=access.ssl,
            server_hostname=access.server_name,
            proxy=access.proxy,
            allow_redirects=False,
        )
        if response.status == 401:
            try:
                await access.refresh()
            except AccessError:
                response.close()
                raise
        return response


def _answer(response: aiohttp.ClientResponse, body: bytes) -> Answer:
    given = response.headers.get("Retry-After", "")
    return Answer(response.status, body, float(given) if given.isascii() and given.isdigit() else None)
