"""The expressions of routes: what they match, and what they may cost."""

from __future__ import annotations

import pytest

from rauta_control import regex
from rauta_control.reasons import Reason, Refused


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("v[12]", b"v2", True),
        ("v[12]", b"v10", False),
        (".*", b"a\nb", True),
        (".é", "aé".encode(), True),
        (".", "é".encode(), True),
        (".*admin.*", b"admin\xff", True),  # not UTF-8: each byte is a character
        (".*é", b"\xff" + "é".encode(), True),
        ("..", b"\xff\xfe", True),
        ("[\\x{ff}]\\x{4e00}", b"\xff" + "\u4e00".encode(), True),
        ("...", b"\xed\xa0\x80", True),  # a surrogate is not UTF-8
        ("a*", b"a\xff", False),
    ],
)
def test_an_expression_matches_all_of_a_value_whatever_its_bytes(pattern: str, value: bytes, matches: bool) -> None:
    assert bool(regex.test(pattern, Reason.HEAD_TOO_LARGE)(value)) is matches


@pytest.mark.parametrize(("pattern", "longest"), [(".*a?", regex.MAX_VALUE), ("((a?){300}a{300})*", 664)])
def test_the_longer_an_expression_takes_a_byte_the_shorter_values_it_takes(pattern: str, longest: int) -> None:
    matches = regex.test(pattern, Reason.TARGET_TOO_LONG)
    assert matches(b"a" * longest)
    with pytest.raises(Refused) as refused:
        matches(b"a" * (longest + 1))
    assert refused.value.reason is Reason.TARGET_TOO_LONG


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("(", "not an RE2 expression"), ("(?=x)", "not an RE2 expression"), (".{1000}x", "too large: ")],
)
def test_an_expression_that_cannot_be_used_is_said_so(pattern: str, says: str) -> None:
    assert regex.problem(pattern).startswith(says)
