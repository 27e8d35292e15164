"""Guard: programs on this machine and on the network are served, web pages of others are not."""

import pytest

from rauta_control.crossorigin import refusal


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:9091", "LOCALHOST:9091", "rauta.localhost", "127.0.0.1:9091", "10.1.2.3", "[::1]:9091"],
)
def test_names_that_cannot_be_rebound_are_served(host: str) -> None:
    assert refusal(host, None) == ""


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "localhost.evil.example:9091",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example#localhost",
        "localhost:port",
        "localhost/",
        "0x7f.1",
        "[::1",
        "127.0.0.1 ",
    ],
)
def test_other_names_are_refused(host: str | None) -> None:
    assert "is neither localhost nor an IP address" in refusal(host, None)


@pytest.mark.parametrize(
    "origin",
    ["http://10.1.2.3:9091", "https://10.1.2.3:9091", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:80"],
)
def test_pages_of_the_same_site_or_machine_are_served(origin: str) -> None:
    assert refusal("10.1.2.3:9091", origin) == ""


@pytest.mark.parametrize(
    "origin", ["null", "", "http://evil.example", "http://6.6.6.6", "http://10.1.2.3:80", "file://"]
)
def test_pages_of_other_sites_are_refused(origin: str) -> None:
    assert refusal("10.1.2.3:9091", origin) == f"the Origin {origin!r} is another site"
