"""A small client of the API server for the runner's own needs: get, list and watch, apply, create, patch, delete."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import aiohttp

from .problem import ConformanceError

Object = dict[str, Any]  # a Kubernetes object: JSON of any kind, read field by field
MANAGER = "rauta-conformance"
PATCHES = {"merge": "application/merge-patch+json", "apply": "application/apply-patch+yaml"}


class ApiError(ConformanceError):
    """The API server refused; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """A session with one API server. Use as an asynchronous context manager."""

    def __init__(self, server: str, context: ssl.SSLContext) -> None:
        self._server = server
        self._context = context
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = {}  # (apiVersion, kind) -> plural, namespaced

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            self._server,
            connector=aiohttp.TCPConnector(ssl=self._context, limit=0),
            timeout=aiohttp.ClientTimeout(total=30),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._session.close()

    async def request(self, method: str, path: str, body: Object | None = None, content: str = "") -> Object:
        """One request; ApiError unless it succeeded."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content or "application/json"}
        async with self._session.request(method, path, data=data, headers=headers) as response:
            text = await response.text()
            if response.status >= 400:
                raise ApiError(response.status, f"{method} {path}: {response.status} {text[:1000]}")
            return json.loads(text) if text.startswith("{") else {"text": text}

    async def get(self, path: str) -> Object | None:
        """The object, or None if there is none."""
        try:
            return await self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def healthy(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            return bool((await self.request("GET", "/readyz"))["text"] == "ok")
        except (ApiError, aiohttp.ClientError, TimeoutError):
            return False

    async def path_of(self, item: Object) -> str:
        """Where an object lives; ApiError if the API server does not know its kind."""
        version, kind, metadata = item["apiVersion"], item["kind"], item["metadata"]
        prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, kind) not in self._plurals:
            for each in (await self.request("GET", prefix))["resources"]:
                if "/" not in each["name"]:
                    self._plurals[version, each["kind"]] = (each["name"], each["namespaced"])
        if (version, kind) not in self._plurals:
            raise ApiError(404, f"the API server knows no kind {kind} in {version}")
        plural, namespaced = self._plurals[version, kind]
        scope = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{prefix}{scope}/{plural}/{metadata['name']}"

    async def apply(self, item: Object) -> Object:
        """Create or update by server-side apply."""
        query = f"?fieldManager={MANAGER}&force=true"
        return await self.request("PATCH", await self.path_of(item) + query, item, PATCHES["apply"])

    async def patch(self, path: str, body: Object) -> Object:
        """JSON merge patch (RFC 7396)."""
        return await self.request("PATCH", path, body, PATCHES["merge"])

    async def watch(self, path: str) -> AsyncIterator[tuple[str, Object]]:
        """(ADDED, MODIFIED or DELETED, object) for ever. First what is there; after a gap, again.

        After what is there comes (LISTED, the whole list), so that the caller sees what went unseen.
        """
        while True:
            try:
                listed = await self.request("GET", path)
                for item in listed["items"]:
                    yield "ADDED", item
                yield "LISTED", listed
                async for event in self._follow(path, listed["metadata"]["resourceVersion"]):
                    yield event
            except (ApiError, aiohttp.ClientError, TimeoutError, ConnectionError):
                await asyncio.sleep(0.2)  # the API server is busy or ending; the run's own checks say if it is gone

    async def _follow(self, path: str, version: str) -> AsyncIterator[tuple[str, Object]]:
        """Events until the stream ends or breaks."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        parameters = {"watch": "1", "resourceVersion": version}
        async with self._session.get(path, params=parameters, timeout=timeout) as response:
            if response.status != 200:
                raise ApiError(response.status, await response.text())
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise ApiError(event["object"].get("code", 500), event["object"].get("message", ""))
                    yield event["type"], event["object"]
