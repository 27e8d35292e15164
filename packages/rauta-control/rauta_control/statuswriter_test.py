"""StatusWriter: what is written, when, and what each answer means; by a server of ten lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control.apianswer import Answer
from rauta_control.condition import condition
from rauta_control.gateway import GatewayStatus, ListenerStatus
from rauta_control.httproute import RouteParentStatus, RouteStatus
from rauta_control.reference import ParentReference
from rauta_control.reflector import Held
from rauta_control.specimen_test import admitted
from rauta_control.statuswriter import LONGEST_INTERVAL, SCAN, StatusWriter, Write
from rauta_control.terms import CONTROLLER
from rauta_control.world import Key

GATEWAY = Key("Gateway", "shop", "gw")
ROUTE = Key("HTTPRoute", "shop", "a")
WALL = datetime(2026, 11, 22, tzinfo=UTC)


def route_status(holds: bool = True, generation: int = 1) -> RouteStatus:
    said = condition("Accepted", holds, "Accepted", "", generation)
    entry = RouteParentStatus(parent_ref=ParentReference(name="gw"), controller_name=CONTROLLER, conditions=(said,))
    return RouteStatus(parents=(entry,))


def gateway_status(attached: int, message: str = "") -> GatewayStatus:
    said = condition("Accepted", True, "Accepted", message, 1)
    listener = ListenerStatus(name="http", attached_routes=attached, conditions=(said,))
    return GatewayStatus(conditions=(said,), listeners=(listener,))


class Cluster:
    """Objects, the store that watches them, and a writer. `answers` come instead of the real ones, once each."""

    def __init__(self) -> None:
        self.objects: dict[Key, dict[str, Any]] = {}
        self.store: dict[Key, Held] = {}
        self.writer = StatusWriter(self.store)
        self.version = 0
        self.now = 0.0
        self.writes: list[Key] = []
        self.answers: list[Answer] = []

    def put(self, key: Key, generation: int = 1, watched: bool = True) -> None:
        self.version += 1
        meta = {"resourceVersion": str(self.version), "generation": generation}
        self.objects[key] = {"metadata": meta, "status": self.objects.get(key, {}).get("status", {})}
        if watched:
            self.watch(key)

    def watch(self, key: Key) -> None:
        """An event of an object as it is arrives."""
        document = self.objects[key]
        changes = {f"metadata.{name}": value for name, value in document["metadata"].items()}
        self.store[key] = Held(admitted(key.kind, changes), json.dumps(document["status"]).encode())
        self.writer.seen([key])

    def write(self, write: Write) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        if write.key not in self.objects:
            return Answer(404, b"")
        document = self.objects[write.key]
        if write.body["metadata"]["resourceVersion"] != document["metadata"]["resourceVersion"]:
            return Answer(409, b"")
        self.version += 1
        document["metadata"]["resourceVersion"] = str(self.version)
        document["status"] = document["status"] | write.body["status"]
        self.writes.append(write.key)
        return Answer(200, json.dumps(document).encode())

    def turn(self, watched: bool = True) -> int:
        """Take and do what is to be done now; return how many writes that was."""
        done = 0
        while writes := self.taken():
            done += len(writes)
            for write in writes:
                if self.writer.done(write.key, self.write(write), self.now, 0.0):
                    document = self.objects.get(write.key)
                    self.writer.found(write.key, json.dumps(document).encode() if document else None)
                if watched and write.key in self.objects:
                    self.watch(write.key)
        return done

    def taken(self) -> list[Write]:
        writes = self.writer.take(self.now, WALL + timedelta(seconds=self.now), 8)
        while self.writer.busy and not writes:
            writes = self.writer.take(self.now, WALL, 8)
        return writes


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.put(GATEWAY)
    made.put(ROUTE)
    return made


def test_what_is_wanted_is_written_once(cluster: Cluster) -> None:
    cluster.writer.want({ROUTE: route_status(), GATEWAY: gateway_status(1)})
    assert cluster.turn(watched=False) == 2
    assert cluster.writes == [GATEWAY, ROUTE], "Gateways are waited for"
    cluster.writer.want({ROUTE: route_status(), GATEWAY: gateway_status(1)})
    assert cluster.turn() == 0, "not before the event of the own write is in"
    cluster.watch(ROUTE)
    assert cluster.turn() == 0, "and not after it"
    cluster.writer.restart()
    assert cluster.turn() == 0, "nor by the next leader"


def test_what_changed_back_before_its_turn_is_not_written(cluster: Cluster) -> None:
    cluster.writer.want({ROUTE: route_status()})
    cluster.turn()
    cluster.writer.want({ROUTE: route_status(holds=False)})
    cluster.writer.want({ROUTE: route_status()})
    assert cluster.turn() == 0


def test_what_somebody_else_removed_is_written_again(cluster: Cluster) -> None:
    cluster.writer.want({ROUTE: route_status()})
    cluster.turn()
    cluster.objects[ROUTE]["status"] = {}
    cluster.put(ROUTE)
    assert cluster.turn() == 1


def test_a_conflict_is_looked_at_anew(cluster: Cluster) -> None:
    cluster.writer.want({ROUTE: route_status()})
    cluster.objects[ROUTE]["status"] = {"parents": [{"controllerName": "other.example/x"}]}
    cluster.put(ROUTE, watched=False)
    assert cluster.turn(watched=False) == 2
    assert [each["controllerName"] for each in cluster.objects[ROUTE]["status"]["parents"]] == [
        "other.example/x",
        CONTROLLER,
    ]


def test_an_object_that_is_gone_is_dropped_and_written_when_it_is_back(cluster: Cluster) -> None:
    cluster.writer.want({ROUTE: route_status()})
    del cluster.objects[ROUTE]
    assert cluster.turn() == 1
    assert not cluster.writer.busy
    assert cluster.writer.next_due is None
    cluster.put(ROUTE)
    assert cluster.turn() == 1


def test_a_stale_generation_is_never_written_over_a_newer_object(cluster: Cluster) -> None:
    cluster.put(ROUTE, generation=2)
    cluster.writer.want({ROUTE: route_status(generation=1)})
    assert cluster.turn() == 0
    cluster.writer.want({ROUTE: route_status(generation=2)})
    assert cluster.turn() == 1


def test_a_change_during_a_write_is_written_after_it(cluster: Cluster) -> None:
    cluster.writer.want({ROUTE: route_status()})
    (write,) = cluster.taken()
    cluster.writer.want({ROUTE: route_status(holds=False)})
    assert cluster.taken() == [], "one at a time of each object"
    cluster.writer.done(ROUTE, cluster.write(write), cluster.now, 0.0)
    assert cluster.turn() == 1
    assert cluster.objects[ROUTE]["status"]["parents"][0]["conditions"][0]["status"] == "False"


def test_a_write_without_an_answer_may_have_been_done(cluster: Cluster) -> None:
    cluster.writer.want({ROUTE: route_status()})
    (write,) = cluster.taken()
    cluster.write(write)
    cluster.writer.broken(ROUTE, "reset by peer", cluster.now, 0.0)
    assert cluster.turn() == 0
    assert cluster.writer.problems == {"": "reset by peer"}
    assert cluster.writer.next_due == pytest.approx(0.8)
    cluster.now = 1.0
    assert cluster.turn() == 1, "refused for its version, and found to be there"
    assert cluster.writes == [ROUTE]


@pytest.mark.parametrize(("answer", "wait"), [(Answer(500, b""), 0.8), (Answer(429, b"", 9.0), 9.0)])
def test_a_server_in_trouble_is_left_alone_for_a_while(cluster: Cluster, answer: Answer, wait: float) -> None:
    cluster.answers.append(answer)
    cluster.writer.want({ROUTE: route_status()})
    assert cluster.turn() == 1
    cluster.now = wait - 0.1
    cluster.writer.want({GATEWAY: gateway_status(0)})
    assert cluster.turn() == 0
    cluster.now = wait + 0.1
    assert cluster.turn() == 2
    assert cluster.writer.problems == {}


def test_a_kind_that_may_not_be_written_holds_up_no_other(cluster: Cluster) -> None:
    cluster.answers.append(Answer(403, b'{"message": "cannot patch gateways/status"}'))
    cluster.writer.want({GATEWAY: gateway_status(0), ROUTE: route_status()})
    assert cluster.turn() == 2
    assert cluster.writes == [ROUTE]
    assert cluster.writer.problems == {"Gateway": "403 cannot patch gateways/status"}
    cluster.now = 1.0
    assert cluster.turn() == 1
    assert cluster.writer.problems == {}


def test_what_is_refused_for_good_is_not_tried_until_something_changes(cluster: Cluster) -> None:
    cluster.answers.append(Answer(422, b'{"message": "status.parents: Too many"}'))
    cluster.writer.want({ROUTE: route_status()})
    assert cluster.turn(watched=False) == 1
    assert cluster.writer.problems == {ROUTE: "422 status.parents: Too many"}
    cluster.now = 1000.0
    assert cluster.turn() == 0
    cluster.writer.want({ROUTE: route_status(holds=False)})
    assert cluster.turn() == 1
    assert cluster.writer.problems == {}


@pytest.mark.parametrize("seconds", [1.0, 20.0, 120.0])
def test_a_thousand_routes_are_fewer_than_a_hundred_writes_of_the_gateway_and_exact_within_two_seconds(
    cluster: Cluster, seconds: float
) -> None:
    for count in range(1001):
        cluster.now = seconds * count / 1000
        cluster.writer.want({GATEWAY: gateway_status(count)})
        cluster.turn()
    while (due := cluster.writer.next_due) is not None:
        cluster.now = due
        cluster.turn()
    assert cluster.now <= seconds + LONGEST_INTERVAL
    assert cluster.objects[GATEWAY]["status"]["listeners"][0]["attachedRoutes"] == 1000
    assert len(cluster.writes) < 100


def test_a_condition_does_not_wait_for_numbers(cluster: Cluster) -> None:
    for count in range(20):
        cluster.writer.want({GATEWAY: gateway_status(count)})
        cluster.turn()
    before = len(cluster.writes)
    cluster.writer.want({GATEWAY: gateway_status(20, "other")})
    assert cluster.turn() == 1
    assert len(cluster.writes) == before + 1


def test_many_keys_are_looked_at_in_slices() -> None:
    cluster = Cluster()
    keys = [Key("HTTPRoute", "shop", f"r{index}") for index in range(3 * SCAN)]
    for key in keys:
        cluster.put(key)
    cluster.writer.want(dict.fromkeys(keys, RouteStatus(parents=())))
    for _ in range(3):
        assert cluster.writer.busy
        assert cluster.writer.take(0.0, WALL, 8) == []
    assert not cluster.writer.busy


@given(st.lists(st.tuples(st.sampled_from(["want", "steal", "watch", "fail", "turn"]), st.booleans()), max_size=30))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_in_the_end_it_says_what_is_wanted_and_rests(steps: list[tuple[str, bool]]) -> None:
    cluster = Cluster()
    cluster.put(ROUTE)
    wanted = route_status()
    cluster.writer.want({ROUTE: wanted})
    for what, flag in steps:
        cluster.now += 40
        if what == "want":
            wanted = route_status(flag)
            cluster.writer.want({ROUTE: wanted})
        elif what == "steal":
            cluster.objects[ROUTE]["status"] = {}
            cluster.put(ROUTE, watched=flag)
        elif what == "watch":
            cluster.watch(ROUTE)
        elif what == "fail":
            cluster.answers = [Answer(500 if flag else 409, b"")]
        else:
            cluster.turn(flag)
    cluster.answers = []
    cluster.watch(ROUTE)
    for _ in range(3):
        cluster.now += 40
        cluster.turn()
    said = cluster.objects[ROUTE]["status"]["parents"][0]["conditions"][0]["status"]
    assert said == wanted.parents[0].conditions[0].status
    assert not cluster.writer.busy
    assert cluster.writer.next_due is None
