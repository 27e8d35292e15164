"""Values of fields, held against a parser that takes a head apart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rauta_control import field

NAMES = st.sampled_from(["One", "one", "Two", "One-Two", "Cookie"])
CONTENTS = st.text("aB: ,;=\t1", max_size=8).map(lambda text: text.strip(" \t"))


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, st.sampled_from(["", " ", "\t "]), CONTENTS), max_size=6), NAMES)
def test_values_of_a_name_in_order(lines: list[tuple[str, str, str]], name: str) -> None:
    head = "GET /one:?One: x HTTP/1.1\r\n" + "".join(f"{given}:{space}{content}\r\n" for given, space, content in lines)
    found = field.value(head.encode(), head.encode().lower(), field.needle(name))
    values = [content for given, _, content in lines if given.lower() == name.lower()]
    joined = ("; " if name == "Cookie" else ", ").join(values).encode()
    assert found == (joined if values else None)


def test_a_cookie_is_found_by_its_exact_name() -> None:
    head = b'GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; id="x=y";ID=2\r\ncookie: b; id=3\r\n'
    values = [field.cookie(head, head.lower(), name) for name in (b"a", b"id", b"ID", b"b", b"c")]
    assert values == [b"1", b'"x=y"', b"2", None, None]
    assert field.cookie(b"GET / HTTP/1.1\r\n", b"get / http/1.1\r\n", b"a") is None


@pytest.mark.parametrize(
    ("name", "stated", "taken"),
    [
        ("X-Forwarded-For", True, False),
        ("forwarded", True, False),
        ("X-Forwarded", True, True),
        ("x-forwarded-port", True, True),
        ("X-Real-Ip", True, True),
        ("X-Rauta-Reason", True, True),
        ("X-Forwardedx", False, False),
        ("X-Request-Id", True, False),
        ("Host", False, False),
    ],
)
def test_what_only_the_gateway_says(name: str, stated: bool, taken: bool) -> None:
    assert (field.is_stated(name), field.is_taken(name)) == (stated, taken)
