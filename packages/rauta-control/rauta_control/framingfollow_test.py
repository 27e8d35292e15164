"""Chunks that need not be read to go on: what is plain is followed, alike ones by the lines between them alone."""

from functools import partial

import pytest

from rauta_control.framing import LAST_CHUNK, ChunkedDecoder, ChunkOverheadError, chunk
from rauta_control.framing_test import part


@pytest.mark.parametrize(
    ("wire", "goes"),
    [
        (b"34", 2),
        (b"345\r", 3),
        (b"345\r\n", 5),
        (b"345\r\n5\r\n12345", 13),
        (b"345\r\n5\r\n12345\r\n5\r\n12345\r\n5\r\n1", 29),
        (b"345\r\n5\r\n12345\r\n5\r", 15),
        (b"345\r\nffffffff\r\n12345", 20),
        (b"345\r\nfffffffff\r\n12345", 5),
        (b"345\r\n05\r\n12345", 5),
        (b"345\r\n5\r\n12345\r\n0\r\n\r\n", 15),
        (b"345\r\n5\r\n12345\r\n5;\r\n12345", 15),
        (b"345\r\n5\r\n12345\r\n\r\n5\r\n12345", 15),
        (b"345\r\n5\r\n1234\r\n5\r\n12345", 13),
        (b"345\r\n5\r\n12345\r\r5\r\n12345", 13),
    ],
)
def test_what_is_plain_is_followed_to_its_end(wire: bytes, goes: int) -> None:
    decoder = ChunkedDecoder()
    assert decoder.relay(b"5\r\n12") == b"5\r\n12"
    assert decoder.follow(wire, len(wire)) == goes
    again = ChunkedDecoder()
    assert again.relay(b"5\r\n12" + wire[:goes]) == b"5\r\n12" + wire[:goes]
    assert again.ahead == decoder.ahead


def test_no_more_is_followed_than_so_many_lines() -> None:
    wire = b"345\r\n" + chunk(b"12345") * 10
    decoder = ChunkedDecoder()
    assert decoder.relay(b"5\r\n12") == b"5\r\n12"
    at = 0
    for goes in (5 + 10 + 3, 20, 20):
        assert decoder.follow(wire[at:], len(wire) - at, most=2) == goes
        at += goes
    assert decoder.relay(wire[at:] + LAST_CHUNK) == wire[at:] + LAST_CHUNK
    assert decoder.done


def test_chunks_of_one_size_are_followed_no_further_than_one_by_one() -> None:
    wire = b"345\r\n" + chunk(b"12345") * 5
    spoiled = {wire[:at] + other + wire[at + 1 :] for at in range(len(wire)) for other in (b"", b"\r", b"5", b"5\r")}
    for data in {wire[:end] for end in range(len(wire))} | spoiled:
        at_once, one_by_one = ChunkedDecoder(), ChunkedDecoder()
        for decoder in (at_once, one_by_one):
            decoder.relay(b"5\r\n12")
        at = 0
        while goes := one_by_one.follow(data[at:], len(data) - at, most=1):
            at += goes
        assert (at_once.follow(data, len(data)), at_once.ahead) == (at, one_by_one.ahead), data


def test_of_chunks_that_are_alike_nothing_but_lines_is_looked_at() -> None:
    wire = chunk(b"12345") * 5
    spoiled = {wire[:at] + other + wire[at + 1 :] for at in range(len(wire)) for other in (b"", b"\r", b"5", b"5\r")}
    for data in {wire[2:end] for end in range(3, len(wire))} | {data[6:] for data in spoiled}:
        decoder, other = ChunkedDecoder(), ChunkedDecoder()
        for each in (decoder, other):
            assert each.relay(wire * 2 + b"5\r\n1") == wire * 2 + b"5\r\n1"
            assert each.alike == 5
        looked: list[int] = []

        def look(at: int, size: int) -> bytes:
            looked.append(at)  # noqa: B023 - called within this turn
            return part(data, at, size)  # noqa: B023

        goes = decoder.follow_alike(look, len(data))
        assert looked == list(range(4, looked[-1] + 1, 10)) if looked else len(data) < 9
        assert decoder.follow(data[goes:], len(data) - goes) == other.follow(data, len(data)) - goes
        assert decoder.ahead == other.ahead


def test_chunks_that_are_alike_pay_as_others_do() -> None:
    decoder = ChunkedDecoder(overhead=100)
    wire = chunk(b"x" * 3) * 10
    assert decoder.relay(wire + b"3\r\n") == wire + b"3\r\n"
    tiny = b"xxx\r\n3\r\n" * 100
    with pytest.raises(ChunkOverheadError):
        decoder.follow_alike(partial(part, tiny), len(tiny))
    assert decoder.ahead == 3


def test_payload_that_is_passed_over_is_followed_too() -> None:
    decoder = ChunkedDecoder()
    assert decoder.relay(b"5\r\n12") == b"5\r\n12"
    decoder.pass_over(2)
    assert decoder.ahead == 1
    decoder.pass_over(1)
    assert decoder.ahead == 0
    assert decoder.relay(b"\r\n0\r\n\r\n") == b"\r\n0\r\n\r\n"
    assert decoder.done


def test_to_follow_costs_what_reading_does() -> None:
    """Chunks of one byte cost ten and pay six: 256 are too many for 1,024, however they are passed on."""
    for count, too_many in ((253, False), (258, True)):
        decoder = ChunkedDecoder(overhead=1024)
        assert decoder.relay(b"1\r\nx")
        tiny = b"\r\n1\r\nx" * count
        if too_many:
            for way in (decoder.follow, lambda data, _: decoder.relay(data)):  # noqa: B023 - called within this turn
                with pytest.raises(ChunkOverheadError):
                    way(tiny, len(tiny))
        else:
            assert decoder.follow(tiny, len(tiny)) == len(tiny)
    paid = b"\r\n1\r\nx" * 200 + b"\r\n400\r\n" + bytes(1024)
    decoder = ChunkedDecoder(overhead=1024)
    assert decoder.relay(b"1\r\nx")
    for _ in range(5):
        assert decoder.follow(paid, len(paid)) == len(paid)
