"""Which certificates a server name is answered with."""

from __future__ import annotations

import pytest

from rauta_control.ir import Secret, ServerName
from rauta_control.servername import choose, entry

NAMES = {name: ServerName(name, ("s",)) for name in ("a.example", "*.example", "*.deep.example", "*")}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("a.example", "a.example"),
        ("b.example", "*.example"),
        ("x.y.example", "*.example"),
        ("b.deep.example", "*.deep.example"),
        ("deep.example", "*.example"),
        ("example", "*"),
        ("", "*"),
        ("*.example", "*.example"),
        ("\xff\x00", "*"),
    ],
)
def test_the_most_specific_entry_counts(wanted: str, found: str) -> None:
    assert entry(NAMES, wanted) is NAMES[found]


def test_without_a_name_only_the_entry_for_all_counts_and_nobody_has_one_that_is_too_long() -> None:
    names = {name: each for name, each in NAMES.items() if name != "*"}
    assert entry(names, "") is None
    assert entry(NAMES, "x" * 256) is None
    assert entry(names, "other.test") is None


def secret(name: str, key_type: str, *hostnames: str) -> Secret:
    return Secret(name, b"c", b"k", hostnames, key_type)


A_RSA, A_EC = secret("1", "RSA", "a.example"), secret("2", "EC", "a.example")
B_RSA, WILD_EC = secret("3", "RSA", "b.example", "c.example"), secret("4", "EC", "*.example")


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("a.example", "12"),
        ("b.example", "34"),
        ("z.example", "4"),  # no RSA certificate is for it
        ("other.test", "12"),  # none is: clients will say so
        ("x.y.example", "12"),  # a certificate's wildcard is one label
        ("", "12"),
    ],
)
def test_one_certificate_of_each_kind_the_first_that_is_for_the_name(wanted: str, names: str) -> None:
    chosen = choose((A_RSA, A_EC, B_RSA, WILD_EC), wanted)
    assert "".join(sorted(each.name for each in chosen)) == names


def test_a_certificate_that_is_for_the_name_is_not_replaced() -> None:
    assert choose((A_EC, WILD_EC), "a.example") == (A_EC,)
    assert choose((), "a.example") == ()
