import pytest

from rauta_control.hostname import closest, covers, intersect, wider


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("*", "a.example", "a.example"),
        ("*", "*", "*"),
        ("*.example.com", "*", "*.example.com"),
        ("*.example.com", "a.example.com", "a.example.com"),
        ("*.example.com", "a.b.example.com", "a.b.example.com"),
        ("*.example.com", "*.b.example.com", "*.b.example.com"),
        ("*.example.com", "example.com", None),
        ("*.example.com", "badexample.com", None),
        ("a.example.com", "a.example.com", "a.example.com"),
        ("a.example.com", "b.example.com", None),
        ("*.example.com", "*.example.com", "*.example.com"),
        ("*.example.com", "*.example.net", None),
        ("*.example.com", "*.ample.com", None),
    ],
)
def test_the_intersection_is_the_narrower_one(one: str, other: str, expected: str | None) -> None:
    assert intersect(one, other) == intersect(other, one) == expected


def test_a_wildcard_does_not_cover_the_bare_domain() -> None:
    assert not covers("*.example.com", "example.com")
    assert not covers("a.example.com", "*")


def test_exact_comes_before_wildcard_and_long_before_short() -> None:
    names = ["*", "*.com", "*.example.com", "a.example.com"]
    assert closest("a.example.com", names) == "a.example.com"
    assert closest("b.example.com", names) == "*.example.com"
    assert closest("x.org", names) == "*"
    assert closest("x.org", ["*.com"]) is None


def test_wider_names_are_those_that_cover() -> None:
    assert list(wider("a.b.example")) == ["*.b.example", "*.example", "*"]
    assert list(wider("*.b.example")) == ["*.example", "*"]
    assert list(wider("*.example")) == ["*"]
    assert list(wider("localhost")) == ["*"]
    assert list(wider("*")) == []
    for name in wider("a.b.example"):
        assert covers(name, "a.b.example")
