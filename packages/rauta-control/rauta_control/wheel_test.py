"""The wheel: nothing early, nothing later than a bucket, one timer, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control.wheel import GRAIN, NEVER, Wheel


class Clock:
    """A loop's timers."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[Call] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Call:
        call = Call(when, callback)
        self.calls.append(call)
        return call

    @property
    def live(self) -> list[Call]:
        return [call for call in self.calls if not call.done]

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [call for call in self.live if call.when <= end]:
            first = min(due, key=lambda call: call.when)
            self.now = max(self.now, first.when)
            first.done = True
            first.callback()
        self.now = end


class Call:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.done = False

    def cancel(self) -> None:
        self.done = True


class Entry:
    def __init__(self, clock: Clock, lapsed: Callable[[], None] = lambda: None) -> None:
        self.due = NEVER
        self.bucket = 0
        self.clock = clock
        self.then = lapsed
        self.at: list[float] = []

    def lapse(self) -> None:
        self.at.append(self.clock.now)
        self.then()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wheel(clock: Clock) -> Wheel:
    return Wheel(clock.time, clock.call_at)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 0.7), st.booleans()), max_size=30))
def test_nothing_is_early_or_late_and_what_was_cleared_is_not_called(plan: list[tuple[float, float, bool]]) -> None:
    clock = Clock()
    wheel = Wheel(clock.time, clock.call_at)
    entries = []
    for after, pause, cleared in plan:
        entry = Entry(clock)
        wheel.set(entry, clock.now + after)
        entries.append((entry, clock.now + after, cleared and after > pause))
        clock.advance(pause)
        if entries[-1][2]:
            wheel.clear(entry)
        assert len(clock.live) <= 1
    clock.advance(10)
    for entry, due, cleared in entries:
        assert len(entry.at) == (not cleared)
        assert all(due <= at <= due + 2 / GRAIN for at in entry.at)
    assert not len(wheel)
    assert not clock.live


def test_a_deadline_can_be_moved_both_ways_and_dropped(wheel: Wheel, clock: Clock) -> None:
    sooner, later, never = Entry(clock), Entry(clock), Entry(clock)
    for entry in (sooner, later, never):
        wheel.set(entry, clock.now + 0.5)
    wheel.set(sooner, clock.now + 0.1)
    wheel.set(later, clock.now + 0.9)
    wheel.set(never, NEVER)
    clock.advance(0.2)
    assert [len(entry.at) for entry in (sooner, later, never)] == [1, 0, 0]
    clock.advance(0.5)
    assert not later.at
    clock.advance(0.3)
    assert later.at
    clock.advance(100)
    assert not never.at


def test_far_deadlines_cost_a_turn_a_second(wheel: Wheel, clock: Clock) -> None:
    entries = [Entry(clock) for _ in range(50)]
    for entry in entries:
        wheel.set(entry, clock.now + 3600)
        clock.advance(0.013)
    before = len(clock.calls)
    clock.advance(60)
    assert len(clock.calls) - before <= 62
    assert len(wheel) == 50


def test_who_lapses_may_clear_others_and_set_itself_anew(wheel: Wheel, clock: Clock) -> None:
    victim = Entry(clock)
    again = Entry(clock, lambda: wheel.set(again, clock.now) if len(again.at) < 3 else wheel.clear(victim))
    wheel.set(again, clock.now + 0.1)
    wheel.set(victim, clock.now + 0.5)
    clock.advance(1)
    assert len(again.at) == 3
    assert not victim.at


def test_one_that_raises_does_not_stop_the_others(wheel: Wheel, clock: Clock) -> None:
    def fault() -> None:
        raise ZeroDivisionError

    bad, good = Entry(clock, fault), Entry(clock)
    wheel.set(bad, clock.now + 0.1)
    wheel.set(good, clock.now + 0.2)
    with pytest.raises(ZeroDivisionError):
        clock.advance(1)
    clock.advance(1)
    assert good.at
