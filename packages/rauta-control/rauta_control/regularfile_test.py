"""What is read of a path, and that nothing is waited for where it is no regular file."""

import os
import socket
from pathlib import Path

import pytest

from rauta_control.regularfile import NOT_REGULAR, is_special, read


def test_a_file_and_links_to_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "tls.crt").write_bytes(b"a\r\nb")
    (tmp_path / "tls.crt").symlink_to("..data/tls.crt")  # as a Secret is mounted
    assert read(tmp_path / "tls.crt") == b"a\r\nb"
    assert not is_special(tmp_path / "tls.crt")


def test_a_pipe_a_socket_and_a_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path / "link", tmp_path / "socket", Path("/dev/zero")):
            assert is_special(path)
            with pytest.raises(OSError, match=f"{NOT_REGULAR}: '{path}'"):
                read(path)


def test_what_is_not_there_and_what_is_a_folder_say_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
    assert not is_special(tmp_path)
