"""Redirects: the Location of a request's answer, compiled from the rule. Pure."""

from __future__ import annotations

import re

from rauta_control.action import Redirect
from rauta_control.head import split_host
from rauta_control.target import PathChange

# What clients may write into a target (head.py) and no URI may have (RFC 3986 3.3, 3.4).
_NO_URI = re.compile(rb'["<>\[\\\]^`{|}]')


class Redirection:
    """One compiled Redirect of a rule, whose path is `prefix` (see target.PathChange)."""

    __slots__ = ("_host", "_path", "_port", "_scheme", "status")

    def __init__(self, redirect: Redirect, prefix: bytes) -> None:
        self.status = redirect.status
        self._scheme = redirect.scheme.encode()
        self._host = redirect.hostname.encode()
        self._port = b":%d" % redirect.port if redirect.port else b""
        self._path = PathChange(redirect.path, prefix) if redirect.path else None

    def location(self, host: bytes, target: bytes) -> bytes:
        """Return where to go from `target` (path and query) on `host` (a Host field in lower case, port included).

        Always absolute: a relative one that began with two slashes would name a host. Always a URI: what none may have
        is escaped, and the `*` that means the whole server is no path (RFC 9112 3.2.4). Raises Refused(BAD_HOST)
        without a host name, which requests of HTTP/1.0 can be.
        """
        if self._path is not None:
            target = self._path.apply(target)
        if target == b"*":
            target = b""
        target = _NO_URI.sub(_escape, target)
        return b"%b://%b%b%b" % (self._scheme, self._host or split_host(host), self._port, target)


def _escape(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % ord(found[0])
