"""The operational log: one line an event on stderr, `time level process message key=value ...`.

Standard output is the access log's, so nothing here ever writes there. A log that nobody reads (a stopped pipe, a held
terminal, a full disk) must not stop a gateway: a line that would block is dropped, and the next line that gets through
says how many were.
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import time
import traceback
from collections.abc import Callable

from rauta_control.values import LEVELS

MAX_LINE = 4096  # bytes; PIPE_BUF on Linux: a write to a pipe is whole up to here, and does not block after POLLOUT
_NUMBERS = {"error": logging.ERROR, "warn": logging.WARNING, "info": logging.INFO, "debug": 0}
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")  # printable ASCII without space, quote, equals sign and backslash


class Log:
    """The log of one process. `level` is the least important one of LEVELS that is written.

    Fields are keyword arguments and are written in their order: `log.info("listening", address="0.0.0.0:8080")`.
    """

    def __init__(
        self, process: str, level: str = "info", *, fd: int = 2, clock: Callable[[], float] = time.time
    ) -> None:
        self.process = process
        self.level = level
        self.dropped = 0  # lines lost since the last one that got through
        self._rank = LEVELS.index(level)
        self._fd = fd
        self._clock = clock

    def error(self, message: str, **fields: object) -> None:
        """Something failed that somebody must look at."""
        self._write("error", message, fields)

    def warn(self, message: str, **fields: object) -> None:
        """Something is wrong that the gateway copes with."""
        self._write("warn", message, fields)

    def info(self, message: str, **fields: object) -> None:
        """A change of state that an operator wants to read later."""
        self._write("info", message, fields)

    def debug(self, message: str, **fields: object) -> None:
        """Detail for whoever develops RAUTA."""
        self._write("debug", message, fields)

    def crashed(self, error: BaseException) -> None:
        """The process ends of `error`, which nobody expected."""
        self.error("crashed", error=repr(error), traceback=_traceback(error))

    def _write(self, level: str, message: str, fields: dict[str, object]) -> None:
        if LEVELS.index(level) > self._rank:
            return
        data = line(self._clock(), level, self.process, message, fields, self.dropped)
        try:
            ready = select.poll()
            ready.register(self._fd, select.POLLOUT)
            written = bool(ready.poll(0)) and os.write(self._fd, data) > 0
        except OSError:  # closed, a full disk, nobody at the other end: there is nowhere left to say so
            written = False
        self.dropped = 0 if written else self.dropped + 1


def capture(log: Log) -> None:
    """Write what libraries (asyncio, aiohttp) and others give to `logging` as lines of `log`, from its level on."""
    logging.root.handlers[:] = [_Handler(log)]
    logging.root.setLevel(_NUMBERS[log.level])


class _Handler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["traceback"] = _traceback(record.exc_info[1])
        write = next(getattr(self._log, level) for level, number in _NUMBERS.items() if record.levelno >= number)
        write(record.getMessage(), **fields)


def line(now: float, level: str, process: str, message: str, fields: dict[str, object], dropped: int = 0) -> bytes:
    """Return one line, at most MAX_LINE bytes. `now` is in seconds since 1970; times are UTC.

    If lines were `dropped`, their number comes last and is whole: what is too long is cut before it.
    """
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    pairs = "".join(f" {name}={_value(value)}" for name, value in fields.items() if value is not None)
    text = f"{moment} {level} {process} {_one_line(message)}{pairs}"
    end = b" dropped=%d\n" % dropped if dropped else b"\n"
    return text.encode(errors="backslashreplace")[: MAX_LINE - len(end)] + end


def _traceback(error: BaseException) -> str:
    """The innermost calls: those that fit into a line."""
    return "".join(traceback.format_exception(error))[-MAX_LINE * 3 // 4 :]


def _value(value: object) -> str:
    """Bare when it reads unmistakably, else as a JSON string, which also escapes control characters."""
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _one_line(message: str) -> str:
    return message if message.isprintable() else json.dumps(message)
