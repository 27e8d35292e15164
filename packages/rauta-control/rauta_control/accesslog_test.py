"""Real sinks: pipes that fill up, files, readers that leave. Writing never waits."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from rauta_control import accesslog
from rauta_control.accesslog import AccessLog, open_sink

LINE = b'{"path":"/x"}\n'


class Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)

    def read(self) -> bytes:
        parts: list[bytes] = []
        try:
            while part := os.read(self.reader, 1 << 16):
                parts.append(part)
        except BlockingIOError:
            pass
        return b"".join(parts)

    def close_reader(self) -> None:
        os.close(self.reader)
        self.reader = -1


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.writer)
    if made.reader >= 0:
        os.close(made.reader)


def test_lines_wait_for_a_full_batch_or_a_flush(pipe: Pipe) -> None:
    log = AccessLog(pipe.writer)
    log.write(LINE)
    assert pipe.read() == b""
    log.flush()
    log.flush()
    assert pipe.read() == LINE
    count = accesslog.BATCH // len(LINE) + 1
    for _ in range(count):
        log.write(LINE)
    assert pipe.read() == LINE * (count - 1)
    assert (log.written, log.dropped) == (count, 0)


def test_a_full_pipe_drops_whole_batches_and_counts_their_lines(pipe: Pipe) -> None:
    log = AccessLog(pipe.writer)
    for number in range(20_000):
        log.write(b'{"number":%d}\n' % number)
    log.flush()
    lines = pipe.read().splitlines(keepends=True)
    assert all(line.startswith(b'{"number":') and line.endswith(b"}\n") for line in lines)
    assert log.written == len(lines) > 0
    assert log.dropped == 20_000 - len(lines) > 0
    log.write(LINE)
    log.flush()
    assert pipe.read() == LINE  # and on it goes


def test_batches_of_several_writers_to_one_pipe_do_not_mix(pipe: Pipe) -> None:
    logs = [AccessLog(pipe.writer) for _ in range(3)]
    for number in range(3_000):
        logs[number % 3].write(b'{"%s":%d}\n' % (b"x" * (number % 97), number))
        if not number % 100:
            pipe.read()
    for log in logs:
        log.flush()
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in pipe.read().splitlines())
    assert sum(log.written + log.dropped for log in logs) == 3_000


def test_a_line_that_could_be_torn_is_dropped(pipe: Pipe) -> None:
    log = AccessLog(pipe.writer)
    log.write(LINE)
    log.write(b"x" * accesslog.BATCH + b"\n")
    log.write(LINE)
    log.flush()
    assert pipe.read() == 2 * LINE
    assert (log.written, log.dropped) == (2, 1)


def test_a_reader_that_left_costs_only_the_lines(pipe: Pipe) -> None:
    log = AccessLog(pipe.writer)
    pipe.close_reader()
    log.write(LINE)
    log.flush()
    assert (log.written, log.dropped) == (0, 1)


def test_a_successor_counts_on(pipe: Pipe) -> None:
    log = AccessLog(pipe.writer, 10, 5)
    log.write(LINE)
    log.flush()
    assert (log.written, log.dropped) == (11, 5)


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"before\n")
    sink = open_sink(str(path))
    assert sink is not None
    log = AccessLog(sink)
    for _ in range(1_000):
        log.write(LINE)
    log.flush()
    os.close(sink)
    assert path.read_bytes() == b"before\n" + 1_000 * LINE
    assert (log.written, log.dropped) == (1_000, 0)


def test_a_line_that_a_full_disk_tore_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "access.log"
    sink = open_sink(str(path))
    assert sink is not None
    log = AccessLog(sink)
    room = [3, len(LINE) + 4, 1_000_000]
    write = os.write

    def short_write(fd: int, data: bytes) -> int:
        return write(fd, data[: room.pop(0)])

    monkeypatch.setattr(os, "write", short_write)
    for count in (1, 2, 2):
        for _ in range(count):
            log.write(LINE)
        log.flush()
    monkeypatch.undo()
    os.close(sink)
    assert path.read_bytes() == LINE[:3] + b"\n" + LINE + LINE[:3] + b"\n" + 2 * LINE
    assert (log.written, log.dropped) == (3, 2)


def test_a_line_that_another_worker_tore_stands_alone_too(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(LINE[:3])  # of one that is gone
    sinks = [open_sink(str(path)), open_sink(str(path))]
    logs = [AccessLog(sink) for sink in sinks if sink is not None]
    logs[0].write(LINE)
    logs[0].flush()
    with path.open("ab") as another:
        another.write(LINE[:5])
    for log in reversed(logs):
        log.write(LINE)
        log.flush()
        log.close()
    assert path.read_bytes() == LINE[:3] + b"\n" + LINE + LINE[:5] + b"\n" + 2 * LINE
    assert [(log.written, log.dropped) for log in logs] == [(2, 0), (1, 0)]


def test_a_file_that_may_not_be_read_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "access.log"
    sink = open_sink(str(path))
    assert sink is not None
    monkeypatch.setattr(os, "open", Mock(side_effect=PermissionError))
    log = AccessLog(sink)
    monkeypatch.undo()
    log.write(LINE)
    log.close()
    assert path.read_bytes() == LINE


def test_a_file_that_cannot_be_read_any_more_costs_only_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "access.log").write_bytes(LINE)
    sink = open_sink(str(tmp_path / "access.log"))
    assert sink is not None
    log = AccessLog(sink)
    monkeypatch.setattr(os, "pread", Mock(side_effect=OSError(errno.EIO, "Input/output error")))
    log.write(LINE)
    log.close()
    assert (log.written, log.dropped, log.fault) == (0, 1, "Input/output error")


def test_why_lines_are_dropped_is_known(pipe: Pipe) -> None:
    log = AccessLog(pipe.writer)
    assert log.fault == ""
    while not log.fault:
        log.write(LINE)
    assert log.fault == "whoever reads them is too slow"
    sink = open_sink("/dev/full")
    assert sink is not None
    full = AccessLog(sink)
    full.write(LINE)
    full.close()
    assert full.fault == "No space left on device"


def test_off_is_no_sink_and_a_bad_path_is_an_error(tmp_path: Path) -> None:
    assert open_sink("off") is None
    with pytest.raises(FileNotFoundError):
        open_sink(str(tmp_path / "missing" / "access.log"))


def test_standard_output_stays_as_blocking_for_others_as_it_was(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, True)
    stdout = os.dup(1)
    try:
        os.dup2(pipe.writer, 1)
        sink = open_sink("stdout")
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
    assert sink is not None
    assert sink != 1
    assert not os.get_blocking(sink)
    assert os.get_blocking(pipe.writer)
    os.write(sink, LINE)
    assert pipe.read() == LINE
    os.close(sink)


def test_standard_output_that_cannot_be_opened_anew_is_used_itself(monkeypatch: pytest.MonkeyPatch, pipe: Pipe) -> None:
    modes: list[tuple[int, bool]] = []

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "set_blocking", lambda fd, blocking: modes.append((fd, blocking)))
    assert open_sink("stdout") == 1
    assert modes == [(1, False)]


@pytest.mark.parametrize("target", ["stdout", "off", "log", "old.log"])
def test_a_sink_that_can_be_opened_is_not_made_by_asking(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.log").write_bytes(LINE)
    assert accesslog.unusable(target) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["old.log"]
    assert (tmp_path / "old.log").read_bytes() == LINE


@pytest.mark.parametrize(
    ("target", "said"),
    [("no/log", "No such file"), (".", "Is a directory"), ("old.log/x", "Not a directory"), ("pipe", "nobody reads")],
)
def test_a_sink_that_cannot_be_opened_says_why(
    target: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.log").write_bytes(LINE)
    os.mkfifo(tmp_path / "pipe")
    assert said in accesslog.unusable(target)
    with pytest.raises(OSError, match=r"."):
        open_sink(target)
