"""The target `events`, by whatever hypothesis makes of it."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .events import events
from .target import Rig


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(100))
def test_random_events(rig: Rig, seed: int) -> None:
    events(rig, Random(seed).randbytes(250))  # noqa: S311 - the same each time


@settings(deadline=None, max_examples=100)
@given(st.binary(min_size=50, max_size=300))
def test_events(rig: Rig, data: bytes) -> None:
    events(rig, data)
