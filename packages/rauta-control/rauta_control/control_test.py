"""Control with everything real but its surroundings: a supervisor and workers in this process, over socket pairs."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import uvloop

from rauta_control import binding, config, control, ir, snapshotfd
from rauta_control.channel import attach, detach, supervisor_end
from rauta_control.config import Settings
from rauta_control.frames import FrameDecoder, frame
from rauta_control.inherit import Inherited
from rauta_control.listening import bind, place
from rauta_control.log import Log
from rauta_control.messages import (
    PROTOCOL_VERSION,
    Ack,
    Bind,
    Bound,
    Draining,
    Hello,
    Keep,
    Nack,
    Publish,
    Reload,
    Since,
    Snapshot,
    ToControl,
    ToSupervisor,
    WorkerGone,
    WorkerLink,
)
from rauta_control.parts import join
from rauta_control.recorder import Recorder
from rauta_control.resolve import Resolver
from rauta_control.sharedmem import RouteWord, SharedWords
from rauta_control.state import EMPTY, PublishError, State, decode


class FakeWorker(asyncio.Protocol):
    """The worker's end of a link: applies and acknowledges; `refuses` that many first."""

    def __init__(self, index: int, pid: int, state: State = EMPTY) -> None:
        self.index = index
        self.pid = pid
        self.state = state
        self.received: list[Publish] = []
        self.refuses = 0
        self.transport: asyncio.Transport | None = None
        self.ours, self.theirs = socket.socketpair()
        self._frames = FrameDecoder()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_unix_connection(lambda: self, sock=self.ours)
        self._send(Hello(PROTOCOL_VERSION, self.index, self.pid, self.state.generation, self.state.digest))

    def data_received(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            publish = msgspec.msgpack.decode(payload, type=Publish)
            self.received.append(publish)
            try:
                if self.refuses:
                    self.refuses -= 1
                    raise PublishError("digest", "because")
                self.state = self.state.apply(publish)
            except PublishError as error:
                self._send(Nack(publish.generation, str(error)))
            else:
                self._send(Ack(self.state.generation, self.state.digest))

    def close(self) -> None:
        self.theirs.close()
        if self.transport is not None:
            self.transport.abort()
        self.ours.close()

    def _send(self, message: Hello | Ack | Nack) -> None:
        assert self.transport is not None
        self.transport.write(frame(msgspec.msgpack.encode(message)))


class Gateway:
    """The supervisor's side: keeps what control hands over, answers Bind, and can start control again."""

    def __init__(self, settings: Settings, words: SharedWords) -> None:
        self.settings = settings
        self.words = words
        self.workers: dict[int, FakeWorker] = {}
        self.snapshot: bytes | None = None
        self.since: list[bytes] = []
        self.kept: bytes | None = None
        self.binds: list[Bind] = []
        self.errors: dict[str, str] = {}
        self.bound: dict[str, Bound] = {}

    async def start(self) -> None:
        self.admin, self.probe = bind("127.0.0.1", 0), bind("127.0.0.1", 0)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = supervisor_end(ours)
        attach(self.channel, asyncio.get_running_loop(), self._received, lambda: None)
        descriptors = [snapshotfd.create("test", data) for data in (self.snapshot, *self.since) if data is not None]
        links = [(worker.index, worker.pid, worker.theirs) for worker in self.workers.values()]
        inherited = Inherited(
            role="control",
            index=0,
            settings=self.settings,
            words=self.words,
            channel=theirs,
            listeners={},
            bound=tuple(bound for bound in self.bound.values() if not bound.error),
            admin=(self.admin,),
            probe=(self.probe,),
            snapshot=descriptors[0] if descriptors else None,
            since=tuple(descriptors[1:]),
            workers=tuple(links),
            link=None,
            started=time.monotonic(),
            kept=None if self.kept is None else snapshotfd.create("test", self.kept),
        )
        for worker in self.workers.values():
            await worker.start()
        self.task = asyncio.create_task(control.serve(inherited, Log("control", "error")))

    async def replace(self, worker: FakeWorker) -> None:
        """A worker takes the place of an older one, if there is one, and is linked to control."""
        old = self.workers.get(worker.index)
        if old is not None:
            old.close()
            self.tell(WorkerGone(old.index, old.pid, "signal 9"))
        self.workers[worker.index] = worker
        self.tell(WorkerLink(worker.index, worker.pid), worker.theirs.fileno())
        await worker.start()

    async def stop(self) -> None:
        """The supervisor goes, and control with it."""
        detach(self.channel, asyncio.get_running_loop())
        self.channel.close()
        await self.task
        for worker in self.workers.values():
            worker.close()
        self.admin.close()
        self.probe.close()

    def tell(self, message: ToControl, *fds: int) -> None:
        self.channel.send(message, fds)

    def _received(self, message: ToSupervisor, fds: tuple[int, ...]) -> None:
        data = [snapshotfd.read(fd) for fd in fds]
        for fd in fds:
            os.close(fd)
        match message:
            case Snapshot():
                self.snapshot, self.since = data[0], []
            case Since():
                self.since += data
            case Keep():
                self.kept = data[0]
            case Bind():
                self.binds.append(message)
                for name, (address, port) in message.listeners.items():
                    if name not in self.bound or self.bound[name].error:
                        self.bound[name] = Bound(name, address, port or 4711, self.errors.get(name, ""))
                        self.tell(self.bound[name])

    async def get(self, path: str, *, probe: bool = False) -> tuple[int, Any]:
        url = f"http://{place(self.probe if probe else self.admin)}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            text = await response.text()
            return response.status, msgspec.json.decode(text) if path.startswith("/api") else text

    async def until(self, condition: Callable[[], Awaitable[bool] | bool]) -> None:
        async with asyncio.timeout(20):
            while True:
                if self.task.done():
                    self.task.result()
                holds = condition()
                if (await holds if isinstance(holds, Awaitable) else holds) is True:
                    return
                await asyncio.sleep(0.002)

    async def until_ready(self) -> None:
        async def ready() -> bool:
            return (await self.get("/readyz", probe=True))[0] == 200

        await self.until(ready)

    async def until_generation(self, generation: int) -> None:
        await self.until(lambda: all(worker.state.generation == generation for worker in self.workers.values()))


def rules(state: State) -> dict[str, ir.Rule]:
    found = [decode(data) for data in state.encoded.values()]
    return {resource.path: resource for resource in found if isinstance(resource, ir.Rule)}


def endpoints(state: State) -> set[str]:
    found = [decode(data) for data in state.encoded.values()]
    return {e.name for resource in found if isinstance(resource, ir.Cluster) for e in resource.endpoints}


def parsed(*argv: str) -> Settings:
    settings = config.parse(argv, {}, 1)
    assert isinstance(settings, Settings), settings
    return settings


@pytest.fixture
def words() -> Iterator[SharedWords]:
    words = SharedWords.create()
    yield words
    words.close()


def run(gateway: Gateway, body: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await gateway.start()
        try:
            await body()
        finally:
            await gateway.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def two_workers(words: SharedWords, *argv: str, after: Gateway | None = None) -> Gateway:
    """Make a gateway with two workers; `after` another one, with all that this one left behind."""
    gateway = Gateway(parsed("--workers", "2", *argv), words)
    states = [EMPTY, EMPTY]
    if after is not None:
        gateway.snapshot, gateway.since, gateway.bound = after.snapshot, after.since, after.bound
        gateway.kept = after.kept
        states = [worker.state for worker in after.workers.values()]
    gateway.workers = {index: FakeWorker(index, 100 + index, state) for index, state in enumerate(states)}
    return gateway


def test_a_first_start_publishes_to_all_and_becomes_ready(words: SharedWords) -> None:
    gateway = two_workers(words, "--to", "127.0.0.1:9001", "--from", "127.0.0.1:0")

    async def body() -> None:
        await gateway.until_ready()
        for worker in gateway.workers.values():
            assert [(p.base, p.generation) for p in worker.received] == [(-1, 1)]
            assert rules(worker.state)["/"].epoch == 1
        assert gateway.snapshot is not None
        status = (await gateway.get("/api/v1/status"))[1]
        assert (status["status"], status["generation"], status["problems"]) == ("ok", 1, [])
        assert status["listeners"][0]["port"] == 4711
        assert [worker["generation"] for worker in status["workers"]] == [1, 1]

    run(gateway, body)


def test_ready_waits_for_every_worker(words: SharedWords) -> None:
    gateway = two_workers(words, "--to", "127.0.0.1:9001")
    gateway.workers.pop(1).close()

    async def body() -> None:
        await gateway.until_generation(1)
        assert (await gateway.get("/readyz"))[0] == 503
        await gateway.replace(FakeWorker(1, 101))
        await gateway.until_ready()

    run(gateway, body)


def test_a_restart_publishes_nothing_and_keeps_generation_slots_and_counters(words: SharedWords) -> None:
    first = two_workers(words, "--to", "127.0.0.1:9001", "--route", "/api=127.0.0.1:9002")

    async def start() -> None:
        await first.until_ready()

    run(first, start)
    recorder = Recorder(words.words, 0)
    counter = recorder.route(rules(first.workers[0].state)["/api"].slot, 1)
    counter.words[RouteWord.STATUS_1XX + 1] = 7
    recorder.touch(counter)
    recorder.flush(1)

    again = two_workers(words, "--to", "127.0.0.1:9001", "--route", "/api=127.0.0.1:9002", after=first)

    async def restart() -> None:
        await again.until_ready()
        await again.until(lambda: bool(again.binds))
        routes = (await again.get("/api/v1/routes?name=standalone/*/api"))[1]
        assert routes[0]["requests_total"] == 7
        assert (await again.get("/api/v1/status"))[1]["generation"] == 1

    run(again, restart)
    assert [worker.received for worker in again.workers.values()] == [[], []]
    assert again.snapshot == first.snapshot
    assert again.since == []


def test_a_reload_publishes_what_changed(words: SharedWords, tmp_path: Path) -> None:
    routes = tmp_path / "routes.txt"
    routes.write_text("--route /a=127.0.0.1:9001\n--route /b=127.0.0.1:9002\n")
    gateway = two_workers(words, f"@{routes}")

    async def body() -> None:
        await gateway.until_ready()
        before = rules(gateway.workers[0].state)
        routes.write_text("--route /c=127.0.0.1:9001\n--route /b=127.0.0.1:9002\n")
        gateway.tell(Reload())
        await gateway.until_generation(2)
        publish = gateway.workers[0].received[-1]
        assert publish.base == 1
        assert [key for key in publish.upserts if "cluster/" in key] == []
        assert [key for key in publish.upserts if key.endswith("/c")] == list(publish.upserts)
        assert [key for key in publish.deletes if key.endswith("/a")] == list(publish.deletes)
        after = rules(gateway.workers[0].state)
        assert after["/b"] == before["/b"]
        assert (after["/c"].slot, after["/c"].epoch) == (2, 2), "the slot of /a is not drained yet"
        await gateway.until(lambda: len(gateway.since) == 1 or gateway.since == [])

    run(gateway, body)
    messages = [join([data]) for data in (gateway.snapshot or b"", *gateway.since)]
    kept = EMPTY
    for publish in messages:
        kept = kept.apply(publish)
    assert kept == gateway.workers[0].state


def test_an_invalid_reload_keeps_the_last_good_settings_and_shows_why(
    words: SharedWords, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    routes = tmp_path / "routes.txt"
    routes.write_text("--to 127.0.0.1:9001\n")
    gateway = two_workers(words, f"@{routes}")

    async def problems() -> list[str]:
        found: list[str] = (await gateway.get("/api/v1/status"))[1]["problems"]
        return found

    async def body() -> None:
        await gateway.until_ready()
        routes.write_text("--to nonsense\n--workers 0\n")
        gateway.tell(Reload())

        async def refused() -> bool:
            return len(await problems()) == 2

        await gateway.until(refused)
        assert (await problems())[0].startswith("not reloaded: --to nonsense: expected")
        assert gateway.workers[0].state.generation == 1
        routes.write_text("--to 127.0.0.1:9002\n")
        gateway.tell(Reload())
        await gateway.until_generation(2)
        assert await problems() == []

    run(gateway, body)
    assert capfd.readouterr().err.count("settings not reloaded") == 2


def test_a_new_worker_gets_what_it_lacks(words: SharedWords) -> None:
    gateway = two_workers(words, "--to", "127.0.0.1:9001")

    async def body() -> None:
        await gateway.until_ready()
        state = gateway.workers[0].state
        from_snapshot, from_nothing = FakeWorker(0, 200, state), FakeWorker(1, 201)
        await gateway.replace(from_snapshot)
        await gateway.replace(from_nothing)
        await gateway.until(lambda: from_nothing.state == state)
        assert from_snapshot.received == []
        assert (await gateway.get("/readyz"))[0] == 200

    run(gateway, body)


def test_a_refusal_is_shown(words: SharedWords) -> None:
    gateway = two_workers(words, "--to", "127.0.0.1:9001")
    gateway.workers[1].refuses = 9

    async def body() -> None:
        async def shown() -> bool:
            status = (await gateway.get("/api/v1/status"))[1]
            return bool(status["problems"] == ["worker 1 does not follow generation 1: because"])

        await gateway.until(shown)
        assert (await gateway.get("/readyz"))[0] == 503

    run(gateway, body)


def test_a_listener_that_cannot_be_bound_is_shown_and_tried_again(
    words: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "BIND_RETRY", 0.05)
    gateway = two_workers(words, "--to", "127.0.0.1:9001", "--from", "127.0.0.1:1", "--from", "127.0.0.1:2")
    gateway.errors = {"standalone/127.0.0.1:1": "address already in use"}

    async def body() -> None:
        await gateway.until_ready()
        status = (await gateway.get("/api/v1/status"))[1]
        assert status["status"] == "degraded"
        assert status["listeners"][0]["message"] == "address already in use"
        gateway.errors = {}

        async def ok() -> bool:
            return bool((await gateway.get("/api/v1/status"))[1]["status"] == "ok")

        await gateway.until(ok)

    run(gateway, body)


def test_draining_turns_readiness_off(words: SharedWords) -> None:
    gateway = two_workers(words, "--to", "127.0.0.1:9001")

    async def body() -> None:
        await gateway.until_ready()
        gateway.tell(Draining())

        async def draining() -> bool:
            return await gateway.get("/readyz", probe=True) == (503, "draining\n")

        await gateway.until(draining)
        assert (await gateway.get("/healthz"))[0] == 200

    run(gateway, body)


class Dns:
    """Answers from `known`, which tests change."""

    def __init__(self, **known: list[str]) -> None:
        self.known = known

    async def lookup(self, host: str) -> list[str]:
        if host not in self.known:
            raise OSError("not known")
        return self.known[host]


def with_dns(monkeypatch: pytest.MonkeyPatch, dns: Dns) -> None:
    monkeypatch.setattr(control, "Resolver", lambda changed: Resolver(changed, dns.lookup))


def test_host_names_are_followed_and_their_last_addresses_kept(
    words: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    dns = Dns(web=["10.0.0.1", "10.0.0.2"])
    with_dns(monkeypatch, dns)
    gateway = two_workers(words, "--to", "web:80", "--route", "/other=other:80")

    async def body() -> None:
        await gateway.until_ready()
        assert endpoints(gateway.workers[0].state) == {"10.0.0.1:80", "10.0.0.2:80"}
        problems = (await gateway.get("/api/v1/status"))[1]["problems"]
        assert problems == ["other does not resolve (not known); it has no addresses yet"]
        dns.known = {"web": ["10.0.0.3"], "other": ["10.0.0.9"]}
        gateway.tell(Reload())
        await gateway.until(lambda: endpoints(gateway.workers[0].state) == {"10.0.0.3:80", "10.0.0.9:80"})
        dns.known = {}
        gateway.tell(Reload())

        async def both_reported() -> bool:
            return len((await gateway.get("/api/v1/status"))[1]["problems"]) == 2

        await gateway.until(both_reported)
        assert endpoints(gateway.workers[0].state) == {"10.0.0.3:80", "10.0.0.9:80"}

    run(gateway, body)


def test_a_restart_without_a_name_server_keeps_the_endpoints(
    words: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_dns(monkeypatch, Dns(web=["10.0.0.1"]))
    first = two_workers(words, "--to", "web:80")

    async def start() -> None:
        await first.until_ready()

    run(first, start)

    with_dns(monkeypatch, Dns())
    again = two_workers(words, "--to", "web:80", after=first)

    async def restart() -> None:
        await again.until_ready()

        async def reported() -> bool:
            return len((await again.get("/api/v1/status"))[1]["problems"]) == 1

        await again.until(reported)
        assert endpoints(again.workers[0].state) == {"10.0.0.1:80"}

    run(again, restart)
    assert [worker.received for worker in again.workers.values()] == [[], []]


MANIFESTS = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: rauta, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gw}]
  rules: [{matches: [{path: {value: /one}}]}, {matches: [{path: {value: /two}}]}]
"""


def put(path: Path, text: str) -> None:
    path.with_name(f".{path.name}").write_text(text)
    path.with_name(f".{path.name}").rename(path)


def test_a_restart_beside_broken_manifests_leaves_all_as_it_was_until_an_edit(
    words: SharedWords, tmp_path: Path
) -> None:
    path = tmp_path / "all.yaml"
    put(path, MANIFESTS)
    first = two_workers(words, "--config", str(path), "--addresses", "127.0.0.1")
    run(first, first.until_ready)
    assert set(rules(first.workers[0].state)) == {"/one", "/two"}

    put(path, MANIFESTS + "---\nkind: [\n")
    kept = two_workers(words, "--config", str(path), "--addresses", "127.0.0.1", after=first)

    async def restart() -> None:
        async def said() -> bool:
            return len((await kept.get("/api/v1/status"))[1]["problems"]) == 2

        await kept.until(said)
        assert [worker.received for worker in kept.workers.values()] == [[], []]
        assert list(kept.binds[-1].listeners.values()) == [("127.0.0.1", 80)]
        put(path, MANIFESTS.replace("/two", "/three") + "---\nkind: [\n")
        await kept.until(lambda: set(rules(kept.workers[0].state)) == {"/one", "/three"})

    run(kept, restart)


def test_what_broke_before_a_restart_is_known_after_it(words: SharedWords, tmp_path: Path) -> None:
    put(tmp_path / "gateway.yaml", MANIFESTS.partition("---")[0])
    put(tmp_path / "route.yaml", MANIFESTS.partition("---")[2])
    first = two_workers(words, "--config", str(tmp_path), "--addresses", "127.0.0.1")

    async def start() -> None:
        await first.until_ready()
        put(tmp_path / "gateway.yaml", "kind: [")
        await first.until(lambda: bool(first.kept))

    run(first, start)
    again = two_workers(words, "--config", str(tmp_path), "--addresses", "127.0.0.1", after=first)

    async def restart() -> None:
        await again.until_ready()
        put(tmp_path / "route.yaml", MANIFESTS.partition("---")[2].replace("/two", "/three"))
        await again.until(lambda: set(rules(again.workers[0].state)) == {"/one", "/three"})  # of a Gateway that is kept
        put(tmp_path / "gateway.yaml", MANIFESTS.partition("---")[0])
        await again.until(lambda: again.kept == b"")

    run(again, restart)


def test_what_broke_while_control_was_away_stays_until_it_is_mended(words: SharedWords, tmp_path: Path) -> None:
    head, _, route = MANIFESTS.partition("---")
    put(tmp_path / "gateway.yaml", head)
    put(tmp_path / "broken.yaml", route)
    put(tmp_path / "other.yaml", route.replace("name: web", "name: other").replace("/one", "/1").replace("/two", "/2"))
    first = two_workers(words, "--config", str(tmp_path), "--addresses", "127.0.0.1")
    run(first, first.until_ready)
    put(tmp_path / "broken.yaml", "kind: [")
    again = two_workers(words, "--config", str(tmp_path), "--addresses", "127.0.0.1", after=first)

    async def restart() -> None:
        def served(*paths: str) -> Callable[[], bool]:
            return lambda: set(rules(again.workers[0].state)) == set(paths)

        async def held() -> bool:
            return len((await again.get("/api/v1/status"))[1]["problems"]) == 2

        await again.until(held)
        other = (tmp_path / "other.yaml").read_text()
        put(tmp_path / "other.yaml", other.replace("/2", "/3"))
        await again.until(served("/one", "/two", "/1", "/3"))
        (tmp_path / "other.yaml").unlink()
        await again.until(served("/one", "/two"))
        put(tmp_path / "broken.yaml", route.replace("/two", "/four"))
        await again.until(served("/one", "/four"))
        assert (await again.get("/api/v1/status"))[1]["problems"] == []

    run(again, restart)


def test_an_invalid_translation_of_one_object_stops_no_other(
    words: SharedWords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = ir.faults

    def blame(key: str, resource: ir.Resource, resources: Mapping[str, ir.Resource]) -> Iterator[str]:
        yield from faults(key, resource, resources)
        if isinstance(resource, ir.Rule) and resource.path == "/bad":
            yield "is bad"

    monkeypatch.setattr(ir, "faults", blame)
    path = tmp_path / "all.yaml"
    put(path, MANIFESTS)
    gateway = two_workers(words, "--config", str(path), "--addresses", "127.0.0.1")

    async def body() -> None:
        async def said() -> bool:
            problems = (await gateway.get("/api/v1/status"))[1]["problems"]
            return len(problems) == 1 and problems[0].endswith(": is bad")

        await gateway.until_ready()
        put(path, MANIFESTS.replace("/one", "/bad").replace("/two", "/three"))
        await gateway.until(lambda: set(rules(gateway.workers[0].state)) == {"/one", "/three"})
        await gateway.until(said)
        put(path, MANIFESTS.replace("/one", "/bad").replace("/two", "/four"))
        await gateway.until(lambda: set(rules(gateway.workers[0].state)) == {"/one", "/four"})
        await gateway.until(said)
        put(path, MANIFESTS.replace("/one", "/good"))
        await gateway.until(lambda: set(rules(gateway.workers[0].state)) == {"/good", "/two"})

    run(gateway, body)
