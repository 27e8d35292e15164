"""in_turns: others get their turn, and every turn is told of."""

import asyncio

import pytest

from rauta_control.slices import Slices
from rauta_control.turns import Longest, in_turns


def counting(count: int, done: list[int]) -> Slices[str]:
    for number in range(count):
        done.append(number)
        yield
    return "made"


def test_others_get_their_turn_and_every_turn_is_told_of() -> None:
    async def main() -> None:
        done, turns, seen = list[int](), list[tuple[float, float]](), list[int]()

        async def other() -> None:
            while len(done) < 3:
                seen.append(len(done))
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        assert await in_turns(counting(3, done), 0.0, lambda *took: turns.append(took)) == "made"
        await beside
        assert seen == [1, 2]
        assert len(turns) == 4
        assert all(clock >= 0 and computed >= 0 for clock, computed in turns)

    asyncio.run(main())


def test_what_work_raises_is_raised() -> None:
    def failing() -> Slices[None]:
        yield
        raise ValueError("so it is")

    with pytest.raises(ValueError, match="so it is"):
        asyncio.run(in_turns(failing()))


def test_the_longest_on_the_clock_need_not_be_the_one_that_computed_most() -> None:
    longest = Longest()
    longest.took(0.004, 0.001)
    longest.took(0.002, 0.002)
    longest.took(0.001, 0.001)
    assert (longest.clock, longest.computed) == (0.004, 0.002)
