from collections.abc import Callable
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_common.circuit import (
    COUNT_MAX,
    Circuit,
    Config,
    State,
    Verdict,
    admit,
    decode,
    encode,
    on_abandon,
    on_failure,
    on_success,
)
from rauta_common.stamp import LONGEST_MS, MASK, SKEW_MS

CLOSED, OPEN, HALF_OPEN = State
ADMIT, PROBE, REJECT = Verdict

EVENTS: dict[str, Callable[[int, int, Config], tuple[int, Verdict | None]]] = {
    "admit": admit,
    "success": lambda word, now, config: (on_success(word, now, config), None),
    "failure": lambda word, now, config: (on_failure(word, now, config), None),
    "abandon": lambda word, now, config: (on_abandon(word), None),
}

TRANSITIONS: dict[tuple[State, str], set[tuple[State, Verdict | None]]] = {
    (CLOSED, "admit"): {(CLOSED, ADMIT)},
    (CLOSED, "success"): {(CLOSED, None)},
    (CLOSED, "failure"): {(CLOSED, None), (OPEN, None)},
    (CLOSED, "abandon"): {(CLOSED, None)},
    (OPEN, "admit"): {(OPEN, REJECT), (HALF_OPEN, PROBE)},
    (OPEN, "success"): {(OPEN, None)},
    (OPEN, "failure"): {(OPEN, None)},
    (OPEN, "abandon"): {(OPEN, None)},
    (HALF_OPEN, "admit"): {(HALF_OPEN, REJECT), (HALF_OPEN, PROBE)},
    (HALF_OPEN, "success"): {(HALF_OPEN, None), (CLOSED, None)},
    (HALF_OPEN, "failure"): {(OPEN, None)},
    (HALF_OPEN, "abandon"): {(HALF_OPEN, None)},
}
"""The table at the top of circuit.py."""

counts = st.integers(0, COUNT_MAX)
stamps = st.integers(0, MASK)
times = st.integers(0, (1 << 64) - 1)
circuits = st.builds(Circuit, st.sampled_from(State), counts, counts, counts, stamps)
events = st.sampled_from(sorted(EVENTS))
small, spans = st.integers(1, 4), st.integers(1, 50) | st.integers(1, LONGEST_MS)
configs = st.builds(Config, small, small, spans, small, spans)
scenarios = st.lists(st.tuples(events, st.integers(0, 60)), max_size=60)


def opened(config: Config, now: int) -> int:
    """Return the word of a breaker that tripped at `now`."""
    word = 0
    for _ in range(config.failure_threshold):
        word = on_failure(word, now, config)
    assert decode(word).state is OPEN
    return word


def probing(config: Config, now: int) -> int:
    """Return the word of a half-open breaker whose permits were all given out at `now`."""
    word = opened(config, now - config.open_ms)
    for _ in range(config.half_open_permits):
        word, verdict = admit(word, now, config)
        assert verdict is PROBE
    return word


@given(circuits)
@settings(deadline=None)
def test_encoding_is_a_bijection_into_a_u64(circuit: Circuit) -> None:
    word = encode(circuit)
    assert 0 <= word < 1 << 64
    assert decode(word) == circuit


@given(st.integers(0, (1 << 64) - 1))
@settings(deadline=None)
def test_every_word_decodes_to_itself_or_is_not_ours(word: int) -> None:
    if word >> 62 == 3:
        with pytest.raises(ValueError, match="3 is not a valid State"):
            decode(word)
    else:
        assert encode(decode(word)) == word


@given(circuits, events, times, configs)
@settings(deadline=None)
def test_every_step_is_in_the_table_and_stays_a_u64(circuit: Circuit, event: str, now: int, config: Config) -> None:
    word, verdict = EVENTS[event](encode(circuit), now, config)
    assert 0 <= word < 1 << 64
    assert (decode(word).state, verdict) in TRANSITIONS[circuit.state, event]


@given(circuits, times, configs)
@settings(deadline=None)
def test_only_a_probe_writes_at_admission(circuit: Circuit, now: int, config: Config) -> None:
    word, verdict = admit(encode(circuit), now, config)
    assert (word != encode(circuit)) <= (verdict is PROBE)


@given(circuits, times, configs)
@settings(deadline=None)
def test_no_word_is_ever_stuck(circuit: Circuit, now: int, config: Config) -> None:
    """Any word at all, reachable or not, with nobody reporting anything any more: a request gets through in time."""
    later = now + max(config.open_ms, config.permit_ttl_ms) + SKEW_MS
    assert any(admit(encode(circuit), time, config)[1] is not REJECT for time in (now, later))


@given(scenarios, configs, st.integers(0, MASK), st.integers(0, MASK))
@settings(deadline=None)
def test_where_the_clock_stands_makes_no_difference(
    scenario: list[tuple[str, int]], config: Config, start: int, shift: int
) -> None:
    """The same story told from another start, across the wrap or not, ends the same but for the shifted stamp."""
    ends = []
    for origin in (start, start + shift):
        now, word, verdicts = origin, encode(Circuit(stamp=origin)), []
        for event, passed in scenario:
            now += passed
            word, verdict = EVENTS[event](word, now, config)
            verdicts.append(verdict)
        circuit = decode(word)
        ends.append((circuit._replace(stamp=(circuit.stamp - origin) & MASK), verdicts))
    assert ends[0] == ends[1]


@given(st.lists(st.booleans(), max_size=40), configs, times)
@settings(deadline=None)
def test_it_opens_exactly_when_enough_failures_come_in_a_row(results: list[bool], config: Config, now: int) -> None:
    word = 0
    for good in results:
        word = (on_success if good else on_failure)(word, now, config)
    longest = max((len(list(run)) for good, run in groupby(results) if not good), default=0)
    assert (decode(word).state is OPEN) == (longest >= config.failure_threshold)


@given(configs, times, st.data())
@settings(deadline=None)
def test_open_rejects_for_open_ms_and_then_probes(config: Config, now: int, data: st.DataObject) -> None:
    word = opened(config, now)
    early = data.draw(st.integers(1 - SKEW_MS, config.open_ms - 1), "ms; below zero: read before it opened")
    assert admit(word, now + early, config) == (word, REJECT)
    assert admit(word, now + config.open_ms, config)[1] is PROBE


@given(configs, times)
@settings(deadline=None)
def test_probes_are_bounded_until_their_permits_expire(config: Config, now: int) -> None:
    """A worker that is killed reports nothing: its permits come back all the same."""
    word = probing(config, now)
    assert admit(word, now + config.permit_ttl_ms - 1, config) == (word, REJECT)
    assert admit(word, now + config.permit_ttl_ms, config)[1] is PROBE


@given(configs, times)
@settings(deadline=None)
def test_a_reported_probe_makes_room_for_the_next(config: Config, now: int) -> None:
    word = probing(config, now)
    assert admit(on_abandon(word), now, config)[1] is PROBE
    assert admit(on_success(word, now, config), now, config)[1] is not REJECT


@given(configs, times)
@settings(deadline=None)
def test_enough_good_probes_close_it_and_one_bad_one_reopens_it(config: Config, now: int) -> None:
    word = probing(config, now)
    for _ in range(config.success_threshold):
        assert decode(word).state is HALF_OPEN
        assert decode(on_failure(word, now, config)) == Circuit(OPEN, config.failure_threshold + 1, stamp=now & MASK)
        word = on_success(word, now, config)
    assert decode(word) == Circuit(CLOSED, stamp=now & MASK)


def test_counts_saturate() -> None:
    config = Config(COUNT_MAX, COUNT_MAX, half_open_permits=COUNT_MAX)
    word = encode(Circuit(HALF_OPEN, COUNT_MAX, stamp=0))
    assert decode(on_failure(word, 0, config)).failures == COUNT_MAX
    assert encode(Circuit(OPEN, 5000, 5000, 5000, 1 << 40)) == encode(Circuit(OPEN, COUNT_MAX, COUNT_MAX, COUNT_MAX))


def test_config_names_every_field_out_of_range() -> None:
    with pytest.raises(ValueError) as error:
        Config(0, COUNT_MAX + 1, 0, 0, LONGEST_MS + 1)
    assert [problem.split()[0] for problem in str(error.value).split("; ")] == [
        "failure_threshold",
        "success_threshold",
        "open_ms",
        "half_open_permits",
        "permit_ttl_ms",
    ]
