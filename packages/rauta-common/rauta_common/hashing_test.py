from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_common.hashing import digest, flow_hash

parts = st.lists(st.binary(max_size=8), max_size=4)


def test_values_never_change() -> None:
    """Workers of two releases share tables and compare digests during an upgrade."""
    assert flow_hash(b"192.0.2.1:54321") == 0x8311AF48
    assert digest() == 0xE4A6A0577479B2B4
    assert digest(b"10.0.0.1:8080") == 0x44611B69F4CA5A7B
    assert digest(b"ab", b"c") == 0x5B6BAF4B54380EBF


@given(st.binary())
@settings(deadline=None)
def test_hashes_fit_their_width(key: bytes) -> None:
    assert 0 <= flow_hash(key) < 1 << 32
    assert 0 <= digest(key) < 1 << 64


@given(parts, parts)
@settings(deadline=None)
def test_digest_tells_any_two_lists_of_parts_apart(a: list[bytes], b: list[bytes]) -> None:
    assert (digest(*a) == digest(*b)) == (a == b)


@given(parts.filter(any), st.data())
@settings(deadline=None)
def test_digest_sees_where_parts_end(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces)
    cut = data.draw(st.integers(0, len(whole)))
    assert digest(whole[:cut], whole[cut:]) != digest(whole)


def test_ports_of_one_client_spread_over_the_slots() -> None:
    """Keys that differ in a few digits are the usual case: one client, its ephemeral ports, a small table."""
    slots = Counter(flow_hash(b"192.0.2.1:%d" % port) % 1021 for port in range(32768, 60999))
    assert len(slots) == 1021
    assert max(slots.values()) < 2 * 28231 / 1021
