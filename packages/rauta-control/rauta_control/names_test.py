"""Names: one family, sorted; failures keep the addresses and back off; everything has its time."""

import pytest

from rauta_control.names import FIRST_RETRY, INTERVAL, LAST_RETRY, Names, choose


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (["::1", "127.0.0.1"], ("127.0.0.1",)),
        (["10.0.0.2", "10.0.0.1", "10.0.0.2"], ("10.0.0.1", "10.0.0.2")),
        (["fd00::2", "fd00::1"], ("fd00::1", "fd00::2")),
        ([], ()),
    ],
)
def test_one_family_is_chosen(found: list[str], chosen: tuple[str, ...]) -> None:
    assert choose(found) == chosen


def test_literals_stand_for_themselves_and_are_never_looked_up() -> None:
    names = Names()
    names.want(["10.0.0.1", "::1"], now=0)
    assert names.addresses == {"10.0.0.1": ("10.0.0.1",), "::1": ("::1",)}
    assert (names.start(0), names.next_due(), names.answered) == ([], None, True)


def test_a_name_is_looked_up_once_at_a_time_and_again_after_the_interval() -> None:
    names = Names()
    names.want(["web"], now=0)
    assert names.start(0) == ["web"]
    assert names.start(100) == []
    assert names.next_due() is None
    assert names.succeed("web", ("10.0.0.1",), now=100, jitter=1.1)
    assert names.next_due() == 100 + INTERVAL * 1.1
    assert names.start(100 + INTERVAL) == []
    assert names.start(100 + INTERVAL * 1.1) == ["web"]
    assert not names.succeed("web", ("10.0.0.1",), now=120, jitter=1)


def test_a_name_that_stops_resolving_keeps_its_addresses_and_backs_off() -> None:
    names = Names()
    names.want(["web"], now=0)
    names.succeed("web", ("10.0.0.1",), now=0, jitter=1)
    assert names.fail("web", "not known", now=0, jitter=1)
    assert names.addresses == {"web": ("10.0.0.1",)}
    assert names.problems == ["web does not resolve (not known); still using 10.0.0.1"]
    waits = [names.next_due()]
    for _ in range(7):
        assert not names.fail("web", "not known", now=0, jitter=1)
        waits.append(names.next_due())
    assert waits == [FIRST_RETRY, 2, 4, 8, 16, 32, LAST_RETRY, LAST_RETRY]
    assert names.succeed("web", ("10.0.0.1",), now=0, jitter=1)
    assert names.problems == []


def test_a_failure_is_an_answer_too() -> None:
    names = Names()
    names.want(["web", "api"], now=0)
    names.succeed("api", ("10.0.0.1",), now=0, jitter=1)
    assert not names.answered
    assert names.fail("web", "not known", now=0, jitter=1)
    assert names.answered
    assert names.problems == ["web does not resolve (not known); it has no addresses yet"]


def test_wanting_again_makes_everything_due_and_forgets_what_is_not_wanted() -> None:
    names = Names()
    names.want(["web", "old"], now=0)
    for host in names.start(0):
        names.succeed(host, ("10.0.0.1",), now=0, jitter=1)
    names.want(["web", "new"], now=1)
    assert sorted(names.start(1)) == ["new", "web"]
    assert names.addresses == {"web": ("10.0.0.1",), "new": ()}
    assert not names.succeed("old", ("10.0.0.1",), now=1, jitter=1)
    assert not names.fail("old", "gone", now=1, jitter=1)


def test_what_is_under_way_is_not_started_again_by_wanting_it_again() -> None:
    names = Names()
    names.want(["web"], now=0)
    assert names.start(0) == ["web"]
    names.want(["web"], now=1)
    assert names.start(1) == []
    assert names.succeed("web", ("10.0.0.1",), now=2, jitter=1)
    names.want(["web"], now=3)
    assert names.start(3) == ["web"]
