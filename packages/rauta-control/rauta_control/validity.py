"""Certificates out of date: served all the same, since it is for clients to refuse them, but said. Pure.

Time is no input of translation, so this is asked of its resources whenever somebody wants to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from rauta_control.certificate import CERTIFICATE, period
from rauta_control.finding import Finding, finding
from rauta_control.ir import Resource, Secret
from rauta_control.world import Key


def complaint(since: datetime, until: datetime, now: datetime) -> str:
    """What is wrong with a certificate that is valid between these; empty if nothing is `now`."""
    if now >= until:
        return f"the certificate has expired on {until:%Y-%m-%d}: clients refuse it"
    if now < since:
        return f"the certificate is not valid before {since:%Y-%m-%d}: clients refuse it"
    return ""


class Period(NamedTuple):
    """When the certificate of a Secret is valid (UTC)."""

    secret: Key
    since: datetime
    until: datetime


def period_of(resource: Resource) -> Period | None:
    """That of a resource which is a certificate with its key, made of a Secret."""
    if not isinstance(resource, Secret) or not resource.private_key:
        return None
    return Period(Key.of_path("Secret", resource.name), *period(resource.certificates))


def outdated(periods: Mapping[str, Period], now: datetime) -> Iterator[Finding]:
    """Findings about those that are not valid `now`."""
    for each in periods.values():
        if said := complaint(each.since, each.until, now):
            yield finding(58, each.secret, f"data[{CERTIFICATE}]", said)
