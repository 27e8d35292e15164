"""Endpoints and clusters over random sequences of changes, against a plain count of who lists whom."""

from hypothesis import given
from hypothesis import strategies as st

from rauta_common import maglev
from rauta_control import ir
from rauta_control.cluster import Cluster, Clusters, Endpoint, Listed, listed
from rauta_control.slices import finish

PORTS = st.lists(st.integers(1, 5), unique=True, max_size=4)
STEPS = st.lists(st.dictionaries(st.sampled_from(["red", "blue", "green"]), PORTS), max_size=8)


def change(clusters: Clusters, new: dict[str, list[int]], slot: int = 0) -> list[Endpoint]:
    """Make `new` all there is."""
    by_name = {name: clusters.by_name.get(name) or clusters.make(name) for name in {*clusters.by_name, *new}}
    before: list[Listed] = []
    for name, ports in new.items():
        resources = tuple(ir.Endpoint("192.0.2.1", port, slot=slot) for port in ports)
        shares = maglev.build([resource.name for resource in resources], [1] * len(ports), 1021) if ports else b""
        before += finish(clusters.filling((by_name[name], ir.Cluster(name, resources, shares), maglev.view(shares))))
    for name in set(by_name) - set(new):
        before += listed(by_name.pop(name))
    clusters.by_name = by_name
    return [one[1] for one in before if clusters.release(one)]


@given(STEPS)
def test_an_endpoint_lives_while_any_cluster_lists_it(steps: list[dict[str, list[int]]]) -> None:
    clusters = Clusters()
    seen: dict[str, Cluster] = {}
    for step in steps:
        before = dict(clusters.endpoints)
        released = change(clusters, step)
        users = {f"192.0.2.1:{port}": 0 for ports in step.values() for port in ports}
        for ports in step.values():
            for port in ports:
                users[f"192.0.2.1:{port}"] += 1
        assert {name: sum(endpoint.users.values()) for name, endpoint in clusters.endpoints.items()} == users
        assert {endpoint.name for endpoint in released} == before.keys() - users.keys()
        assert not any(endpoint.users for endpoint in released)
        assert all(clusters.endpoints[name] is before[name] for name in before.keys() & users.keys())
        for name, ports in step.items():
            live = clusters.by_name[name]
            assert live is seen.get(name, live)  # rules hold on to it
            assert [endpoint.port for endpoint in live.endpoints] == ports
            assert live.slots == (1021 if ports else 0)
        seen = dict(clusters.by_name)


def test_a_cluster_is_filled_an_endpoint_at_a_time_and_changes_at_once() -> None:
    clusters = Clusters()
    change(clusters, {"red": [1]})
    red = clusters.by_name["red"]
    resources = tuple(ir.Endpoint("192.0.2.1", port) for port in range(2, 5))
    shares = maglev.view(maglev.build([resource.name for resource in resources], [1] * 3, 1021))
    for _ in clusters.filling((red, ir.Cluster("red", resources), shares)):
        assert [endpoint.port for endpoint in red.endpoints] == [1]
    assert [endpoint.port for endpoint in red.endpoints] == [2, 3, 4]


def test_an_endpoint_with_a_new_slot_counts_anew_and_keeps_its_connections() -> None:
    clusters = Clusters()
    change(clusters, {"red": [1]})
    endpoint = clusters.endpoints["192.0.2.1:1"]
    assert endpoint.reserve(3)
    endpoint.counter = object()  # type: ignore[assignment]
    change(clusters, {"red": [1]}, slot=5)
    assert clusters.endpoints["192.0.2.1:1"] is endpoint
    assert (endpoint.slot, endpoint.counter, endpoint.open) == (5, None, 1)


def test_an_address_that_comes_back_while_requests_are_in_flight_is_a_new_endpoint() -> None:
    clusters = Clusters()
    change(clusters, {"red": [1]})
    old = clusters.endpoints["192.0.2.1:1"]
    assert change(clusters, {"red": []}) == [old]
    change(clusters, {"red": [1]})
    assert clusters.endpoints["192.0.2.1:1"] is not old
    assert not old.users


def test_room_is_reserved_up_to_the_limit_and_given_back() -> None:
    endpoint = Endpoint(ir.Endpoint("::1", 80))
    assert endpoint.name == "[::1]:80"
    assert all(endpoint.reserve(3) for _ in range(3))
    assert not endpoint.reserve(3)
    endpoint.forget()
    assert endpoint.reserve(3)
