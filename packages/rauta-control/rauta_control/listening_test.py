import errno
import os
import socket
from collections.abc import Iterator

import pytest

from rauta_control import listening
from rauta_control.listening import Change, Listener, Listeners, Plan, bind, place, plan, why

A, B = ("127.0.0.1", 8080), ("127.0.0.1", 8081)
FREE = ("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("current", "wanted", "expected"),
    [
        ({}, {"a": A}, Plan((), (), {}, ("a",), {})),
        ({"a": A}, {"a": A}, Plan(("a",), (), {}, (), {})),
        ({"a": A}, {}, Plan((), ("a",), {}, (), {})),
        ({"a": A}, {"a": B}, Plan((), ("a",), {}, ("a",), {})),
        ({"a": A}, {"b": A}, Plan((), (), {"b": "a"}, (), {})),
        ({"a": A, "b": B}, {"a": B, "b": A}, Plan((), (), {"a": "b", "b": "a"}, (), {})),
        ({"a": A}, {"b": A, "a": A}, Plan(("a",), (), {}, (), {"b": "127.0.0.1:8080 is taken by listener a"})),
        ({}, {"x": A, "y": A}, Plan((), (), {}, ("x",), {"y": "127.0.0.1:8080 is taken by listener x"})),
        ({"a": FREE}, {"b": FREE, "c": FREE}, Plan((), ("a",), {}, ("b", "c"), {})),
        ({"a": FREE}, {"a": FREE, "b": FREE}, Plan(("a",), (), {}, ("b",), {})),
        ({}, {"six": ("::1", 80), "four": ("127.0.0.1", 80)}, Plan((), (), {}, ("six", "four"), {})),
    ],
)
def test_plan(current: dict[str, listening.Place], wanted: dict[str, listening.Place], expected: Plan) -> None:
    assert plan(current, wanted) == expected


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_sockets_listen_do_not_block_and_are_not_inherited() -> None:
    with bind("127.0.0.1", 0) as sock:
        assert connects("127.0.0.1", place(sock).port)
        assert not sock.getblocking()
        assert not sock.get_inheritable()
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_the_ipv6_wildcard_is_dual_stack() -> None:
    with bind("::", 0) as sock:
        port = place(sock).port
        assert str(place(sock)) == f"[::]:{port}"
        assert connects("127.0.0.1", port)
        assert connects("::1", port)


def test_a_machine_without_ipv6_gets_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = listening._bind

    def without_ipv6(host: str, port: int) -> socket.socket:
        if ":" in host:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6")
        return real(host, port)

    monkeypatch.setattr(listening, "_bind", without_ipv6)
    with bind("::", 0) as sock:
        assert place(sock).host == "0.0.0.0"
    with pytest.raises(OSError, match="no IPv6"):
        bind("::1", 0)


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("192.0.2.1", 0, "no such address on this machine"),
        ("web.example", 80, "not an IP address"),
        ("127.0.0.1", 70_000, "invalid argument"),
    ],
)
def test_what_cannot_be_bound_says_why(host: str, port: int, says: str) -> None:
    with pytest.raises(OSError) as caught:
        bind(host, port)
    assert why(caught.value) == says


@pytest.mark.parametrize("code", [errno.EADDRINUSE, errno.EACCES, errno.EMFILE, errno.ENOBUFS])
def test_every_error_has_words(code: int) -> None:
    assert why(OSError(code, os.strerror(code)))


class Watched(Listeners):
    """Listeners that remember who was announced to leave, and that it was still listening then."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[str] = []

    def make(self, wanted: dict[str, listening.Place]) -> Change:
        self.left = []
        return self.change(wanted, self._leaving)

    def _leaving(self, name: str) -> None:
        assert connects("127.0.0.1", place(self.by_name[name].sock).port)
        self.left.append(name)


@pytest.fixture
def listeners() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.close()


def test_changes_are_told_and_done(listeners: Watched) -> None:
    first = listeners.make({"a": FREE, "b": FREE})
    assert (listeners.left, first.new) == ([], ["a", "b"])
    ports = {answer.listener: answer.port for answer in first.answers}
    assert all(connects("127.0.0.1", port) for port in ports.values())

    second = listeners.make({"a": FREE, "c": ("127.0.0.1", ports["b"])})
    assert (listeners.left, second.new) == (["b"], ["c"])
    assert [answer.error for answer in second.answers] == [""]
    assert listeners.bound()[0].port == ports["a"]
    assert set(listeners.sockets()) == {"a", "c"}

    listeners.make({})
    assert listeners.left == ["a", "c"]
    assert not any(connects("127.0.0.1", port) for port in ports.values())


def test_a_port_is_free_at_once_although_others_hold_the_socket(listeners: Watched) -> None:
    [answer] = listeners.make({"a": FREE}).answers
    copy = listeners.sockets()["a"].dup()  # as a worker has one
    [moved] = listeners.make({"a": ("::", answer.port)}).answers
    assert (moved.error, moved.port) == ("", answer.port)
    assert connects("::1", answer.port)
    with pytest.raises(OSError) as caught:
        copy.accept()
    assert caught.value.errno == errno.EINVAL
    copy.close()


def test_a_renamed_listener_keeps_its_socket_and_who_waits_in_it(listeners: Watched) -> None:
    sock = bind("127.0.0.1", 0)
    where = ("127.0.0.1", place(sock).port)
    listeners.by_name["old"] = Listener(where, sock)
    with socket.create_connection(where, 5):
        change = listeners.make({"new": where})
        assert (listeners.left, change.new) == (["old"], ["new"])
        with listeners.sockets()["new"].accept()[0]:
            pass


def test_an_address_in_use_is_an_answer_not_a_failure(listeners: Watched) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = ("127.0.0.1", other.getsockname()[1])
        change = listeners.make({"a": taken, "b": FREE})
    assert change.new == ["b"]
    assert [(answer.listener, answer.error[:39]) for answer in change.answers] == [
        ("a", "cannot listen: address already in use: "),
        ("b", ""),
    ]
    assert listeners.make({"a": FREE, "b": FREE}).new == ["a"]  # asked again, tried again
