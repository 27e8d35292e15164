"""The pattern shows every way in which a proxy could spoil a body."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .pattern import CHUNK, PERIOD, Check, framed, pieces
from .wire import Chunks

TOTAL = 3 * PERIOD + 12_345
BODY = b"".join(pieces(TOTAL))


def checked(data: bytes, step: int = 70_001) -> Check:
    check = Check()
    for at in range(0, len(data), step):
        check.feed(data[at : at + step])
    return check


@pytest.mark.parametrize("step", [1_000, CHUNK, 70_001, PERIOD, 3 * PERIOD])
def test_the_body_is_itself_in_pieces_of_any_size(step: int) -> None:
    check = checked(BODY, step)
    assert check.exact
    assert check.position == TOTAL == len(BODY)


@given(st.integers(0, TOTAL - 2 * CHUNK), st.integers(1, CHUNK))
def test_a_lost_or_doubled_piece_shows(at: int, length: int) -> None:
    assert not checked(BODY[:at] + BODY[at + length :]).exact
    assert not checked(BODY[: at + length] + BODY[at:]).exact


def test_a_flipped_byte_shows() -> None:
    spoilt = bytearray(BODY)
    spoilt[2 * PERIOD] ^= 1
    assert not checked(bytes(spoilt)).exact


def test_the_chunked_body_is_the_body() -> None:
    chunks = Chunks()
    assert b"".join(part for piece in framed(TOTAL) for part in chunks.feed(piece)) == BODY
    assert chunks.done
