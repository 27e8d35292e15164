"""When control tells a cluster of statuses, with one that hands over a Gateway and keeps what it is told."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from rauta_control import control, saying
from rauta_control.catalog import Catalog
from rauta_control.condition import Status
from rauta_control.controlharness_test import FakeWorker, Gateway, parsed, run
from rauta_control.gateway import GatewayStatus
from rauta_control.ir import Listener
from rauta_control.log import Log
from rauta_control.settings import Settings
from rauta_control.sharedmem import SharedWords
from rauta_control.slices import finish
from rauta_control.source import Sink
from rauta_control.world import Key

GW, OTHER = (Key("Gateway", "default", name) for name in ("gw", "other"))
OBJECTS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: rauta}
spec: {controllerName: rauta.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: rauta, listeners: [{name: a, port: 80, protocol: HTTP}]}
"""


class FakeCluster:
    """Takes the place of a ClusterSource. `told` are the Gateway's reasons of Programmed, as they were told."""

    def __init__(self, sink: Sink, told: list[str]) -> None:
        self.problems: list[str] = []
        self.told = told
        self._sink = sink

    async def run(self) -> None:
        catalog = Catalog()
        finish(catalog.update("all", OBJECTS))
        self._sink.edit(catalog.edits())
        self._sink.synced()
        await asyncio.Event().wait()

    def stand(self, listeners: Sequence[Listener]) -> None:
        """Services of Gateways are not what this is about."""

    def want(self, statuses: Mapping[Key, Status | None]) -> None:
        status = statuses.get(GW)
        if isinstance(status, GatewayStatus):
            self.told += [each.reason for each in status.conditions if each.type == "Programmed"]


class Hearer:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[Mapping[Key, Status | None]] = []

    def want(self, statuses: Mapping[Key, Status | None]) -> None:
        self.told.append(statuses)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the cluster of the test is told."""
    found: list[str] = []

    def make(settings: Settings, sink: Sink, log: Log) -> FakeCluster:
        return FakeCluster(sink, found)

    monkeypatch.setattr(control, "ClusterSource", make)
    return found


def test_what_waited_is_told_once_and_as_it_is_by_then() -> None:
    hearer = Hearer()
    statuses = saying.Saying(hearer)
    first, second = GatewayStatus(), GatewayStatus(attached_listener_sets=1)
    statuses.say({GW: first, OTHER: first}, ready=False)
    statuses.say({OTHER: None}, ready=False)
    assert hearer.told == []
    statuses.say({GW: second}, ready=True)
    statuses.say({}, ready=True)
    assert hearer.told == [{GW: second, OTHER: None}, {}]


def gateway_with_one_of_two_workers(shared_words: SharedWords) -> Gateway:
    gateway = Gateway(parsed("--kubernetes", "--workers", "2", "--addresses", "127.0.0.1"), shared_words)
    gateway.workers[0] = FakeWorker(0, 100)
    return gateway


def test_a_gateway_that_starts_says_nothing_until_it_is_ready(shared_words: SharedWords, told: list[str]) -> None:
    gateway = gateway_with_one_of_two_workers(shared_words)

    async def body() -> None:
        await gateway.until(lambda: gateway.workers[0].state.generation >= 0 and bool(gateway.bound))
        assert told == []
        await gateway.replace(FakeWorker(1, 101))
        await gateway.until_ready()
        await gateway.until(lambda: bool(told))
        assert told == ["Programmed"]

    run(gateway, body)


def test_one_that_does_not_become_ready_says_so_after_a_while(
    shared_words: SharedWords, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saying, "STATUS_GRACE", 0.05)
    gateway = gateway_with_one_of_two_workers(shared_words)
    gateway.workers[0].refuses = 1000

    async def body() -> None:
        await gateway.until(lambda: bool(told))
        assert "Programmed" not in told
        status, _ = await gateway.get("/readyz", probe=True)
        assert status == 503

    run(gateway, body)
