"""Maglev consistent hashing: a lookup table that is even, cheap to read and barely changes when an endpoint leaves.

The algorithm is that of Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
section 3.4. Every endpoint has its own permutation of the slots, made from a hash of its name; the endpoints take
turns, and each takes the first free slot of its permutation. As in Envoy's MaglevTable an endpoint of half the weight
has half the turns; Envoy counts them out in rounds, here each turn has its due time, which bounds the shares closer.

What a table promises, for n weighted endpoints and a size M > n (the tests hold it to each):

* an endpoint entitled to q = M * weight / sum(weights) slots gets at most q + 1 and at least q * (1 - n / M), and one;
* names alone decide who gets a slot: neither the order of the endpoints nor a common factor of the weights matters;
* when an endpoint leaves, its slots are dealt out and few others move: 1 % of the table in the median of 20,000 cases,
  4 % in 99 of 100, 19 % in the worst (measured; the paper proves no bound), the tests allow a quarter.

A table is bytes, a native u16 per slot, so that it can be shipped and mapped as it is; `view` makes it readable.
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter

from rauta_common.hashing import digest

SIZES = ((100, 1021), (1600, 16381))
LARGEST_SIZE = 65537
"""The ladder of table sizes, all prime: up to 100 endpoints 1021 slots, up to 1600 endpoints 16381, beyond that 65537.

At least ten slots an endpoint keep the shares within a tenth of the weights (up to 6553 endpoints). The rungs are few
because crossing one changes every permutation, and so moves nearly every flow; they are not all 65537 because a table
is rebuilt at each endpoint change: 1021 slots are 2 KiB and about 1 ms, 65537 are 128 KiB and 50 to 100 ms.
"""

MAX_ENDPOINTS = 1 << 16
"""What a u16 slot can tell apart."""


def table_size(n: int) -> int:
    """Return the number of slots for `n` endpoints: a prime, and the same for all counts on the same rung."""
    return next((size for most, size in SIZES if n <= most), LARGEST_SIZE)


def build(names: Sequence[str], weights: Sequence[int], size: int) -> bytes:
    """Return a table of `size` native u16 indices into `names`, dealt in proportion to `weights`.

    A weight of 0 gets no slot, any other at least one. Raises ValueError unless the names are unique and one to a
    weight, no weight is negative, one is positive, and `size` is a prime above the number of names.
    """
    _check(names, weights, size)
    digests = [digest(name.encode()) for name in names]
    at = [high % size for high in (d >> 32 for d in digests)]
    skips = [low % (size - 1) + 1 for low in (d & 0xFFFF_FFFF for d in digests)]
    table = array("H", bytes(2 * size))
    taken = [False] * size
    for endpoint in _turns(names, weights, size):  # about M ln M probes in all, so the loop below is bare
        slot = at[endpoint]
        skip = skips[endpoint]
        while taken[slot]:
            slot = (slot + skip) % size
        taken[slot] = True
        table[slot] = endpoint
        at[endpoint] = slot  # its next turn goes on from here
    return table.tobytes()


def view(table: bytes | memoryview) -> Sequence[int]:
    """Return the slots of a built table as a sequence of indices, without copying it."""
    return memoryview(table).cast("H")


def pick(table: Sequence[int], h: int) -> int:
    """Return the endpoint of the slot that hash `h` (not negative) falls on."""
    return table[h % len(table)]


def walk(table: Sequence[int], h: int, limit: int) -> Iterator[int]:
    """Yield at most `limit` distinct endpoints, in the order of the slots from that of `h` on: the pick comes first.

    Each weighted endpoint comes once, and a full turn ends the walk. Flows that share a pick go on to different
    endpoints, so the load of one that is walked past spreads over all the others.
    """
    start = h % len(table)
    seen: set[int] = set()
    for slot in chain(range(start, len(table)), range(start)):
        if len(seen) >= limit:
            return
        endpoint = table[slot]
        if endpoint not in seen:
            seen.add(endpoint)
            yield endpoint


def _turns(names: Sequence[str], weights: Sequence[int], size: int) -> list[int]:
    """Return whose turn it is, `size` times: turn k of an endpoint, counted from 0, is due at the time k / weight.

    Wherever that is cut off, each endpoint has had between T * weight and T * weight + 1 turns by the time T of the
    cut, and the bounds on the shares follow by summing over all of them.
    """
    total = sum(weights)
    order = sorted((i for i, weight in enumerate(weights) if weight), key=names.__getitem__)
    turns = [(k / weights[i], i) for i in order for k in range(size * weights[i] // total + 2)]
    turns.sort(key=itemgetter(0))  # stable, so the order of the names settles ties
    return [i for _, i in turns[:size]]


def _check(names: Sequence[str], weights: Sequence[int], size: int) -> None:
    if len(names) != len(weights):
        raise ValueError(f"{len(names)} names but {len(weights)} weights")
    if len(set(names)) != len(names):
        raise ValueError("names are not unique")
    if min(weights, default=0) < 0:
        raise ValueError("a weight is negative")
    if not any(weights):
        raise ValueError("no weight is positive")
    if len(names) > MAX_ENDPOINTS:
        raise ValueError(f"{len(names)} endpoints, at most {MAX_ENDPOINTS} fit a table")
    if size <= len(names):
        raise ValueError(f"size {size} is not above the number of endpoints, {len(names)}")
    if any(size % divisor == 0 for divisor in range(2, int(size**0.5) + 1)):
        raise ValueError(f"size {size} is not prime, so a skip need not reach every slot")
