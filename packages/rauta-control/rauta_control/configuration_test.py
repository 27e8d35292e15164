"""Configuration: edits and restarts in any order give the wanted resources, publishing only what changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control.configuration import Configuration
from rauta_control.ir import Cluster, ClusterWeight, Endpoint, Resource, Rule
from rauta_control.slices import finish
from rauta_control.slots import SlotsFullError
from rauta_control.state import EMPTY, State, decode


def wanted(routes: dict[str, str], ports: set[int]) -> dict[str, Resource]:
    resources: list[Resource] = [
        Rule(name, name, "l|*", path, "prefix", (ClusterWeight("c"),)) for name, path in routes.items()
    ]
    resources.append(
        Cluster("c", tuple(Endpoint("10.0.0.1", port) for port in sorted(ports)), b"table" if ports else b"")
    )
    return {resource.key: resource for resource in resources}


def changed(old: State, new: State) -> set[str]:
    return {key for key in old.encoded.keys() | new.encoded.keys() if old.encoded.get(key) != new.encoded.get(key)}


edits = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abc"), st.sampled_from(("/", "/x"))), st.sets(st.integers(1, 4)), st.booleans()
    )
)


@given(edits)
def test_edits_publish_what_changed_and_nothing_else(edits: list[tuple[dict[str, str], set[int], bool]]) -> None:
    configuration = Configuration(EMPTY)
    last: dict[str, Resource] = {}
    for routes, ports, restarts in edits:
        if restarts:
            configuration = Configuration(configuration.state)
        before, resources = configuration.state, wanted(routes, ports)
        publish = finish(configuration.reconcile(resources, before.generation))
        state = configuration.state
        assert state == (before.apply(publish) if publish else before)
        assert changed(before, state) == {
            key for key in last.keys() | resources.keys() if last.get(key) != resources.get(key)
        }
        assert (state is before) == (resources == last)
        assert state.generation == (before.generation if state is before else max(before.generation, 0) + 1)
        assert list(configuration.resources) == list(resources)
        assert configuration.resources == {key: decode(data) for key, data in state.encoded.items()}
        last = resources


def test_a_full_directory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = Configuration(EMPTY)
    finish(configuration.reconcile(wanted({"a": "/"}, {1}), -1))
    before = configuration.state
    monkeypatch.setattr(configuration._directory.routes, "_capacity", 1)
    with pytest.raises(SlotsFullError):
        finish(configuration.reconcile(wanted({"a": "/", "b": "/"}, {1}), -1))
    assert configuration.state is before
    finish(configuration.reconcile(wanted({"a": "/"}, {1, 2}), -1))
    assert configuration.state.generation == 2


def test_a_change_by_key_is_remembered() -> None:
    configuration = Configuration(EMPTY)
    first, moved = wanted({"a": "/"}, {1}), wanted({"a": "/"}, {2})
    finish(configuration.reconcile(first, -1))
    publish = finish(configuration.change({"cluster/c": moved["cluster/c"]}, (), -1))
    assert publish is not None
    assert (publish.base, publish.generation, list(publish.upserts)) == (1, 2, ["cluster/c"])
    assert finish(configuration.reconcile(moved, -1)) is None
    publish = finish(configuration.change({}, ["rule/a"], -1))
    assert publish is not None
    assert publish.deletes == ("rule/a",)
    assert list(configuration.resources) == ["cluster/c"]


def test_what_is_invalid_stays_as_it_was_and_the_rest_goes_on() -> None:
    configuration = Configuration(EMPTY)
    finish(configuration.reconcile(wanted({}, {1}), -1))
    was = configuration.resources["cluster/c"]
    good, bad, new = (
        Cluster(name, (Endpoint("10.0.0.1", port),), b"table") for name, port in (("d", 2), ("c", 0), ("e", 0))
    )
    edits: dict[str, Resource] = {each.key: each for each in (good, bad, new)}
    problems, refused = finish(configuration.sifting(edits, edits, edits.keys()))
    assert edits == {good.key: good, bad.key: was}
    assert refused == {bad.key, new.key}
    assert [problem.split(":")[0] for problem in problems] == [bad.key, new.key]


def test_nothing_is_published_of_a_faulty_command_line() -> None:
    bad = Cluster("c", (Endpoint("10.0.0.1", 0),), b"table")
    problems, refused = finish(Configuration(EMPTY).sifting({bad.key: bad}, {bad.key: bad}, set()))
    assert refused is None
    assert len(problems) == 1
