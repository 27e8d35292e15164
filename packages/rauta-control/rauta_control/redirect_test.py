"""Where redirects go."""

from __future__ import annotations

import pytest

from rauta_control.action import PathEdit, Redirect
from rauta_control.reasons import Refused
from rauta_control.redirect import Redirection

HTTP = Redirect(302, "http", 0)


@pytest.mark.parametrize(
    ("redirect", "host", "target", "location"),
    [
        (HTTP, "a.example", "/x?y=z", "http://a.example/x?y=z"),
        (HTTP, "a.example:8080", "/", "http://a.example/"),  # the port is the listener's, not what a client says
        (HTTP, "a.example.", "/", "http://a.example/"),
        (HTTP, "[2001:db8::1]:8080", "/", "http://[2001:db8::1]/"),
        (HTTP, "192.0.2.1:80", "//evil.example/", "http://192.0.2.1//evil.example/"),
        (Redirect(301, "https", 8443), "a.example:80", "/", "https://a.example:8443/"),
        (Redirect(301, "https", 8443), "[::1]", "/", "https://[::1]:8443/"),
        (Redirect(302, "http", 0, "example.org"), "a.example", "/x?y", "http://example.org/x?y"),
        (Redirect(302, "http", 0, "example.org"), "", "/", "http://example.org/"),
        (Redirect(302, "http", 0, "", PathEdit("/full")), "a", "/foo/bar?y", "http://a/full?y"),
        (Redirect(302, "http", 81, "b", PathEdit("/new", prefix=True)), "a", "/foo/bar?y", "http://b:81/new/bar?y"),
        (Redirect(302, "http", 0, "", PathEdit("/", prefix=True)), "a", "/foo", "http://a/"),
        (HTTP, "[::1]", "/a|b?c[]=<\\>", "http://[::1]/a%7Cb?c%5B%5D=%3C%5C%3E"),
        (HTTP, "a", '/"^`{}', "http://a/%22%5E%60%7B%7D"),
        (HTTP, "a", "*", "http://a"),
        (Redirect(302, "http", 0, "", PathEdit("/full")), "a", "*", "http://a"),
    ],
)
def test_locations(redirect: Redirect, host: str, target: str, location: str) -> None:
    assert Redirection(redirect, b"/foo").location(host.encode(), target.encode()) == location.encode()


def test_without_any_host_there_is_nowhere_to_go() -> None:
    with pytest.raises(Refused, match="bad_host"):
        Redirection(HTTP, b"/").location(b"", b"//evil.example/")
