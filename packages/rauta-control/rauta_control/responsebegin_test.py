"""The beginning of a response head: what may still become one, and what is no HTTP at all."""

import pytest

from rauta_control.headparts_test import BLANK
from rauta_control.response import may_begin
from rauta_control.response_test import ACCEPTED


def test_the_beginning_of_a_head_may_become_one_however_it_comes() -> None:
    for case in ACCEPTED:
        complete = case.data.index(BLANK) + 4
        for end in range(1, min(complete, 400)):
            assert may_begin(case.data[:end], 0)
            assert may_begin(case.data[:end], end - 1)


@pytest.mark.parametrize(
    ("data", "least"),
    [
        (b"\x15\3\3\0\2\2\x28", 1),
        (b"\r\nHTTP/1.1 200 OK", 1),
        (b"HTTP/2 200", 6),
        (b"HTTP/1.1 2000 OK\r\nX: y", 18),
        (b"HTTP/1.1 200 OK\nX: y", 16),
        (b"HTTP/1.1 200 OK\r\nX: y\nZ", 22),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n\n", 24),
    ],
)
def test_what_cannot_become_a_head_is_found_at_once(data: bytes, least: int) -> None:
    for end in range(1, len(data) + 1):
        assert may_begin(data[:end], 0) == (end < least)
    assert may_begin(data[: least - 1], max(0, least - 2))
    assert not may_begin(data[:least], least - 1)
