"""What the command line asks for, with what has to be looked up for it: addresses of host names, and certificates.

A shell around standalone.py, which plans. Host names of the endpoints of objects are looked up beside its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set

from rauta_control import standalone
from rauta_control.certificatefiles import CertificateFiles
from rauta_control.ir import Resource
from rauta_control.log import Log
from rauta_control.resolve import Resolver
from rauta_control.settings import Settings
from rauta_control.turns import in_turns

FIRST_ANSWERS = 2.0  # seconds to wait for the first look-ups before publishing without some of them


class CommandLine:
    """`plan` is what was loaded last; `wake` is set when addresses of a host have changed."""

    def __init__(self, wake: asyncio.Event, log: Log) -> None:
        self.plan = standalone.Plan()
        self.resolver = Resolver(self._host_moved)
        self.certificates = CertificateFiles()
        self._moved: set[str] = set()  # hosts whose addresses changed since they were planned
        self._wake = wake
        self._log = log

    @property
    def addresses(self) -> Mapping[str, tuple[str, ...]]:
        """Those of host names, as far as they are known."""
        return self.resolver.names.addresses

    @property
    def problems(self) -> list[str]:
        """What is wrong with names and certificates, a sentence each."""
        return [*self.resolver.names.problems, *self.certificates.problems]

    async def load(self, settings: Settings, published: Mapping[str, Resource]) -> None:
        """Plan what `settings` say; a certificate that cannot be used stays as it was `published`."""
        secrets = await self.certificates.read(settings.tls_pairs, published)
        self.plan = await in_turns(standalone.plan(settings, secrets))

    def look_up(self, others: Set[str]) -> None:
        """Keep the addresses of the plan's hosts, and of these others."""
        self.resolver.want(self.plan.users.keys() | others)

    async def first_answers(self) -> None:
        """Wait until every host was looked up once, but not for long."""
        try:
            async with asyncio.timeout(FIRST_ANSWERS):
                while not self.resolver.names.answered:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            self._log.warn("not waiting any longer for host names to resolve")

    async def wanted(self, published: Mapping[str, Resource], *, new: bool) -> dict[str, Resource]:
        """Return what the plan says: all of it if it is new, otherwise clusters with a host that has moved."""
        plan, moved, self._moved = self.plan, self._moved, set()
        touched = plan.clusters if new else sorted({name for host in moved for name in plan.users.get(host, ())})
        found = dict(await in_turns(standalone.clusters(plan, touched, self.addresses, published)))
        return found | plan.resources if new else found

    def _host_moved(self, host: str) -> None:
        self._moved.add(host)
        self._wake.set()
