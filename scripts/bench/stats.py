"""Medians, quartiles and ratios of slices. Pure.

Slices on a shared machine have outliers on one side (somebody else ran), so everything here is by rank: no means, no
standard deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of a sample and the half of it around the middle, in the unit of the sample."""

    median: float
    low: float  # first quartile
    high: float  # third quartile


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the sample lies, interpolated (Hyndman and Fan, type 7)."""
    if not values:
        raise ValueError("a quantile of nothing")
    if not 0 <= share <= 1:
        raise ValueError(f"a quantile is between 0 and 1, not {share}")
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    below = int(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (ranked[above] - ranked[below]) * (place - below)


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles."""
    return Spread(quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The ratio of the two medians."""
    return quantile(ours, 0.5) / quantile(theirs, 0.5)


def paired_ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float | None:
    """The median of the ratios of slices that ran side by side; None marks a failed slice, its pair is left out.

    Slow drift (a neighbour, a frequency step) hits both of a pair, so this one is steadier than the ratio of the
    medians. Where the two differ by much, the run was disturbed. None if no pair is left.
    """
    ratios = [a / b for a, b in zip(ours, theirs, strict=True) if a is not None and b]
    return quantile(ratios, 0.5) if ratios else None
