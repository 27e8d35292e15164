import socket
import ssl
import threading
from pathlib import Path

from .certificates import Authority, Pair


def context(authority: Authority, pair: Pair, purpose: ssl.Purpose) -> ssl.SSLContext:
    made = ssl.create_default_context(purpose, cafile=str(authority.certificate))
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python has it from 3.13 on
    made.load_cert_chain(pair.certificate, pair.key)
    return made


def test_both_sides_trust_what_was_issued(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = context(authority, authority.issue("server", addresses=("127.0.0.1",)), ssl.Purpose.CLIENT_AUTH)
    client = context(authority, authority.issue("me", "group"), ssl.Purpose.SERVER_AUTH)
    near, far = socket.socketpair()
    seen: list[object] = []

    def serve() -> None:
        with server.wrap_socket(far, server_side=True) as wrapped:
            peer = wrapped.getpeercert()
            assert peer is not None
            seen.append(peer["subject"])
            wrapped.sendall(b"!")

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(near, server_hostname="127.0.0.1") as wrapped:
        assert wrapped.recv(1) == b"!"
    thread.join()
    assert seen == [((("commonName", "me"),), (("organizationName", "group"),))]


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("system:somebody")
    assert pair.key.name == "system-somebody.key"
    assert pair.key.stat().st_mode & 0o077 == 0
