"""What is done to the requests of a rule beyond sending them on: compiled with the table. Pure.

A rule without any of it has no treatment, and its requests pay one look for that (downstream.py). exchange.py carries
a treatment out.

The order is the same whatever it is in the manifest (docs/filters.md):

    request   a share is drawn and its filters join the rule's; a preflight is answered; a redirect is answered; host
              and path are rewritten, by the share rather than the rule; fields are edited by the rule, then by the
              share; mirrors copy what came of it
    response  the backend's CORS fields are replaced; fields are edited by the rule, then by the share
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from rauta_control import ir
from rauta_control.action import Filters, Rewrite
from rauta_control.cors import Sharing
from rauta_control.edit import Edit
from rauta_control.policy import Policy
from rauta_control.redirect import Redirection
from rauta_control.target import PathChange

if TYPE_CHECKING:
    from rauta_control.cluster import Cluster
    from rauta_control.gate import Gate

_NOTHING = Filters()
_HOST = re.compile(rb"(?mi)^host:[^\n]*\n")


class Treatment:
    """What a rule asks for; empty or None where it does not. Shared by all requests of the rule.

    `mirrors` are (cluster, share of the requests). Where shares of the rule have filters of their own, `shares` holds
    the cluster and the treatment of each, the rule's filters included.
    """

    __slots__ = (
        "_bounds",
        "cors",
        "gates",
        "host",
        "mirrors",
        "path",
        "policy",
        "redirect",
        "request",
        "response",
        "shares",
    )

    def __init__(self, rule: ir.Rule, levels: tuple[Filters, ...], clusters: Mapping[str, Cluster]) -> None:
        prefix = rule.path.encode() if rule.path_type == "prefix" else b""
        rewrites = [filters.rewrite or Rewrite() for filters in reversed(levels)]
        host = next((rewrite.hostname for rewrite in rewrites if rewrite.hostname), "")
        path = next((rewrite.path for rewrite in rewrites if rewrite.path), None)
        cors = next((filters.cors for filters in reversed(levels) if filters.cors), None)
        redirect = next((filters.redirect for filters in reversed(levels) if filters.redirect), None)
        self.policy: Policy | None = None
        self.gates: tuple[Gate, ...] = ()  # asked in this order, before all but preflights
        self.request = tuple(Edit(filters.request, request=True) for filters in levels if filters.request)
        self.response = tuple(Edit(filters.response) for filters in levels if filters.response)
        self.host = b"Host: %b\r\n" % host.encode() if host else b""
        self.path = PathChange(path, prefix) if path else None
        self.cors = Sharing(cors) if cors else None
        self.redirect = Redirection(redirect, prefix) if redirect else None
        self.mirrors = tuple(
            (clusters[mirror.cluster], mirror.numerator / mirror.denominator)
            for filters in levels
            for mirror in filters.mirrors
        )
        self.shares: tuple[tuple[Cluster | None, Treatment], ...] = ()
        self._bounds: tuple[int, ...] = ()

    @classmethod
    def of(cls, rule: ir.Rule, clusters: Mapping[str, Cluster]) -> Treatment | None:
        """Return the treatment of a rule's requests; None if there is nothing to do."""
        own = any(share.filters is not None for share in rule.clusters)
        policy = Policy.of(rule)
        if rule.filters is None and not own and policy is None:
            return None
        common = (rule.filters or _NOTHING,)
        made = cls(rule, common, clusters)
        made.policy = policy
        if own:
            live = [share for share in rule.clusters if share.weight]
            made.shares = tuple(
                (
                    clusters[share.cluster] if share.cluster else None,
                    cls(rule, (*common, share.filters), clusters) if share.filters else made,
                )
                for share in live
            )
            made._bounds = tuple(accumulate(share.weight for share in live))
        return made

    def draw(self, chance: float) -> tuple[Cluster | None, Treatment]:
        """Return one of `shares` by weight for a random `chance` in [0, 1)."""
        return self.shares[min(bisect_right(self._bounds, chance * self._bounds[-1]), len(self.shares) - 1)]

    def edited(self, method: bytes, target: bytes, fields: bytes) -> bytes:
        """Return the head for the backend: request line and `fields` as the rule wants them."""
        if self.path is not None:
            target = self.path.apply(target)
        if self.host:
            fields = self.host + _HOST.sub(b"", fields)
        for edit in self.request:
            fields = edit.apply(fields)
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, fields)
