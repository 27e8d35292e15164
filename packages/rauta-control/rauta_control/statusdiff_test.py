"""Status differences: only ours, only what changed, times as they were."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from rauta_control.condition import condition, stamp
from rauta_control.gateway import GatewayStatus, GatewayStatusAddress, ListenerStatus
from rauta_control.gatewayclass import GatewayClassStatus, SupportedFeature
from rauta_control.httproute import RouteParentStatus, RouteStatus
from rauta_control.reference import ParentReference
from rauta_control.statusdiff import Difference, difference, newest_generation
from rauta_control.terms import CONTROLLER

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
OTHER = {
    "controllerName": "other.example/controller",
    "parentRef": {"name": "theirs", "futureField": [1]},
    "conditions": [{"type": "Accepted", "status": "True", "madeUp": None}],
}


def parent(holds: bool = True, generation: int = 1, name: str = "gw", message: str = "fine") -> RouteParentStatus:
    said = condition("Accepted", holds, "Accepted" if holds else "NotAllowedByListeners", message, generation)
    return RouteParentStatus(parent_ref=ParentReference(name=name), controller_name=CONTROLLER, conditions=(said,))


def route(*parents: RouteParentStatus) -> RouteStatus:
    return RouteStatus(parents=parents)


def gateway(attached: int = 0, generation: int = 1, message: str = "fine") -> GatewayStatus:
    said = condition("Accepted", True, "Accepted", message, generation)
    return GatewayStatus(
        addresses=(GatewayStatusAddress(value="10.0.0.1"),),
        conditions=(said,),
        listeners=(ListenerStatus(name="http", attached_routes=attached, conditions=(said,)),),
    )


def compared(wanted: Any, there: Any) -> Difference | None:
    return difference(wanted, json.dumps(there).encode() if there is not None else b"", CONTROLLER, NOW)


def written(wanted: Any, there: Any = None) -> dict[str, Any]:
    found = compared(wanted, there)
    assert found is not None
    merged = (there or {}) | found.status
    assert compared(wanted, merged) is None, "a second look must find nothing"
    assert compared(stamp(wanted, None, BEFORE), merged) is None, "nor must that of another replica"
    return found.status


def test_what_there_is_not_is_written_whole_without_nulls_and_fractions_of_seconds() -> None:
    (entry,) = written(route(parent()))["parents"]
    assert entry["parentRef"] == {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}
    assert entry["conditions"][0]["lastTransitionTime"] == "2026-11-22T12:00:00Z"
    assert entry["conditions"][0]["observedGeneration"] == 1


def test_entries_of_others_stay_as_they_are() -> None:
    status = written(route(parent()), {"parents": [OTHER]})
    assert status["parents"][0] == OTHER
    assert len(status["parents"]) == 2


def test_entries_of_ours_for_parents_that_are_gone_are_removed_and_nothing_else() -> None:
    both = written(route(parent(name="gw"), parent(name="old")), {"parents": [OTHER]})
    assert written(route(parent(name="gw")), both)["parents"] == both["parents"][:2]
    assert written(route(), both) == {"parents": [OTHER]}
    assert compared(route(), {"parents": [OTHER]}) is None
    assert compared(route(), None) is None


def test_the_time_moves_when_the_status_does_and_only_then() -> None:
    there = {"parents": [msgspec.to_builtins(stamp(route(parent()), None, BEFORE).parents[0])]}  # type: ignore[union-attr]
    moved = {"parentRef": there["parents"][0]["parentRef"]}
    there["parents"][0]["parentRef"] = {"name": moved["parentRef"]["name"]}
    (again,) = written(route(parent(generation=2, message="still")), there)["parents"]
    assert again["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert again["conditions"][0]["observedGeneration"] == 2
    (other,) = written(route(parent(holds=False)), there)["parents"]
    assert other["conditions"][0]["lastTransitionTime"] == "2026-11-22T12:00:00Z"


def test_an_entry_of_ours_that_nobody_can_read_is_replaced() -> None:
    broken = {"controllerName": CONTROLLER, "parentRef": {"name": "gw"}, "conditions": "none"}
    assert len(written(route(parent()), {"parents": [broken, OTHER]})["parents"]) == 2


def test_the_conditions_a_crd_begins_with_are_replaced() -> None:
    pending = {"type": "Accepted", "status": "Unknown", "reason": "Pending", "message": "Waiting for controller"}
    pending["lastTransitionTime"] = "1970-01-01T00:00:00Z"
    status = written(gateway(), {"conditions": [pending, pending | {"type": "Programmed"}]})
    assert [each["type"] for each in status["conditions"]] == ["Accepted"]
    assert status["listeners"][0]["supportedKinds"] == []


def test_conditions_with_the_domain_of_others_stay() -> None:
    theirs: dict[str, Any] = {"type": "dns.example/Ready", "status": "True", "reason": "Ready", "message": ""}
    theirs |= {"lastTransitionTime": "2026-02-02T00:00:00Z", "observedGeneration": 1}
    stale = theirs | {"type": "rauta.io/FieldsIgnored"}
    status = written(gateway(), {"conditions": [theirs, stale]})
    assert [each["type"] for each in status["conditions"]] == ["Accepted", "dns.example/Ready"]


def test_numbers_of_routes_alone_are_told_from_the_rest() -> None:
    there = written(gateway())
    assert compared(gateway(attached=7), there).counts  # type: ignore[union-attr]
    assert not compared(gateway(attached=7, message="other"), there).counts  # type: ignore[union-attr]
    assert not compared(gateway(attached=7), None).counts  # type: ignore[union-attr]


def test_fields_of_a_newer_schema_are_left_alone_and_do_not_disturb() -> None:
    there = written(gateway()) | {"fromTheFuture": {"x": 1}}
    assert compared(gateway(), there) is None
    assert "fromTheFuture" not in written(gateway(attached=1), there)


def test_a_class_has_its_features() -> None:
    said = condition("Accepted", True, "Accepted", "served", 1)
    status = written(GatewayClassStatus(conditions=(said,), supported_features=(SupportedFeature(name="Gateway"),)))
    assert status["supportedFeatures"] == [{"name": "Gateway"}]


def test_the_generation_of_a_status_is_the_newest_in_it() -> None:
    assert newest_generation(route(parent(generation=3), parent(generation=4))) == 4
    assert newest_generation(gateway(generation=9)) == 9
    assert newest_generation(route()) == 0
