"""Durations of GEP-2257."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from rauta_control.duration import milliseconds
from rauta_control.scalars import Duration

FORM = re.compile(get_args(Duration)[1].pattern)


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("0s", 0),
        ("1ms", 1),
        ("10s", 10_000),
        ("1m30s", 90_000),
        ("1h", 3_600_000),
        ("1s1s", 2_000),
        ("99999h", 359_996_400_000),
    ],
)
def test_sums(text: str, total: int) -> None:
    assert FORM.search(text)
    assert milliseconds(text) == total


@pytest.mark.parametrize("text", ["", "1", "s", "1.5s", "-1s", "100000s", "1d", "1us", "1s 1s", "1s1s1s1s1s", "1s\n"])
def test_what_is_none(text: str) -> None:
    assert not FORM.search(text)
