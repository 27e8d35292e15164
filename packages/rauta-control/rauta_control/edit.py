"""Edits of field lines: what HeaderEdit says, compiled to one pattern and the bytes to append. Pure.

A block of field lines, each with its CRLF, goes in and comes out. Whoever sends a head has taken the fields that frame
it out of the block, or will not let an edit name them.
"""

from __future__ import annotations

import re

from rauta_control.action import HeaderEdit


class Edit:
    """One compiled HeaderEdit."""

    __slots__ = ("_added", "_dropped")

    def __init__(self, edit: HeaderEdit) -> None:
        names = {name.lower() for name, _ in edit.replace} | {name.lower() for name in edit.drop}
        pattern = b"|".join(re.escape(name.encode()) for name in sorted(names))
        # Anchored at the line before: the first line of a response's block is its status line.
        self._dropped = re.compile(rb"(?mi)^(?:%b):[^\n]*\n" % pattern) if names else None
        self._added = b"".join(b"%b: %b\r\n" % (n.encode(), v.encode()) for n, v in (*edit.replace, *edit.append))

    def apply(self, fields: bytes) -> bytes:
        """Return the block as it is to be sent."""
        if self._dropped is not None:
            fields = self._dropped.sub(b"", fields)
        return fields + self._added
