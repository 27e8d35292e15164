"""What the data plane does to requests and responses of a rule: what becomes of filters and policies. Pure.

Compiled ready: defaults are filled in, names of header fields that repeat are settled, durations are milliseconds.
"""

from __future__ import annotations

import msgspec

UNSET = -1  # of a number of milliseconds or attempts: left to the gateway. 0 of milliseconds: no limit


class HeaderEdit(msgspec.Struct, frozen=True, array_like=True):
    """Changes of header fields: replace, append to what is there, drop. Names are compared without case."""

    replace: tuple[tuple[str, str], ...] = ()
    append: tuple[tuple[str, str], ...] = ()
    drop: tuple[str, ...] = ()


class PathEdit(msgspec.Struct, frozen=True, array_like=True):
    """A new path, or (`prefix`) a new beginning in place of the rule's path. Segments stay whole."""

    path: str
    prefix: bool = False


class Redirect(msgspec.Struct, frozen=True, array_like=True):
    """An answer that sends the client elsewhere. `port` 0: not written; `hostname` empty, `path` None: as requested."""

    status: int
    scheme: str
    port: int
    hostname: str = ""
    path: PathEdit | None = None


class Rewrite(msgspec.Struct, frozen=True, array_like=True):
    """A changed target for the backend. `hostname` empty and `path` None: as requested."""

    hostname: str = ""
    path: PathEdit | None = None


class Mirror(msgspec.Struct, frozen=True, array_like=True):
    """`numerator` of `denominator` requests are copied to `cluster`, whose answers are dropped."""

    cluster: str
    numerator: int = 1
    denominator: int = 1


class Cors(msgspec.Struct, frozen=True, array_like=True):
    """Cross-origin answers. Origins: `https://a.example`, `https://*.example.com`, `*`; `max_age` is in seconds."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 5


class Filters(msgspec.Struct, frozen=True, array_like=True):
    """What is done to requests and responses."""

    request: HeaderEdit | None = None
    response: HeaderEdit | None = None
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None


class Retry(msgspec.Struct, frozen=True, array_like=True):
    """When a failed request is tried again: at most `attempts` more times, after `backoff` ms; or UNSET."""

    attempts: int = UNSET
    codes: tuple[int, ...] = ()
    backoff: int = UNSET
