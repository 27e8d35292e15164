"""Transactions in parts come out as they were, whatever the pieces."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control import parts
from rauta_control.frames import HEADER
from rauta_control.messages import PROTOCOL_VERSION, Publish
from rauta_control.parts import OVERHEAD, PART, Joiner, join, split

KEYS = st.text(max_size=8)


def publish(upserts: dict[str, bytes], deletes: tuple[str, ...] = (), generation: int = 1) -> Publish:
    return Publish(PROTOCOL_VERSION, generation, 0, 7, upserts, deletes)


@given(st.dictionaries(KEYS, st.binary(max_size=40)), st.lists(KEYS), st.integers(1, 500), st.integers(1, 99))
def test_what_was_split_is_joined(upserts: dict[str, bytes], deletes: list[str], limit: int, cut: int) -> None:
    whole = publish(upserts, tuple(deletes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART", limit)
        stream = b"".join(split(whole))
    assert join(stream[start : start + cut] for start in range(0, len(stream), cut)) == whole
    with pytest.raises(ValueError, match="the end is missing"):
        join([stream[:-1]])


def test_no_part_is_much_longer_than_it_may_be() -> None:
    whole = publish({f"{number:05}": bytes(900) for number in range(2_000)}, tuple(map(str, range(20_000))))
    frames = list(split(whole))
    assert len(frames) > sum(map(len, frames)) // PART
    assert max(map(len, frames)) < PART + 1_000
    assert max(len(_decoded(each).deletes) for each in frames) <= PART // OVERHEAD


def test_a_transaction_that_was_given_up_leaves_nothing() -> None:
    joiner = Joiner()
    first, *_, last = split(publish({str(number): bytes(PART) for number in range(3)}))
    new = publish({"new": b""}, generation=2)
    for given_up in ([first], [first, b"\xc1" * 9]):
        for each in given_up[:1]:
            assert joiner.add(each[HEADER:]) is None
        for each in given_up[1:]:
            with pytest.raises(msgspec.MsgspecError):
                joiner.add(each[HEADER:])
        assert joiner.add(next(split(new))[HEADER:]) == new
    rest = joiner.add(last[HEADER:])
    assert rest is not None
    assert not rest.upserts  # the digest tells that something is missing


def _decoded(frame: bytes) -> Publish:
    return msgspec.msgpack.decode(frame[HEADER:], type=Publish)
