"""Counts and logs a request at its end: counters of route and endpoint, vitals, one line of the access log.

Part of the hot path (downstream.py): once a request, straight, no object made but the line itself. The line is valid
JSON because of what may stand in its fields: the head gate lets no control or 8-bit byte into target, host or method,
host and method take neither quotes nor backslashes, and a target's are escaped here. Labels were encoded with their
table.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from rauta_control.sharedmem import DIRTY, EndpointWord, RouteWord, Vital

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable

    from rauta_control.cluster import Endpoint
    from rauta_control.downstream import Downstream
    from rauta_control.mirror import Mirror
    from rauta_control.reasons import Reason
    from rauta_control.recorder import Counter
    from rauta_control.table import Rule
    from rauta_control.workerstate import WorkerState

MAX_PATH = 1_024  # bytes of a target in the log; with it a line stays below PIPE_BUF (accesslog.py)

# Plain integers: an IntEnum member as an index costs 60 ns more.
_STATUS = RouteWord.STATUS_1XX - 1
_BYTES_IN, _BYTES_OUT = int(RouteWord.BYTES_IN), int(RouteWord.BYTES_OUT)
_RETRIES = int(RouteWord.RETRIES)
_DURATION, _BUCKETS = int(RouteWord.DURATION_SUM), int(RouteWord.BUCKETS)
_TRIES, _WAITED, _FAULTS = int(EndpointWord.REQUESTS), int(EndpointWord.DURATION_SUM), int(EndpointWord.STATUS_5XX)
_REQUESTS = int(Vital.REQUESTS)
_MIRRORED, _MIRRORS_DROPPED = int(Vital.MIRRORED), int(Vital.MIRRORS_DROPPED)
_LAST_BUCKET = 31
_QUOTE, _BACKSLASH = b'"\\'  # numbers: `bytes in bytes` raises and catches an exception first, which costs 120 ns
# Numbers of which there are few, as text: bytes are formatted by way of str, which costs 0.1 us each.
_MILLISECONDS = tuple(b"%03d" % number for number in range(1_000))
_STATUSES = tuple(b"%d" % number for number in range(1_000))
_LINE = (
    b'{"time":"%b.%bZ",%b%b"client":"%b","method":"%b","host":"%b","path":"%b","status":%b,"reason":"%b",'
    b'"bytes_in":%d,"bytes_out":%d,"duration_us":%d,"request_id":"%b"}\n'
)


def record(request: Downstream, reason: Reason | None) -> None:
    """Enter the request that ends now; `reason` is why RAUTA answered it or cut it off, None if neither."""
    worker = request.worker
    now = monotonic()
    status = request.status
    micros = int((now - request.started) * 1_000_000)
    rule, endpoint = request.rule, request.endpoint
    label = place = b""
    if endpoint is not None:
        place = endpoint.label
    attempts = request.attempts
    if attempts is not None:
        place = attempts.label(place)
        if endpoint is not None and attempts.made(reason):
            _record_try(worker, endpoint, status if reason is None else 0, attempts.began)
    elif endpoint is not None:
        words = endpoint.words
        if not words[DIRTY]:
            words = endpoint_words(worker, endpoint)
        words[_TRIES] += 1
        words[_WAITED] += micros
        if status >= 500 and reason is None:  # else it is ours, not the endpoint's
            words[_FAULTS] += 1
    if rule is not None:
        label, words = rule.label, rule.words  # side by side: the processor then waits for both at once
        if not words[DIRTY]:
            words = _words(worker, rule, worker.recorder.route)
        words[_STATUS + status // 100] += 1
        if request.bytes_in:
            words[_BYTES_IN] += request.bytes_in
        words[_BYTES_OUT] += request.bytes_out
        words[_DURATION] += micros
        bucket = micros.bit_length()
        words[_BUCKETS + (bucket if bucket < _LAST_BUCKET else _LAST_BUCKET)] += 1  # noqa: FURB136 - min() is a call
    vitals = worker.vitals
    vitals[_REQUESTS] += 1
    if reason is not None:
        vitals[Vital.REASONS + reason.number] += 1
    log = worker.log
    if log is None:
        return
    target = request.target
    if _QUOTE in target or _BACKSLASH in target or len(target) > MAX_PATH:
        target = target[:MAX_PATH].replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    wall = now + worker.wall
    second = int(wall)
    if second != worker.second:
        worker.set_second(second)
    log.write(
        _LINE
        % (
            worker.second_text,
            _MILLISECONDS[int((wall - second) * 1000)],
            label,
            place,
            request.client,
            request.method,
            request.host,
            target,
            _STATUSES[status],
            b"" if reason is None else reason.code_bytes,
            request.bytes_in,
            request.bytes_out,
            micros,
            request.request_id,
        )
    )


def record_copy(copy: Mirror, *, answered: bool) -> None:
    """Enter a copy of a request (mirror.py) that ends now: `answered` by its backend, or given up."""
    copy.worker.vitals[_MIRRORED if answered else _MIRRORS_DROPPED] += 1
    if copy.endpoint is not None:
        _record_try(copy.worker, copy.endpoint, copy.status, copy.started)


def record_attempt(request: Downstream, status: int, began: float, *, made: bool) -> None:
    """Enter an attempt that another one follows: when it `began`, whether it was `made`, and the status if any."""
    worker, rule, endpoint = request.worker, request.rule, request.endpoint
    if endpoint is not None and made:
        _record_try(worker, endpoint, status, began)
    if rule is not None:
        _words(worker, rule, worker.recorder.route)[_RETRIES] += 1


def _record_try(worker: WorkerState, endpoint: Endpoint, status: int, began: float) -> None:
    words = endpoint_words(worker, endpoint)
    words[_TRIES] += 1
    words[_WAITED] += int((monotonic() - began) * 1_000_000)
    if status >= 500:
        words[_FAULTS] += 1


def endpoint_words(worker: WorkerState, endpoint: Endpoint) -> array[int]:
    """Return the words that count for `endpoint` (EndpointWord), to be added to now."""
    return _words(worker, endpoint, worker.recorder.endpoint)


def _words(worker: WorkerState, owner: Rule | Endpoint, find: Callable[[int, int], Counter]) -> array[int]:
    counter = owner.counter
    if counter is None:
        counter = owner.counter = find(owner.slot, owner.epoch)
        owner.words = counter.words
    if not owner.words[DIRTY]:
        worker.recorder.touch(counter)
    return owner.words
