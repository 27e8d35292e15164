"""What clients and backends may take of the gateway in bytes, connections and time: one table, defaults for an edge.

Pure. Each field of Limits is one setting, and all there is to know of it stands beside it: flags, variables, what is
said of wrong values and docs/limits.md are made of this table. Times are looked at once a second (sweep.py), so up to
one more may pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

from rauta_control import regex
from rauta_control.flags import PREFIX, Flag
from rauta_control.reasons import Reason

_HOUR = 3_600
_DAY = 86_400


def _limit(
    default: float, low: float, high: float, unit: str, text: str, *reasons: Reason, wide: bool = False
) -> Any:  # what a dataclass makes of it has the type of the field
    """One limit. `reasons` are what a request, or a connection, that meets it gets; `wide`: workers share it."""
    return field(
        default=default,
        metadata={"low": low, "high": high, "unit": unit, "text": text, "reasons": reasons, "wide": wide},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a worker. Seconds, bytes or a count, as the table says."""

    # -- what a client may say: Envoy's defaults are 60 KiB and 100 fields, nginx's 4 x 8 KiB, HAProxy's 16 KiB and 101;
    # RFC 9112 3 wants at least 8,000 bytes for a request line
    max_head_bytes: int = _limit(65_536, 1_024, 1 << 20, "bytes", "Bytes of a request head.", Reason.HEAD_TOO_LARGE)
    max_field_bytes: int = _limit(
        32_768, 1_024, 1 << 20, "bytes", "Bytes of one field of a request head.", Reason.HEAD_TOO_LARGE
    )
    max_head_fields: int = _limit(100, 8, 10_000, "", "Fields of a request head.", Reason.TOO_MANY_FIELDS)
    max_target_bytes: int = _limit(8_192, 256, 65_536, "bytes", "Bytes of a request target.", Reason.TARGET_TOO_LONG)
    max_chunk_overhead: int = _limit(
        16_384,
        1_024,
        1 << 24,
        "bytes",
        "Bytes by which the framing of a chunked request body may outweigh its payload, at five for each chunk; and, "
        "counted apart, those of its trailers and of what size lines have beyond 16 and twice the payload behind them.",
        Reason.CHUNK_OVERHEAD,
    )
    max_pipelined: int = _limit(
        1_000,
        1,
        100_000,
        "",
        "Requests that a client may send ahead, before it has the answer to the first of them.",
        Reason.PIPELINED_TOO_DEEP,
    )
    max_buffered_bytes: int = _limit(
        65_536,
        4_096,
        64 << 20,
        "bytes",
        "Bytes that wait for a slow client or a slow backend before the other side is not read any more; what one read "
        "brings, at most 256,000 bytes, comes on top. So does up to 1 MiB of a body that the kernel moves.",
    )
    # -- how long it may take: the head's time is absolute, as HAProxy's `timeout http-request`; the others are near
    # nginx's client_body_timeout 60, send_timeout 60 and keepalive_timeout 75, and Envoy's idle timeout of an hour
    head_timeout: float = _limit(
        10,
        1,
        _HOUR,
        "seconds",
        "Time for a request head from its first byte, for the first byte of a connection, and for a TLS handshake.",
        Reason.HEAD_TIMEOUT,
    )
    body_timeout: float = _limit(
        60, 1, _DAY, "seconds", "Time in which nothing of a request body comes.", Reason.BODY_TIMEOUT
    )
    write_timeout: float = _limit(
        30, 1, _DAY, "seconds", "Time in which a client takes nothing of its response.", Reason.WRITE_TIMEOUT
    )
    keep_alive_timeout: float = _limit(
        75, 1, _DAY, "seconds", "Time between two requests of a connection.", Reason.KEEP_ALIVE_TIMEOUT
    )
    tunnel_timeout: float = _limit(
        _HOUR,
        1,
        30 * _DAY,
        "seconds",
        "Time in which neither side of a WebSocket or another upgraded connection says anything.",
        Reason.TUNNEL_TIMEOUT,
    )
    # -- backends: Envoy's connect timeout and stream idle timeout, nginx's proxy_read_timeout; in the pool, with the
    # second of the sweep, below the 5 s of Node.js and uvicorn
    connect_timeout: float = _limit(
        5, 1, _HOUR, "seconds", "Time for a backend to accept a connection.", Reason.UPSTREAM_CONNECT_TIMEOUT
    )
    response_timeout: float = _limit(
        60,
        1,
        _DAY,
        "seconds",
        "Time from the end of a request to the head of its response; or from its head, where the client waits for a"
        " 100 (Continue) with its body, to either.",
        Reason.UPSTREAM_TIMEOUT,
    )
    stream_timeout: float = _limit(
        300, 1, _DAY, "seconds", "Time in which nothing of a response body comes.", Reason.UPSTREAM_STALLED
    )
    pool_timeout: float = _limit(
        3,
        1,
        _HOUR,
        "seconds",
        "Time for which a connection to a backend waits for the next request; shorter than backends keep it.",
    )
    # -- connections: to an endpoint, Envoy's default for a cluster
    max_connections: int = _limit(
        0,
        0,
        1 << 24,
        "",
        "Connections of clients in all. 0: for each worker nearly half of the file descriptors that a process may "
        "have, as each request needs a second one. A higher value counts as 0, and the log says so.",
        Reason.OVERLOADED,
        wide=True,
    )
    max_listener_connections: int = _limit(
        0,
        0,
        1 << 24,
        "",
        "Connections of clients to one listener. 0: no limit of its own.",
        Reason.LISTENER_FULL,
        wide=True,
    )
    max_endpoint_connections: int = _limit(
        1_024,
        1,
        1 << 20,
        "",
        "Connections from one worker to one endpoint. A request for which there is no room goes to another endpoint.",
        Reason.UPSTREAM_OVERFLOW,
    )


_FIELDS = fields(Limits)


def _flag(limit: Field[Any]) -> Flag:
    meta = limit.metadata
    seconds = meta["unit"] == "seconds"
    return Flag(
        "--" + limit.name.replace("_", "-"),
        PREFIX + limit.name.upper(),
        "SECONDS" if seconds else "BYTES" if meta["unit"] else "N",
        f"{meta['text']} From {meta['low']} to {meta['high']}, default {limit.default}."
        + "".join(f" Beyond: {reason.code} ({reason.status})." for reason in meta["reasons"]),
    )


FLAGS: dict[str, Flag] = {limit.name: _flag(limit) for limit in _FIELDS}  # by field

# What is a part of something else, which has a limit, too: a larger part could not come.
_WITHIN = {
    "max_field_bytes": "max_head_bytes",
    "max_target_bytes": "max_head_bytes",
    "max_listener_connections": "max_connections",
}


def read(name: str, text: str) -> float:
    """Return the value of limit `name` that `text` says; raise ValueError("expected ...", less the first word)."""
    meta = Limits.__dataclass_fields__[name].metadata
    low, high, seconds = meta["low"], meta["high"], meta["unit"] == "seconds"
    try:
        value = float(text) if seconds else int(text)
    except ValueError:
        value = -1
    if not (text.isascii() and text[:1].isdigit() and "_" not in text and low <= value <= high):
        kind = "seconds" if seconds else f"a whole number of {meta['unit']}" if meta["unit"] else "a whole number"
        raise ValueError(f"{kind} from {low} to {high}")
    return value


def without_effect(limits: Limits, given: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield those of the limits `given` that nothing can meet before it meets another, each with what to expect."""
    for name, whole in _WITHIN.items():
        most = getattr(limits, whole)
        if name in given and 0 < most < getattr(limits, name):
            yield name, f"no more than {FLAGS[whole].name}, which is {most}"


def met(reason: Reason, limits: Limits) -> str:
    """Name the limits that `reason` may be about, with their values: `--max-target-bytes is 8192`; empty if none is."""
    return ", ".join(
        f"{FLAGS[limit.name].name} is {getattr(limits, limit.name)}"
        for limit in _FIELDS
        if reason in limit.metadata["reasons"]
    )


def about(reason: Reason) -> str:
    """Say of the limits that `reason` may be about what can be set, and what it is by default; empty if none is."""
    return " ".join(
        f"{FLAGS[limit.name].name} (default {limit.default}): {limit.metadata['text']}"
        for limit in _FIELDS
        if reason in limit.metadata["reasons"]
    )


def share(limits: Limits, workers: int) -> Limits:
    """Return what is left for one of so many workers of those limits that they share; 0 stays 0."""
    wide = [limit.name for limit in _FIELDS if limit.metadata["wide"]]
    return replace(limits, **{name: -(-getattr(limits, name) // workers) for name in wide})


def table() -> str:
    """Limits as a page of documentation (docs/limits.md)."""
    head = """# Limits and timeouts

What clients and backends may take of the gateway. Each has a flag and a variable; a flag that is changed in an `@FILE`
takes effect at SIGHUP for what begins after it. A request that meets a limit is answered, or cut off if its answer has
begun, for the reason in the last column: it stands in the response (`x-rauta-reason`), in the access log and in
`rauta_responses_by_reason_total`. Where there is no reason, nothing is refused.

What ends a connection without a request has no line in the access log: an idle one is closed without a word, one too
many is answered at once (on a TLS listener closed), and counts in `rauta_connections_refused_total`, too.

Times are looked at once a second, so up to one more may pass. Connections of clients are limited for all workers
together, and each gets its share, rounded up: `rauta_connections_limit` is what they have, `rauta_connections` what is
open.

| Flag | Variable | Default | From - to | What | Reason |
| --- | --- | --- | --- | --- | --- |
"""
    rows = []
    for limit in _FIELDS:
        meta, flag = limit.metadata, FLAGS[limit.name]
        reasons = ", ".join(f"{reason.code} ({reason.status})" for reason in meta["reasons"])
        default = f"{limit.default:,} {meta['unit']}".rstrip()
        bounds = f"{meta['low']:,} - {meta['high']:,}"
        rows.append(f"| `{flag.name}` | `{flag.variable}` | {default} | {bounds} | {meta['text']} | {reasons} |")
    foot = f"""
These have no flag. A regular expression of a route has at most {regex.MAX_SIZE:,} instructions of RE2 (usual ones have
less than 100; a larger one is reported and not served). A value that it is matched against has at most
{regex.MAX_VALUE:,} bytes, or {regex.MAX_STEPS:,} divided by the instructions if that is less: one match takes 20 ms
at worst. A request with a longer one is refused, even if a later rule would have matched it: `target_too_long` (414)
for a path or a query parameter, `head_too_large` (431) for a header.
"""
    return head + "\n".join(rows) + "\n" + foot
