import logging
import os
import re
from collections.abc import Iterator

import pytest

from rauta_control.log import MAX_LINE, Log, capture, line


def written(log_level: str, level: str, message: str, **fields: object) -> str:
    read, write = os.pipe()
    try:
        getattr(Log("control", log_level, fd=write, clock=lambda: 1_700_000_000.0625), level)(message, **fields)
        os.set_blocking(read, False)
        try:
            return os.read(read, 65536).decode()
        except BlockingIOError:
            return ""
    finally:
        os.close(read)
        os.close(write)


def test_a_line_is_time_level_process_message_and_fields() -> None:
    text = written("info", "info", "listening", listener="default", address="[::]:8080", seconds=0.25, missing=None)
    assert text == (
        "2023-11-14T22:13:20.062Z info control listening listener=default address=[::]:8080 seconds=0.250\n"
    )


def test_values_that_could_be_misread_are_quoted_and_never_break_the_line() -> None:
    text = written("info", "info", "nack", reason='no route "x"\nerror fake line', equals="a=b", empty="", back="\\")
    assert text.endswith('nack reason="no route \\"x\\"\\nerror fake line" equals="a=b" empty="" back="\\\\"\n')
    assert text.count("\n") == 1
    assert written("info", "info", "two\nlines").count("\n") == 1


def test_only_levels_that_are_asked_for() -> None:
    for wanted, expected in (("error", 1), ("warn", 2), ("info", 3), ("debug", 4)):
        assert sum(bool(written(wanted, level, "x")) for level in ("error", "warn", "info", "debug")) == expected


def test_a_line_is_bounded_and_whole() -> None:
    text = line(0.0, "info", "worker", "x", {"long": "é" * 9000})
    assert len(text) == MAX_LINE
    assert text.endswith(b"\n")


def test_the_count_of_lost_lines_is_whole_whatever_the_line() -> None:
    read, write = os.pipe()
    for length in (*range(MAX_LINE - 80, MAX_LINE), 2 * MAX_LINE):
        log = Log("worker", fd=write)
        log.dropped = 1234
        log.info("x", long="y" * length)
        text = os.read(read, 65536)
        assert text.endswith(b" dropped=1234\n")
        assert len(text) <= MAX_LINE
    os.close(read)
    os.close(write)


def test_bytes_that_are_no_text_can_be_logged() -> None:
    assert line(0.0, "info", "x", "re-exec", {"command": os.fsdecode(b"\xff")}).endswith(b'command="\\udcff"\n')
    assert line(0.0, "info", "x", os.fsdecode(b"\xff"), {}).endswith(b"\n")


def test_a_log_that_nobody_reads_drops_and_counts_instead_of_blocking() -> None:
    read, write = os.pipe()
    log = Log("supervisor", fd=write)
    for number in range(5000):
        log.info("a line", number=number)
    lost = log.dropped
    assert lost > 0
    os.read(read, 1 << 20)
    log.info("read again")
    assert log.dropped == 0
    text = os.read(read, 1 << 20).decode()
    found = re.search(r"read again dropped=(\d+)\n", text)
    assert found
    assert int(found[1]) == lost
    os.close(read)
    os.close(write)


def test_a_closed_stderr_is_survived() -> None:
    read, write = os.pipe()
    os.close(read)
    log = Log("supervisor", fd=write)
    log.error("nobody listens")
    assert log.dropped == 1
    os.close(write)
    log.error("not even a descriptor")


@pytest.fixture
def root() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_what_libraries_log_comes_out_as_our_lines(root: None) -> None:
    read, write = os.pipe()
    capture(Log("worker-0", "info", fd=write))
    logger = logging.getLogger("asyncio")
    logger.debug("not this")
    logger.warning("slow callback %s", "x")
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("callback failed")
    slow, failed = os.read(read, 65536).decode().splitlines()
    assert slow.endswith("warn worker-0 slow callback x logger=asyncio")
    assert "error worker-0 callback failed logger=asyncio traceback=" in failed
    assert failed.endswith('ValueError: broken\\n"')
    os.close(read)
    os.close(write)


def test_a_crash_keeps_the_innermost_calls() -> None:
    read, write = os.pipe()

    def fall(depth: int) -> None:
        if depth == 0:
            raise RuntimeError("the bottom")
        fall(depth - 1)

    try:
        fall(100)
    except RuntimeError as error:
        Log("control", fd=write).crashed(error)
    text = os.read(read, 65536).decode()
    assert " error control crashed error=\"RuntimeError('the bottom')\" traceback=" in text
    assert text.endswith('RuntimeError: the bottom\\n"\n')
    os.close(read)
    os.close(write)
