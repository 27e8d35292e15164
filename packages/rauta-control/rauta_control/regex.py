"""The regular expressions of routes: RE2, matched against the whole value, and against none that would take long.

Pure. RE2 is linear in the value, but a byte takes as long as the expression wants: 1 ns, or 20 ns for each of its
instructions if it has so many states that RE2 gives up remembering them. So bytes times instructions are bounded. A
longer value is refused: a rule that did not match because of a value's length could be got around by it.

Values are UTF-8, and where one is not, each byte is a character. RE2 would let no `.` match it, which would be such a
way, too. The engine is imported at first use: most configurations have no expression.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

from rauta_control.reasons import Reason, Refused

MAX_MEMORY = 1 << 20  # bytes that one compiled expression may take; RE2 refuses larger ones
MAX_SIZE = 4_000  # instructions of one; usual ones have less than 100, `.{1000}` has 7,000
MAX_VALUE = 8_192  # bytes of a value, whatever the expression
MAX_STEPS = 1_000_000  # bytes of a value times instructions of the expression: at worst some 20 ms

_LONE = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}  # what surrogateescape makes of a byte: its character

Test: TypeAlias = Callable[[bytes], object]
"""Says, true or not, whether a value is what is asked for."""


@functools.lru_cache(maxsize=4096)
def problem(pattern: str) -> str:
    """Return why `pattern` cannot be used; empty if it can."""
    try:
        size = _compiled(pattern).programsize
    except ValueError as error:
        return str(error)
    return "" if size <= MAX_SIZE else f"too large: {size:,} instructions, {MAX_SIZE:,} at most; repeat less often"


def test(pattern: str, reason: Reason) -> Test:
    """Return what says whether all of a value matches `pattern`, or raises Refused(reason) if the value is too long.

    Raises ValueError.
    """
    engine = _compiled(pattern)
    match = engine.fullmatch
    longest = min(MAX_VALUE, MAX_STEPS // engine.programsize)

    def matches(value: bytes) -> object:
        if len(value) > longest:
            raise Refused(reason, f"an expression takes values of at most {longest} bytes")
        return match(value if value.isascii() else value.decode(errors="surrogateescape").translate(_LONE).encode())

    return matches


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    """Return the engine's object for `pattern`, whose `fullmatch` takes the bytes of a value. Raises ValueError."""
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    options.dot_nl = True  # a decoded query parameter may have newlines, and must not escape `.*` by one
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        cause = error.args[0] if error.args else "cannot be compiled"
        text = cause.decode(errors="replace") if isinstance(cause, bytes) else str(cause)
        raise ValueError(f"not an RE2 expression: {text}") from None
