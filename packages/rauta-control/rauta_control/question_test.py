"""A request that is asked about: the bytes that a client would send."""

import pytest

from rauta_agent_api.errors import AgentApiError
from rauta_control.question import question


@pytest.mark.parametrize(
    ("url", "headers", "head"),
    [
        ("http://h/a?b=c#d", (), b"GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("HTTPS://H.example:443", (), b"GET / HTTP/1.1\r\nHost: H.example\r\n\r\n"),
        ("http://h:8080/?x", (), b"GET /?x HTTP/1.1\r\nHost: h:8080\r\n\r\n"),
        ("http://h?x=http://y", (), b"GET /?x=http://y HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("h:81/a?to=http://y", (), b"GET /a?to=http://y HTTP/1.1\r\nHost: h:81\r\n\r\n"),
        ("http://[::1]:80//a", (), b"GET //a HTTP/1.1\r\nHost: [::1]\r\n\r\n"),
        ("http://h/", ("A:  b ", "a:"), b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\na: \r\n\r\n"),
        ("http://h/", ("host: other",), b"GET / HTTP/1.1\r\nhost: other\r\n\r\n"),
        ("/a", ("Host: other:81",), b"GET /a HTTP/1.1\r\nHost: other:81\r\n\r\n"),
    ],
)
def test_it_stands_as_a_client_would_send_it(url: str, headers: tuple[str, ...], head: bytes) -> None:
    assert question("get", url, headers).head == head


def test_what_the_connection_is_made_by() -> None:
    asked = question("GET", "https://Shop.example.:8443/")
    assert (asked.secure, asked.name, asked.port, asked.server_name) == (True, "Shop.example.", 8443, "shop.example")
    asked = question("GET", "https://[::1]/", ["Host: shop.example"])
    assert (asked.name, asked.port, asked.address, asked.server_name) == ("[::1]", None, "::1", "")
    asked = question("GET", "/", ["Host: shop.example:81"])
    assert (asked.secure, asked.name, asked.port) == (False, "shop.example", 81)


@pytest.mark.parametrize(
    ("method", "url", "header", "said"),
    [
        ("G ET", "http://h/", "a: b", "method: 'G ET'"),
        ("GET", "shop", "a: b", "url: 'shop' is no URL"),
        ("GET", "/a", "a: b", "url: '/a' has no host"),
        ("GET", "http:///a", "a: b", "has no host"),
        ("GET", "ftp://h/", "a: b", "'ftp' is neither http nor https"),
        ("GET", "http://u:p@h/", "a: b", "has a user"),
        ("GET", "http://h/ä", "a: b", "'ä', which no client can send"),
        ("GET", "http://h/a b", "a: b", "' ', which no client can send"),
        ("GET", "http://h/\r\nx: y", "a: b", "no client can send"),
        ("GET", "http://h:65536/", "a: b", "has port 65536"),
        ("GET", "http://h:0/", "a: b", "has port 0"),
        ("GET", "http://h/", "a", "header: 'a' is no header field"),
        ("GET", "http://h/", "a b: c", "header: 'a b: c'"),
        ("GET", "http://h/", "a: b\r\nc: d", "is no header field"),
    ],
)
def test_what_no_client_could_send_names_the_parameter_and_the_mend(
    method: str, url: str, header: str, said: str
) -> None:
    with pytest.raises(AgentApiError) as caught:
        question(method, url, [header])
    assert caught.value.code == "usage"
    assert said in caught.value.message
    assert caught.value.fix
