"""Edits of field lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rauta_control.action import HeaderEdit
from rauta_control.edit import _OURS, Edit, unusable

PAGE = Path(__file__).parents[3] / "docs" / "filters.md"
# What the first item about header modifiers names, `x-rauta-*` and the character `-` besides.
DOCUMENTED = re.findall(r"`([\w-]{2,})\*?`", PAGE.read_text().partition("cannot be edited")[2].partition("which a")[0])
FIELDS = b"Host: h\r\nX-A: 1\r\nx-a: 2\r\nX-AB: 3\r\nX-B:\r\n"


@pytest.mark.parametrize(
    ("edit", "after"),
    [
        (HeaderEdit(), FIELDS),
        (HeaderEdit(drop=("X-A",)), b"Host: h\r\nX-AB: 3\r\nX-B:\r\n"),
        (HeaderEdit(drop=("x-b", "host")), b"X-A: 1\r\nx-a: 2\r\nX-AB: 3\r\n"),
        (HeaderEdit(replace=(("X-a", "new"),)), b"Host: h\r\nX-AB: 3\r\nX-B:\r\nX-a: new\r\n"),
        (HeaderEdit(append=(("X-A", "3"), ("X-C", "4"))), FIELDS + b"X-A: 3\r\nX-C: 4\r\n"),
        (HeaderEdit(drop=("A.B", "1")), FIELDS),  # names are not patterns, values are not names
        (HeaderEdit(drop=("A", "AB")), FIELDS),  # and the end of a name is not one
    ],
)
def test_edits(edit: HeaderEdit, after: bytes) -> None:
    assert Edit(edit).apply(FIELDS) == after


def test_of_a_request_what_is_the_same_to_cgi_goes_too() -> None:
    fields = b"X-User: a\r\nX_User: b\r\nx.user: c\r\nXUser: d\r\nX-User-Id: e\r\n"
    edit = HeaderEdit(replace=(("X-User", "me"),))
    kept = b"XUser: d\r\nX-User-Id: e\r\nX-User: me\r\n"
    assert Edit(edit, request=True).apply(fields) == kept
    assert Edit(HeaderEdit(drop=("x_user",)), request=True).apply(fields) == kept.removesuffix(b"X-User: me\r\n")
    assert Edit(edit).apply(fields) == b"X_User: b\r\nx.user: c\r\n" + kept
    for disguise in b"!#$%&'*+-.^_`|~":  # what a name may have besides letters and digits (RFC 9110 5.6.2)
        assert Edit(edit, request=True).apply(b"X%cUser: b\r\n" % disguise) == b"X-User: me\r\n"


@pytest.mark.parametrize(
    "name",
    [
        *DOCUMENTED,
        "transfer-encoding",
        "proxy_connection",  # what CGI takes for the same
        "Content_Length",
        "",
        "a b",
        "a:",
        "a\r\nb",
    ],
)
@pytest.mark.parametrize("kind", ["replace", "append", "drop"])
def test_some_names_cannot_be_edited(name: str, kind: str) -> None:
    edit = HeaderEdit(**{kind: (name,) if kind == "drop" else ((name, "1"),)})  # type: ignore[arg-type]
    assert [each for each, _ in unusable(edit)] == [name]


def test_they_are_documented() -> None:
    assert sorted(name.lower() for name in DOCUMENTED) == sorted({*_OURS, "host", "x-rauta-"})


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nb", "a\0", "\x7f"])
def test_no_value_can_begin_another_line(value: str) -> None:
    assert [name for name, _ in unusable(HeaderEdit(replace=(("A", value),)))] == ["A"]


def test_other_edits_are_fine() -> None:
    edit = HeaderEdit((("X-Forwarded-Proto", "https"),), (("Via", "a\tb"),), ("Cookie", "X-Host", "Proxy-Status"))
    assert list(unusable(edit)) == []
