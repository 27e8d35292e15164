import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

from .api import Api, ApiError, Object
from .kubelet import NODE, Kubelet


class FakeApi:
    """An API server that tells of Pods in an order, and remembers what it was asked."""

    def __init__(self, *events: tuple[str, Object]) -> None:
        self.events = events
        self.asked: list[tuple[str, str, Object | None]] = []
        self.status = 0  # to refuse with

    async def watch(self, path: str) -> AsyncIterator[tuple[str, Object]]:
        assert path == "/api/v1/pods"
        for event in self.events:
            yield event
            for _ in range(5):
                await asyncio.sleep(0)  # let the Pod's task do its work

    async def request(self, method: str, path: str, body: Object | None = None) -> Object:
        self.asked.append((method, path, body))
        if self.status:
            raise ApiError(self.status, "no")
        return {}

    async def patch(self, path: str, body: Object) -> Object:
        return await self.request("PATCH", path, body)


def pod(image: str, **metadata: object) -> Object:
    named = {"name": "p", "namespace": "n", "uid": "u", **metadata}
    return {"metadata": named, "spec": {"containers": [{"name": "c", "image": image}]}}


def run(api: FakeApi, tmp_path: Path) -> list[str]:
    """What the kubelet says to people while it lives through the events."""
    said: list[str] = []

    async def live() -> None:
        kubelet = Kubelet(cast(Api, api), tmp_path / "echo", tmp_path, said.append)
        await kubelet.run()
        await kubelet.stop()

    asyncio.run(live())
    return said


def test_a_pod_is_bound_and_one_that_cannot_be_pulled_says_so(tmp_path: Path) -> None:
    api = FakeApi(("ADDED", pod("example.org/other:1")))
    assert run(api, tmp_path) == []
    (bind, binding), (report, status) = [(f"{method} {path}", body or {}) for method, path, body in api.asked]
    assert bind == "POST /api/v1/namespaces/n/pods/p/binding"
    assert binding["target"]["name"] == NODE
    assert report == "PATCH /api/v1/namespaces/n/pods/p/status"
    assert status["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull"


def test_the_name_server_is_ready_without_a_process(tmp_path: Path) -> None:
    api = FakeApi(("ADDED", pod("registry.k8s.io/coredns/coredns:v1")))
    run(api, tmp_path)
    status = (api.asked[-1][2] or {})["status"]
    assert status["phase"] == "Running"
    assert status["podIP"] == "10.244.1.1"


def test_a_pod_is_taken_once(tmp_path: Path) -> None:
    api = FakeApi(("ADDED", pod("other")), ("MODIFIED", pod("other")))
    run(api, tmp_path)
    assert [method for method, _, _ in api.asked] == ["POST", "PATCH"]


def test_a_pod_that_is_to_go_is_gone_for_good(tmp_path: Path) -> None:
    api = FakeApi(("ADDED", pod("other", deletionTimestamp="now")))
    run(api, tmp_path)
    body = {"gracePeriodSeconds": 0, "preconditions": {"uid": "u"}}
    assert api.asked == [("DELETE", "/api/v1/namespaces/n/pods/p", body)]


def test_a_pod_that_is_no_longer_listed_can_come_again(tmp_path: Path) -> None:
    added = ("ADDED", pod("other"))
    api = FakeApi(added, ("LISTED", {"items": []}), added)
    run(api, tmp_path)
    assert [method for method, _, _ in api.asked] == ["POST", "PATCH", "POST", "PATCH"]


def test_a_pod_that_vanished_meanwhile_is_no_trouble_but_a_refusal_is_told(tmp_path: Path) -> None:
    for status, told in ((404, []), (403, ["kubelet: n/p: no"])):
        api = FakeApi(("ADDED", pod("other")))
        api.status = status
        assert run(api, tmp_path) == told
