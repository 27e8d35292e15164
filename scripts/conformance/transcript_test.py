from .transcript import Transcript


def test_lines_are_whole_and_from_the_moment_asked_for() -> None:
    found = Transcript()
    found.add(b"one\ntw", 1.0)
    found.add(b"o\nthree\n", 2.0)
    assert found.read() == b"one\ntwo\nthree\n"
    assert found.read(since=1.5) == b"two\nthree\n"
    assert found.read(since=3.0) == b""


def test_the_unfinished_line_is_told_too() -> None:
    found = Transcript()
    found.add(b"one\ntw", 1.0)
    assert found.read() == b"one\ntw"


def test_the_tail() -> None:
    found = Transcript()
    found.add(b"one\ntwo\nthree\n", 1.0)
    assert found.read(tail=2) == b"two\nthree\n"
    assert found.read(tail=0) == b""


def test_the_oldest_go_first() -> None:
    found = Transcript(limit=8)
    for line in (b"first\n", b"second\n", b"third\n"):
        found.add(line, 1.0)
    assert found.read() == b"third\n"
