"""Services of Gateways: what is written of them, when, and what is left alone."""

from __future__ import annotations

from typing import Any

from rauta_control.admission import CLUSTER
from rauta_control.apianswer import Answer
from rauta_control.ir import Listener
from rauta_control.kinds import AnyResource
from rauta_control.reflector import Held
from rauta_control.serviceterms import Range, ServiceTerms
from rauta_control.specimen_test import admitted
from rauta_control.upkeep import Upkeep, Write
from rauta_control.world import Key, key_of

TERMS = ServiceTerms("LoadBalancer", "rauta-system", "rauta", Range(10000, 10099))
GW = Key("Gateway", "shop", "gw")
SERVICE = Key("Service", "shop", "gw-rauta")
#: The EndpointSlice of RAUTA's own Service.
OWN = {
    "metadata.labels": {"kubernetes.io/service-name": "rauta"},
    "metadata.name": "rauta-1",
    "metadata.namespace": "rauta-system",
}


class Cluster:
    """Objects, told of as a watch would; writes are done at once unless they are refused."""

    def __init__(self) -> None:
        self.store: dict[Key, Held] = {}
        self.upkeep = Upkeep(self.store, TERMS)
        self.version = 0
        self.now = 100.0

    def put(self, kind: str, changes: dict[str, Any]) -> None:
        self.keep(admitted(kind, {"metadata.namespace": "shop"} | changes, CLUSTER))

    def keep(self, resource: AnyResource) -> None:
        self.store[key_of(resource)] = Held(resource, b"")
        self.upkeep.edit({key_of(resource): resource})

    def drop(self, key: Key) -> None:
        del self.store[key]
        self.upkeep.edit({key: None})

    def take(self) -> list[Write]:
        writes: list[Write] = []
        while found := self.upkeep.take(self.now, 8):
            writes += found
        return writes

    def apply(self, write: Write) -> None:
        """Do a write, and tell of it."""
        if write.document is None:
            self.drop(write.key)
        else:
            self.version += 1
            meta = write.document["metadata"] | {"resourceVersion": str(self.version)}
            self.put(write.key.kind, {**write.document, "metadata": meta, "metadata.namespace": write.key.namespace})
        self.answer(write, 200)

    def answer(self, write: Write, status: int) -> None:
        body = b'{"message": "no"}' if status >= 400 else b"{}"
        self.upkeep.done(write, Answer(status, body, None), self.now, 0.0)

    def settle(self) -> list[Write]:
        writes = self.take()
        for each in writes:
            self.apply(each)
        return writes


def listener(port: int = 80, target: int = 10050, gateway: str = "shop/gw") -> Listener:
    return Listener(f"{gateway}/[::]:{port}", "::", target, port, gateways=(gateway,))


def cluster() -> Cluster:
    made = Cluster()
    made.put("Gateway", {"spec.infrastructure": {"labels": {"team": "shop"}}})
    made.put("EndpointSlice", OWN)
    made.upkeep.stand([listener()])
    return made


def names(writes: list[Write]) -> list[tuple[str, bool]]:
    return [(each.key.kind, each.document is None) for each in writes]


def test_a_service_and_its_slice_are_made_once() -> None:
    made = cluster()
    assert names(made.settle()) == [("Service", False), ("EndpointSlice", False)]
    assert made.settle() == []
    made.upkeep.restart()
    assert made.settle() == []
    assert not made.upkeep.busy
    assert made.upkeep.written == 2


def test_nothing_is_touched_before_something_was_translated() -> None:
    made = cluster()
    made.settle()
    old = made.store
    after = Cluster()
    after.store.update(old)
    after.upkeep.edit({key: held.resource for key, held in old.items()})
    after.upkeep.restart()
    assert after.take() == []
    assert not after.upkeep.busy
    after.upkeep.stand([listener()])
    assert after.take() == []


def test_what_a_gateway_says_anew_is_written_over_the_version_that_is_there() -> None:
    made = cluster()
    made.settle()
    made.put("Gateway", {"spec.infrastructure": {"labels": {"a": "b"}}})
    writes = made.take()
    assert names(writes) == [("Service", False), ("EndpointSlice", False)]
    assert writes[0].version == "1"
    assert writes[0].document is not None
    assert writes[0].document["metadata"]["labels"]["a"] == "b"
    assert "team" not in writes[0].document["metadata"]["labels"]


def test_what_somebody_changed_is_put_right_at_first_at_once_then_ever_more_slowly() -> None:
    made = cluster()
    made.settle()

    def righted() -> float:
        """Spoil it; the seconds until it is put right."""
        meta = made.store[SERVICE].resource.metadata
        spoilt = {"metadata.labels": meta.labels, "metadata.annotations": meta.annotations}
        made.put("Service", {"metadata.name": SERVICE.name} | spoilt)
        begun = made.now
        while not made.settle():
            assert made.upkeep.next_due is not None
            made.now = max(made.now, made.upkeep.next_due)
        return made.now - begun

    made.now += 100
    first, second, third = righted(), righted(), righted()
    assert 0 == first < second < third
    made.now += 100
    assert righted() == 0


def test_a_port_that_moved_and_pods_that_came_reach_the_slices() -> None:
    made = cluster()
    made.settle()
    made.upkeep.stand([listener(target=10060)])
    service, slice_ = made.settle()
    assert service.document is not None
    assert slice_.document is not None
    assert service.document["spec"]["ports"][0]["targetPort"] == 10060
    assert slice_.document["ports"][0]["port"] == 10060
    pods = [{"addresses": [f"10.0.0.{n}"]} for n in (1, 2)]
    made.put("EndpointSlice", OWN | {"endpoints": pods})
    (write,) = made.settle()
    assert write.document is not None
    assert [each["addresses"] for each in write.document["endpoints"]] == [["10.0.0.1"], ["10.0.0.2"]]


def test_what_nobody_needs_any_more_is_deleted() -> None:
    made = cluster()
    made.settle()
    made.drop(Key("EndpointSlice", "rauta-system", "rauta-1"))
    assert names(made.settle()) == [("EndpointSlice", True)]
    assert made.upkeep.homeless
    made.upkeep.stand([])
    (write,) = made.settle()
    assert (write.key, write.document) == (SERVICE, None)
    assert made.settle() == []


def test_a_gateway_that_is_gone_takes_all_with_it() -> None:
    made = cluster()
    made.settle()
    made.drop(GW)
    made.upkeep.stand([])
    assert sorted(names(made.settle())) == [("EndpointSlice", True), ("Service", True)]


def test_services_of_others_and_of_other_installations_are_not_touched() -> None:
    made = cluster()
    made.put("Service", {"metadata.name": "gw-rauta"})
    foreign = {"rauta.io/installation": "elsewhere.rauta"}
    made.put(
        "Service",
        {"metadata.name": "b", "metadata.labels": foreign, "metadata.annotations": {"rauta.io/gateway": "b"}},
    )
    assert names(made.settle()) == [("EndpointSlice", False)]
    assert made.upkeep.problems == {SERVICE: "it is there already, and was not made for Gateway shop/gw"}
    made.drop(SERVICE)
    assert names(made.settle()) == [("Service", False)]
    assert made.upkeep.problems == {}


def test_problems_of_objects_that_nobody_wants_any_more_are_over() -> None:
    made = cluster()
    made.put("Service", {"metadata.name": "gw-rauta"})
    (slice_,) = made.take()
    made.answer(slice_, 403)
    assert made.upkeep.problems.keys() == {SERVICE, slice_.key}
    assert made.take() == []  # it is not time yet: the problems stay
    assert made.upkeep.problems.keys() == {SERVICE, slice_.key}
    made.drop(Key("Gateway", "shop", "gw"))
    assert made.take() == []
    assert made.upkeep.problems == {}


def test_parameters_choose_the_type() -> None:
    made = cluster()
    ref = {"group": "", "kind": "ConfigMap", "name": "edge"}
    made.put("Gateway", {"spec.infrastructure": {"parametersRef": ref}})
    made.put("ConfigMap", {"metadata.name": "edge", "data": {"serviceType": "NodePort"}})
    (service, _) = made.settle()
    assert service.document is not None
    assert service.document["spec"]["type"] == "NodePort"
    made.put("ConfigMap", {"metadata.name": "edge", "data": {"serviceType": "ClusterIP"}})
    (service,) = made.settle()
    assert service.document is not None
    assert service.document["spec"]["type"] == "ClusterIP"


def test_a_refusal_is_a_problem_and_tried_again_later() -> None:
    made = cluster()
    for each in made.take():
        made.answer(each, 403)
    assert SERVICE in made.upkeep.problems
    assert len(made.upkeep.problems) == 2
    assert made.take() == []
    assert made.upkeep.next_due is not None
    made.now = made.upkeep.next_due
    assert len(made.settle()) == 2
    assert made.upkeep.problems == {}


def test_a_server_in_trouble_is_left_alone_for_a_while() -> None:
    made = cluster()
    first, second = made.take()
    made.answer(first, 503)
    made.upkeep.broken(second, "cut off", made.now, 0.0)
    assert made.upkeep.problems == {"": "cut off"}
    assert made.take() == []
    assert made.upkeep.next_due is not None
    made.now += 2
    assert len(made.settle()) == 2
    assert made.upkeep.problems == {}


def test_a_conflict_waits_for_the_watch() -> None:
    made = cluster()
    for each in made.take():
        made.answer(each, 409)
    assert made.take() == []
    made.now += 1
    assert len(made.settle()) == 2
    assert made.upkeep.problems == {}
