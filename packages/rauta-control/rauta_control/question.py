"""A request that is asked about and never sent: from a method, a URL and header lines to the bytes of its head. Pure.

It stands as a client would send it, byte for byte, so that the proxy's own gate (head.py) can judge it. Refused here is
only what no client could send; errors name the parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple

from rauta_agent_api.errors import AgentApiError

PORTS = {"http": 80, "https": 443}

_URL_FIX = "give a URL such as http://HOST:PORT/PATH, percent-encoded as a client would send it"
_HEADER_FIX = "give a header field as 'name: value'"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE = re.compile(r"[^\x21-\x7e]")
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?")


class Question(NamedTuple):
    """A request. `name` is the host of its URL without the port, which is None if the URL has none."""

    method: str
    url: str
    secure: bool
    name: str
    port: int | None
    head: bytes
    """All of it, the blank line included."""

    @property
    def server_name(self) -> str:
        """What a TLS client says (lower case); empty for an address, which no ClientHello may have (RFC 6066 3)."""
        return "" if self.address else self.name.lower().rstrip(".")

    @property
    def address(self) -> str:
        """The IP address in the URL, empty if there is none."""
        try:
            return str(ip_address(self.name.strip("[]")))
        except ValueError:
            return ""


def question(method: str, url: str, headers: Iterable[str] = ()) -> Question:
    """Return the request. A URL without a scheme is one of http; a path alone takes its host from a Host field.

    Raises `usage` for what cannot be sent.
    """
    if not _TOKEN.fullmatch(method):
        raise AgentApiError("usage", f"method: {method!r} is no method", "give one such as GET or POST")
    fields = [_field(line) for line in headers]
    hosts = [value for name, value in fields if name.lower() == "host"]
    scheme, name, port, target = _taken_apart(url)
    authority = name if port in (None, PORTS[scheme]) else f"{name}:{port}"
    if not name:
        if not hosts:
            raise AgentApiError("usage", f"url: {url!r} has no host", f"{_URL_FIX}, or add the field 'Host: NAME'")
        name, port = _authority(url, hosts[0])
    given = [("Host", authority)] if not hosts else []
    lines = "".join(f"{name}: {value}\r\n" for name, value in (*given, *fields))
    head = f"{method.upper()} {target} HTTP/1.1\r\n{lines}\r\n".encode(errors="surrogateescape")
    return Question(method.upper(), url, scheme == "https", name, port, head)


def _taken_apart(url: str) -> tuple[str, str, int | None, str]:
    """Return scheme, host (empty if there is none), port and target."""
    if bad := _UNSENDABLE.search(url):
        raise AgentApiError("usage", f"url: {url!r} has {bad[0]!r}, which no client can send", _URL_FIX)
    if "/" not in url:
        raise AgentApiError("usage", f"url: {url!r} is no URL", _URL_FIX)
    scheme, mark, rest = url.partition("://")
    if not mark or "/" in scheme:  # `://` may stand in a query
        scheme, rest = "http", url
    if scheme.lower() not in PORTS:
        raise AgentApiError("usage", f"url: {scheme!r} is neither http nor https", _URL_FIX)
    rest = rest.partition("#")[0]
    length = next((at for at, character in enumerate(rest) if character in "/?"), len(rest))
    authority, target = rest[:length], rest[length:]
    if "@" in authority:
        raise AgentApiError("usage", f"url: {url!r} has a user", "leave it out, and add the field 'Authorization: ...'")
    if mark and not authority:
        raise AgentApiError("usage", f"url: {url!r} has no host", _URL_FIX)
    name, port = _authority(url, authority)
    return scheme.lower(), name, port, target if target.startswith("/") else f"/{target}"


def _authority(url: str, authority: str) -> tuple[str, int | None]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return authority, None  # the gate says what it is
    port = None if match[2] is None else int(match[2])
    if port is not None and not 0 < port < 65536:
        raise AgentApiError("usage", f"url: {url!r} has port {port}", "give a port from 1 to 65535")
    return match[1], port


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        raise AgentApiError("usage", f"header: {line!r} is no header field", _HEADER_FIX)
    return name, value.strip(" \t")
