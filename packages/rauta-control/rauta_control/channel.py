"""A channel between the supervisor and one child: whole messages, with file descriptors beside them.

A Unix SOCK_SEQPACKET socket keeps message boundaries and order, carries descriptors, and ends when its peer dies,
however it dies: that is how children learn that the supervisor is gone, and so nobody else may hold a copy of an end.

Sending never blocks. What the kernel does not take at once waits in a bounded queue, with its own copies of the
descriptors; a peer that stopped reading makes `send` raise ChannelFullError instead of holding up the gateway.

The same class serves a selectors loop (the supervisor: `fileno`, `receive`, `flush`, `on_blocked`) and an asyncio or
uvloop loop (children: `attach`).
"""

from __future__ import annotations

import array
import os
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from rauta_control import messages

MAX_MESSAGE = 128 * 1024  # bytes; below the default socket buffer, so one message always fits. More goes by memfd
MAX_QUEUED = 4096  # messages; more than a burst of Listen and Unlisten for every listener of a big configuration
MAX_FDS = 4
BATCH = 64  # messages taken per turn, so that a chatty peer does not keep the loop from the others

M = TypeVar("M")
Message: TypeAlias = messages.ToWorker | messages.ToControl | messages.ToSupervisor
Packet: TypeAlias = tuple[bytes, tuple[int, ...]]

# Messages that mean nothing without their descriptors. The kernel drops descriptors when a receiver has no free number.
_DESCRIPTORS: dict[type, int] = {
    messages.Listen: 1,
    messages.ControlLink: 1,
    messages.WorkerLink: 1,
    messages.Snapshot: 1,
    messages.Since: 1,
    messages.Keep: 1,
}
_encoder = msgspec.msgpack.Encoder()


class ChannelError(Exception):
    """The peer sent what cannot be understood, or descriptors were lost on the way. Start afresh."""


class ChannelClosedError(ChannelError):
    """The peer is gone and everything it sent has been received."""


class ChannelFullError(ChannelError):
    """The peer has not read for so long that MAX_QUEUED messages wait for it; this one was not queued."""


def encode(message: Message, fds: Sequence[int] = ()) -> bytes:
    """Return the bytes of a message. Raises ValueError if it is too long or has not its number of descriptors."""
    data = _encoder.encode(message)
    if len(data) > MAX_MESSAGE:
        raise ValueError(f"{type(message).__name__} of {len(data)} bytes is longer than {MAX_MESSAGE}")
    if len(fds) != _DESCRIPTORS.get(type(message), 0):
        raise ValueError(f"{type(message).__name__} with {len(fds)} descriptors")
    return data


def decode(decoder: msgspec.msgpack.Decoder[M], data: bytes, fds: Sequence[int]) -> M:
    """Return the message in `data`. Raises ChannelError; the caller still owns `fds` then."""
    try:
        message = decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ChannelError(f"not a message: {error}") from error
    if len(fds) != _DESCRIPTORS.get(type(message), 0):
        raise ChannelError(f"{type(message).__name__} came with {len(fds)} descriptors (limit of open files reached?)")
    return message


class Loop(Protocol):
    """What `attach` needs of an asyncio loop; uvloop's is one too."""

    def add_reader(self, fd: int, callback: Callable[..., Any], /) -> Any: ...  # noqa: D102
    def remove_reader(self, fd: int, /) -> bool: ...  # noqa: D102


class Channel(Generic[M]):
    """One end of a channel, receiving messages of type M. Takes `sock` over and closes it.

    `on_blocked` is called with True when messages begin to wait for room (then `flush` when writable), with False when
    none waits any more.
    """

    def __init__(self, sock: socket.socket, decoder: msgspec.msgpack.Decoder[M]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._decoder = decoder
        self._queue: deque[Packet] = deque()
        self.on_blocked: Callable[[bool], None] = _ignore
        self.poller: select.epoll | None = None  # while attached to an asyncio loop

    def fileno(self) -> int:
        """The descriptor to wait on; -1 once closed."""
        return self._sock.fileno()

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send or queue. The caller keeps its `fds` and may close them on return.

        Raises ChannelFullError. A peer that is gone is no error here: `receive` tells.
        """
        data = encode(message, fds)
        if not self._queue and self._deliver(data, fds):
            return
        if len(self._queue) >= MAX_QUEUED:
            raise ChannelFullError(f"{len(self._queue)} messages wait to be read")
        self._queue.append((data, tuple(os.dup(fd) for fd in fds)))
        if len(self._queue) == 1:
            self.on_blocked(True)

    def flush(self) -> None:
        """Send what is queued, as far as there is room."""
        while self._queue:
            data, fds = self._queue[0]
            if not self._deliver(data, fds):
                return
            self._queue.popleft()
            _close(fds)
        self.on_blocked(False)

    def receive(self) -> list[tuple[M, tuple[int, ...]]]:
        """Return up to BATCH messages that wait, each with its descriptors, which are now the caller's.

        Raises ChannelClosedError when the peer is gone, ChannelError when it is not to be understood.
        """
        received: list[tuple[M, tuple[int, ...]]] = []
        while len(received) < BATCH:
            try:
                data, fds = _receive(self._sock)
            except BlockingIOError:
                break
            except ConnectionResetError:  # it closed with our messages unread; what it sent before can still be read
                continue
            if not data:  # nobody sends empty messages: the end. If messages came first, the next call says so
                if received:
                    break
                raise ChannelClosedError("the other end is closed")
            try:
                message = decode(self._decoder, data, fds)
            except ChannelError:
                _close([*fds, *(fd for _, earlier in received for fd in earlier)])
                raise
            received.append((message, fds))
        return received

    def queued(self) -> list[Packet]:
        """What waits to be sent; the descriptors stay the channel's."""
        return list(self._queue)

    def requeue(self, packets: Sequence[Packet]) -> None:
        """Take over what an earlier owner of the socket had queued, descriptors included."""
        self._queue.extend(packets)
        if self._queue:
            self.on_blocked(True)

    def close(self) -> None:
        """Close the socket and what waits. The peer notices, unless somebody else holds a copy of this end."""
        self._sock.close()
        while self._queue:
            _close(self._queue.popleft()[1])

    def _deliver(self, data: bytes, fds: Sequence[int]) -> bool:
        """Send one packet; False means no room, True means sent or that nobody is there to read it."""
        try:
            socket.send_fds(self._sock, [data], list(fds), socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            return True
        return True


def worker_end(sock: socket.socket) -> Channel[messages.ToWorker]:
    """A worker's end of its channel to the supervisor."""
    return Channel(sock, msgspec.msgpack.Decoder(messages.ToWorker))


def control_end(sock: socket.socket) -> Channel[messages.ToControl]:
    """Control's end of its channel to the supervisor."""
    return Channel(sock, msgspec.msgpack.Decoder(messages.ToControl))


def supervisor_end(sock: socket.socket) -> Channel[messages.ToSupervisor]:
    """The supervisor's end of the channel to a child."""
    return Channel(sock, msgspec.msgpack.Decoder(messages.ToSupervisor))


def attach(
    channel: Channel[M],
    loop: Loop,
    received: Callable[[M, tuple[int, ...]], None],
    closed: Callable[[], None],
) -> None:
    """Serve `channel` on an asyncio loop: `received` for each message, `closed` once when the supervisor is gone.

    `received` must not raise: the rest of its batch would be lost. A ChannelError goes to the loop's exception handler
    and closes too: a child that misses messages cannot do its work and had better end.
    """
    # The loop watches an epoll of our own. libuv gives up on a socket with an error pending and uvloop then says
    # nothing, so a child would never notice a supervisor that died before it had read the child's last message.
    poller = channel.poller = select.epoll()
    poller.register(channel, select.EPOLLIN)

    def readable() -> None:
        try:
            packets = channel.receive()
        except ChannelError as error:
            detach(channel, loop)
            closed()
            if not isinstance(error, ChannelClosedError):
                raise
            return
        for message, fds in packets:
            received(message, fds)

    def ready() -> None:
        for _, events in poller.poll(0):
            if events & select.EPOLLOUT:
                channel.flush()
            if events & ~select.EPOLLOUT:
                readable()

    channel.on_blocked = lambda blocked: poller.modify(channel, select.EPOLLIN | (select.EPOLLOUT if blocked else 0))
    loop.add_reader(poller.fileno(), ready)


def detach(channel: Channel[Any], loop: Loop) -> None:
    """Stop serving `channel` on `loop`, if it is served; then it may be closed."""
    if channel.poller is not None:
        channel.on_blocked = _ignore
        loop.remove_reader(channel.poller.fileno())
        channel.poller.close()
        channel.poller = None


def _ignore(blocked: bool) -> None:
    """Nobody waits for room."""


def _receive(sock: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    """Receive one packet, its descriptors closed on exec (socket.recv_fds leaves them open to other programs)."""
    numbers = array.array("i")
    space = socket.CMSG_SPACE(MAX_FDS * numbers.itemsize)
    data, ancillary, _, _ = sock.recvmsg(MAX_MESSAGE, space, socket.MSG_CMSG_CLOEXEC)
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
    return data, tuple(numbers)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
