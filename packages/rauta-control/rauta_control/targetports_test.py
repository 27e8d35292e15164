from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rauta_control.serviceterms import Range
from rauta_control.targetports import Claim, assign

AMONG = Range(10000, 10009)
PORTS = st.integers(1, 4)
CLAIMS = st.lists(
    st.tuples(st.sets(PORTS, max_size=4), st.dictionaries(PORTS, st.integers(9998, 10011))), max_size=4
).map(lambda found: [Claim(f"shop/{n}", tuple(sorted(ports)), was) for n, (ports, was) in enumerate(found)])


@given(CLAIMS)
def test_no_target_port_is_given_twice_and_none_is_left_while_somebody_lacks_one(claims: list[Claim]) -> None:
    found = assign(claims, AMONG)
    targets = [target for each in found.values() for target in each.values()]
    assert len(set(targets)) == len(targets)
    assert all(target in AMONG for target in targets)
    assert len(targets) == min(len(AMONG), sum(len(each.ports) for each in claims))


@given(CLAIMS)
def test_what_was_published_is_kept_whoever_else_comes_or_goes(claims: list[Claim]) -> None:
    found = assign(claims, AMONG)
    again = [Claim(each.gateway, each.ports, found[each.gateway]) for each in claims]
    assert assign(again, AMONG) == found
    assert assign(again[::-1], AMONG) == found
    newcomer = Claim("shop/new", (80,), {})
    with_newcomer = assign([newcomer, *again], AMONG)
    assert all(with_newcomer[name] == targets for name, targets in found.items())
    for left in again:
        assert found[left.gateway].items() <= assign([left], AMONG)[left.gateway].items()


def test_of_two_that_publish_the_same_port_the_senior_keeps_it() -> None:
    found = assign([Claim("shop/a", (80,), {80: 10003}), Claim("shop/b", (80,), {80: 10003})], AMONG)
    assert found["shop/a"] == {80: 10003}
    assert found["shop/b"][80] != 10003


def test_replicas_that_know_the_same_gateways_agree_before_anything_is_published() -> None:
    a, b = Claim("shop/a", (80, 443), {}), Claim("shop/b", (80,), {})
    wide = Range(10000, 19999)
    assert assign([a], wide)["shop/a"] == assign([a, b], wide)["shop/a"]
