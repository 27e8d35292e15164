"""What an HTTP/1.1 client may ask of this hop beyond passing its message on: another protocol, or trailers. Pure.

WebSocket is offered on every route, other protocols where a route lists them. Not offered ones are taken out of the
request (RFC 9110 7.8: a server may ignore Upgrade), and h2c always is: it would take the backend past the gate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

TRAILERS = b"trailers"  # in the place of a token: the client takes trailers (RFC 9110 10.1.4), or speaks gRPC
WEBSOCKET = frozenset((b"websocket",))
MAX_UPGRADES = 16

# RFC 9110 7.8: name, and after a slash perhaps a version.
_PROTOCOL = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,64}(?:/[!#$%&'*+.^_`|~0-9a-z-]{1,64})?")
_NEVER = frozenset(("h2c", "h2", "http/2.0", "trailers"))


def upgrades(text: str) -> tuple[str, ...]:
    """Return the tokens of a comma-separated list, lower case, each once; raise ValueError (what is expected)."""
    tokens = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    problem = fault(tokens)
    if problem:
        raise ValueError(problem)
    return tokens


def fault(tokens: Iterable[str]) -> str:
    """Return what is expected instead of these lower-case tokens; empty if nothing is wrong with them."""
    tokens = tuple(tokens)
    if len(tokens) > MAX_UPGRADES:
        return f"at most {MAX_UPGRADES} protocols"
    for token in tokens:
        if not _PROTOCOL.fullmatch(token):
            return f"names of protocols for the Upgrade field, separated by commas, and {token!r} is none"
        if token in _NEVER:
            return f"no {token}, which is not reached by an upgrade"
    return ""


def asked(values: list[bytes], options: set[bytes]) -> bytes:
    """Return the one protocol that Upgrade fields ask for, empty if there are several or Connection does not name it.

    `values` and `options` are in lower case; so is the token.
    """
    tokens = {token.strip(b" \t") for value in values for token in value.split(b",")} - {b"", b"h2c"}
    return tokens.pop() if len(tokens) == 1 and b"upgrade" in options else b""


def offered(tokens: Iterable[str]) -> frozenset[bytes]:
    """Return what a route offers that lists `tokens`."""
    return WEBSOCKET.union(token.encode() for token in tokens) if tokens else WEBSOCKET


def change(lines: bytes, token: bytes) -> bytes:
    """Return the head that begins with `lines` and asks for, or agrees to, the protocol `token`."""
    return b"%bConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % (lines, token)
