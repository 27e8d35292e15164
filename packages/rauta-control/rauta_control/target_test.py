"""Changed targets, by the table of the specification and at its edges."""

from __future__ import annotations

import pytest

from rauta_control.action import PathEdit
from rauta_control.path import normalise
from rauta_control.target import PathChange, replacement

# Request path, prefix (translation takes the slash at its end away), replacement, modified path.
PREFIXES = [
    # HTTPPathModifier.replacePrefixMatch, v1.6.1
    ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
    ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
    ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
    ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
    ("/foo", "/foo", "/xyz", "/xyz"),
    ("/foo/", "/foo", "/xyz", "/xyz/"),
    ("/foo/bar", "/foo", "", "/bar"),
    ("/foo/", "/foo", "", "/"),
    ("/foo", "/foo", "", "/"),
    ("/foo/", "/foo", "/", "/"),
    ("/foo", "/foo", "/", "/"),
    # beyond it
    ("/", "/", "/xyz", "/xyz/"),
    ("/bar", "/", "/xyz", "/xyz/bar"),
    ("/bar", "/", "/", "/bar"),
    ("/foo//bar", "/foo", "/xyz", "/xyz//bar"),
    ("/foo/%2Fbar", "/foo", "/a%20b", "/a%20b/%2Fbar"),
    ("/foo?a=/foo/", "/foo", "/xyz", "/xyz?a=/foo/"),
    ("/foo?", "/foo", "", "/?"),
    ("/foo/bar?a?b", "/foo", "/xyz", "/xyz/bar?a?b"),
    ("*", "/", "/xyz", "*"),
]


@pytest.mark.parametrize(("before", "prefix", "new", "after"), PREFIXES)
def test_prefixes(before: str, prefix: str, new: str, after: str) -> None:
    change = PathChange(PathEdit(replacement(new), prefix=True), prefix.encode())
    assert change.apply(before.encode()) == after.encode()


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        ("/foo/bar", "/xyz", "/xyz"),
        ("/foo", "/xyz/", "/xyz/"),
        ("/foo?a=b", "/xyz", "/xyz?a=b"),
        ("/foo?a", "", "/?a"),
        ("*", "/xyz", "*"),
    ],
)
@pytest.mark.parametrize("prefix", [b"", b"/foo"])
def test_whole_paths(before: str, new: str, after: str, prefix: bytes) -> None:
    assert PathChange(PathEdit(replacement(new)), prefix).apply(before.encode()) == after.encode()


def test_a_rule_without_a_prefix_has_its_whole_path_replaced() -> None:
    assert PathChange(PathEdit("/xyz", prefix=True), b"").apply(b"/foo?a") == b"/xyz?a"


@pytest.mark.parametrize(
    ("value", "normal"),
    [("", "/"), ("/", "/"), ("/a/./b/../c", "/a/c"), ("/%7eme/%2f", "/~me/%2F"), ("/a//b/", "/a//b/")],
)
def test_replacements_are_normal_paths(value: str, normal: str) -> None:
    assert replacement(value) == normal
    assert normalise(normal.encode()).decode() == normal


@pytest.mark.parametrize(
    "value", ["a", "http://a/", "/a b", "/a?b", "/a#b", "/a\r\nb", "/é", "/%", "/%00", "/..", "/a\\b", "/a\n"]
)
def test_what_is_no_path_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"is not a path|does not begin with"):
        replacement(value)
