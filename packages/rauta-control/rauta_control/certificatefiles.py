"""Certificates and keys in files: read, checked, and looked at again in case that they have changed.

A pair that cannot be used is reported and the last good one stays, also over a restart of control: it is in what was
published. So it does not matter in which order a renewal replaces the two files.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from rauta_control import certificate
from rauta_control.ir import Resource, Secret, bounded
from rauta_control.settings import PairFiles

PREFIX = "standalone/tls"  # of the names of secrets

_Stamp: TypeAlias = tuple[int, int, int, int]


class CertificateFiles:
    """The pairs that were wanted last. `problems` are those of the last reading."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._pairs: tuple[PairFiles, ...] = ()
        self._stamps: list[_Stamp | None] = []
        self._secrets: dict[str, Secret] = {}

    async def read(self, pairs: tuple[PairFiles, ...], published: Mapping[str, Resource]) -> list[Secret]:
        """Read `pairs` and return what can be used, in their order; a bad one is as it was `published`, if it was."""
        if not pairs:  # and nothing to import for it
            self.problems, self._pairs, self._stamps, self._secrets = [], (), [], {}
            return []
        return await asyncio.get_running_loop().run_in_executor(None, self._read, pairs, published)

    async def changed(self) -> bool:
        """Whether any file is another one than when it was read."""
        if not self._pairs:
            return False
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
                problems += _expired(pair, made)
                continue
            old = self._secrets.get(name) or published.get(f"secret/{name}")
            problems.append(f"{made}; {'the last good pair stays' if old else 'HTTPS is served without it'}")
            if isinstance(old, Secret):
                secrets[name] = old
        self.problems = problems
        self._secrets = secrets
        return list(secrets.values())


def load(pair: PairFiles) -> Secret | str:
    """Return the secret of a pair, or what is wrong with it."""
    contents = []
    for path in pair:
        try:
            contents.append(Path(path).read_bytes())
        except OSError as error:
            return f"{path}: {error.strerror}"
    chain, key = contents
    problem = certificate.mismatch(chain, key, pair.certificate, pair.key)
    return problem or certificate.pair(_name(pair), chain, key)


def unusable(pairs: Iterable[PairFiles]) -> list[str]:
    """What is wrong with pairs that are to be used for the first time."""
    return [made for made in map(load, pairs) if isinstance(made, str)]


def _expired(pair: PairFiles, secret: Secret) -> Iterable[str]:
    _, until = certificate.period(secret.certificates)
    if until <= datetime.now(UTC):
        yield f"{pair.certificate}: the certificate has expired on {until:%Y-%m-%d}: clients will refuse it"


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
