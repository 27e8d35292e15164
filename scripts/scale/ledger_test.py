from scripts.conformance.api import Object

from .ledger import Ledger


def route(version: str, generation: int, reason: str = "", *, observed: int = 0, time: str = "t0") -> Object:
    status: Object = {}
    if reason:
        condition = {"type": "Accepted", "reason": reason, "observedGeneration": observed or generation}
        status = {"parents": [{"conditions": [{**condition, "lastTransitionTime": time}]}]}
    metadata = {"name": "r", "resourceVersion": version, "generation": generation}
    return {"kind": "HTTPRoute", "metadata": metadata, "status": status}


def gateway(version: str, attached: int, reason: str = "Programmed") -> Object:
    condition = {"type": "Programmed", "reason": reason, "observedGeneration": 1, "lastTransitionTime": "t0"}
    listener = {"name": "http", "attachedRoutes": attached, "conditions": [condition]}
    metadata = {"name": "gw", "resourceVersion": version, "generation": 1}
    return {"kind": "Gateway", "metadata": metadata, "status": {"conditions": [condition], "listeners": [listener]}}


def counted(*items: Object) -> tuple[int, int, int]:
    ledger = Ledger()
    for item in items:
        ledger.feed("MODIFIED", item)
    return ledger.total, ledger.twice.total(), ledger.flaps.total()


def test_one_status_a_generation_is_what_is_needed() -> None:
    made = route("1", 1), route("2", 1, "Accepted"), route("3", 2, "Accepted", observed=1), route("4", 2, "Accepted")
    assert counted(*made) == (2, 0, 0)


def test_a_second_one_of_a_generation_was_written_twice() -> None:
    assert counted(route("1", 1, "Pending"), route("2", 1, "Accepted")) == (1, 1, 0)


def test_another_time_is_a_write() -> None:
    assert counted(route("1", 1, "Accepted"), route("2", 1, "Accepted", time="t1")) == (1, 1, 0)


def test_one_that_comes_back_flaps() -> None:
    made = route("1", 1, "Accepted"), route("2", 1, "Pending"), route("3", 1, "Accepted")
    assert counted(*made) == (2, 1, 1)


def test_the_counts_of_a_gateway_may_move_and_its_conditions_may_not() -> None:
    assert counted(gateway("1", 0), gateway("2", 1), gateway("3", 2)) == (2, 0, 0)
    assert counted(gateway("1", 0), gateway("2", 0, "Pending"), gateway("3", 0)) == (2, 0, 1)


def test_what_is_listed_again_was_not_written() -> None:
    assert counted(route("1", 1, "Accepted"), route("1", 1, "Accepted")) == (0, 0, 0)


def test_settled_is_what_speaks_of_its_generation() -> None:
    ledger = Ledger()
    assert not ledger.settled("HTTPRoute/r")
    ledger.feed("ADDED", route("1", 1))
    assert not ledger.settled("HTTPRoute/r")
    ledger.feed("MODIFIED", route("2", 2, "Accepted", observed=1))
    assert not ledger.settled("HTTPRoute/r")
    ledger.feed("MODIFIED", route("3", 2, "Accepted"))
    assert ledger.settled("HTTPRoute/r")
    assert not ledger.settled("HTTPRoute/r", 3)


def test_attached_routes_are_those_of_all_listeners() -> None:
    ledger = Ledger()
    assert ledger.attached("Gateway/gw") == -1
    ledger.feed("ADDED", gateway("1", 7))
    assert ledger.attached("Gateway/gw") == 7
