"""CORS: the table of the Fetch standard's protocol, of Gateway API's filter, and of its conformance test."""

from __future__ import annotations

import pytest

from rauta_control.action import Cors
from rauta_control.cors import Sharing, is_preflight, share

FIRST = Cors(
    ("https://www.foo.com", "https://*.bar.com"),
    ("GET", "OPTIONS"),
    ("x-header-1", "x-header-2"),
    ("x-header-3", "x-header-4"),
    True,
    3600,
)
ALL = Cors(("*",), ("*",), ("*",))


def fields(origin: str = "", **more: str) -> bytes:
    """Field lines of a request."""
    given = {"Host": "h", **({"Origin": origin} if origin else {}), **more}
    return "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items()).encode()


def said(lines: bytes) -> dict[str, str]:
    """Field lines by name, in lower case; none is there twice."""
    pairs = [line.split(": ", 1) for line in lines.decode().splitlines()]
    assert len({name.lower() for name, _ in pairs}) == len(pairs)
    return {name.lower().removeprefix("access-control-"): value for name, value in pairs}


@pytest.mark.parametrize(
    ("allowed", "origin", "yes"),
    [
        ("https://www.foo.com", "https://www.foo.com", True),
        ("https://www.foo.com", "https://www.foo.com:443", True),  # the port that https has
        ("https://www.foo.com:443", "https://www.foo.com", True),
        ("http://www.foo.com:80", "http://www.foo.com", True),
        ("https://WWW.foo.com", "https://www.foo.com", True),
        ("https://www.foo.com", "http://www.foo.com", False),
        ("https://www.foo.com", "https://www.foo.com:8443", False),
        ("https://www.foo.com", "https://foo.com", False),
        ("https://www.foo.com", "https://www.foo.com.evil.example", False),
        ("https://www.foo.com", "https://www-foo.com", False),
        ("https://www.foo.com", "null", False),
        ("https://*.bar.com", "https://www.bar.com", True),
        ("https://*.bar.com", "https://xpto.www.bar.com", True),
        ("https://*.bar.com", "https://bar.com", False),
        ("https://*.bar.com", "https://evilbar.com", False),
        ("https://*.bar.com", "https://wwwxbar.com", False),
        ("https://*.bar.com", "https://a@x.bar.com", False),
        ("https://*.bar.com", "https://evil.example/.bar.com", False),
        ("https://*.bar.com", "https://www.bar.com:8443", False),
        ("https://*.bar.com:8443", "https://www.bar.com:8443", True),
        ("https://*", "https://anything", True),
        ("https://*", "https://[2001:db8::1]", True),
        ("https://*", "http://anything", False),
        ("https://*", "https://anything:8443", False),
        ("http://*:8080", "http://anything:8080", True),
        ("http://[::1]:80", "http://[::1]", True),
        ("*", "https://anything:1234", True),
        ("*", "null", True),
        ("*", "moz-extension://0f", True),
        ("*", "a b", False),  # nothing that a browser says
        ("*", "\x80", False),
        ("*", "https://" + "a" * 300, False),
    ],
)
def test_origins(allowed: str, origin: str, yes: bool) -> None:
    lines = b"Origin: %b\r\n" % origin.encode("latin-1")
    among_others = Cors(("http://*.first.example", allowed, "http://*.last.example"))
    assert Sharing(among_others).origin(lines) == (origin.encode() if yes else b"")


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"Host: https://a\r\n",
        b"Origin:\r\n",
        b"X-Origin: https://a\r\n",
        b"Origin: https://a\r\norigin: https://b\r\n",  # two say nothing
        b"Origin: https://a, https://a\r\n",
    ],
)
def test_no_origin(lines: bytes) -> None:
    assert Sharing(ALL).origin(lines) == b""


def test_an_origin_is_found_among_other_fields() -> None:
    assert Sharing(ALL).origin(b"Host: h\r\nORIGIN:https://a \r\nX: y\r\n") == b"https://a"


def test_nobody_is_allowed_where_no_origin_is() -> None:
    assert Sharing(Cors()).origin(fields("https://a")) == b""


def test_a_preflight_of_the_conformance_test() -> None:
    lines = fields(
        "https://www.foo.com",
        access_control_request_method="GET",
        access_control_request_headers="x-header-1, x-header-2",
    )
    sharing = Sharing(FIRST)
    assert said(sharing.preflight(lines, sharing.origin(lines))) == {
        "allow-origin": "https://www.foo.com",
        "allow-methods": "GET, OPTIONS",
        "allow-headers": "x-header-1, x-header-2",
        "expose-headers": "x-header-3, x-header-4",
        "max-age": "3600",
        "allow-credentials": "true",
        "vary": "Origin",
    }


@pytest.mark.parametrize("credentials", [False, True])
def test_stars_are_answered_with_what_was_asked(credentials: bool) -> None:
    lines = fields(
        "https://a", Access_Control_Request_Method="PUT", Access_Control_Request_Headers="x-1, authorization"
    )
    answer = said(Sharing(Cors(("*",), ("*",), ("*",), (), credentials)).preflight(lines, b"https://a"))
    assert answer["allow-origin"] == "https://a"
    assert answer["allow-methods"] == "PUT"
    assert answer["allow-headers"] == "x-1, authorization"
    assert answer.get("allow-credentials") == ("true" if credentials else None)


@pytest.mark.parametrize("headers", ["*", "x-1"])
def test_what_was_not_asked_is_not_answered(headers: str) -> None:
    lines = fields("https://a", Access_Control_Request_Method="POST")
    assert said(Sharing(Cors(("*",), ("*",), (headers,))).preflight(lines, b"https://a")) == {
        "allow-origin": "https://a",
        "allow-methods": "POST",
        "max-age": "5",
        "vary": "Origin",
    }


@pytest.mark.parametrize("asked", ["a: b", "x\x80", 'x"', "<script>"])
def test_nothing_but_names_is_said_again(asked: str) -> None:
    lines = fields("https://a", Access_Control_Request_Method="GET")
    lines += b"Access-Control-Request-Headers: %b\r\n" % asked.encode("latin-1")
    assert "allow-headers" not in said(Sharing(ALL).preflight(lines, b"https://a"))


def test_without_lists_only_what_is_always_allowed() -> None:
    lines = fields("https://a", Access_Control_Request_Method="GET", Access_Control_Request_Headers="x")
    assert said(Sharing(Cors(("*",))).preflight(lines, b"https://a")).keys() == {"allow-origin", "max-age", "vary"}


@pytest.mark.parametrize(
    ("method", "lines", "yes"),
    [
        (b"OPTIONS", fields("https://a", Access_Control_Request_Method="GET"), True),
        (b"OPTIONS", b"origin:a\r\naccess-control-request-method:GET\r\n", True),
        (b"GET", fields("https://a", Access_Control_Request_Method="GET"), False),
        (b"OPTIONS", fields("https://a"), False),
        (b"OPTIONS", fields(Access_Control_Request_Method="GET"), False),
    ],
)
def test_preflights(method: bytes, lines: bytes, yes: bool) -> None:
    assert is_preflight(method, lines) is yes


def test_responses() -> None:
    sharing = Sharing(FIRST)
    assert said(sharing.granted(b"https://www.foo.com")) == {
        "allow-origin": "https://www.foo.com",
        "allow-credentials": "true",
        "expose-headers": "x-header-3, x-header-4",
        "vary": "Origin",
    }
    assert said(sharing.granted(b"")) == {"vary": "Origin"}


def test_stars_expose_everything_but_not_with_credentials() -> None:
    assert said(Sharing(Cors(("*",), expose=("*",))).granted(b"https://a"))["expose-headers"] == "*"
    assert "expose-headers" not in said(Sharing(Cors(("*",), expose=("*",), credentials=True)).granted(b"https://a"))


def test_what_the_backend_said_is_replaced() -> None:
    backend = (
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nX: 1\r\nACCESS-CONTROL-ALLOW-CREDENTIALS: true\r\n"
        b"access-control-allow-methods: a\r\nAccess-Control-Allow-Headers: a\r\nAccess-Control-Expose-Headers: a\r\n"
        b"Access-Control-Max-Age: 9\r\nAccess-Control-Other: 1\r\n"
    )
    granted = Sharing(Cors(("*",))).granted(b"https://a")
    assert share(backend, granted) == (
        b"HTTP/1.1 200 OK\r\nX: 1\r\nAccess-Control-Other: 1\r\n"
        b"Access-Control-Allow-Origin: https://a\r\nVary: Origin\r\n"
    )


@pytest.mark.parametrize(
    ("vary", "enough"),
    [
        ("Origin", True),
        ("origin", True),
        ("Accept, Origin", True),
        ("Accept,origin,X", True),
        ("*", True),
        ("Accept", False),
        ("X-Origin", False),
        ("Origin-X", False),
    ],
)
def test_vary_is_said_once(vary: str, enough: bool) -> None:
    after = share(f"HTTP/1.1 200 OK\r\nVary: {vary}\r\n".encode(), b"A: 1\r\nVary: Origin\r\n")
    assert after.count(b"Vary:") == (1 if enough else 2)
    assert after.endswith(b"A: 1\r\n" if enough else b"A: 1\r\nVary: Origin\r\n")


@pytest.mark.parametrize("before", [b"", b"a"])
@pytest.mark.parametrize("after", [b"@", b"a", b""])
def test_blanks_cost_no_more_than_their_number(before: bytes, after: bytes) -> None:
    """Were each of them looked at more than once, this would not end."""
    value = before + b" " * 48_000 + after
    sharing = Sharing(ALL)
    lines = b"Origin:%b\r\nAccess-Control-Request-Method:%b\r\nAccess-Control-Request-Headers:%b\r\n" % ((value,) * 3)
    is_preflight(b"OPTIONS", lines)
    sharing.origin(lines)
    sharing.preflight(lines, b"https://a.example")


def test_blanks_around_values_do_not_count() -> None:
    lines = b"Origin: \thttps://a.example\t \r\nAccess-Control-Request-Headers:  x-one, x-two \t\r\n"
    sharing = Sharing(ALL)
    assert sharing.origin(lines) == b"https://a.example"
    assert b"\r\nAccess-Control-Allow-Headers: x-one, x-two\r\n" in sharing.preflight(lines, b"https://a.example")
