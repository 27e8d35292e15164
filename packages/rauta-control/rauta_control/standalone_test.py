"""Standalone: what routes become, and that an edit changes only what it is about."""

from dataclasses import replace

import pytest

from rauta_common import maglev
from rauta_control import ir, routespec
from rauta_control.messages import Bound
from rauta_control.routespec import Address
from rauta_control.settings import Settings
from rauta_control.slices import finish
from rauta_control.standalone import clusters, plan, reachable, translate, unbound

ADDRESSES = {"10.0.0.1": ("10.0.0.1",), "10.0.0.2": ("10.0.0.2",), "web": ("10.1.0.1", "10.1.0.2"), "gone": ()}


def settings(*routes: str, bind: tuple[Address, ...] = (Address("0.0.0.0", 8080),)) -> Settings:
    return Settings(bind=bind, routes=tuple(map(routespec.route, routes)))


def test_a_route_becomes_a_valid_configuration() -> None:
    resources = translate(settings("/=web:80,10.0.0.1:81"), ADDRESSES)
    assert ir.validate(resources) == []
    listener = "standalone/0.0.0.0:8080"
    cluster = "standalone/web:80,10.0.0.1:81"
    assert list(resources) == [
        f"listener/{listener}",
        f"host/{listener}|*",
        f"rule/{listener}|*/",
        f"cluster/{cluster}",
    ]
    rule, pool = list(resources.values())[2:]
    assert isinstance(rule, ir.Rule)
    assert (rule.route, rule.path, rule.path_type) == ("standalone/*/", "/", "prefix")
    assert rule.clusters == (ir.ClusterWeight(cluster, 1),)
    assert isinstance(pool, ir.Cluster)
    assert [endpoint.name for endpoint in pool.endpoints] == ["10.1.0.1:80", "10.1.0.2:80", "10.0.0.1:81"]


def test_the_policy_is_that_of_all_clusters_even_while_a_name_is_unknown() -> None:
    first = translate(settings("/=web:80", "/x=gone:80"), ADDRESSES | {"gone": ("10.9.9.9",)})
    changed = finish(plan(replace(settings("/=web:80", "/x=gone:80"), balance=ir.Balance("round-robin"))))
    found = finish(clusters(changed, changed.clusters, ADDRESSES, first))
    policies = [each.balance.policy for each in found.values() if isinstance(each, ir.Cluster)]
    assert policies == ["round-robin"] * 2


def test_with_weights_each_backend_is_a_cluster() -> None:
    resources = translate(settings("shop.example/api=web:80*90,10.0.0.1:81*10"), ADDRESSES)
    rule = resources["rule/standalone/0.0.0.0:8080|shop.example/api"]
    assert isinstance(rule, ir.Rule)
    assert rule.clusters == (ir.ClusterWeight("standalone/web:80", 90), ir.ClusterWeight("standalone/10.0.0.1:81", 10))
    assert ir.validate(resources) == []


def test_every_listener_has_every_route_and_they_share_the_route_name() -> None:
    bind = (Address("127.0.0.1", 80), Address("::1", 80), Address("127.0.0.1", 0), Address("127.0.0.1", 0))
    resources = translate(settings("/a=10.0.0.1:80", bind=bind), ADDRESSES)
    rules = [resource for resource in resources.values() if isinstance(resource, ir.Rule)]
    assert [rule.host for rule in rules] == [
        "standalone/127.0.0.1:80|*",
        "standalone/[::1]:80|*",
        "standalone/127.0.0.1:0|*",
        "standalone/127.0.0.1:0#2|*",
    ]
    assert {rule.route for rule in rules} == {"standalone/*/a"}
    assert ir.validate(resources) == []


@pytest.mark.parametrize(
    ("failing", "every", "reached"),
    [((), True, True), ((0,), True, False), ((0,), False, True), ((0, 1), False, False)],
)
def test_listeners_that_are_not_bound_are_named_by_their_flag(
    failing: tuple[int, ...], every: bool, reached: bool
) -> None:
    given = Settings(
        bind=(Address("0.0.0.0", 80),), tls_bind=(Address("::", 443),), routes=(routespec.route("/a=10.0.0.1:80"),)
    )
    made = finish(plan(given, (ir.Secret("s", b"", b""),)))
    errors = ["in use" if number in failing else "" for number in range(2)]
    bound = {each.name: Bound(each.name, "", 0, error) for each, error in zip(made.listeners, errors, strict=True)}
    assert reachable(made, bound, every=every) is reached
    assert unbound(made, bound) == [
        (
            "--from 0.0.0.0:80: in use (set by --from or RAUTA_BIND_ADDR)",
            "--tls-bind [::]:443: in use (set by --tls-bind or RAUTA_TLS_BIND)",
        )[each]
        for each in failing
    ]
    assert unbound(made, {}) == [], "not answered yet"
    assert reachable(finish(plan(Settings())), {}, every=True), "routes come from elsewhere"


@pytest.mark.parametrize("edited", ["/b=10.0.0.2:80", "/a=10.0.0.2:80", "/z=10.0.0.1:80"])
def test_an_edit_of_a_route_leaves_the_others_alone(edited: str) -> None:
    before = translate(settings("/a=10.0.0.1:80", "/c=web:80"), ADDRESSES)
    after = translate(settings(edited, "/c=web:80"), ADDRESSES)
    same = {key for key in before if after.get(key) == before[key]}
    assert {key for key in before if key.endswith(("/c", "/web:80", "8080"))} <= same


def test_routes_with_the_same_backends_share_a_cluster() -> None:
    made = finish(plan(settings("/a=web:80", "/b=web:80", "/c=web:80*1,10.0.0.1:80*1")))
    assert set(made.clusters) == {"standalone/web:80", "standalone/10.0.0.1:80"}
    assert made.users == {"web": {"standalone/web:80"}, "10.0.0.1": {"standalone/10.0.0.1:80"}}


def test_a_name_without_addresses_makes_a_cluster_without_endpoints() -> None:
    resources = translate(settings("/=gone:80"), ADDRESSES)
    assert resources["cluster/standalone/gone:80"] == ir.Cluster("standalone/gone:80", ())
    assert ir.validate(resources) == []


def test_two_names_of_one_address_make_one_endpoint() -> None:
    resources = translate(settings("/=a:80,b:80"), {"a": ("10.0.0.1",), "b": ("10.0.0.1",)})
    cluster = resources["cluster/standalone/a:80,b:80"]
    assert isinstance(cluster, ir.Cluster)
    assert [endpoint.name for endpoint in cluster.endpoints] == ["10.0.0.1:80"]


def test_addresses_replace_wildcards_only_and_once() -> None:
    bind = (Address("0.0.0.0", 80), Address("::", 80), Address("10.9.9.9", 80))
    resources = translate(replace(settings(bind=bind), addresses=("10.0.0.7", "fd00::7")), {})
    listeners = [(r.name, r.address, r.port) for r in resources.values() if isinstance(r, ir.Listener)]
    assert listeners == [
        ("standalone/10.0.0.7:80", "10.0.0.7", 80),
        ("standalone/[fd00::7]:80", "fd00::7", 80),
        ("standalone/10.9.9.9:80", "10.9.9.9", 80),
    ]


def test_names_stay_short_and_distinct() -> None:
    long = "/" + "a" * 600
    resources = translate(settings(f"{long}1=10.0.0.1:80", f"{long}2=10.0.0.1:80"), ADDRESSES)
    assert ir.validate(resources) == []
    assert sum(isinstance(resource, ir.Rule) for resource in resources.values()) == 2


def test_a_name_that_never_resolved_leaves_a_held_cluster_as_it_is() -> None:
    made = finish(plan(settings("/=web:80", "/b=web:80,10.0.0.1:80")))
    held = finish(clusters(made, made.clusters, ADDRESSES, {}))
    assert finish(clusters(made, made.clusters, {"web": (), "10.0.0.1": ("10.0.0.1",)}, held)) == held
    moved = finish(clusters(made, made.clusters, {"web": ("10.9.9.9",), "10.0.0.1": ("10.0.0.1",)}, held))
    assert not moved.items() & held.items()


def test_tables_are_kept_while_the_endpoints_are() -> None:
    made = finish(plan(settings("/=web:80")))
    (first,) = finish(clusters(made, made.clusters, ADDRESSES, {})).values()
    (second,) = finish(clusters(made, made.clusters, ADDRESSES, {first.key: first})).values()
    assert isinstance(first, ir.Cluster)
    assert isinstance(second, ir.Cluster)
    assert second == first
    assert second.table is first.table


def test_a_single_endpoint_has_a_small_table() -> None:
    cluster = translate(settings("/=10.0.0.1:80"), ADDRESSES)["cluster/standalone/10.0.0.1:80"]
    assert isinstance(cluster, ir.Cluster)
    assert list(maglev.view(cluster.table)) == [0, 0]
