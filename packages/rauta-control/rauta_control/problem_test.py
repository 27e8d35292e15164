"""Wordings and paths of problems."""

from __future__ import annotations

import pytest

from rauta_control.problem import MAX_QUOTED, Problem, invalid, join, nearest, quote, unknown_field


@pytest.mark.parametrize(
    ("parent", "child", "path"),
    [
        ("", "a", "a"),
        ("a", "", "a"),
        ("a", "b[0]", "a.b[0]"),
        ("a", "[0]", "a[0]"),
        ("a[0]", "b", "a[0].b"),
        ("", "", ""),
    ],
)
def test_paths_join(parent: str, child: str, path: str) -> None:
    assert join(parent, child) == path


def test_a_problem_reads_as_the_api_server_would_put_it() -> None:
    assert str(invalid("a.b", "c", "must be d")) == 'a.b: Invalid value: "c": must be d'
    assert str(Problem("", "not JSON")) == "not JSON"


def test_a_value_is_quoted_on_one_line_and_shortened() -> None:
    assert quote("a\nb") == '"a\\nb"'
    assert len(quote("a" * 1000)) == MAX_QUOTED + len('..."')
    assert (quote(1), quote(True)) == ("1", "true")


@pytest.mark.parametrize(("name", "meant"), [("matchs", "matches"), ("backendrefs", "backendRefs"), ("xyzzy", "")])
def test_what_a_user_meant(name: str, meant: str) -> None:
    assert nearest(name, ["matches", "filters", "backendRefs"]) == meant


def test_an_unknown_field_without_a_near_one_lists_what_there_is() -> None:
    assert (
        unknown_field("a", "xyzzy", ["name", "group"]).message
        == 'unknown field "a.xyzzy", ignored; known here: group, name'
    )
