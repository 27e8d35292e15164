"""Frames on a byte stream: a 4-byte big-endian length, then that many bytes. Pure: bytes in, payloads out."""

from __future__ import annotations

HEADER = 4
MAX_PAYLOAD = 64 * 1024 * 1024  # a whole configuration of 10,000 routes is under 10 MiB; more than this is garbage


class FrameError(ValueError):
    """The stream cannot be framed: it or we exceeded MAX_PAYLOAD. Nothing after this point can be understood."""


def header(payload: bytes) -> bytes:
    """Return what goes before `payload`. Raises FrameError if it is too long for the other side."""
    return _checked(len(payload)).to_bytes(HEADER, "big")


def frame(payload: bytes) -> bytes:
    """Return `payload` with its header in one piece; a large one is better sent after its `header`, uncopied."""
    return header(payload) + payload


class FrameDecoder:
    """Cuts a stream into payloads, whatever pieces it arrives in."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = HEADER  # bytes of header, or of header and payload once the header is known

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes and return the payloads they complete. Raises FrameError at a length over MAX_PAYLOAD."""
        buffer = self._buffer
        buffer += data
        payloads: list[bytes] = []
        start = 0
        while len(buffer) - start >= self._needed:
            if self._needed == HEADER and (length := _length(buffer, start)):
                self._needed = HEADER + length
                continue
            end = start + self._needed
            payloads.append(bytes(memoryview(buffer)[start + HEADER : end]))
            start = end
            self._needed = HEADER
        del buffer[:start]
        return payloads


def _length(buffer: bytearray, start: int) -> int:
    return _checked(int.from_bytes(buffer[start : start + HEADER], "big"))


def _checked(length: int) -> int:
    if length > MAX_PAYLOAD:
        raise FrameError(f"a frame of {length} bytes exceeds {MAX_PAYLOAD}")
    return length
