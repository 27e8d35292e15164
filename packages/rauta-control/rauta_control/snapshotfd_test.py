import mmap
import os

import pytest

from rauta_control import snapshotfd


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(3_000_000)])
def test_what_is_written_is_read_again_and_again(data: bytes) -> None:
    fd = snapshotfd.create("rauta-test", data)
    assert snapshotfd.read(fd) == data
    assert snapshotfd.read(fd) == data
    os.close(fd)


def test_nobody_can_change_it() -> None:
    fd = snapshotfd.create("rauta-test", b"configuration")
    with pytest.raises(PermissionError):
        os.pwrite(fd, b"X", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    with pytest.raises(PermissionError):
        mmap.mmap(fd, 0, prot=mmap.PROT_WRITE)
    assert snapshotfd.read(fd) == b"configuration"
    os.close(fd)


def test_it_does_not_leak_into_other_programs() -> None:
    fd = snapshotfd.create("rauta-test", b"configuration")
    assert not os.get_inheritable(fd)
    os.close(fd)
