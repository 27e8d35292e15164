"""Which endpoint a request goes to: shares by weight, who is left out, and who stays. Chance is counted out."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rauta_common.hashing import flow_hash
from rauta_control import balance, ir
from rauta_control.action import Filters, Mirror
from rauta_control.balancer import DRAINING, LONGEST_ROUND, OPEN, UNHEALTHY, Available, usable
from rauta_control.cluster import Cluster, Clusters, Endpoint
from rauta_control.fakewire_test import CONFIGURATION, GET, OK, OK_CLOSE, Wire, get, reason
from rauta_control.fakewire_test import cluster as resource
from rauta_control.slices import finish

GOLDEN = 0.6180339887498949  # multiples of it, modulo 1, are spread evenly (Weyl, 1916)
POLICIES = ["maglev", "maglev:ip", "least-request", "round-robin"]
WEIGHTS = st.lists(st.integers(0, 7), min_size=1, max_size=6)


def evenly() -> Iterator[float]:
    return (number * GOLDEN % 1 for number in itertools.count(1))


def made(weights: list[int], policy: str = "maglev") -> Cluster:
    """A cluster of endpoints with the ports 1, 2 and so on."""
    chances = evenly()
    clusters = Clusters(lambda: next(chances))
    endpoints = tuple(ir.Endpoint("192.0.2.1", port, weight) for port, weight in enumerate(weights, 1))
    asked = ir.Cluster("c", endpoints, balance.table(endpoints), balance=balance.parse(policy))
    live = clusters.make("c")
    finish(clusters.filling((live, asked, memoryview(asked.table).cast("H"))))
    return live


def picks(live: Cluster, count: int, *tried: Endpoint) -> Counter[int]:
    found = [live.pick(flow_hash(b"%d" % number), tried) for number in range(count)]
    return Counter(endpoint.port for endpoint in found if endpoint is not None)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("weights", [[1], [1, 1], [1, 1, 1, 1, 1], [0, 3, 1], [5, 1, 0, 4], [100, 1]])
def test_shares_are_the_weights(policy: str, weights: list[int]) -> None:
    found = picks(made(weights, policy), 10_000)
    for port, weight in enumerate(weights, 1):
        assert found[port] == pytest.approx(10_000 * weight / sum(weights), abs=250)
        assert bool(found[port]) is bool(weight)


@pytest.mark.parametrize("policy", POLICIES)
def test_shares_are_the_weights_of_those_that_are_available(policy: str) -> None:
    live = made([6, 1, 2, 3], policy)
    live.endpoints[0].mark(UNHEALTHY)
    found = picks(live, 10_000)
    assert found[1] == 0
    assert [found[port] for port in (2, 3, 4)] == pytest.approx([1667, 3333, 5000], abs=250)
    live.endpoints[0].clear(UNHEALTHY)
    assert picks(live, 10_000)[1] == pytest.approx(5_000, abs=250)


@pytest.mark.parametrize("policy", POLICIES)
@settings(deadline=None)
@given(weights=WEIGHTS, marks=st.lists(st.sampled_from([0, DRAINING, UNHEALTHY, OPEN, DRAINING | OPEN]), min_size=6))
def test_nobody_is_used_who_should_not_be(policy: str, weights: list[int], marks: list[int]) -> None:
    live = made(weights, policy)
    for endpoint, mark in zip(live.endpoints, marks, strict=False):
        endpoint.mark(mark)
    weighted = [endpoint for endpoint, weight in zip(live.endpoints, weights, strict=True) if weight]
    staying = [endpoint for endpoint in weighted if not endpoint.unavailable & DRAINING] or weighted
    able = [endpoint for endpoint in staying if not endpoint.unavailable]
    allowed = able if 2 * len(able) >= len(staying) else staying
    assert picks(live, 50).keys() <= {endpoint.port for endpoint in allowed}
    assert (live.pick(7) is None) is (not weighted)
    for endpoint in live.endpoints:
        endpoint.clear(DRAINING | UNHEALTHY | OPEN)
    assert live.slots == (len(live.table) if policy == "maglev" else 0)


@pytest.mark.parametrize("policy", POLICIES)
@settings(deadline=None)
@given(weights=WEIGHTS, data=st.data())
def test_a_retry_goes_elsewhere_if_it_can(policy: str, weights: list[int], data: st.DataObject) -> None:
    live = made(weights, policy)
    tried: list[Endpoint] = []
    weighted = sum(map(bool, weights))
    for number in range(weighted):
        chosen = live.pick(data.draw(st.integers(0, 2**32 - 1)), tried)
        assert chosen is not None
        assert chosen not in tried
        tried.append(chosen)
        assert len(tried) == number + 1
    if weighted:
        assert live.pick(3, tried) in tried  # better the same again than none


def test_flows_stay_and_only_those_of_a_missing_endpoint_move() -> None:
    live = made([1] * 10)
    flows = range(0, 2**32, 2**32 // 2_000)
    before = [live.pick(flow) for flow in flows]
    gone = live.endpoints[3]
    gone.mark(OPEN)
    after = [live.pick(flow) for flow in flows]
    moved = Counter(new.port for old, new in zip(before, after, strict=True) if old is gone and new is not None)
    assert [new for old, new in zip(before, after, strict=True) if old is not gone] == [
        old for old in before if old is not gone
    ]
    assert len(moved) == 9  # over all the others
    gone.clear(OPEN)
    assert [live.pick(flow) for flow in flows] == before


def test_a_walk_that_finds_nobody_ends_with_any_by_weight() -> None:
    live = made([10_000, 3, 1])  # the first has nearly all slots
    live.endpoints[0].mark(UNHEALTHY)
    found = picks(live, 4_000)
    assert found[1] == 0
    assert found[2] == pytest.approx(3_000, abs=200)


def test_least_request_takes_the_less_busy_for_its_weight() -> None:
    live = made([1, 1], "least-request")
    busy, free = live.endpoints
    busy.open, free.open = 3, 2
    assert picks(live, 100) == {free.port: 100}
    busy.idle = [None] * 2  # type: ignore[list-item]
    assert picks(live, 100) == {busy.port: 100}
    heavy = made([1, 3], "least-request")
    heavy.endpoints[0].open, heavy.endpoints[1].open = 2, 5
    assert picks(heavy, 100) == {2: 100}
    heavy.endpoints[1].open = 7
    assert picks(heavy, 100) == {1: 100}


def test_under_load_requests_spread_by_weight_and_the_slow_one_gets_fewer() -> None:
    live = made([1, 1, 2], "least-request")
    for number in range(1_200):  # nothing is ever answered
        chosen = live.pick(number)
        assert chosen is not None
        chosen.open += 1
    assert [endpoint.open for endpoint in live.endpoints] == pytest.approx([300, 300, 600], abs=6)


def test_turns_are_spread_evenly() -> None:
    live = made([1, 1, 1], "round-robin")
    ports = [endpoint.port for flow in range(9) if (endpoint := live.pick(flow))]
    assert all(set(ports[start : start + 3]) == {1, 2, 3} for start in range(7))
    weighted = made([5, 1, 2], "round-robin")
    ports = [endpoint.port for flow in range(80) if (endpoint := weighted.pick(flow))]
    assert Counter(ports) == {1: 50, 2: 10, 3: 20}
    assert not any(ports[start : start + 4].count(1) == 4 for start in range(77))


def test_workers_do_not_take_turns_in_step() -> None:
    def first(chance: float) -> int:
        live = made([1, 1, 1, 1], "round-robin")
        live._chance = lambda: chance
        endpoint = live.pick(0)
        assert endpoint is not None
        return endpoint.port

    assert [first(chance) for chance in (0.0, 0.3, 0.6, 0.9)] == [1, 2, 3, 4]


def test_reasons_to_leave_somebody_out_come_and_go_each_for_itself() -> None:
    endpoint = Endpoint(ir.Endpoint("192.0.2.1", 1))
    for first, second in itertools.permutations((DRAINING, UNHEALTHY, OPEN), 2):
        endpoint.mark(first)
        endpoint.mark(second)
        endpoint.clear(second)
        assert endpoint.unavailable == first
        endpoint.clear(first)
        assert not endpoint.unavailable


def test_a_round_is_bounded_and_forgets_nobody() -> None:
    members = [(Endpoint(ir.Endpoint("192.0.2.1", port)), weight) for port, weight in ((1, 1), (2, 999_983), (3, 7))]
    available = Available(members)
    turns = [available.turn(number).port for number in range(2 * LONGEST_ROUND)]
    assert set(turns) == {1, 2, 3}
    assert len(available._round or ()) <= LONGEST_ROUND + 3


def test_nobody_is_usable_only_if_there_is_nobody() -> None:
    assert not usable([])
    drained = Endpoint(ir.Endpoint("192.0.2.1", 1))
    drained.mark(DRAINING)
    assert usable([(drained, 1)]) == [(drained, 1)]


def chosen(wire: Wire, policy: str, requests: list[tuple[str, bytes]]) -> list[str]:
    """The endpoints that requests of clients at these addresses, each on its own connection, go to."""
    wire.publish(
        *(each for each in CONFIGURATION if each.key != "cluster/c"),
        replace(resource("c", *range(8001, 8021)), balance=balance.parse(policy)),
    )
    for address, request in requests:
        client = wire.client(address)
        client.say(request)
        backend = next(each for each in wire.backends if each.received)
        backend.heard()
        backend.say(OK)
        assert client.heard() == OK
        client.half_close()
    return [line["endpoint"] for line in wire.log()]


ONE, OTHER = "198.51.100.1", "198.51.100.2"


@pytest.mark.parametrize(
    ("policy", "alike", "unlike"),
    [
        ("maglev:ip", [(ONE, GET), (ONE, get("/x"))], [(OTHER, GET)]),
        ("maglev:header=X-User", [(ONE, get("/", "x-user: jo")), (OTHER, get("/x", "X-User:jo"))], [(ONE, GET)]),
        (
            "maglev:cookie=id",
            [(ONE, get("/", "Cookie: a=b; id=7")), (OTHER, get("/", "Cookie: id=7; c"))],
            [(ONE, get("/", "Cookie: ID=7; id2=7"))],
        ),
    ],
)
def test_what_is_hashed_keeps_requests_together(
    wire: Wire, policy: str, alike: list[tuple[str, bytes]], unlike: list[tuple[str, bytes]]
) -> None:
    found = chosen(wire, policy, alike * 5 + unlike * 10)
    assert len(set(found[: 5 * len(alike)])) == 1
    assert set(found[5 * len(alike) :]) != {found[0]}


@pytest.mark.parametrize("policy", ["maglev:ip", "maglev:header=X-User", "maglev:cookie=id"])
def test_what_goes_elsewhere_stays_together_too(wire: Wire, policy: str) -> None:
    wire.publish(
        *(each for each in CONFIGURATION if each.key != "cluster/c"),
        replace(resource("c", *range(8001, 8021)), balance=balance.parse(policy)),
    )
    for _ in range(5):
        client = wire.client(ONE)
        client.say(get("/", "X-User: jo", "Cookie: id=7"))
        wire.backend.break_off()
        wire.backend.say(OK_CLOSE)
        assert client.heard().endswith(b"ok")
    ports = [end.port for end in wire.backends]
    assert ports[0] != ports[1]
    assert ports == ports[:2] * 5


def test_a_copy_goes_where_others_like_it_go(wire: Wire) -> None:
    rule = next(each for each in CONFIGURATION if isinstance(each, ir.Rule) and each.path == "/")
    copies = replace(resource("m", *range(8021, 8041)), balance=balance.parse("maglev:header=X-User"))
    wire.publish(
        *(each for each in CONFIGURATION if each is not rule),
        copies,
        replace(rule, filters=Filters(mirrors=(Mirror("m"),))),
    )
    for _ in range(10):
        wire.client().say(get("/", "X-User: jo"))
    assert len({end.port for end in wire.backends if end.port > 8020}) == 1


def test_turns_and_marks_are_seen_by_requests(wire: Wire) -> None:
    assert len(set(chosen(wire, "round-robin", [(ONE, GET)] * 20))) == 20
    endpoints = wire.worker.follower.clusters.endpoints
    for endpoint in list(endpoints.values())[:-1]:
        endpoint.mark(DRAINING)
    last = list(endpoints)[-1]
    assert set(chosen(wire, "maglev", [(ONE, GET)] * 4)[20:]) == {last}


def test_without_endpoints_every_policy_answers_503(wire: Wire) -> None:
    for policy in POLICIES:
        nothing = replace(resource("c"), balance=balance.parse(policy))
        wire.publish(*(each for each in CONFIGURATION if each.key != "cluster/c"), nothing)
        client = wire.client()
        client.say(GET)
        assert reason(client.heard()) == "no_endpoints"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("maglev", ir.Balance()),
        ("maglev:ip", ir.Balance(key="ip")),
        ("maglev:header=X-User", ir.Balance(key="header", name="x-user")),
        ("maglev:cookie=Id", ir.Balance(key="cookie", name="Id")),
        ("maglev:cookie=" + "i" * 256, ir.Balance(key="cookie", name="i" * 256)),
        ("least-request", ir.Balance("least-request")),
        ("round-robin", ir.Balance("round-robin")),
    ],
)
def test_policies_as_users_write_them(text: str, expected: ir.Balance) -> None:
    assert balance.parse(text) == expected
    assert balance.parse(balance.written(expected)) == expected
    assert not list(ir.faults("cluster/c", ir.Cluster("c", (), balance=expected), {}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Maglev",
        "maglev:",
        "maglev:header",
        "maglev:header=",
        "maglev:header=a b",
        "random",
        "round-robin:ip",
        "maglev:cookie=" + "i" * 257,
    ],
)
def test_what_is_no_policy_says_what_is_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"maglev:header=NAME.*least-request or round-robin"):
        balance.parse(text)
