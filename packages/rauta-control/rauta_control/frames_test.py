"""Frames: every way of cutting the stream gives the same payloads; a bad length is refused before it is waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rauta_control.frames import HEADER, MAX_PAYLOAD, FrameDecoder, FrameError, frame


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(1, 7)))
def test_any_cut_gives_the_payloads_back(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(payload) for payload in payloads)
    decoder = FrameDecoder()
    received: list[bytes] = []
    for cut in cuts:
        received += decoder.feed(stream[:cut])
        stream = stream[cut:]
    received += decoder.feed(stream)
    assert received == payloads


def test_a_length_beyond_the_limit_is_an_error_at_once() -> None:
    with pytest.raises(FrameError, match="exceeds"):
        FrameDecoder().feed((MAX_PAYLOAD + 1).to_bytes(HEADER, "big"))


def test_a_partial_payload_is_kept_back() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(frame(b"whole") + frame(b"rest")[:-1]) == [b"whole"]
    assert decoder.feed(b"t") == [b"rest"]
