"""The regular expressions of routes: RE2, so that none can make a request slow, matched against the whole value.

Pure. The engine is imported at first use: most configurations have no expression.
"""

from __future__ import annotations

import functools
from typing import Any

MAX_MEMORY = 1 << 20  # bytes that one compiled expression may take; RE2 refuses larger ones


@functools.lru_cache(maxsize=4096)
def problem(pattern: str) -> str:
    """Return why `pattern` cannot be used; empty if it can."""
    try:
        compiled(pattern)
    except ValueError as error:
        return str(error)
    return ""


@functools.lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
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
