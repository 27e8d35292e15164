"""How idle the cores were."""

from scripts.bench.machine import idle_share, ticks


def test_idle_is_what_nobody_used() -> None:
    before = ticks("cpu  100 10 50 800 20 0 15 5 3 2\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    assert before == (820, 1000), "guests are in user and nice already"
    after = ticks("cpu  170 10 50 820 30 0 15 5 3 2\n")
    assert idle_share(before, after) == 0.3
    assert idle_share(before, before) == 0.0
