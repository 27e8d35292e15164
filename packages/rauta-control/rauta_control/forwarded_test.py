"""Who the client is, by the word of proxies that are trusted."""

import pytest

from rauta_control import forwarded
from rauta_control.forwarded import REMEMBERED, Trust


@pytest.mark.parametrize(
    ("said", "client"),
    [
        (b"", "10.0.0.1"),
        (b"203.0.113.9", "203.0.113.9"),
        (b"6.6.6.6, 203.0.113.9", "203.0.113.9"),  # the left one is what a stranger wrote
        (b"203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (b"203.0.113.9:4711, [fd00::1]:80", "203.0.113.9"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"[2001:db8::1]:80", "2001:db8::1"),
        (b"::ffff:203.0.113.9", "203.0.113.9"),
        (b"10.0.0.3, 10.0.0.2", "10.0.0.3"),  # all trusted: the first of them
        (b"203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        (b"203.0.113.9, \xff", "10.0.0.1"),
        (b'fe80::1%","status":"200', "10.0.0.1"),  # a zone may be anything, and this goes into the log
        (b"[fe80::1%eth0]:80", "10.0.0.1"),
        (b"fe80::1%eth0", "10.0.0.1"),
        (b"1.2.3.4, " + b"10.0.0.2, " * 40 + b"10.0.0.2", "10.0.0.2"),
    ],
)
def test_the_client_is_the_right_most_hop_that_is_not_trusted(said: bytes, client: str) -> None:
    trust = Trust(("10.0.0.0/8", "fd00::/8"))
    assert trust.client(said.split(b",") if said else [], "10.0.0.1") == client


def test_trust_is_by_network_and_remembers_a_bounded_number() -> None:
    trust = Trust(("10.0.0.0/8", "2001:db8::/32"))
    assert trust
    assert not Trust(())
    assert trust.covers("::ffff:10.1.2.3")
    assert trust.covers("2001:db8::7")
    assert not trust.covers("nobody")
    for number in range(REMEMBERED + 10):
        assert not trust.covers(f"192.0.{number >> 8}.{number & 255}")
    assert len(trust._known) <= REMEMBERED


def test_lists_of_networks() -> None:
    assert forwarded.trust("10.0.0.0/8, ::1,10.0.0.0/8") == ("10.0.0.0/8", "::1/128")
    for text in ("", "10.0.0.1/8", "host", "10.0.0.0/33"):
        with pytest.raises(ValueError, match="networks"):
            forwarded.trust(text)


def test_pseudonyms() -> None:
    assert forwarded.pseudonym("edge-1.example") == "edge-1.example"
    for text in ("", "a b", "x" * 65, "a,b"):
        with pytest.raises(ValueError, match="name"):
            forwarded.pseudonym(text)


def test_scheme_and_host_are_believed_if_they_are_one() -> None:
    assert forwarded.proto([b"HTTPS"]) == b"https"
    assert forwarded.proto([b"https", b"http"]) == forwarded.proto([b"ftp"]) == forwarded.proto(None) == b""
    assert forwarded.host([b"a.example:443"]) == b"a.example:443"
    assert forwarded.host([b"a b"]) == forwarded.host([b"a", b"b"]) == forwarded.host(None) == b""


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ([b"1.1 other, 1.0 EDGE (comment)"], True),
        ([b"1.1 other", b"HTTP/1.1 edge"], True),
        ([b"1.1 edge2", b"edge 1.1"], False),
        ([b"edge"], False),
        (None, False),
    ],
)
def test_a_loop_is_seen_by_the_name_in_via(values: list[bytes] | None, seen: bool) -> None:
    assert forwarded.looped(values, "Edge") is seen
