"""The endpoints of a cluster that may be used now, and how one of them is drawn. Pure.

Whoever is marked (cluster.py) is left out, with two exceptions, for some answer is better than none:

* If fewer than half of the endpoints that are not draining are available, all of those are used: what makes that many
  fail is rarely the endpoints, and the few that are left would be overrun (Envoy's healthy panic threshold, 50 %).
* If all are draining, all are used. Otherwise a draining one never is: that was an operator's will, not a symptom.

Endpoints of weight 0 are never used.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rauta_control.cluster import Endpoint

DRAINING, UNHEALTHY, OPEN = 1, 2, 4  # why an endpoint is not available: a set of bits, 0 if it is
PANIC = 0.5  # of those that are not draining; with fewer available, all are used
LONGEST_ROUND = 1_024  # turns; beyond it a round is approximate

Member: TypeAlias = tuple["Endpoint", int]
"""An endpoint of a cluster, and its weight there, above 0."""


def usable(members: Sequence[Member]) -> Sequence[Member]:
    """Return those members that requests may go to; none only if there are none."""
    staying = [member for member in members if not member[0].unavailable & DRAINING] or members
    able = [member for member in staying if not member[0].unavailable]
    return able if len(able) >= PANIC * len(staying) else staying


class Available:
    """At least one member, and what draws among them need, by weight. `chance` arguments are in [0, 1)."""

    __slots__ = ("_bounds", "_round", "endpoints", "members")

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.endpoints = {endpoint for endpoint, _ in members}
        self._bounds = list(accumulate(weight for _, weight in members))
        self._round: list[Endpoint] | None = None

    def without(self, tried: Collection[Endpoint]) -> Available:
        """Return those that were not tried; if all were, all."""
        if not tried:
            return self
        untried = [member for member in self.members if member[0] not in tried]
        return Available(untried) if 0 < len(untried) < len(self.members) else self

    def draw(self, chance: float) -> Endpoint:
        """Return an endpoint by weight."""
        return self.members[self._at(chance * self._bounds[-1])][0]

    def least(self, chance: float, other_chance: float) -> Endpoint:
        """Draw two by weight and return the one with fewer requests for its weight (Mitzenmacher, 2001).

        The first if both have as many: where there is little load, weights alone decide.
        """
        bounds = self._bounds
        first = self._at(chance * bounds[-1])
        one, weight = self.members[first]
        rest = bounds[-1] - weight
        if not rest:
            return one
        ticket = other_chance * rest  # among all but the first
        if ticket >= bounds[first] - weight:
            ticket += weight
        other, other_weight = self.members[self._at(ticket)]
        return one if one.busy * other_weight <= other.busy * weight else other

    def turn(self, number: int) -> Endpoint:
        """Return whose turn it is: each has as many turns in a round as its weight says, evenly spread."""
        if self._round is None:
            self._round = _round(self.members)
        return self._round[number % len(self._round)]

    def _at(self, ticket: float) -> int:
        return bisect_right(self._bounds, ticket, hi=len(self._bounds) - 1)


def _round(members: Sequence[Member]) -> list[Endpoint]:
    """The turns of a round: turn k of a member is due in the middle of its k-th share of the time."""
    factor = math.gcd(*(weight for _, weight in members))
    total = sum(weight for _, weight in members) // factor
    scale = factor * max(1.0, total / LONGEST_ROUND)
    turns = [
        ((k + 0.5) / count, index)
        for index, (_, weight) in enumerate(members)
        for count in (max(1, round(weight / scale)),)
        for k in range(count)
    ]
    return [members[index][0] for _, index in sorted(turns)]
