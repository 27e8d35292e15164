from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_common.stamp import LONGEST_MS, MASK, SKEW_MS, elapsed

times = st.integers(0, (1 << 64) - 1)


@given(times, st.integers(0, MASK - SKEW_MS))
@settings(deadline=None)
def test_time_passed_is_exact_below_the_wrap(then: int, passed: int) -> None:
    assert elapsed(then + passed, then & MASK) == passed
    assert elapsed((then + passed) & MASK, then) == passed  # it does not matter which side is truncated


@given(times, st.integers(0, SKEW_MS - 1))
@settings(deadline=None)
def test_a_stamp_slightly_in_the_future_is_the_present(now: int, ahead: int) -> None:
    assert elapsed(now, now + ahead & MASK) == 0


@given(times, st.integers(0, MASK), times)
@settings(deadline=None)
def test_an_idle_word_never_seems_older_than_it_is(then: int, stamp: int, passed: int) -> None:
    assert 0 <= elapsed(then, stamp) <= MASK - SKEW_MS
    assert elapsed(then + passed, then & MASK) <= passed


def test_the_longest_wait_stays_over_for_a_month() -> None:
    assert elapsed(LONGEST_MS + 30 * 86_400_000, 0) >= LONGEST_MS
