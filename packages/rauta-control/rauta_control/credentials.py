"""A certificate chain and its key in OpenSSL's hands: taken, or not and why. Pure.

Python has it read files only, so each is a memfd: keys are on no disk. What else stands in a file that holds both is
no part of the chain.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager


def identify(context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    """Have `context` show a chain (PEM) to who asks; raises OSError (ssl.SSLError)."""
    with _file(chain) as chain_path, _file(key) as key_path:
        context.load_cert_chain(chain_path, key_path, password=b"")  # of an encrypted key it would ask the terminal


def refusal(chain: bytes, key: bytes) -> str:
    """Why OpenSSL does not take a pair, in its words; empty if it does."""
    try:
        identify(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), chain, key)
    except ssl.SSLError as error:
        return (error.reason or "pem lib").lower().replace("_", " ")
    return ""


@contextmanager
def _file(data: bytes) -> Iterator[str]:
    fd = os.memfd_create("rauta-tls", os.MFD_CLOEXEC)
    with os.fdopen(fd, "wb", buffering=0) as file:
        file.write(data)
        yield f"/proc/self/fd/{fd}"
