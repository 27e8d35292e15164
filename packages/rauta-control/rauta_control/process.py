"""A child process from fork to exit."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from rauta_control import signals
from rauta_control.log import Log, capture


def fork(name: str, level: str, live: Callable[[], int]) -> int:
    """Fork a child that runs `live` and exits with what that returns, or with 1; return its pid. Raises OSError.

    The child is called `name` in the log, from `level` on, and in ps. Signals of the supervisor do not reach it.
    """
    with signals.blocked():
        pid = os.fork()
        if not pid:
            signals.ignore()
    if not pid:
        _run(name, level, live)
    return pid


def _run(name: str, level: str, live: Callable[[], int]) -> NoReturn:
    """Nothing of the supervisor's may run here any more, so the process must end in here, whatever happens."""
    log = Log(name, level)
    code = 1
    try:
        with contextlib.suppress(OSError):  # cosmetic
            Path("/proc/self/comm").write_text(f"rauta:{name}")
        capture(log)
        code = live()
    except BaseException as error:  # noqa: BLE001 - logged, and the exit code says that it failed
        log.crashed(error)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)
