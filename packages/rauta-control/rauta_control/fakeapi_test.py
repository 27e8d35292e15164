"""A strict stand-in for an API server, on loopback, with the faults of real ones; what tests of the cluster side use.

Versions are one counter for everything, as in etcd. Lists are paged and their tokens expire, watches replay from a
version, end with bookmarks and 410s, status writes need the right version and change nothing else. `pace` is
virtual time: what sleeps, sleeps in it.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any

from aiohttp import web

from rauta_control.fakepace_test import Pace
from rauta_control.kinds import KINDS
from rauta_control.specimen_test import specimen

VERBS = {"GET": "get", "PATCH": "patch", "PUT": "update", "POST": "create", "DELETE": "delete"}
STATUS_KINDS = frozenset({"GatewayClass", "Gateway", "ListenerSet", "HTTPRoute"})
APPLY = "application/apply-patch+yaml"
LEASE = "coordination.k8s.io/v1"


@dataclass
class Fault:
    """An answer instead of the real one, to the next `times` requests of which `method path?query` has `part` in it."""

    part: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1_000_000
    hang: bool = False  # no answer at all


@dataclass
class Watch:
    """An open watch: `send` writes to it, `close` ends it, cleanly or with a reset."""

    plural: str
    request: web.BaseRequest
    wants: Callable[[dict[str, Any]], bool]
    queue: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    deaf: bool = False  # events do not reach it

    def send(self, data: bytes) -> None:
        self.queue.put_nowait(data)

    def close(self) -> None:
        self.queue.put_nowait(None)

    def reset(self) -> None:
        if self.request.transport is not None:
            self.request.transport.abort()
        self.close()


class FakeApi:
    """The server. Objects are documents, changed by `put` and `delete`; `requests` are all that came."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.version = 100
        self.oldest = 0  # versions before it are compacted
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.history: list[tuple[int, str, str, dict[str, Any]]] = []
        self.requests: list[str] = []
        self.writes: list[tuple[str, dict[str, Any]]] = []  # path and body of those that were taken
        self.applied: dict[tuple[str, str, str], dict[str, Any]] = {}  # the last time, by key
        self.faults: list[Fault] = []
        self.watches: list[Watch] = []
        self.kinds = {kind: entry.version for kind, entry in KINDS.items()} | {"Lease": LEASE}
        self.verbs: set[str] = set()  # what was asked for, as RBAC names it: `list secrets`, `patch gateways/status`
        self.denied: set[str] = set()  # what is answered with 403
        self.token = "token"  # noqa: S105 - of a fake
        self.before_write: Callable[[str], None] = lambda _: None

    # -- what tests do

    def put(self, kind: str, name: str, changes: dict[str, Any] | None = None, namespace: str = "shop") -> None:
        """Create or replace an object. A status stays unless it is among the changes."""
        changes = {"metadata.name": name} | (changes or {})
        scope = "" if kind in KINDS and not KINDS[kind].namespaced else namespace
        if scope:
            changes["metadata.namespace"] = scope
        document = specimen(kind, changes)
        old = self.objects.get((plural(kind), scope, name))
        generation = (old or {"metadata": {"generation": 0}})["metadata"].get("generation", 0)
        moved = old is None or old.get("spec") != document.get("spec")
        document["metadata"]["generation"] = generation + moved
        if old is not None and "status" in old and "status" not in document:
            document["status"] = old["status"]
        self.store(kind, scope, name, document)

    def store(self, kind: str, namespace: str, name: str, document: dict[str, Any]) -> None:
        known = (plural(kind), namespace, name) in self.objects
        self.version += 1
        document["metadata"]["resourceVersion"] = str(self.version)
        self.objects[plural(kind), namespace, name] = document
        self._tell(plural(kind), "MODIFIED" if known else "ADDED", document)

    def delete(self, kind: str, name: str, namespace: str = "shop") -> None:
        scope = "" if kind in KINDS and not KINDS[kind].namespaced else namespace
        document = copy.deepcopy(self.objects.pop((plural(kind), scope, name)))
        self.version += 1
        document["metadata"]["resourceVersion"] = str(self.version)
        self._tell(plural(kind), "DELETED", document)

    def get(self, kind: str, name: str, namespace: str = "shop") -> dict[str, Any]:
        scope = "" if kind in KINDS and not KINDS[kind].namespaced else namespace
        return self.objects[plural(kind), scope, name]

    def compact(self) -> None:
        """Forget history: versions of before are answered with 410."""
        self.version += 1
        self.oldest = self.version
        self.history.clear()

    def open(self, kind: str) -> list[Watch]:
        return [each for each in self.watches if each.plural == plural(kind)]

    def bookmark(self, kind: str) -> None:
        document = {"kind": kind, "metadata": {"resourceVersion": str(self.version)}}
        for watch in self.open(kind):
            watch.send(line("BOOKMARK", document))

    def asked(self, part: str) -> int:
        return sum(part in each for each in self.requests)

    def run(self, test: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a test with the server up."""

        async def main() -> None:
            server = web.Server(self._handle, handler_cancellation=True, access_log=None)
            runner = web.ServerRunner(server, shutdown_timeout=0.01)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            (sock,) = site._server.sockets  # type: ignore[union-attr]
            self.base_url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            try:
                async with asyncio.timeout(120):
                    await test()
            finally:
                for watch in list(self.watches):
                    watch.reset()
                await runner.cleanup()

        asyncio.run(main())

    # -- ClusterAccess

    ssl = SSLContext(PROTOCOL_TLS_CLIENT)  # not used: it speaks plain HTTP
    server_name = None
    proxy = None
    namespace = "rauta-system"
    refreshed = 0

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def refresh(self) -> None:
        self.refreshed += 1

    # -- requests

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = f"{request.method} {request.path_qs}"
        self.requests.append(asked)
        for fault in self.faults:
            if fault.part in asked and fault.times > 0:
                fault.times -= 1
                if fault.hang:
                    await asyncio.sleep(3600)
                return refusal(fault.status, "a fault", fault.headers)
        parts = request.path.strip("/").split("/")
        version, rest = (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        if not rest:
            return self._discover(version)
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            _, namespace, *rest = rest
        name, plural_name = "/".join(rest[1:]), rest[0]
        kind = next((each for each, own in self.kinds.items() if plural(each) == plural_name and own == version), None)
        if kind is None:
            return refusal(404, "the server could not find the requested resource")
        verb = "watch" if "watch" in request.query else VERBS[request.method] if name else "list"
        verb = "create" if request.method == "POST" else verb
        wanted = f"{verb} {plural_name}{'/status' if name.endswith('/status') else ''}"
        self.verbs.add(wanted)
        if wanted in self.denied:
            return refusal(403, f"cannot {verb} {plural_name}")
        if verb == "list":
            return self._list(request, kind, namespace)
        if verb == "watch":
            return await self._watch(request, kind, namespace)
        return await self._item(request, kind, namespace, name)

    def _discover(self, version: str) -> web.Response:
        found = [
            {"name": plural(kind), "kind": kind, "namespaced": kind not in KINDS or KINDS[kind].namespaced}
            for kind, own in self.kinds.items()
            if own == version
        ]
        return web.json_response({"kind": "APIResourceList", "resources": found}) if found else refusal(404, "no group")

    def _matching(self, request: web.BaseRequest, kind: str, namespace: str) -> list[dict[str, Any]]:
        every = sorted(key for key in self.objects if key[0] == plural(kind))
        return [self.objects[key] for key in every if self._matches(request, namespace, self.objects[key])]

    def _matches(self, request: web.BaseRequest, namespace: str, document: dict[str, Any]) -> bool:
        meta = document["metadata"]
        if namespace and meta.get("namespace") != namespace:
            return False
        for term in filter(None, request.query.get("fieldSelector", "").split(",")):
            path, value = term.replace("!=", "=").split("=")
            found = meta["name"] if path == "metadata.name" else document.get(path)
            if (found == value) == ("!=" in term):
                return False
        return True

    def _list(self, request: web.BaseRequest, kind: str, namespace: str) -> web.Response:
        version, start = self.version, 0
        if "continue" in request.query:
            version, start = map(int, request.query["continue"].split("-"))
            if version < self.oldest:
                return refusal(410, "The provided continue parameter is too old")
        found = copy.deepcopy(self._matching(request, kind, namespace))
        end = start + int(request.query.get("limit", len(found) or 1))
        meta = {"resourceVersion": str(version), "continue": f"{version}-{end}" if end < len(found) else ""}
        items = found[start:end]
        if kind in KINDS and KINDS[kind].core:
            for item in items:
                del item["kind"], item["apiVersion"]
        return web.json_response({"kind": f"{kind}List", "metadata": meta, "items": items})

    async def _watch(self, request: web.BaseRequest, kind: str, namespace: str) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        if version < self.oldest:
            status = {"kind": "Status", "code": 410, "message": "too old resource version"}
            await response.write(line("ERROR", status))
            return response
        watch = Watch(plural(kind), request, lambda document: self._matches(request, namespace, document))
        for since, what, change, document in self.history:
            if since > version and what == watch.plural and watch.wants(document):
                watch.send(line(change, document))
        self.watches.append(watch)
        try:
            while (data := await watch.queue.get()) is not None:
                await response.write(data)
        finally:
            self.watches.remove(watch)
        return response

    async def _item(self, request: web.BaseRequest, kind: str, namespace: str, name: str) -> web.Response:
        name, _, sub = name.partition("/")
        key = (plural(kind), namespace, name)
        if request.method == "GET":
            return web.json_response(self.objects[key]) if key in self.objects else refusal(404, f"{name} not found")
        body = json.loads(await request.read())
        self.before_write(request.path)
        if request.content_type == APPLY:
            return self._apply(request, kind, key, body)
        if request.method == "DELETE":
            return self._remove(request, kind, key, body)
        if request.method == "POST":
            name = body["metadata"]["name"]
            if (plural(kind), namespace, name) in self.objects:
                return refusal(409, "AlreadyExists")
            self.store(kind, namespace, name, body)
            self.writes.append((request.path, body))
            return web.json_response(body, status=201)
        if key not in self.objects:
            return refusal(404, f"{name} not found")
        old = self.objects[key]
        if body["metadata"].get("resourceVersion", "") != old["metadata"]["resourceVersion"]:
            return refusal(409, "the object has been modified; please apply your changes to the latest version")
        new = copy.deepcopy(old)
        if request.method == "PATCH":
            if sub != "status" or kind not in STATUS_KINDS or body.keys() - {"metadata", "status"}:
                return refusal(422, "only statuses are written")
            new["status"] = new.get("status", {}) | body["status"]
        else:
            new = body
        self.writes.append((request.path, body))
        if new != old:
            self.store(kind, namespace, name, new)
        return web.json_response(self.objects[key])

    def _apply(
        self, request: web.BaseRequest, kind: str, key: tuple[str, str, str], body: dict[str, Any]
    ) -> web.Response:
        """Server-side apply, as far as it goes by maps: what was applied before and is no more, goes."""
        if key not in self.objects and "resourceVersion" in body["metadata"]:
            return refusal(409, "the object was deleted")
        old = self.objects.get(key, {"metadata": {"name": key[2], "namespace": key[1], "uid": f"uid-{self.version}"}})
        if body["metadata"].pop("resourceVersion", None) not in {None, old["metadata"].get("resourceVersion")}:
            return refusal(409, "the object has been modified; please apply your changes to the latest version")
        new = merged(without(copy.deepcopy(old), self.applied.get(key, {})), body)
        self.applied[key] = body
        self.writes.append((request.path, body))
        if new != old:
            self.store(kind, key[1], key[2], new)
        return web.json_response(self.objects[key], status=200)

    def _remove(
        self, request: web.BaseRequest, kind: str, key: tuple[str, str, str], body: dict[str, Any]
    ) -> web.Response:
        if key not in self.objects:
            return refusal(404, f"{key[2]} not found")
        if body["preconditions"]["resourceVersion"] != self.objects[key]["metadata"]["resourceVersion"]:
            return refusal(409, "the ResourceVersion in the precondition does not match")
        self.writes.append((request.path, body))
        self.delete(kind, key[2], key[1])
        return web.json_response({"kind": "Status", "status": "Success"})

    def _tell(self, what: str, change: str, document: dict[str, Any]) -> None:
        document = copy.deepcopy(document)
        self.history.append((self.version, what, change, document))
        for watch in self.watches:
            if watch.plural == what and not watch.deaf and watch.wants(document):
                watch.send(line(change, document))


def without(there: dict[str, Any], applied: dict[str, Any]) -> dict[str, Any]:
    """`there` without the leaves of `applied`."""
    for name, value in applied.items():
        if isinstance(value, dict) and isinstance(there.get(name), dict):
            without(there[name], value)
        elif name not in {"name", "namespace"}:
            there.pop(name, None)
    return there


def merged(there: dict[str, Any], applied: dict[str, Any]) -> dict[str, Any]:
    for name, value in applied.items():
        there[name] = merged(there.get(name, {}), value) if isinstance(value, dict) else value
    return there


def plural(kind: str) -> str:
    lower = kind.lower()
    if lower.endswith("cy"):
        return f"{lower[:-1]}ies"
    return f"{lower}es" if lower.endswith("ss") else f"{lower}s"


def line(change: str, document: dict[str, Any]) -> bytes:
    return json.dumps({"type": change, "object": document}).encode() + b"\n"


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": status, "message": message}
    return web.json_response(body, status=status, headers=headers)


async def beside(task: Awaitable[None], body: Callable[[], Awaitable[None]]) -> None:
    """Run `body` while a task runs that never ends by itself; a task that fails fails the test."""
    running = asyncio.ensure_future(task)
    doing = asyncio.ensure_future(body())
    await asyncio.wait((running, doing), return_when=asyncio.FIRST_COMPLETED)
    if not doing.done():
        doing.cancel()
        running.result()
    running.cancel()
    await asyncio.wait((running,))
    doing.result()
