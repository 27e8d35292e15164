"""The end of a link to a worker that control holds, in the hands of a test. No tests in here."""

from __future__ import annotations

import socket

import msgspec

from rauta_control.frames import FrameDecoder, frame
from rauta_control.messages import FromWorker


class Link:
    """Control's end of a link to the worker."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._frames = FrameDecoder()
        self._waiting: list[bytes] = []

    @classmethod
    def pair(cls, patience: float) -> tuple[Link, socket.socket]:
        """Return a link and the worker's end of it; what takes longer than `patience` seconds fails."""
        ours, theirs = socket.socketpair()
        ours.settimeout(patience)
        return cls(ours), theirs

    def send(self, payload: bytes) -> None:
        """Send one frame."""
        self.sock.sendall(frame(payload))

    def receive(self) -> FromWorker:
        """Return what the worker says next."""
        while not self._waiting:
            data = self.sock.recv(65_536)
            assert data, "the worker closed the link"
            self._waiting += self._frames.feed(data)
        message: FromWorker = msgspec.msgpack.decode(self._waiting.pop(0), type=FromWorker)
        return message
