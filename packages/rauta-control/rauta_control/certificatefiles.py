"""Certificates and keys in files: read, checked, and looked at again in case that they have changed, or expired.

A pair that cannot be used is reported and the last good one stays, also over a restart of control: it is in what was
published. So it does not matter in which order a renewal replaces the two files.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from rauta_control import certificate, regularfile
from rauta_control.ir import Resource, Secret, bounded
from rauta_control.settings import PairFiles
from rauta_control.validity import complaint

PREFIX = "standalone/tls"  # of the names of secrets

_NEVER = datetime.max.replace(tzinfo=UTC)

_Stamp: TypeAlias = tuple[int, int, int, int]


def _now() -> datetime:
    return datetime.now(UTC)


class CertificateFiles:
    """The pairs that were wanted last: `any` is set if there are some.

    `problems` are those of the last reading; `clock` says what time it is (UTC).
    """

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self.problems: list[str] = []
        self.any = asyncio.Event()
        self._clock = clock
        self._due = _NEVER  # when a certificate begins or ceases to be valid
        self._pairs: tuple[PairFiles, ...] = ()
        self._stamps: list[_Stamp | None] = []
        self._secrets: dict[str, Secret] = {}

    async def read(self, pairs: tuple[PairFiles, ...], published: Mapping[str, Resource]) -> list[Secret]:
        """Read `pairs` and return what can be used, in their order; a bad one is as it was `published`, if it was."""
        if not pairs:  # and nothing to import for it
            self.problems, self._pairs, self._stamps, self._secrets, self._due = [], (), [], {}, _NEVER
            self.any.clear()
            return []
        self.any.set()
        return await asyncio.get_running_loop().run_in_executor(None, self._read, pairs, published)

    async def changed(self) -> bool:
        """Whether any file is another one than when it was read, or a certificate has expired since."""
        if not self._pairs:
            return False
        if self._clock() >= self._due:
            return True
        return await asyncio.get_running_loop().run_in_executor(None, _stamps, self._pairs) != self._stamps

    def _read(self, pairs: tuple[PairFiles, ...], published: Mapping[str, Resource]) -> list[Secret]:
        self._pairs = pairs
        self._stamps = _stamps(pairs)  # before the reading: what changes meanwhile is seen at the next look
        problems: list[str] = []
        secrets: dict[str, Secret] = {}
        for pair in pairs:
            name = _name(pair)
            made = load(pair)
            if isinstance(made, Secret):
                secrets[name] = made
                continue
            old = self._secrets.get(name) or published.get(f"secret/{name}")
            problems.append(f"{made}; {'the last good pair stays' if old else 'HTTPS is served without it'}")
            if isinstance(old, Secret):
                secrets[name] = old
        self._secrets = secrets
        self.problems = problems + self._outdated()
        return list(secrets.values())

    def _outdated(self) -> list[str]:
        """What is wrong with the time of what is served, which is to be asked again when `_due`."""
        now = self._clock()
        periods = {name: certificate.period(secret.certificates) for name, secret in self._secrets.items()}
        self._due = min((moment for period in periods.values() for moment in period if moment > now), default=_NEVER)
        said = {name: complaint(*period, now) for name, period in periods.items()}
        return [f"{pair.certificate}: {text}" for pair in self._pairs if (text := said.get(_name(pair)))]


def load(pair: PairFiles) -> Secret | str:
    """Return the secret of a pair, or what is wrong with it."""
    contents = []
    for path in pair:
        try:
            contents.append(regularfile.read(path))
        except OSError as error:
            return f"{path}: {error.strerror}"
    chain, key = contents
    problem = certificate.mismatch(chain, key, pair.certificate, pair.key)
    return problem or certificate.pair(_name(pair), chain, key)


def unusable(pairs: Iterable[PairFiles]) -> list[str]:
    """What is wrong with pairs that are to be used for the first time."""
    return [made for made in map(load, pairs) if isinstance(made, str)]


def _name(pair: PairFiles) -> str:
    return bounded(f"{PREFIX}/{pair.certificate}")


def _stamps(pairs: Iterable[PairFiles]) -> list[_Stamp | None]:
    return [_stamp(path) for pair in pairs for path in pair]


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
