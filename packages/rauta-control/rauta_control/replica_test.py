"""The whole cluster side of a replica, from source to statuses with translation in between; one or two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rauta_control.fakeapi_test import FakeApi, Fault, beside
from rauta_control.ir import Listener
from rauta_control.kinds import AnyResource
from rauta_control.leader import NAME
from rauta_control.replica import Replica
from rauta_control.serviceterms import Range, ServiceTerms
from rauta_control.specimen_test import specimen
from rauta_control.terms import CONTROLLER, Terms
from rauta_control.translate import Translator
from rauta_control.world import Key

TERMS = ServiceTerms("LoadBalancer", "rauta-system", "rauta", Range(10000, 10099))
OURS = {"spec.controllerName": CONTROLLER}


class Pod:
    """What a control process wires together; a translator alone is in the place of the pipeline."""

    def __init__(self, api: FakeApi, name: str, **options: Any) -> None:
        self.api = api
        self.translator = Translator(Terms(wildcard="10.0.0.1", services=options.get("services")))
        self.pending: dict[Key, AnyResource | None] = {}
        self.is_synced = False
        self.replica = Replica(api, self, identity=name, timing=api.pace.timing, **options)
        self.leader = self.replica.leader
        self.run = self.replica.run

    def edit(self, changes: Mapping[Key, AnyResource | None]) -> None:
        self.pending.update(changes)
        if self.is_synced:
            self.translate()

    def synced(self) -> None:
        self.is_synced = True
        self.translate()

    def translate(self) -> None:
        pending, self.pending = self.pending, {}
        change = self.translator.update(pending, self.api.pace.wall())
        self.replica.stand(each for each in self.translator.resources.values() if isinstance(each, Listener))
        self.replica.want(change.statuses)


def api_with_a_gateway() -> FakeApi:
    api = FakeApi()
    api.put("GatewayClass", "rauta", OURS)
    api.put("Gateway", "gw", {"spec.listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]})
    api.put("Service", "cart")
    api.put("HTTPRoute", "a")
    return api


def run(api: FakeApi, body: Callable[[Pod], Awaitable[None]], **options: Any) -> None:
    async def test() -> None:
        pod = Pod(api, "one", **options)
        await beside(pod.run(), lambda: body(pod))

    api.run(test)


def status_writes(api: FakeApi, kind: str = "") -> int:
    return sum(path.endswith("/status") and kind in path for path, _ in api.writes)


def attached(api: FakeApi) -> int:
    listeners = api.get("Gateway", "gw").get("status", {}).get("listeners", [])
    return listeners[0]["attachedRoutes"] if listeners else -1


def quiet(api: FakeApi) -> Callable[[], Awaitable[None]]:
    """A function that waits until nothing is written any more."""

    async def wait() -> None:
        while True:
            before = len(api.requests)
            await api.pace.settle(1.9)  # shorter than the leader's rest, so it sees a round without its renewal
            if not any("/status" in each for each in api.requests[before:]):
                return

    return wait


def conditions(document: dict[str, Any]) -> dict[str, str]:
    status = document["status"]
    found = status["conditions"] if "conditions" in status else status["parents"][-1]["conditions"]
    return {each["type"]: each["status"] for each in found}


def test_statuses_are_written_and_a_replica_that_starts_anew_writes_nothing() -> None:
    api = api_with_a_gateway()
    other = {"controllerName": "other.example/x", "parentRef": {"name": "elsewhere"}, "conditions": []}
    api.get("HTTPRoute", "a")["status"] = {"parents": [other]}

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: attached(api) == 1)
        await quiet(api)()
        assert conditions(api.get("GatewayClass", "rauta"))["Accepted"] == "True"
        assert conditions(api.get("Gateway", "gw"))["Accepted"] == "True"
        assert conditions(api.get("HTTPRoute", "a"))["Accepted"] == "True"
        assert api.get("HTTPRoute", "a")["status"]["parents"][0] == other
        assert status_writes(api) == 3

    async def again(pod: Pod) -> None:
        await api.pace.until(pod.leader.leading)
        await quiet(api)()
        assert status_writes(api) == 3

    run(api, body)
    run(api, again)


def test_objects_of_other_controllers_are_never_written() -> None:
    api = api_with_a_gateway()
    api.put("GatewayClass", "other", {"spec.controllerName": "other.example/x"})
    api.put("Gateway", "foreign", {"spec.gatewayClassName": "other"})
    api.put("HTTPRoute", "b", {"spec.parentRefs": [{"name": "foreign"}]})

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: attached(api) == 1)
        await quiet(api)()
        assert status_writes(api) == 3
        assert not any(name in path for path, _ in api.writes for name in ("foreign", "other", "/b/"))

    run(api, body)


def test_many_routes_take_few_writes_of_the_gateway() -> None:
    api = api_with_a_gateway()

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: attached(api) == 1)
        for index in range(200):
            api.put("HTTPRoute", f"r{index}")
            if index % 10 == 0:
                await api.pace.settle(0.2)
        await api.pace.until(lambda: attached(api) == 201)
        await quiet(api)()
        assert status_writes(api, "/gateways/") < 15
        assert status_writes(api, "/httproutes/") == 201

    run(api, body)


def test_conflicts_lost_answers_and_a_server_in_trouble_leave_the_right_status() -> None:
    api = api_with_a_gateway()
    conflicts = 3

    def meddle(path: str) -> None:
        nonlocal conflicts
        if path.endswith("/a/status") and conflicts:
            conflicts -= 1
            api.put("HTTPRoute", "a", {"metadata.labels": {"round": str(conflicts)}})

    api.before_write = meddle
    api.faults.append(Fault("PATCH", 500, times=2))

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: "status" in api.get("HTTPRoute", "a"))
        await quiet(api)()
        assert conflicts == 0
        assert status_writes(api) == 3
        assert pod.replica.problems() == []

    run(api, body)


def test_no_more_permissions_are_needed_than_these() -> None:
    api = api_with_a_gateway()
    api.faults.append(Fault("PATCH /apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes", 409, times=1))

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: "status" in api.get("HTTPRoute", "a"))
        await api.pace.settle(5)

    run(api, body)
    followed = ["gatewayclasses", "gateways", "httproutes", "listenersets", "referencegrants", "backendtlspolicies"]
    followed += ["services", "endpointslices", "secrets", "configmaps", "namespaces"]
    assert api.verbs == {
        *(f"{verb} {each}" for each in followed for verb in ("list", "watch")),
        *(f"patch {each}/status" for each in ("gatewayclasses", "gateways", "httproutes")),
        "get httproutes",
        *(f"{verb} leases" for verb in ("get", "create", "update")),
    }


def test_nothing_is_written_by_who_does_not_lead_and_everything_by_who_comes_to() -> None:
    api = api_with_a_gateway()

    async def test() -> None:
        one, two = Pod(api, "one"), Pod(api, "two")
        first = asyncio.ensure_future(one.run())
        await api.pace.until(lambda: one.leader.leading() and attached(api) == 1)
        second = asyncio.ensure_future(two.run())
        await quiet(api)()
        written = status_writes(api)
        one.leader.election._lease = None  # as if killed: it tells nobody
        killed = api.pace.now
        first.cancel()
        await asyncio.wait((first,))
        api.put("HTTPRoute", "b")
        await api.pace.until(lambda: "status" in api.get("HTTPRoute", "b"))
        assert two.leader.leading()
        assert api.pace.now - killed <= 18  # 17, and the steps of the tests' clock
        await quiet(api)()
        assert status_writes(api) == written + 2, "the new route, and the number of the Gateway"
        assert api.get("Lease", NAME, api.namespace)["spec"]["leaseTransitions"] == 1
        second.cancel()
        await asyncio.wait((second,))
        assert api.get("Lease", NAME, api.namespace)["spec"]["holderIdentity"] == "", "let go at a clean stop"

    api.run(test)


def test_without_permission_for_the_lease_nothing_is_written_and_the_reason_is_known() -> None:
    api = api_with_a_gateway()
    api.denied.add("get leases")

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: pod.is_synced)
        await api.pace.settle(10)
        assert status_writes(api) == 0
        (problem,) = pod.replica.problems()
        assert problem == "cannot take part in the election of who writes statuses: 403 cannot get leases"

    run(api, body)


def test_what_is_wrong_with_the_cluster_is_said() -> None:
    api = api_with_a_gateway()
    del api.kinds["ListenerSet"], api.kinds["ReferenceGrant"]
    api.denied |= {"list configmaps", "patch gateways/status"}
    api.put("HTTPRoute", "odd", {"spec.rules[0].matches[0].path.type": "Glob"})

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: "status" in api.get("HTTPRoute", "a"))
        await api.pace.until(lambda: len(pod.replica.problems()) == 3)
        forbidden, odd, status = pod.replica.problems()
        assert forbidden.startswith("cannot read ConfigMap: 403 cannot list configmaps; grant get, list and watch")
        assert odd.startswith("HTTPRoute shop/odd: spec.rules[0].matches[0].path.type: Unsupported value")
        assert status == "cannot write the status of Gateway: 403 cannot patch gateways"

    run(api, body)


def test_secrets_are_read_by_name_where_that_was_asked_for() -> None:
    api = api_with_a_gateway()
    api.put("Gateway", "gw")  # with a certificate
    api.put("Secret", "certificate")
    api.put("Secret", "other")

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: attached(api) == 1)
        assert [key.name for key in pod.replica.source.store if key.kind == "Secret"] == ["certificate"]
        assert api.asked("/secrets?") == api.asked("/namespaces/shop/secrets?fieldSelector=metadata.name%3D")

    run(api, body, by_name=True)


def api_with_pods() -> FakeApi:
    """And with RAUTA's own Service."""
    api = api_with_a_gateway()
    labels = {"kubernetes.io/service-name": "rauta"}
    api.put("EndpointSlice", "rauta-1", {"metadata.labels": labels}, namespace="rauta-system")
    return api


def made(api: FakeApi, kind: str) -> list[dict[str, Any]]:
    """What was made for Gateways."""
    every = [each for (what, *_), each in api.objects.items() if what == f"{kind.lower()}s"]
    return [each for each in every if "rauta.io/installation" in each["metadata"].get("labels", {})]


def programmed(api: FakeApi, name: str = "gw") -> str:
    status = api.get("Gateway", name).get("status", {"conditions": []})
    return next((each["reason"] for each in status["conditions"] if each["type"] == "Programmed"), "")


def test_a_gateway_gets_a_service_whose_address_becomes_its_own() -> None:
    api = api_with_pods()

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: programmed(api) == "AddressNotAssigned" and made(api, "EndpointSlice"))
        (service,), (slice_,) = made(api, "Service"), made(api, "EndpointSlice")
        assert service["spec"]["type"] == "LoadBalancer"
        (port,) = service["spec"]["ports"]
        assert port["port"] == 80
        assert [each["port"] for each in slice_["ports"]] == [port["targetPort"]]
        assert [each["addresses"] for each in slice_["endpoints"]] == [["10.0.0.1"]]
        service["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}
        api.store("Service", "shop", "gw-rauta", service)
        await api.pace.until(lambda: programmed(api) == "Programmed")
        assert api.get("Gateway", "gw")["status"]["addresses"] == [{"type": "IPAddress", "value": "192.0.2.9"}]
        await quiet(api)()
        assert len(api.writes) - status_writes(api) - sum("/leases" in path for path, _ in api.writes) == 2

    async def again(pod: Pod) -> None:
        before = len(api.writes)
        await api.pace.until(pod.leader.leading)
        await quiet(api)()
        assert all("/leases" in path for path, _ in api.writes[before:])
        (listener,) = (each for each in pod.translator.resources.values() if isinstance(each, Listener))
        assert listener.port == api.get("Service", "gw-rauta")["spec"]["ports"][0]["targetPort"]

    run(api, body, services=TERMS)
    run(api, again, services=TERMS)


def test_labels_of_a_gateway_come_and_go_and_its_service_goes_with_it() -> None:
    api = api_with_pods()
    listeners = {"spec.listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
    api.put("Gateway", "gw", listeners | {"spec.infrastructure": {"labels": {"team": "shop"}}})

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: len(made(api, "EndpointSlice")) == 1)
        (service,) = made(api, "Service")
        assert service["metadata"]["labels"]["team"] == "shop"
        service["metadata"]["labels"]["others"] = "stay"
        api.store("Service", "shop", "gw-rauta", service)
        api.put("Gateway", "gw", listeners)
        await api.pace.until(lambda: "team" not in made(api, "Service")[0]["metadata"]["labels"])
        assert made(api, "Service")[0]["metadata"]["labels"]["others"] == "stay"
        api.delete("Gateway", "gw")
        await api.pace.until(lambda: not made(api, "Service") and not made(api, "EndpointSlice"))
        assert pod.replica.problems() == []

    run(api, body, services=TERMS)


def test_services_take_these_permissions_more() -> None:
    api = api_with_pods()

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: len(made(api, "EndpointSlice")) == 1)
        api.delete("Gateway", "gw")
        await api.pace.until(lambda: not made(api, "Service") and not made(api, "EndpointSlice"))

    run(api, body, services=TERMS)
    extra = {each for each in api.verbs if each.endswith((" services", " endpointslices"))}
    assert extra == {
        f"{verb} {each}" for verb in ("list", "watch", "patch", "delete") for each in ("services", "endpointslices")
    }


def test_two_replicas_bind_the_same_ports_and_one_of_them_writes() -> None:
    api = api_with_pods()

    async def test() -> None:
        one, two = Pod(api, "one", services=TERMS), Pod(api, "two", services=TERMS)
        tasks = [asyncio.ensure_future(each.run()) for each in (one, two)]
        await api.pace.until(lambda: len(made(api, "EndpointSlice")) == 1)
        taken = {"spec.ports": [{"name": "port-80", "port": 80, "targetPort": 10042}]}
        api.store("Service", "shop", "gw-rauta", made(api, "Service")[0] | {"spec": specimen("Service", taken)["spec"]})

        def ports() -> set[int]:
            return {
                each.port
                for pod in (one, two)
                for each in pod.translator.resources.values()
                if isinstance(each, Listener)
            }

        await api.pace.until(lambda: ports() == {10042})
        await api.pace.until(lambda: made(api, "EndpointSlice")[0]["ports"][0]["port"] == 10042)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    api.run(test)


def test_no_pods_to_lead_to_is_a_problem() -> None:
    api = api_with_a_gateway()

    async def body(pod: Pod) -> None:
        await api.pace.until(lambda: made(api, "Service"))
        assert pod.replica.problems() == [
            "Services of Gateways lead nowhere: no endpoint is known of Service rauta-system/rauta (--own-service)"
        ]

    run(api, body, services=TERMS)
