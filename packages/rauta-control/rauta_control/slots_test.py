"""Slots: whatever comes and goes, a live name keeps its slot and no slot has two owners that a worker could confuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control.ir import Cluster, ClusterWeight, Endpoint, Resource, Rule
from rauta_control.slots import Directory, SlotDirectory, SlotsFullError


def rule(name: str, route: str) -> Rule:
    return Rule(name, route, "l|*", "/", "prefix", (ClusterWeight("c"),))


def cluster(name: str, *ports: int) -> Cluster:
    return Cluster(name, tuple(Endpoint("10.0.0.1", port) for port in ports))


def by_key(*resources: Resource) -> dict[str, Resource]:
    return {resource.key: resource for resource in resources}


def held(resources: dict[str, Resource]) -> dict[str, tuple[int, int]]:
    """Return (slot, epoch) by name, having checked that all who share a name agree."""
    owners: dict[str, tuple[int, int]] = {}
    for resource in resources.values():
        if isinstance(resource, Rule):
            assert owners.setdefault(resource.route, (resource.slot, resource.epoch)) == (resource.slot, resource.epoch)
        elif isinstance(resource, Cluster):
            for endpoint in resource.endpoints:
                had = owners.setdefault(endpoint.name, (endpoint.slot, endpoint.epoch))
                assert had == (endpoint.slot, endpoint.epoch)
    return owners


edit = st.tuples(
    st.dictionaries(st.sampled_from("mno"), st.lists(st.integers(1, 6), unique=True)),  # cluster -> ports
    st.integers(0, 3),  # how many generations the workers lag behind
    st.booleans(),  # control restarts before this
)


@given(st.lists(edit))
def test_live_names_keep_their_slots_and_freed_ones_wait(edits: list[tuple[dict[str, list[int]], int, bool]]) -> None:
    directory = SlotDirectory()
    assigned: dict[str, Resource] = {}
    wanted: dict[str, Resource] = {}
    freed: dict[int, int] = {}  # slot -> generation that freed it
    given_away: set[tuple[int, int]] = set()
    drained = -1
    for generation, (clusters, lag, restarts) in enumerate(edits, 1):
        if restarts:
            directory = SlotDirectory.restored(assigned.values(), generation - 1)
            freed.clear()  # a gap above the highest slot is forgotten, as documented
        drained = max(drained, generation - 1 - lag)
        before, old = held(assigned), wanted
        wanted = by_key(*(cluster(name, *ports) for name, ports in clusters.items()))
        changed = {key: resource for key, resource in wanted.items() if old.get(key) != resource}
        assigned |= directory.assign(changed, old.keys() - wanted.keys(), generation, drained)
        for key in old.keys() - wanted.keys():
            del assigned[key]

        after = held(assigned)
        assert len({slot for slot, _ in after.values()}) == len(after)
        assert all(after[name] == before[name] for name in before.keys() & after.keys())
        for slot, epoch in (after[name] for name in after.keys() - before.keys()):
            assert epoch == generation
            assert (slot, epoch) not in given_away
            assert freed.pop(slot, drained) <= drained
            given_away.add((slot, epoch))
        freed |= {before[name][0]: generation for name in before.keys() - after.keys()}


def test_rules_of_a_route_share_its_slot() -> None:
    rules = by_key(rule("a/0", "a"), rule("a/1", "a"), rule("b/0", "b"))
    assert held(SlotDirectory().assign(rules, (), 1, -1)) == {"a": (0, 1), "b": (1, 1)}


def test_a_name_that_moves_to_another_resource_keeps_its_slot() -> None:
    directory = SlotDirectory()
    first = held(directory.assign(by_key(cluster("one", 80, 81)), (), 1, -1))
    second = held(directory.assign(by_key(cluster("two", 81)), ["cluster/one"], 2, -1))
    assert second["10.0.0.1:81"] == first["10.0.0.1:81"]


def test_a_freed_slot_comes_back_with_a_new_epoch_once_all_have_drained() -> None:
    directory = SlotDirectory()
    directory.assign(by_key(rule("a", "a")), (), 1, -1)
    directory.assign({}, ["rule/a"], 2, 1)
    assert held(directory.assign(by_key(rule("b", "b")), (), 3, 1)) == {"b": (1, 3)}
    assert held(directory.assign(by_key(rule("c", "c")), (), 4, 2)) == {"c": (0, 4)}


def test_a_full_directory_says_so_and_assigns_nothing() -> None:
    directory = SlotDirectory(routes=2)
    directory.assign(by_key(rule("a", "a"), rule("b", "b")), (), 1, -1)
    directory.assign({}, ["rule/a"], 2, 1)
    with pytest.raises(SlotsFullError, match="1 more routes do not fit: of 2 slots 1 are in use and 1 wait"):
        directory.assign(by_key(rule("c", "c")), (), 3, 1)
    assert held(directory.assign(by_key(rule("c", "c")), (), 3, 2)) == {"c": (0, 3)}


def test_gaps_of_a_restored_directory_wait_for_its_generation() -> None:
    directory = Directory("routes", 4)
    directory.restore("a", 2, 5)
    directory.seal(9)
    directory.make_room({"b"}, 8)
    assert directory.take("b", 10).slot == 3
    directory.make_room({"c"}, 9)
    assert directory.take("c", 11).slot == 0
