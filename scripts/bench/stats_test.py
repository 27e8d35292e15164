"""What the summary of slices promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .stats import Spread, paired_ratio, quantile, ratio, spread

SAMPLES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=40)


def test_known_values() -> None:
    assert spread([4, 1, 3, 2, 5]) == Spread(3, 2, 4)
    assert quantile([1, 2], 0.5) == 1.5
    assert quantile([7], 0.99) == 7


@given(SAMPLES)
def test_a_spread_is_ordered_and_within_the_sample(values: list[float]) -> None:
    found = spread(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)


@given(SAMPLES, st.floats(0.1, 10))
def test_a_constant_factor_is_the_ratio_both_ways(values: list[float], factor: float) -> None:
    ours = [value * factor for value in values]
    assert ratio(ours, values) == pytest.approx(factor)
    assert paired_ratio(ours, values) == pytest.approx(factor)


def test_one_wild_slice_moves_no_median() -> None:
    assert ratio([10, 10, 900], [20, 20, 20]) == 0.5


def test_drift_that_hits_both_of_a_pair_cancels() -> None:
    drift = [1.0, 2.0, 4.0, 8.0]
    assert paired_ratio([30 * d for d in drift], [20 * d for d in drift]) == 1.5


def test_a_failed_slice_drops_its_pair() -> None:
    assert paired_ratio([None, 3.0, 3.0], [1.0, None, 2.0]) == 1.5
    assert paired_ratio([None], [1.0]) is None


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.5)])
def test_nonsense_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        quantile(values, share)
