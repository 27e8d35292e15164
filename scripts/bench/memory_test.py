"""Memory, on texts of /proc."""

from . import memory

ROLLUP = "561635877000-7ffc01423000 ---p 00000000 00:00 0 [rollup]\nRss:    1748 kB\nPss:     396 kB\nPss_Dirty: 9 kB\n"


def test_pss_is_its_own_line_and_in_kib() -> None:
    assert memory.parse_pss(ROLLUP) == 396 * 1024
    assert memory.parse_pss("Rss: 5 kB\n") is None


def test_rss_is_the_second_field_in_pages() -> None:
    assert memory.parse_rss("1000 250 100 1 0 50 0\n") == 250 * memory.PAGE
