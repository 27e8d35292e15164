"""Edits of field lines."""

from __future__ import annotations

import pytest

from rauta_control.action import HeaderEdit
from rauta_control.edit import Edit

FIELDS = b"Host: h\r\nX-A: 1\r\nx-a: 2\r\nX-AB: 3\r\nX-B:\r\n"


@pytest.mark.parametrize(
    ("edit", "after"),
    [
        (HeaderEdit(), FIELDS),
        (HeaderEdit(drop=("X-A",)), b"Host: h\r\nX-AB: 3\r\nX-B:\r\n"),
        (HeaderEdit(drop=("x-b", "host")), b"X-A: 1\r\nx-a: 2\r\nX-AB: 3\r\n"),
        (HeaderEdit(replace=(("X-a", "new"),)), b"Host: h\r\nX-AB: 3\r\nX-B:\r\nX-a: new\r\n"),
        (HeaderEdit(append=(("X-A", "3"), ("X-C", "4"))), FIELDS + b"X-A: 3\r\nX-C: 4\r\n"),
        (HeaderEdit(drop=("A.B", "1")), FIELDS),  # names are not patterns, values are not names
    ],
)
def test_edits(edit: HeaderEdit, after: bytes) -> None:
    assert Edit(edit).apply(FIELDS) == after
