"""Millisecond stamps of 32 bits, as the packed words of `circuit` and `bucket` keep them.

A stamp is a monotonic time in ms modulo 2**32, so it comes round every 49.7 days. Two readings of it are told apart by
modular subtraction, with one exception: in a compare-and-swap loop `now` may have been read just before another process
stamped the word, and the stamp then lies in the future. Plain subtraction would call that 49.7 days ago, so differences
within SKEW_MS of the wrap count as "no time has passed". RFC 1982 splits the circle in half for the same reason; an
idle word is far likelier here than a process that slept a minute between reading the clock and the swap.
"""

MASK = (1 << 32) - 1
"""Keeps what a stamp can hold of a time: `now & MASK`."""

SKEW_MS = 1 << 16
"""How far ahead of `now` a stamp may lie and still be taken for the present: 65.5 s."""

LONGEST_MS = 1 << 30
"""The longest wait that configuration may ask for: 12.4 days. Once over, it is seen to be over for a month."""


def elapsed(now: int, stamp: int) -> int:
    """Return the ms from `stamp` to `now` (any monotonic ms, truncated or not): 0 <= result < 2**32 - SKEW_MS.

    True times of 2**32 ms and more come back modulo 2**32: an idle word may seem younger than it is, never older.
    """
    passed = (now - stamp) & MASK
    return passed if passed <= MASK - SKEW_MS else 0
