"""TLS contexts: what OpenSSL needs to know for a handshake, made when it is first needed and kept.

A context holds the certificates of one server name, at most one of each kind of key, and the authorities for clients.
Loading a key takes milliseconds, so contexts are made in a thread, at the first handshake that needs them: a worker
with thousands of certificates starts at once and holds those in use. A changed secret is another object, so the next
handshake makes another context; connections go on with theirs.

Settings are Mozilla's "intermediate": TLS 1.2 with forward secrecy and authenticated ciphers, in the client's order,
and TLS 1.3. Session tickets are sealed by keys that OpenSSL makes for each context, so a client resumes its session
where it meets the same worker again and otherwise makes a full handshake; Python cannot set them. A context is replaced
after a day so that these keys do not get old.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple, TypeAlias

from rauta_control.credentials import identify
from rauta_control.ir import Secret

MAX_CONTEXTS = 1_024  # kept by a worker; some 25 KiB each
PROTOCOL = b"http/1.1"  # all that is spoken over TLS
LIFETIME = 86_400.0  # seconds
RETRY = 5.0  # seconds, where it could not be made: what was missing may have been memory or a descriptor
CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)

Client: TypeAlias = Literal["none", "required", "optional"]


class _Made(NamedTuple):
    material: tuple[Secret, ...]
    context: asyncio.Future[ssl.SSLContext | str]  # or why there is none
    until: float


class Contexts:
    """The contexts of a worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, "tls")
        self._made: dict[tuple[str, ...], _Made] = {}  # the least recently used first

    async def get(
        self, certificates: tuple[Secret, ...], authorities: tuple[Secret, ...], client: Client, now: float
    ) -> ssl.SSLContext:
        """Return the context for these. Raises ValueError if OpenSSL does not take them, or cannot be asked."""
        key = (client, *(secret.name for secret in (*certificates, *authorities)))
        material = (*certificates, *authorities)
        made = self._made.pop(key, None)
        if made is None or now >= made.until or any(map(_differ, made.material, material)):
            try:
                context = self._loop.run_in_executor(self._thread, _attempt, certificates, authorities, client)
            except RuntimeError as error:  # no thread may be started: a limit of processes
                raise ValueError(str(error)) from None
            made = _Made(material, context, now + LIFETIME)
        self._made[key] = made
        if len(self._made) > MAX_CONTEXTS:
            del self._made[next(iter(self._made))]
        found = await asyncio.shield(made.context)
        if isinstance(found, str):
            if self._made.get(key) is made:
                self._made[key] = made._replace(until=min(made.until, now + RETRY))
            raise ValueError(found)
        return found

    def __len__(self) -> int:
        return len(self._made)


def _attempt(certificates: tuple[Secret, ...], authorities: tuple[Secret, ...], client: Client) -> ssl.SSLContext | str:
    """Say what is wrong in words: an error that is kept would keep the frames of the handshakes that met it."""
    try:
        return build(certificates, authorities, client)
    except (OSError, ValueError, MemoryError) as error:
        return str(error) or type(error).__name__


def build(certificates: Iterable[Secret], authorities: Iterable[Secret], client: Client) -> ssl.SSLContext:
    """Make a context; raises OSError (ssl.SSLError) or ValueError.

    Where a client certificate is `optional` and whatever it is accepted, none is asked for: OpenSSL as Python offers it
    would refuse a bad one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols([PROTOCOL.decode()])
    for secret in certificates:
        identify(context, secret.certificates, secret.private_key)
    if client == "required":
        text = b"\n".join(secret.certificates for secret in authorities)
        context.load_verify_locations(cadata=text.decode("ascii", "ignore"))
        # What the operator names is trusted, be it a root or not: Envoy's and Go's way.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _differ(one: Secret, other: Secret) -> bool:
    return one is not other
