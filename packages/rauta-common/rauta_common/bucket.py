"""A token bucket in one u64: pure transitions, for a compare-and-swap loop over memory that all workers share.

Layout: the low 32 bits are a stamp (ms modulo 2**32, see stamp.py), the high 32 bits the tokens at that time, as 16.16
fixed point. A returned word that equals the given one means that there is nothing to write; a refusal never writes, so
an overloaded limiter costs no swap.

Refilling must not lose what is less than a unit of 2**-16 token, or a bucket asked more often than it gains a unit
would never fill. Therefore time is not multiplied by the rate and rounded, but both of its ends are: with

    units(t) = floor(t * rate), t in ms since the clock's start, rate in units per ms, exact

the gain from s to t is units(t) - units(s). Such gains telescope: however time is cut into calls, they add up to the
gain of the whole, within one unit. What the stamp advances by is what was converted, at any rate, without a remainder
to store. Nothing is converted twice either: a process with an older reading of the clock finds no time passed and
leaves the stamp alone.

Idle time counts modulo 2**32 ms (49.7 days): after longer a bucket may have gained less than it should, never more.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from rauta_common.stamp import LONGEST_MS, MASK, elapsed

ONE = 1 << 16
"""Units in a token."""

MAX_CAPACITY = (1 << 16) - 1
"""Tokens that fit 16 bits."""

MAX_RATE = 1_000_000_000
"""Tokens per second; above 65,535,000 any bucket is full again after a millisecond."""


@dataclass(frozen=True, slots=True)
class Config:
    """The size and speed of a bucket. Raises ValueError unless it fills within 2**30 ms (12.4 days).

    So a word may wait for its tokens untouched: whatever it can ever admit is there before the stamp wraps.
    """

    capacity: int  # tokens, so the largest burst: 1 to 65535
    rate: float | Fraction  # tokens per second: one an hour is Fraction(1, 3600)
    _units: int = field(init=False, repr=False, compare=False)  # gained in every _ms, in lowest terms
    _ms: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.capacity <= MAX_CAPACITY:
            raise ValueError(f"capacity must be 1 to {MAX_CAPACITY} tokens")
        if not self.capacity * 1000 / LONGEST_MS <= self.rate <= MAX_RATE:
            raise ValueError(f"rate must fill the bucket within {LONGEST_MS} ms and be at most {MAX_RATE} tokens/s")
        units, ms = (Fraction(self.rate) * ONE / 1000).as_integer_ratio()
        object.__setattr__(self, "_units", units)
        object.__setattr__(self, "_ms", ms)

    def units(self, t: int) -> int:
        """Return the units gained from the clock's start to `t` ms, rounded down."""
        return t * self._units // self._ms

    def reached(self, units: int) -> int:
        """Return the first t at which units(t) is that many."""
        return -(-units * self._ms // self._units)


def full(config: Config, now: int) -> int:
    """Return the word of a full bucket, which is what a new one starts as. (Zeroed memory is an empty one.)"""
    return config.capacity * ONE << 32 | now & MASK


def take(word: int, now: int, config: Config, cost: int = 1) -> tuple[int, bool]:
    """Return the next word, and whether `cost` tokens were there at `now`, in monotonic ms since the clock's start.

    A cost above the capacity is always refused. Raises ValueError if it is negative.
    """
    if cost < 0:
        raise ValueError(f"cost {cost} is negative")
    units, stamp = _refilled(word, now, config)
    left = units - cost * ONE
    return (left << 32 | stamp, True) if left >= 0 else (word, False)


def available(word: int, now: int, config: Config) -> float:
    """Return the tokens in the bucket at `now`: 0 to capacity, in steps of 2**-16."""
    return _refilled(word, now, config)[0] / ONE


def wait_ms(word: int, now: int, config: Config, cost: int = 1) -> int:
    """Return the ms from `now` until `cost` would be admitted if nobody else took any: 0 means at once.

    Raises ValueError for a cost above the capacity, which never would be.
    """
    if cost > config.capacity:
        raise ValueError(f"cost {cost} is above the capacity, {config.capacity}")
    units, _ = _refilled(word, now, config)
    missing = cost * ONE - units
    return config.reached(config.units(now) + missing) - now if missing > 0 else 0


def _refilled(word: int, now: int, config: Config) -> tuple[int, int]:
    """Return the units at `now` and the stamp up to which time is then converted."""
    stamp = word & MASK
    passed = elapsed(now, stamp)
    gained = config.units(now) - config.units(now - passed)
    return min((word >> 32) + gained, config.capacity * ONE), (stamp + passed) & MASK
