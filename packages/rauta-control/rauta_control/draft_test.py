"""Transactions, held against a table built afresh, and what they let go."""

import gc
from functools import partial
from weakref import WeakSet

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rauta_common import maglev
from rauta_control import draft as draft_module
from rauta_control import ir
from rauta_control.cluster import Clusters
from rauta_control.draft import SLICE, Draft
from rauta_control.slices import finish
from rauta_control.table import Host, Rule, Table
from rauta_control.table_test import (
    ALL_REQUESTS,
    Asked,
    apply,
    build,
    complete,
    configurations,
    fast,
    patient,
    rule,
    site,
    slow,
)


def identities(built: Table) -> dict[str, Rule]:
    return {
        f"rule/{rule.order[1]}": rule
        for routes in built.listeners.values()
        for host in routes.names.values()
        for _, _, rules in host.paths.items()
        for rule in rules
    } | {
        f"rule/{rule.order[1]}": rule
        for routes in built.listeners.values()
        for host in routes.names.values()
        for rule in host.expressions
    }


@settings(patient, max_examples=50)
@given(st.lists(configurations(), min_size=2, max_size=4), st.data())
def test_transactions_lead_to_the_table_that_a_fresh_build_gives(
    steps: list[dict[str, ir.Resource]], data: st.DataObject
) -> None:
    clusters, current, resources = Clusters(), Table.empty(), dict[str, ir.Resource]()
    history: list[tuple[Table, dict[str, ir.Resource]]] = []
    asked = data.draw(st.lists(st.sampled_from(ALL_REQUESTS), min_size=20, max_size=60))
    for step in steps:
        current, _ = apply(current, clusters, resources, step)
        resources = step
        assert current.resources == step
        assert current.listeners.keys() == build(step).listeners.keys()
        for each in asked:
            assert fast(current, each) == slow(step.values(), each)
        history.append((current, step))
        assert clusters.by_name.keys() == {r.name for r in step.values() if isinstance(r, ir.Cluster)}
    for older, step in history:  # requests in flight may still hold them
        for each in asked[::5]:
            assert fast(older, each) == slow(step.values(), each)


@settings(patient, max_examples=50)
@given(configurations(), st.data())
def test_small_edits_lead_there_too(before: dict[str, ir.Resource], data: st.DataObject) -> None:
    """Most of a table is shared with the next: one rule goes, comes or changes, and memos are full."""
    clusters = Clusters()
    current, resources = build(before, clusters), before
    asked = data.draw(st.lists(st.sampled_from(ALL_REQUESTS), min_size=20, max_size=60))
    for _ in range(4):
        for each in asked:
            assert fast(current, each) == slow(resources.values(), each)
        rules = [each for each in resources.values() if isinstance(each, ir.Rule)]
        if not rules:
            return
        victim = data.draw(st.sampled_from(rules))
        step = {key: each for key, each in resources.items() if each is not victim}
        if data.draw(st.booleans()):
            changed = replace(victim, path_type="prefix", path="/", headers=victim.headers[:1], query=())
            step[victim.key] = changed
        current, _ = apply(current, clusters, resources, step)
        resources = step


def test_a_host_forgets_when_one_it_falls_back_to_changes() -> None:
    names = ["x.example.com", "*.example.com", "*.com", "*"]
    hosts = [
        ir.VirtualHost("l", name, f"l|{below}" if below else "")
        for name, below in zip(names, (*names[1:], ""), strict=True)
    ]
    before = site(*(replace(rule(each.hostname, "/r"), host=each.name) for each in hosts[2:]))
    before |= {each.key: each for each in hosts}
    before["rule/*"] = replace(rule("*", "/"), host="l|*")
    clusters = Clusters()
    first = build(before, clusters)
    asked = [Asked("l", "x.example.com", "GET", path) for path in ("/", "/r")]
    assert [fast(first, each) for each in asked] == ["*", "*.com"]
    after = {**before, "rule/*": replace(rule("*", "/other"), host="l|*"), "rule/new": rule("new", "/")}
    del after["rule/*.com"]
    second, draft = apply(first, clusters, before, after)
    assert [fast(second, each) for each in asked] == ["new", "new"]
    assert {each.order[1] for each in draft.retired if isinstance(each, Rule)} <= {"*", "*.com"}
    third, _ = apply(second, clusters, after, {**after, "rule/r": replace(rule("r", "/r"), host="l|x.example.com")})
    assert [fast(third, each) for each in asked] == ["new", "r"]
    assert third.listeners["l"].names[b"*"] is second.listeners["l"].names[b"*"]


def test_an_exact_host_that_changes_leaves_the_others_alone() -> None:
    hosts = [ir.VirtualHost("l", "*"), *(ir.VirtualHost("l", f"{name}.com", "l|*") for name in "ab")]
    before = site(rule("r", "/")) | {each.key: each for each in hosts}
    clusters = Clusters()
    first = build(before, clusters)
    second, _ = apply(first, clusters, before, {**before, "rule/a": replace(rule("a", "/"), host="l|a.com")})
    old, new = first.listeners["l"].names, second.listeners["l"].names
    assert [name for name in old if old[name] is not new[name]] == [b"a.com"]


@patient
@given(configurations(), configurations())
def test_what_was_replaced_is_retired_and_nothing_else(
    before: dict[str, ir.Resource], after: dict[str, ir.Resource]
) -> None:
    clusters = Clusters()
    first = build(before, clusters)
    old_rules, old_endpoints = identities(first), dict(clusters.endpoints)
    second, draft = apply(first, clusters, before, after)
    replaced = {rule for key, rule in old_rules.items() if after.get(key) != before[key]}
    gone = {endpoint for name, endpoint in old_endpoints.items() if clusters.endpoints.get(name) is not endpoint}
    assert set(draft.retired) == replaced | gone
    assert all(identities(second)[key] is rule for key, rule in old_rules.items() if rule not in replaced)


def test_retired_rules_go_when_the_last_request_lets_go_although_memos_held_them() -> None:
    before = site(rule("r", "/"), rule("s", "/s"))
    clusters = Clusters()
    first = build(before, clusters)
    fast(first, Asked("l", "example.com", "GET", "/memo"))
    in_flight = identities(first)["rule/r"]
    after = site(rule("r", "/", order=7), rule("s", "/s"))
    second, draft = apply(first, clusters, before, after)
    retired = draft.retired
    gc.disable()  # as good as: none of this may wait for a collection
    try:
        del first, draft
        assert list(retired) == [in_flight]
        del in_flight
        assert not retired
    finally:
        gc.enable()
    assert fast(second, Asked("l", "example.com", "GET", "/memo")) == "r"


def test_a_draft_that_is_dropped_changes_nothing() -> None:
    before = site(rule("r", "/"))
    clusters = Clusters()
    built = build(before, clusters)
    draft = Draft(built, clusters)
    finish(draft.stage([rule("r", "/elsewhere"), ir.Cluster("new", ())], ["cluster/c"]))
    assert fast(built, Asked("l", "example.com", "GET", "/")) == "r"
    assert clusters.by_name.keys() == {"c"}
    assert built.resources == before


@pytest.mark.parametrize(
    ("upserts", "error"),
    [
        ([ir.Rule("r", "r", "l|nowhere", "/", "prefix", ())], KeyError),
        ([ir.VirtualHost("l", "x.example", "l|*.example")], KeyError),
        ([ir.Rule("r", "r", "l|*", "/", "prefix", (ir.ClusterWeight("none"),))], KeyError),
        ([ir.Cluster("c", (ir.Endpoint("192.0.2.1", 80),), b"odd")], TypeError),
    ],
)
def test_what_does_not_fit_is_found_while_staging(upserts: list[ir.Resource], error: type[Exception]) -> None:
    clusters = Clusters()
    built = build(site(rule("old", "/")), clusters)
    with pytest.raises(error):
        finish(Draft(built, clusters).stage(upserts, ()))
    assert fast(built, Asked("l", "example.com", "GET", "/")) == "old"


def test_a_key_that_comes_and_goes_in_one_transaction_stays() -> None:
    before = site(rule("r", "/"))
    clusters = Clusters()
    draft = Draft(build(before, clusters), clusters)
    finish(draft.stage([rule("r", "/new"), before["cluster/c"]], ["rule/r", "cluster/c"]))
    after = complete(draft, 2)
    assert fast(after, Asked("l", "example.com", "GET", "/new")) == "r"
    assert fast(after, Asked("l", "example.com", "GET", "/")) is None
    assert clusters.by_name.keys() == {"c"}


def test_the_work_between_two_yields_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the transaction: so many rules and hosts are made, and so many things are let go of, and no more."""
    made: list[object] = []
    for kind in (Rule, Host):
        monkeypatch.setattr(draft_module, kind.__name__, partial(_counted, made, kind))
    names = [f"h{number}.example" for number in range(300)]
    hosts = [ir.VirtualHost("l", "*"), *(ir.VirtualHost("l", name, "l|*") for name in names)]
    small = site(rule("r", "/")) | {host.key: host for host in hosts}
    many = small | {f"rule/{name}": replace(rule(name, f"/{name}"), host=f"l|{name}") for name in names}
    many |= {f"rule/x{name}": replace(rule(f"x{name}", f"/{name}"), host="l|*") for name in names}
    many |= {f"cluster/{name}": ir.Cluster(name, ()) for name in names}
    other = {key: replace(each, order=1) if isinstance(each, ir.Rule) else each for key, each in many.items()}
    edited = {**other, "rule/r": rule("r", "/other")}
    clusters, current, before = Clusters(), Table.empty(), dict[str, ir.Resource]()
    gc.disable()
    try:
        for step in (small, many, other, edited, small, {}):
            draft = Draft(current, clusters)
            upserts = [each for key, each in step.items() if before.get(key) != each]
            for _ in draft.stage(upserts, [key for key in before if key not in step]):
                assert len(made) <= 2 * SLICE
                made.clear()
            made.clear()
            finish(draft.fill())
            current, before = draft.commit(current.generation + 1), step
            finish(draft.release())
    finally:
        gc.enable()


def test_what_leaves_a_table_leaves_it_little_by_little() -> None:
    many = site(*(rule(f"r{number}", f"/r/{number}") for number in range(1000)))
    clusters = Clusters()
    current = build(many, clusters)
    for after in (
        {key: replace(each, order=1) if isinstance(each, ir.Rule) else each for key, each in many.items()},
        {},
    ):
        old = WeakSet(identities(current).values())
        draft = Draft(current, clusters)
        finish(draft.stage(after.values(), [key for key in many if key not in after]))
        finish(draft.fill())
        current = draft.commit(current.generation + 1)
        there, gone = len(old), 0
        gc.disable()
        try:
            for _ in draft.release():
                assert there - len(old) <= SLICE
                gone += there - len(old)
                there = len(old)
        finally:
            gc.enable()
        assert gone == 1000


def test_a_change_of_endpoints_touches_no_route_and_no_memo() -> None:
    before = site(rule("r", "/"))
    clusters = Clusters()
    first = build(before, clusters)
    fast(first, Asked("l", "example.com", "GET", "/"))
    cluster = identities(first)["rule/r"].cluster
    after = {**before, "cluster/c": ir.Cluster("c", (ir.Endpoint("192.0.2.9", 80),), maglev.build(["n"], [1], 1021))}
    second, _ = apply(first, clusters, before, after)
    assert second.listeners["l"] is first.listeners["l"]
    assert cluster is clusters.by_name["c"]
    assert [endpoint.name for endpoint in clusters.by_name["c"].endpoints] == ["192.0.2.9:80"]


def test_replaced_hosts_are_not_kept_by_what_they_remember() -> None:
    resources: dict[str, ir.Resource] = {}
    clusters, current = Clusters(), Table.empty()
    for number in range(20):
        new = site(rule("r", "/", order=number))
        current, _ = apply(current, clusters, resources, new)
        fast(current, Asked("l", "h", "GET", "/"))
        resources = new
    assert current.memory.hosts == {current.listeners["l"].names[b"*"]}
    current, _ = apply(current, clusters, resources, {})
    assert not current.memory.hosts


def _counted(made: list[object], kind: type[object], *args: object) -> object:
    made.append(kind)
    return kind(*args)
