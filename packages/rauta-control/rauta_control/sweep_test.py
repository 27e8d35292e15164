"""Everybody whose time has come is found within a round, and nobody else."""

from hypothesis import given
from hypothesis import strategies as st

from rauta_control.sweep import TICKS, Sweep


class Connection:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.expired = 0
        self.last_act: list[Connection] = []
        self.sweep: Sweep | None = None

    def expire(self) -> None:
        self.expired += 1
        if self.sweep is not None:
            for other in self.last_act:
                self.sweep.discard(other)


def once_around(sweep: Sweep, now: float) -> None:
    for _ in range(TICKS):
        sweep.tick(now)


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, float("inf")]), max_size=50), st.sampled_from([0.5, 1.0, 2.5, 9.0]))
def test_a_round_expires_exactly_what_is_due(deadlines: list[float], now: float) -> None:
    sweep = Sweep()
    connections = [Connection(deadline) for deadline in deadlines]
    for connection in connections:
        sweep.add(connection)
    once_around(sweep, now)
    assert [connection.expired for connection in connections] == [int(deadline <= now) for deadline in deadlines]


def test_the_work_is_spread_evenly_over_the_ticks() -> None:
    sweep = Sweep()
    connections = [Connection(0.0) for _ in range(20 * TICKS)]
    for connection in connections:
        sweep.add(connection)
    assert len(sweep) == len(connections)
    for turn in range(1, TICKS + 1):
        sweep.tick(1.0)
        assert sum(connection.expired for connection in connections) == 20 * turn


def test_what_was_discarded_is_left_alone_and_discarding_twice_is_nothing() -> None:
    sweep = Sweep()
    connection = Connection(0.0)
    sweep.add(connection)
    sweep.discard(connection)
    sweep.discard(connection)
    once_around(sweep, 1.0)
    assert (connection.expired, len(sweep)) == (0, 0)


def test_connections_may_go_while_others_expire() -> None:
    sweep = Sweep()
    connections = [Connection(0.0) for _ in range(3 * TICKS)]
    for connection in connections:
        sweep.add(connection)
        connection.sweep = sweep
        connection.last_act = connections
    once_around(sweep, 1.0)
    assert len(sweep) == 0


def test_whom_another_one_gave_more_time_is_left_alone() -> None:
    class Giving(Connection):
        def expire(self) -> None:
            super().expire()
            for other in connections:
                other.deadline = 9.0

    sweep = Sweep()
    connections = [Giving(0.0) for _ in range(2 * TICKS)]
    for connection in connections:
        sweep.add(connection)
    once_around(sweep, 1.0)
    assert sum(connection.expired for connection in connections) == 1
