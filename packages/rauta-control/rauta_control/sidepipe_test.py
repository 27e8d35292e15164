"""A look into a pipe takes nothing out of it, and fails as a whole."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rauta_control.sidepipe import DESCRIPTORS, SidePipe

SIZE = 1 << 16


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: what to read from and what to write to. No descriptor is left after it."""
    before = os.listdir("/proc/self/fd")
    out, into = os.pipe2(os.O_NONBLOCK)
    yield out, into
    os.close(out)
    os.close(into)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_what_was_looked_at_is_still_there() -> None:
    ctypes.CDLL(None)  # it may keep a descriptor of its own
    with pipe() as (out, into):
        side = SidePipe(SIZE)
        for _ in range(3):
            os.write(into, b"0123456789" * 1000)
            side.share(out, 10_000)
            assert side.skip(9_988) == 9_988
            assert side.read(3) == b"890"
            assert side.skip(100) == 9
            with pytest.raises(BlockingIOError):
                side.skip(1)
            with pytest.raises(BlockingIOError):
                side.read(1)
            assert os.read(out, 20_000) == b"0123456789" * 1000
        side.close()


def test_what_is_left_can_be_dropped() -> None:
    with pipe() as (out, into):
        side = SidePipe(SIZE)
        for text in (b"first", b"second"):
            os.write(into, text)
            side.share(out, len(text))
            assert side.read(3) == text[:3]
            side.clear()
            os.read(out, 100)
        side.close()


def test_all_or_nothing_is_shared() -> None:
    with pipe() as (out, into):
        side = SidePipe(SIZE)
        os.write(into, b"first")
        with pytest.raises(OSError) as less:
            side.share(out, 6)
        assert less.value.errno == errno.ENOBUFS
        with pytest.raises(OSError) as wrong:
            side.share(into, 5)
        assert wrong.value.errno == errno.EBADF
        side.close()


def test_it_has_its_descriptors_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe():
        before = len(os.listdir("/proc/self/fd"))
        side = SidePipe(SIZE)
        assert len(os.listdir("/proc/self/fd")) == before + DESCRIPTORS
        side.close()
        monkeypatch.setattr(os, "devnull", "/nowhere")
        with pytest.raises(FileNotFoundError):
            SidePipe(SIZE)
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_libc_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    with pytest.raises(OSError) as error:
        SidePipe(SIZE)
    assert error.value.errno == errno.ENOSYS
