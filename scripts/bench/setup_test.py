"""Many routes: half on one host, half each on its own, over all backends."""

from .setup import SHARED_HOST, many


def test_half_of_the_routes_share_a_host() -> None:
    setup = many(1000, (1, 2, 3))
    hosts = setup.hosts()
    assert len(setup.routes) == 1000
    assert len(hosts[SHARED_HOST]) == 500
    assert len(hosts) == 501
    assert setup.ports == (1, 2, 3)


def test_few_of_many_are_of_all_kinds_and_backends() -> None:
    few = many(10_000, (1, 2, 3, 4)).of_few(10)
    assert len(few.routes) == 10
    assert len(few.hosts()[SHARED_HOST]) == 5
    assert few.ports == (1, 2, 3, 4)


def test_the_slash_ends_a_segment() -> None:
    first, *_, last = many(4, (1,)).routes
    assert (first.prefix, first.slashed, last.slashed) == ("/r0", "/r0/", "/")
