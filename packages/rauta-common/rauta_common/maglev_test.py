import random
import struct
from collections import Counter
from collections.abc import Sequence
from math import isqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_common import maglev
from rauta_common.hashing import digest

SIZE = 1021

endpoints = st.dictionaries(st.text(max_size=12), st.integers(0, 1000), min_size=1, max_size=40).filter(
    lambda weights: any(weights.values())
)
crowds = st.builds(
    lambda net, weights: {f"10.0.{net}.{i}:80": weight for i, weight in enumerate(weights)},
    st.integers(0, 255),
    st.lists(st.integers(1, 100), min_size=2, max_size=100) | st.integers(2, 100).map(lambda n: [1] * n),
)
hashes = st.integers(0, (1 << 32) - 1)


def owners(weights: dict[str, int], size: int = SIZE) -> list[str]:
    """Return the name at every slot."""
    names = list(weights)
    return [names[i] for i in maglev.view(maglev.build(names, list(weights.values()), size))]


def slots(weights: dict[str, int]) -> Sequence[int]:
    return maglev.view(maglev.build(list(weights), list(weights.values()), SIZE))


@given(endpoints)
@settings(deadline=None)
def test_every_slot_belongs_to_a_weighted_endpoint_and_each_of_those_has_one(weights: dict[str, int]) -> None:
    table = owners(weights)
    assert len(table) == SIZE
    assert set(table) == {name for name, weight in weights.items() if weight}


@given(endpoints)
@settings(deadline=None)
def test_shares_follow_the_weights(weights: dict[str, int]) -> None:
    got = Counter(owners(weights))
    total, n = sum(weights.values()), sum(map(bool, weights.values()))
    for name, weight in weights.items():
        fair = SIZE * weight / total
        assert fair * (1 - n / SIZE) <= got[name] + 1e-9
        assert got[name] <= fair + 1


@given(st.integers(1, 100))
@settings(deadline=None)
def test_equal_endpoints_get_the_same_number_of_slots_or_one_more(n: int) -> None:
    got = Counter(owners({f"10.0.0.{i}:80": 7 for i in range(n)})).values()
    assert max(got) - min(got) <= 1


@given(endpoints, st.randoms(use_true_random=False), st.integers(1, 10**6))
@settings(deadline=None)
def test_neither_order_nor_scale_matters(weights: dict[str, int], shuffler: random.Random, factor: int) -> None:
    shuffled = list(weights.items())
    shuffler.shuffle(shuffled)
    assert owners({name: weight * factor for name, weight in shuffled}) == owners(weights)


@given(endpoints, st.text(max_size=12))
@settings(deadline=None)
def test_an_endpoint_without_weight_changes_nothing(weights: dict[str, int], name: str) -> None:
    assert owners({name: 0, **weights}) == owners(weights)


@given(crowds, st.data())
@settings(deadline=None)
def test_an_endpoint_leaving_moves_its_slots_and_few_others(weights: dict[str, int], data: st.DataObject) -> None:
    """The flows of the others are what consistent hashing is for."""
    leaving = data.draw(st.sampled_from(sorted(weights)))
    before = owners(weights)
    after = owners({name: weight for name, weight in weights.items() if name != leaving})
    moved = sum(old not in (new, leaving) for old, new in zip(before, after, strict=True))
    assert moved < SIZE / 4


@given(endpoints, hashes)
@settings(deadline=None)
def test_a_walk_starts_at_the_pick_and_visits_each_weighted_endpoint_once(weights: dict[str, int], h: int) -> None:
    table = slots(weights)
    walked = list(maglev.walk(table, h, len(weights)))
    assert walked[0] == maglev.pick(table, h)
    assert sorted(walked) == [i for i, weight in enumerate(weights.values()) if weight]


@given(endpoints, hashes, st.integers(0, 50))
@settings(deadline=None)
def test_a_limited_walk_is_the_start_of_the_whole(weights: dict[str, int], h: int, limit: int) -> None:
    table = slots(weights)
    assert list(maglev.walk(table, h, limit)) == list(maglev.walk(table, h, SIZE))[:limit]


def test_flows_that_share_a_pick_have_different_fallbacks() -> None:
    table = slots({f"10.0.0.{i}:80": 1 for i in range(20)})
    fallbacks = Counter(list(maglev.walk(table, h, 2))[1] for h in range(SIZE) if maglev.pick(table, h) == 0)
    assert len(fallbacks) > 10


@pytest.mark.parametrize(
    ("n", "weight", "expected"),
    [(3, 1, 0x1C5F814B8D7DC22F), (64, 1, 0x5A069FBE44C07F5F), (64, 0, 0xFE21A2597C6DA3AB)],
)
def test_the_table_is_the_same_in_every_release(n: int, weight: int, expected: int) -> None:
    """A change of these numbers moves the flows of every user at the upgrade: it needs a reason and a release note."""
    names = [f"10.0.0.{i}:8080" for i in range(n)]
    weights = [weight or 1 + i % 5 for i in range(n)]
    table = maglev.view(maglev.build(names, weights, SIZE))
    assert digest(struct.pack(f"<{SIZE}H", *table)) == expected


@pytest.mark.parametrize(
    ("names", "weights", "size", "message"),
    [
        (["a", "b"], [1], 1021, "2 names but 1 weights"),
        (["a", "a"], [1, 1], 1021, "not unique"),
        (["a", "b"], [1, -1], 1021, "negative"),
        (["a", "b"], [0, 0], 1021, "no weight is positive"),
        ([], [], 1021, "no weight is positive"),
        (["a", "b", "c"], [1, 1, 1], 3, "size 3 is not above"),
        (["a", "b"], [1, 1], 1023, "not prime"),
        (["a", "b"], [1, 1], 961, "not prime"),
        ([str(i) for i in range(65537)], [1] * 65537, 65539, "at most 65536"),
    ],
)
def test_what_cannot_be_built_is_refused(names: list[str], weights: list[int], size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        maglev.build(names, weights, size)


def test_the_ladder_of_sizes_has_few_rungs_all_prime_and_high_enough() -> None:
    sizes = [maglev.table_size(n) for n in range(6554)]
    assert sizes == sorted(sizes)
    assert sorted(set(sizes)) == [1021, 16381, 65537]
    assert all(size >= 10 * n for n, size in enumerate(sizes))
    assert all(size % divisor for size in set(sizes) for divisor in range(2, isqrt(size) + 1))
    assert maglev.table_size(maglev.MAX_ENDPOINTS) == 65537
