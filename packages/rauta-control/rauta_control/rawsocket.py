"""What asyncio's transports cannot do: looks at the socket beneath one, and touches it, where a rare case needs that.

Every function takes a transport whose socket is still open: at the latest within its `connection_lost`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from fcntl import ioctl
from termios import FIONREAD, TIOCOUTQ

_NO_LINGER = struct.pack("ii", 1, 0)
_READ = 65_536


def unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes the peer has yet to acknowledge, those in the kernel's buffer included.

    Tells a slow peer, for whom the number moves, from one that has stopped. The transport's own buffer does not: the
    kernel takes more only when a third of its buffer, which can be megabytes, is free.
    """
    return transport.get_write_buffer_size() + _count(transport, TIOCOUTQ)


def unread(transport: asyncio.Transport) -> int:
    """Return how many bytes have arrived that the transport did not read yet."""
    return _count(transport, FIONREAD)


def read(transport: asyncio.Transport) -> bytes:
    """Return some of what has arrived, empty at its end or if nothing more comes.

    For `connection_lost`: a failed write ends a transport although there may be an answer to read, one that explains
    the failure.
    """
    try:
        return os.read(_fileno(transport), _READ)
    except OSError:
        return b""


def discard(transport: asyncio.Transport) -> None:
    """Let the connection end with a reset, and with it what the peer has not taken.

    An orderly end leaves that to the kernel, which keeps megabytes for minutes for a peer that takes nothing.
    """
    with socket.socket(fileno=os.dup(_fileno(transport))) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def reset(transport: asyncio.Transport) -> None:
    """Close now and with a reset: where the end of the connection ends a body, an orderly close would look like one."""
    if not transport.is_closing():
        discard(transport)
    transport.abort()


def _count(transport: asyncio.Transport, request: int) -> int:
    return int.from_bytes(ioctl(_fileno(transport), request, bytes(4)), sys.byteorder)


def _fileno(transport: asyncio.Transport) -> int:
    fileno: int = transport.get_extra_info("socket").fileno()
    return fileno
