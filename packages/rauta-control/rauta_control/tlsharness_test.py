"""TLS listeners of a real worker process, and clients of theirs. No tests in here."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography import x509

from rauta_control import ir
from rauta_control.messages import Hello
from rauta_control.pki_test import Pair, authority_pem
from rauta_control.proxyharness_test import PATIENCE, Backend, Client, Proxy, cluster, echo
from rauta_control.reasons import HandshakeFailure
from rauta_control.sharedmem import Vital

MIB = 1 << 20
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class Site(NamedTuple):
    """What a listener has for a name: certificates, and the authorities for clients."""

    hostname: str
    pairs: tuple[Pair, ...]
    authorities: tuple[str, ...] = ()


def resources(port: int, *sites: Site) -> list[ir.Resource]:
    """One HTTPS listener with a section for each name, all to one backend."""
    made: list[ir.Resource] = [cluster("c", port)]
    names = []
    client: Literal["none", "required"]
    for site in sites:
        secrets = [each.secret(f"{site.hostname}/{index}") for index, each in enumerate(site.pairs)]
        trusted = [ir.Secret(f"ca/{name}", authority_pem(name)) for name in site.authorities]
        made += [*secrets, *trusted]
        client = "required" if trusted else "none"
        given = tuple(each.name for each in secrets), tuple(each.name for each in trusted)
        names.append(ir.ServerName(site.hostname, *given, client))
        made.append(ir.VirtualHost("l", site.hostname, "", f"section {site.hostname}"))
        share = (ir.ClusterWeight("c"),)
        made.append(ir.Rule(site.hostname, "app", f"l|{site.hostname}", "/", "prefix", share, slot=0, epoch=1))
    return [*made, ir.Listener("l", "127.0.0.1", 0, 443, "HTTPS", (), tuple(names))]


@contextmanager
def serving(*sites: Site, backend: Backend | None = None) -> Iterator[Proxy]:
    """A worker with these names."""
    with backend or Backend(echo) as behind, Proxy(resources(behind.port, *sites)) as proxy:
        assert isinstance(proxy.link.receive(), Hello)
        yield proxy


def context(
    *, ciphers: str = "", version: ssl.TLSVersion | None = None, certificate: Path | None = None
) -> ssl.SSLContext:
    """A client that trusts the test authority."""
    made = ssl.create_default_context(cadata=authority_pem().decode())
    made.set_alpn_protocols(["h2", "http/1.1"])
    if version is not None:
        made.maximum_version = made.minimum_version = version
    if ciphers:
        made.set_ciphers(ciphers)
    if certificate is not None:
        made.load_cert_chain(certificate)
    return made


class SecureClient(Client):
    """A client that has shaken hands."""

    def __init__(self, port: int, name: str | None, given: ssl.SSLContext | None = None) -> None:
        super().__init__(port)
        given = given or context()
        if name is None:
            given.check_hostname = False
        try:
            self.sock = self.tls = given.wrap_socket(self.sock, server_hostname=name)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> SecureClient:
        return self

    def _more(self) -> bool:
        try:
            return super()._more()
        except ssl.SSLZeroReturnError:  # the end, to who has sent its own
            return False

    @property
    def serial(self) -> int:
        """Of the certificate that the server has shown."""
        shown = self.tls.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number

    def ask(self, host: str, target: str = "/") -> tuple[int, bytes]:
        """GET for a host."""
        return self.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).response()


def shake(client: Client, tls: ssl.SSLObject, into: ssl.MemoryBIO, out: ssl.MemoryBIO) -> None:
    """Carry a handshake to its end over a plain connection; the client's last bytes of it stay in `out`."""
    while True:
        try:
            tls.do_handshake()
            return
        except ssl.SSLWantReadError:
            client.send(out.read())
            into.write(client.sock.recv(65_536))


def say_all(tls: ssl.SSLSocket) -> None:
    """Send a close_notify and go on listening."""
    tls.setblocking(False)
    with suppress(ssl.SSLWantReadError):
        tls.unwrap()
    tls.settimeout(PATIENCE)


def failures(proxy: Proxy, failure: HandshakeFailure) -> int:
    return proxy.vital(Vital.TLS_FAILURES + failure.number)
