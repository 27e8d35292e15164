"""Back-off: doubles, is bounded, and chance only shortens it."""

from hypothesis import given
from hypothesis import strategies as st

from rauta_control.backoff import LONGEST, Backoff


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff()
    assert [backoff.failed(0.0) for _ in range(8)] == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    backoff.reset()
    assert backoff.failed(0.0) == 0.8
    assert backoff.failed(0.0, weight=3) == 6.4


def test_a_server_that_says_how_long_is_believed_for_a_minute_at_most() -> None:
    backoff = Backoff()
    assert [backoff.failed(1.0, asked=seconds) for seconds in (0.0, 7.0, 3600.0)] == [0.0, 7.0, 60.0]
    assert backoff.failed(0.0) == 6.4  # they are failures too


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_a_minute_of_failures_is_few_attempts_and_no_wait_is_longer_than_the_longest(chances: list[float]) -> None:
    backoff, now, attempts = Backoff(), 0.0, 1
    for chance in chances:
        wait = backoff.failed(chance)
        assert 0.6 <= wait <= LONGEST
        now += wait
        attempts += now < 60
    assert attempts <= 12
