"""Kubernetes: a whole source against a server on loopback that misbehaves as real ones do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from rauta_control.apiclient import ApiClient
from rauta_control.fakeapi_test import FakeApi, Fault, beside, line
from rauta_control.kinds import KINDS, AnyResource
from rauta_control.kubernetes import Health, Kubernetes
from rauta_control.reflector import Scope
from rauta_control.world import Key


class Taken:
    """A sink: the objects as a pipeline would have them."""

    def __init__(self) -> None:
        self.objects: dict[Key, AnyResource] = {}
        self.is_synced = 0
        self.edits = 0

    def edit(self, changes: Mapping[Key, AnyResource | None]) -> None:
        self.edits += 1
        for key, resource in changes.items():
            if resource is None:
                self.objects.pop(key, None)
            else:
                self.objects[key] = resource

    def synced(self) -> None:
        self.is_synced += 1

    def names(self, kind: str) -> set[str]:
        return {key.name for key in self.objects if key.kind == kind}


class World:
    """A server, a source and a sink."""

    def __init__(self, **options: Any) -> None:
        self.api = FakeApi()
        self.sink = Taken()
        self.options = options
        self.silence = 30.0

    def run(self, body: Callable[[], Awaitable[None]]) -> None:
        async def test() -> None:
            async with ApiClient(self.api, silence=self.silence) as client:
                self.source = Kubernetes(client, self.sink, self.api.pace.timing, **self.options)
                await beside(self.source.run(), body)

        self.api.run(test)

    async def until(self, condition: Callable[[], object]) -> None:
        await self.api.pace.until(condition)

    async def following(self, kind: str = "HTTPRoute") -> None:
        await self.until(lambda: self.sink.is_synced and self.api.open(kind))

    def health(self, kind: str) -> Health:
        return next(each for each in self.source.health() if each.scope == Scope(kind))


def test_everything_is_listed_in_pages_then_followed() -> None:
    world = World()
    for index in range(1100):
        world.api.put("HTTPRoute", f"r{index}")
    world.api.put("Gateway", "gw")
    world.api.put("Service", "web")
    world.api.put("Secret", "tls")
    world.api.put("Secret", "release", {"type": "helm.sh/release.v1"})

    async def body() -> None:
        await world.following()
        assert len(world.sink.names("HTTPRoute")) == 1100
        assert world.sink.names("Service") == {"web"}
        assert world.sink.names("Secret") == {"tls"}
        assert world.api.asked("/httproutes?limit=500") == 3
        world.api.put("HTTPRoute", "late")
        world.api.delete("HTTPRoute", "r5")
        await world.until(
            lambda: "late" in world.sink.names("HTTPRoute") and len(world.sink.names("HTTPRoute")) == 1100
        )
        assert all(each.state == "following" for each in world.source.health())
        assert world.sink.is_synced == 1

    world.run(body)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_watch_that_breaks_goes_on_where_it_was_without_a_list(how: str) -> None:
    world = World()

    async def body() -> None:
        world.api.put("HTTPRoute", "a")
        await world.following()
        lists = world.api.asked("/httproutes?limit")
        for round_ in range(3):
            (watch,) = world.api.open("HTTPRoute")
            getattr(watch, how)()
            world.api.put("HTTPRoute", f"missed{round_}")
            await world.until(lambda: len(world.sink.names("HTTPRoute")) == round_ + 2)  # noqa: B023 - waited for here
            await world.until(lambda: world.api.open("HTTPRoute") not in ([], [watch]))  # noqa: B023
        assert world.api.asked("/httproutes?limit") == lists

    world.run(body)


def test_a_version_that_was_compacted_while_nobody_watched_is_listed_and_deletions_are_seen() -> None:
    world = World()

    async def body() -> None:
        world.api.put("HTTPRoute", "stays")
        world.api.put("HTTPRoute", "goes")
        await world.following()
        (watch,) = world.api.open("HTTPRoute")
        watch.close()
        world.api.delete("HTTPRoute", "goes")
        world.api.compact()
        await world.until(lambda: world.sink.names("HTTPRoute") == {"stays"})
        assert world.health("HTTPRoute").lists == 2

    world.run(body)


def test_a_bookmark_saves_the_list() -> None:
    world = World()

    async def body() -> None:
        await world.following()
        for index in range(5):
            world.api.put("Service", f"s{index}")  # versions move on without a route
        world.api.bookmark("HTTPRoute")
        before = world.health("HTTPRoute").succeeded_at
        await world.until(lambda: (world.health("HTTPRoute").succeeded_at or 0) > (before or 0))
        version = f"resourceVersion={world.api.version}"
        (watch,) = world.api.open("HTTPRoute")
        watch.close()
        await world.until(lambda: world.api.asked(f"/httproutes?watch=true&allowWatchBookmarks=true&{version}"))

    world.run(body)


def test_a_truncated_line_kills_nothing() -> None:
    world = World()

    async def body() -> None:
        await world.following()
        (watch,) = world.api.open("HTTPRoute")
        watch.deaf = True
        world.api.put("HTTPRoute", "cut")
        watch.send(line("ADDED", world.api.get("HTTPRoute", "cut"))[:80])
        watch.close()
        await world.until(lambda: "cut" in world.sink.names("HTTPRoute"))
        assert world.health("HTTPRoute").lists == 1

    world.run(body)


def test_a_silent_watch_is_opened_again() -> None:
    world = World(kinds={"HTTPRoute": KINDS["HTTPRoute"]})
    world.silence = 0.05

    async def body() -> None:
        await world.following("HTTPRoute")
        (silent,) = world.api.open("HTTPRoute")
        silent.deaf = True
        world.api.put("HTTPRoute", "unheard")
        await world.until(lambda: "unheard" in world.sink.names("HTTPRoute"))

    world.run(body)


def test_a_server_that_takes_requests_and_answers_none_is_in_trouble() -> None:
    world = World(kinds={"HTTPRoute": KINDS["HTTPRoute"]})
    world.silence = 0.05
    world.api.faults.append(fault := Fault("/httproutes?watch", hang=True))

    async def body() -> None:
        await world.until(lambda: world.api.asked("/httproutes?watch") >= 3)
        await world.until(lambda: world.health("HTTPRoute").state == "failing")
        assert world.health("HTTPRoute").error == "TimeoutError"
        fault.times = 0
        await world.following()

    world.run(body)


def test_too_many_requests_waits_as_told_and_lists_nothing() -> None:
    world = World()

    async def body() -> None:
        await world.following()
        world.api.faults.append(Fault("/httproutes?watch", 429, {"Retry-After": "7"}, times=1))
        (watch,) = world.api.open("HTTPRoute")
        world.api.pace.slept.clear()
        await world.api.pace.settle(20)  # so that the end of the watch is no failure
        watch.close()
        await world.until(lambda: watch not in world.api.watches and world.api.open("HTTPRoute"))
        assert max(world.api.pace.slept) > 6.9
        assert world.health("HTTPRoute").lists == 1

    world.run(body)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_one_kind_hurts_no_other(status: int) -> None:
    world = World()
    world.api.faults.append(fault := Fault("/configmaps", status))

    async def body() -> None:
        world.api.put("HTTPRoute", "a")
        await world.following()  # in time that passes: one can do without ConfigMaps
        assert world.health("ConfigMap").state == "failing"
        assert "grant get, list and watch on configmaps" in world.health("ConfigMap").error
        world.api.put("HTTPRoute", "b")
        await world.until(lambda: world.sink.names("HTTPRoute") == {"a", "b"})
        assert (world.api.refreshed > 0) == (status == 401)
        fault.times = 0
        world.api.put("ConfigMap", "ca")
        await world.until(lambda: world.sink.names("ConfigMap") == {"ca"})
        assert world.health("ConfigMap").error == ""

    world.run(body)


def test_without_permission_for_what_is_needed_nothing_counts_as_complete() -> None:
    world = World()
    world.api.denied.add("list services")

    async def body() -> None:
        await world.api.pace.settle(30)
        assert world.api.open("HTTPRoute")
        assert not world.sink.is_synced
        world.api.denied.clear()
        await world.until(lambda: world.sink.is_synced)

    world.run(body)


def test_a_kind_that_is_not_there_is_skipped_reported_and_found_when_it_comes() -> None:
    world = World()
    version = world.api.kinds.pop("ListenerSet")

    async def body() -> None:
        await world.following()
        assert world.health("ListenerSet").state == "absent"
        assert "install the CRDs" in world.health("ListenerSet").error
        world.api.kinds["ListenerSet"] = version
        world.api.put("ListenerSet", "more")
        await world.until(lambda: world.sink.names("ListenerSet") == {"more"})
        assert world.health("ListenerSet").state == "following"
        await world.following("ListenerSet")
        del world.api.kinds["ListenerSet"]
        (watch,) = world.api.open("ListenerSet")
        watch.close()
        await world.until(lambda: not world.sink.names("ListenerSet"))
        assert world.health("ListenerSet").state == "absent"

    world.run(body)


def test_a_kind_that_is_only_said_to_be_gone_keeps_its_objects() -> None:
    world = World()

    async def body() -> None:
        world.api.put("HTTPRoute", "a")
        await world.following()
        edits = world.sink.edits
        world.api.faults.append(fault := Fault("/httproutes?", 404))
        (watch,) = world.api.open("HTTPRoute")
        watch.close()
        before = len(world.api.requests)
        await world.api.pace.settle(60)
        assert world.sink.names("HTTPRoute") == {"a"}
        assert sum("/httproutes?" in each for each in world.api.requests[before:]) <= 12
        fault.times = 0
        await world.until(lambda: world.health("HTTPRoute").state == "following")
        assert world.sink.edits == edits

    world.run(body)


def test_an_older_version_is_taken_where_there_is_no_newer_one() -> None:
    world = World()
    world.api.kinds["ReferenceGrant"] = "gateway.networking.k8s.io/v1beta1"
    world.api.put("ReferenceGrant", "grant", {"apiVersion": "gateway.networking.k8s.io/v1beta1"})

    async def body() -> None:
        await world.following()
        assert world.sink.names("ReferenceGrant") == {"grant"}
        assert world.source.places["ReferenceGrant"].version.endswith("v1beta1")

    world.run(body)


def test_a_server_that_is_gone_takes_nothing_away_and_is_found_again() -> None:
    world = World()

    async def body() -> None:
        world.api.put("HTTPRoute", "a")
        await world.following()
        world.api.faults.append(fault := Fault("", 500))
        for watch in list(world.api.watches):
            watch.reset()
        await world.until(lambda: world.health("HTTPRoute").state == "failing")
        world.api.put("HTTPRoute", "b")
        world.api.delete("HTTPRoute", "a")
        before = len(world.api.requests)
        await world.api.pace.settle(60)
        assert world.sink.names("HTTPRoute") == {"a"}
        assert world.sink.is_synced == 1
        assert len(world.api.requests) - before <= 12 * 10
        fault.times = 0
        back = world.api.pace.now
        await world.until(lambda: world.sink.names("HTTPRoute") == {"b"})
        assert world.api.pace.now - back <= 35

    world.run(body)


def test_namespaces_that_are_not_watched_are_not_read() -> None:
    world = World(namespaces=("shop", "bank"))

    async def body() -> None:
        for namespace in ("shop", "bank", "other"):
            world.api.put("HTTPRoute", "r", namespace=namespace)
        await world.following()
        assert {key.namespace for key in world.sink.objects if key.kind == "HTTPRoute"} == {"shop", "bank"}
        assert not world.api.asked(" /apis/gateway.networking.k8s.io/v1/httproutes")
        assert world.api.asked("/v1/gatewayclasses?")

    world.run(body)


def test_secrets_by_name_are_those_that_are_referred_to() -> None:
    def references(resource: AnyResource) -> list[Key]:
        return [Key("Secret", "shop", "certificate")] if resource.kind == "Gateway" else []

    world = World(by_name=("Secret",), references=references)
    world.api.put("Gateway", "gw")
    for name in ("certificate", "other"):
        world.api.put("Secret", name)

    async def body() -> None:
        await world.following()
        assert world.sink.names("Secret") == {"certificate"}
        assert world.api.asked("/secrets?") == world.api.asked("/secrets?fieldSelector=metadata.name%3Dcertificate") > 0
        world.api.delete("Gateway", "gw")
        await world.until(lambda: not world.sink.names("Secret"))
        await world.until(lambda: not world.api.open("Secret"))

    world.run(body)


def test_the_end_of_the_source_is_not_the_end_of_its_objects() -> None:
    world = World()

    async def body() -> None:
        world.api.put("HTTPRoute", "a")
        await world.following()

    world.run(body)
    assert world.sink.names("HTTPRoute") == {"a"}
