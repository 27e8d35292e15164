import pytest

from rauta_cli.arguments import Format, format_of, global_first


@pytest.mark.parametrize(
    ("arguments", "ordered"),
    [
        ([], []),
        (["status"], ["status"]),
        (["status", "--format", "json"], ["--format=json", "status"]),
        (["--timeout=1", "routes", "list", "--method", "GET", "--format=agent"], None),
        (["status", "--format", "json", "--format", "agent"], ["--format=json", "--format=agent", "status"]),
        (["routes", "get", "--", "--format", "json"], ["routes", "get", "--", "--format", "json"]),
        (["status", "--endpoint", "x", "--format"], ["--endpoint=x", "--format"]),
        (["metrics", "--formatted", "json"], ["metrics", "--formatted", "json"]),
        (["status", "--endpoint="], ["--endpoint=", "status"]),
    ],
)
def test_global_options_come_first_in_their_order(arguments: list[str], ordered: list[str] | None) -> None:
    expected = (
        ordered if ordered is not None else ["--timeout=1", "--format=agent", "routes", "list", "--method", "GET"]
    )
    assert global_first(arguments) == expected
    assert global_first(expected) == expected


@pytest.mark.parametrize(
    ("arguments", "variable", "is_terminal", "expected"),
    [
        ([], "", True, Format.TABLE),
        ([], "", False, Format.JSON),
        ([], "agent", True, Format.AGENT),
        (["--format=json"], "agent", True, Format.JSON),
        (["--format=json", "--format=table"], "", False, Format.TABLE),
        (["--format=agent", "--format=xml"], "", False, Format.AGENT),
        (["--format=xml"], "yaml", True, Format.TABLE),
    ],
)
def test_the_last_good_word_on_the_format_wins(
    arguments: list[str], variable: str, is_terminal: bool, expected: Format
) -> None:
    assert format_of(arguments, variable, is_terminal) is expected
