"""Many routes: half on one host, half each on its own, over all backends."""

from .setup import SHARED_HOST, many


def test_half_of_the_routes_share_a_host() -> None:
    setup = many(1000, (1, 2, 3))
    hosts = setup.hosts()
    assert len(setup.routes) == 1000
    assert len(hosts[SHARED_HOST]) == 500
    assert len(hosts) == 501
    assert setup.ports == (1, 2, 3)


def test_the_slash_ends_a_segment() -> None:
    first, *_, last = many(4, (1,)).routes
    assert (first.prefix, first.slashed, last.slashed) == ("/r0", "/r0/", "/")
