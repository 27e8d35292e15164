"""The network of a run: a namespace of its own with loopback alone, and a congestion control that does not pace.

BBR, which some machines have for their traffic, paces loopback too, by timers. Large bodies then measure these: they
cost every proxy more, up to three times as much, the most where the proxy itself does least.
"""

import ctypes
import fcntl
import socket
import struct
from contextlib import suppress
from pathlib import Path

CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
PACELESS = (
    "reno",
    "cubic",
)  # the last of them that is to be had: every kernel has the first, most begin with the other
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def enter() -> None:
    """Move this process, and what it starts from now on, to a new namespace; without leave (of root) it stays."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNET):
        return
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    for name in PACELESS:
        with suppress(OSError):
            CONTROL.write_text(name)


def congestion_control() -> str:
    """The one that sockets made from now on will have."""
    return CONTROL.read_text().strip()
