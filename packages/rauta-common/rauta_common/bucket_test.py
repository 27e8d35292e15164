from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_common.bucket import MAX_CAPACITY, MAX_RATE, ONE, Config, available, full, take, wait_ms
from rauta_common.stamp import LONGEST_MS, MASK, SKEW_MS

UNIT = Fraction(1, ONE)

rates = st.fractions(Fraction(1, 3600), 5000) | st.floats(0.001, 5000)
configs = st.builds(Config, st.integers(1, 20), rates)
times = st.integers(0, (1 << 64) - 1) | st.integers(MASK - 1000, MASK)  # any, or just before the stamp wraps
gaps = st.lists(st.integers(0, 3) | st.integers(0, 5000), max_size=80)  # ms between calls
words = st.integers(0, (1 << 64) - 1)


def per_ms(config: Config) -> Fraction:
    return Fraction(config.rate) / 1000


class Ideal:
    """The textbook bucket, in exact arithmetic and without a wrap."""

    def __init__(self, config: Config, now: int) -> None:
        self.config, self.now, self.tokens = config, now, Fraction(config.capacity)

    def take(self, now: int, cost: int) -> bool:
        self.tokens = min(self.tokens + (now - self.now) * per_ms(self.config), Fraction(self.config.capacity))
        self.now = now
        admitted = self.tokens >= cost
        self.tokens -= cost * admitted
        return admitted


@given(configs, times, gaps)
@settings(deadline=None)
def test_it_admits_what_the_textbook_does_give_or_take_a_token(config: Config, now: int, gaps: list[int]) -> None:
    """At every moment: neither the fixed point nor any pattern of calls makes it drift from the rate."""
    word, ideal, ahead = full(config, now), Ideal(config, now), 0
    for gap in gaps:
        now += gap
        word, admitted = take(word, now, config)
        ahead += admitted - ideal.take(now, 1)
        assert -1 <= ahead <= 1


@given(configs, times, st.lists(st.tuples(st.integers(0, 500), st.integers(0, 200), st.integers(0, 5)), max_size=80))
@settings(deadline=None)
def test_it_never_admits_more_than_capacity_and_rate_allow(
    config: Config, start: int, calls: list[tuple[int, int, int]]
) -> None:
    """Whatever the costs, and although some callers read the clock up to 200 ms before others."""
    now, word, spent = start, full(config, start), 0
    for gap, late, cost in calls:
        now += gap
        word, admitted = take(word, max(now - late, start), config, cost)
        spent += cost * admitted
        assert spent <= config.capacity + (now - start) * per_ms(config) + UNIT


@pytest.mark.parametrize("rate", [Fraction(1, 10), 0.1, 1 / 3, 7.77, 33.3, 999.9])
def test_it_gains_what_the_rate_says_however_often_it_is_asked(rate: float | Fraction) -> None:
    config, start = Config(2, rate), 123_456_789
    word, admitted = full(config, start), 0
    for now in range(start, start + 30_001):
        word, ok = take(word, now, config)
        admitted += ok
    assert 30 * Fraction(rate) - 1 <= admitted - config.capacity <= 30 * Fraction(rate) + UNIT


@given(words, times, configs, st.integers(0, 30))
@settings(deadline=None)
def test_tokens_stay_between_none_and_the_capacity(word: int, now: int, config: Config, cost: int) -> None:
    """Any word at all, so also one that an older config with another capacity left behind."""
    after, admitted = take(word, now, config, cost)
    assert 0 <= after < 1 << 64
    assert 0 <= available(after, now, config) <= config.capacity
    assert available(after, now, config) == available(word, now, config) - cost * admitted
    assert admitted or after == word


@given(st.integers(0, 20), times, configs, st.integers(0, 1 << 34))
@settings(deadline=None)
def test_idle_time_fills_it_at_the_rate_until_the_stamp_wraps(tokens: int, now: int, config: Config, idle: int) -> None:
    tokens = min(tokens, config.capacity)
    word = take(full(config, now), now, config, config.capacity - tokens)[0]
    got = Fraction(available(word, now + idle, config))
    fair = min(tokens + idle * per_ms(config), Fraction(config.capacity))
    assert got <= fair + UNIT
    if idle <= MASK - SKEW_MS:
        assert got >= fair - UNIT
    elif idle % (MASK + 1) <= MASK - SKEW_MS:
        assert got >= min(tokens + idle % (MASK + 1) * per_ms(config), Fraction(config.capacity)) - UNIT


@given(configs, times, st.integers(0, 100_000), st.data())
@settings(deadline=None)
def test_wait_is_the_first_ms_that_admits(config: Config, now: int, idle: int, data: st.DataObject) -> None:
    cost = data.draw(st.integers(1, config.capacity))
    word, now = take(full(config, now), now, config, config.capacity)[0], now + idle
    wait = wait_ms(word, now, config, cost)
    assert take(word, now + wait, config, cost)[1]
    assert wait == 0 or not take(word, now + wait - 1, config, cost)[1]


@given(configs, times, st.integers(0, SKEW_MS - 1))
@settings(deadline=None)
def test_an_older_reading_of_the_clock_converts_nothing_twice(config: Config, now: int, late: int) -> None:
    word, _ = take(full(config, now), now, config)
    again, admitted = take(word, now - late, config, 0)
    assert admitted
    assert again == word


@given(st.integers(1, MAX_CAPACITY))
@settings(deadline=None)
def test_the_slowest_bucket_allowed_fills_before_the_stamp_wraps(capacity: int) -> None:
    config = Config(capacity, Fraction(capacity * 1000, LONGEST_MS))
    assert wait_ms(0, 0, config, capacity) == LONGEST_MS
    assert take(0, LONGEST_MS, config, capacity)[1]


def test_an_impossible_cost_is_refused_and_has_no_wait() -> None:
    config = Config(5, 1)
    word = full(config, 0)
    assert take(word, 0, config, 6) == (word, False)
    with pytest.raises(ValueError, match="above the capacity"):
        wait_ms(word, 0, config, 6)
    with pytest.raises(ValueError, match="negative"):
        take(word, 0, config, -1)


@pytest.mark.parametrize(
    ("capacity", "rate", "message"),
    [
        (0, 1, "capacity must be"),
        (MAX_CAPACITY + 1, 1, "capacity must be"),
        (1, 0, "rate must fill"),
        (1, -1, "rate must fill"),
        (1, 1e-7, "rate must fill"),
        (1, float("nan"), "rate must fill"),
        (1, float("inf"), "rate must fill"),
        (1, MAX_RATE + 1, "rate must fill"),
    ],
)
def test_config_refuses_what_does_not_fit(capacity: int, rate: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(capacity, rate)
