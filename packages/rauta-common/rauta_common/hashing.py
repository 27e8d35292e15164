"""Stable hashes: equal in every process, on every machine and in every release, unlike the builtin, which is salted.

Two kinds, because two callers want opposite things. A request wants nanoseconds and forgives a collision; a table wants
that two different inputs never look alike, and is built seldom. Neither withstands a client who picks keys to collide:
flow_hash only chooses among backends that would all be right, and digest keys things an operator named.
"""

import hashlib
import zlib


def flow_hash(key: bytes) -> int:
    """Hash the key of a flow (address and port, header or cookie) to a u32, for per-request use; about 50 ns."""
    return zlib.crc32(key)


def digest(*parts: bytes) -> int:
    """Hash parts to a u64 (blake2b, RFC 7693), for Maglev permutations and to compare state between processes.

    Each part is preceded by its length, so the borders count: ("ab", "c") differs from ("a", "bc") and from ("abc",).
    """
    state = hashlib.blake2b(digest_size=8)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return int.from_bytes(state.digest(), "big")
