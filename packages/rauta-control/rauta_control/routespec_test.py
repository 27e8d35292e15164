import pytest

from rauta_control import routespec
from rauta_control.routespec import Address, BackendSpec, RouteSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("0.0.0.0:0", Address("0.0.0.0", 0)),
        ("[::]:8080", Address("::", 8080)),
        ("[0:0::1]:80", Address("::1", 80)),
        (":8080", Address("::", 8080)),
        ("localhost:65535", Address("127.0.0.1", 65535)),
    ],
)
def test_addresses(text: str, expected: Address) -> None:
    assert routespec.address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "8080", "127.0.0.1", "::1:8080", "[::1]", "web:80", "1.2.3:80", "a:b:80", "[web]:80"]
)
def test_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|an IP address"):
        routespec.address(text)


@pytest.mark.parametrize("port", ["-1", "65536", "x", "", " 80", "8_0", "٨٠", "1e3", "9" * 5000])
def test_no_ports(port: str) -> None:
    with pytest.raises(ValueError, match="a port from 0 to 65535"):
        routespec.address(f"127.0.0.1:{port}")


def test_addresses_print_as_they_are_written() -> None:
    assert [str(Address(host, 80)) for host in ("::1", "10.0.0.1", "web")] == ["[::1]:80", "10.0.0.1:80", "web:80"]
    assert str(BackendSpec("::1", 80, 3)) == "[::1]:80*3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", BackendSpec("127.0.0.1", 80)),
        ("[FD00::1]:80", BackendSpec("fd00::1", 80)),
        ("web:8080*3", BackendSpec("web", 8080, 3)),
        ("Web.Example.:1*0", BackendSpec("web.example", 1, 0)),
        ("a-1.b--2.3c:65535", BackendSpec("a-1.b--2.3c", 65535)),
        ("1and1.example:80", BackendSpec("1and1.example", 80)),
        (f"{'a' * 63}.example:80", BackendSpec(f"{'a' * 63}.example", 80)),
    ],
)
def test_backends(text: str, expected: BackendSpec) -> None:
    assert routespec.backend(text) == expected


@pytest.mark.parametrize(
    ("text", "expects"),
    [
        ("web", "HOST:PORT"),
        ("", "HOST:PORT"),
        (":80", "neither an IP address nor a host name"),
        ("::1:80", "HOST:PORT"),
        ("web:0", "a port from 1 to 65535"),
        ("web:65536", "a port from 1 to 65535"),
        ("web:http", "a port from 1 to 65535"),
        ("10.0.0.256:80", "neither an IP address nor a host name"),
        ("10.1:80", "neither"),
        ("-web:80", "neither"),
        ("web-:80", "neither"),
        ("my_app:80", "neither"),
        ("a..b:80", "neither"),
        ("wéb:80", "neither"),
        ("a b:80", "neither"),
        ("*.example:80", "HOST:PORT"),
        (f"{'a' * 64}:80", "neither"),
        (f"{'a.' * 127}ab:80", "neither"),
        ("http://web:80", "HOST:PORT"),
        ("web:80*", "a weight from 0 to 1000000"),
        ("web:80*-1", "a weight"),
        ("web:80*1.5", "a weight"),
        ("web:80*1000001", "a weight"),
    ],
)
def test_no_backends(text: str, expects: str) -> None:
    with pytest.raises(ValueError, match=expects.replace("*", r"\*")):
        routespec.backend(text)


def test_a_pool_has_weights_for_all_or_none() -> None:
    a, b, weighted = BackendSpec("a", 1), BackendSpec("b", 2), BackendSpec("c", 3, 5)
    assert routespec.pool([a, b]) == (a, b)
    assert routespec.pool([a, weighted]) == (BackendSpec("a", 1, 1), weighted)


def test_a_pool_has_each_backend_once_and_somebody_to_send_to() -> None:
    with pytest.raises(ValueError, match="a:1 is there twice"):
        routespec.pool([BackendSpec("a", 1, 1), BackendSpec("a", 1, 2)])
    with pytest.raises(ValueError, match="at least one weight above 0"):
        routespec.pool([BackendSpec("a", 1, 0), BackendSpec("b", 1, 0)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/=a:1", RouteSpec("", "/", (BackendSpec("a", 1),))),
        ("/api/=a:1, b:2", RouteSpec("", "/api", (BackendSpec("a", 1), BackendSpec("b", 2)))),
        ("Shop.Example/x=a:1*9", RouteSpec("shop.example", "/x", (BackendSpec("a", 1, 9),))),
        ("*.example.com/=a:1", RouteSpec("*.example.com", "/", (BackendSpec("a", 1),))),
        ("/a=b;c=d/@:=[::1]:1", RouteSpec("", "/a=b;c=d/@:", (BackendSpec("::1", 1),))),
        ("/caf%C3%A9=a:1", RouteSpec("", "/caf%C3%A9", (BackendSpec("a", 1),))),
    ],
)
def test_routes(text: str, expected: RouteSpec) -> None:
    assert routespec.route(text) == expected


@pytest.mark.parametrize(
    ("text", "expects"),
    [
        ("", "HOST.*/PATH=BACKEND"),
        ("/", "HOST.*/PATH=BACKEND"),
        ("=a:1", "HOST.*/PATH=BACKEND"),
        ("shop=a:1", "HOST.*/PATH=BACKEND"),
        ("shop:80/=a:1", "a host name such as"),
        ("10.0.0.1/=a:1", "a host name such as"),
        ("*/=a:1", "a host name such as"),
        ("a.*.b/=a:1", "a host name such as"),
        ("/a b=a:1", "a path without query"),
        ("/a?b=a:1", "a path without query"),
        ("/a#b=a:1", "a path without query"),
        ("/a//b=a:1", "a path without query"),
        ("/é=a:1", "a path without query"),
        ("/a%zz=a:1", "a path without broken escape"),
        ("/a%00=a:1", "a path without escape %00"),
        ("/../a=a:1", "a path without above the root"),
        ("/a/../b=a:1", "the path in normal form: /b"),
        ("/%61=a:1", "the path in normal form: /a"),
        ("/a=", "HOST:PORT"),
        ("/a=a:1,", "HOST:PORT"),
        ("/a=a:1,a:1", "a:1 is there twice"),
    ],
)
def test_no_routes(text: str, expects: str) -> None:
    with pytest.raises(ValueError, match=expects):
        routespec.route(text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "::1", False),
        ("0.0.0.0", "::", True),
        ("::", "::1", True),
        ("::", "127.0.0.1", True),
    ],
)
def test_overlap(one: str, other: str, expected: bool) -> None:
    for left, right in ((one, other), (other, one)):
        assert routespec.overlap(Address(left, 80), Address(right, 80)) is expected
        assert not routespec.overlap(Address(left, 80), Address(right, 81))
        assert not routespec.overlap(Address(left, 0), Address(right, 0))
