"""The metrics: every family is written down once, in FAMILIES, and rendered as Prometheus text or as snapshots. Pure.

Own exposition, because the client library's takes 0.4 s for 2,000 routes. Cardinality is bounded: labels are routes,
endpoints, reasons and workers, never what a client sent, and a series is gone with its route or endpoint. What never
counted anything is left out, so that the size of a scrape follows the traffic, not the size of the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rauta_agent_api.snapshot import MetricSnapshot, MetricValue
from rauta_control.counters import BUCKETS, cumulative, total
from rauta_control.ir import Cluster, Rule
from rauta_control.picture import Picture
from rauta_control.reasons import HandshakeFailure, Reason
from rauta_control.sharedmem import EndpointWord, RouteWord, Vital
from rauta_control.slices import Slices, finish

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SLICE = 100  # lines rendered between two yields

# Bounds of the duration histograms: powers of two microseconds, 0.25 ms to 4.2 s, twelve of the 32 that are counted.
EXPONENTS = (8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22)
_BOUNDS = [(f'le="{2**exponent / 1e6}"', exponent) for exponent in EXPONENTS]
_CLASSES = [(f'code_class="{digit}xx"', RouteWord.STATUS_1XX + digit - 1) for digit in range(1, 6)]

Sample: TypeAlias = tuple[str, str, float]
"""Suffix of the name, labels as the text format writes them (without braces), value."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that is rendered: (label, words) of routes and endpoints, and the vitals of each worker."""

    picture: Picture
    routes: list[tuple[str, list[int]]]
    endpoints: list[tuple[str, list[int]]]
    vitals: list[list[int]]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: how its samples come out of a reading."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    samples: Callable[[Reading], Iterator[Sample]]


def read(picture: Picture) -> Slices[Reading]:
    """Read all counters of a picture, a route at a time."""
    owners: dict[str, tuple[int, int]] = {}
    peers: dict[str, tuple[int, int]] = {}
    for resource in picture.resources.values():
        if isinstance(resource, Rule):
            owners[resource.route] = (resource.slot, resource.epoch)
        elif isinstance(resource, Cluster):
            peers.update((endpoint.name, (endpoint.slot, endpoint.epoch)) for endpoint in resource.endpoints)
        yield
    reading = Reading(picture, [], [], picture.counters.vitals())
    for label, names, counts, read_words in (
        ("route", owners, reading.routes, picture.counters.route),
        ("endpoint", peers, reading.endpoints, picture.counters.endpoint),
    ):
        for name, owner in names.items():
            words = read_words(*owner)
            if any(words[1:]):
                counts.append((_label(label, name), words))
            yield
    return reading


def exposition(picture: Picture) -> Slices[bytes]:
    """Return the metrics in the Prometheus text format 0.0.4."""
    reading = yield from read(picture)
    lines: list[str] = []
    for family in FAMILIES:
        name = family.name
        lines.append(f"# HELP {name} {family.text}\n# TYPE {name} {family.kind}\n")
        for suffix, labels, value in family.samples(reading):
            lines.append(f"{name}{suffix}{{{labels}}} {value}\n" if labels else f"{name}{suffix} {value}\n")
            if not len(lines) % SLICE:
                yield
    return "".join(lines).encode()


def snapshots(picture: Picture) -> list[MetricSnapshot]:
    """Return the metrics as snapshots; those of a histogram are NAME (the buckets), NAME_sum and NAME_count."""
    reading = finish(read(picture))
    made: list[MetricSnapshot] = []
    for family in FAMILIES:
        values: dict[str, list[MetricValue]] = {}
        for suffix, labels, value in family.samples(reading):
            values.setdefault(suffix.removeprefix("_bucket"), []).append(
                MetricValue(labels=_parse(labels), value=value)
            )
        for suffix, each in values.items():
            kind = "counter" if suffix else family.kind
            made.append(
                MetricSnapshot(name=family.name + suffix, help=family.text, metric_type=kind, values=tuple(each))
            )
    return made


# -- samples


def _one(value: Callable[[Reading], float]) -> Callable[[Reading], Iterator[Sample]]:
    return lambda reading: iter([("", "", value(reading))])


def _vital(vital: Vital) -> Callable[[Reading], Iterator[Sample]]:
    return _one(lambda reading: total(reading.vitals, vital))


def _route(word: RouteWord) -> Callable[[Reading], Iterator[Sample]]:
    return lambda reading: (("", label, words[word]) for label, words in reading.routes)


def _endpoint(word: EndpointWord) -> Callable[[Reading], Iterator[Sample]]:
    return lambda reading: (("", label, words[word]) for label, words in reading.endpoints)


def _waits(reading: Reading) -> Iterator[Sample]:
    return (("", label, words[EndpointWord.DURATION_SUM] / 1e6) for label, words in reading.endpoints)


def _code_classes(reading: Reading) -> Iterator[Sample]:
    for label, words in reading.routes:
        for code_class, word in _CLASSES:
            if words[word]:
                yield "", f"{label},{code_class}", words[word]


def _durations(reading: Reading) -> Iterator[Sample]:
    """The count is that of the buckets, as REQUESTS may be read at another moment and a histogram must add up."""
    for label, words in reading.routes:
        counts = cumulative(words)
        for bound, exponent in _BOUNDS:
            yield "_bucket", f"{label},{bound}", counts[exponent]
        yield "_bucket", f'{label},le="+Inf"', counts[BUCKETS - 1]
        yield "_sum", label, words[RouteWord.DURATION_SUM] / 1e6
        yield "_count", label, counts[BUCKETS - 1]


def _reasons(first: Vital, reasons: Iterable[Reason | HandshakeFailure]) -> Callable[[Reading], Iterator[Sample]]:
    """Of words that stand in a row from `first`, by the number of each reason."""
    return lambda reading: (
        ("", _label("reason", reason.code), count)
        for reason in reasons
        if (count := total(reading.vitals, first + reason.number))
    )


def _generations(reading: Reading) -> Iterator[Sample]:
    return (("", f'worker="{worker.index}"', max(0, worker.generation)) for worker in reading.picture.workers)


def _turns(change: Vital, everything: Vital) -> Callable[[Reading], Iterator[Sample]]:
    return lambda reading: (
        ("", f'worker="{index}",applying="{applying}"', words[word] / 1e9)
        for index, words in enumerate(reading.vitals)
        for applying, word in (("change", change), ("everything", everything))
    )


def _steps(reading: Reading) -> Iterator[Sample]:
    return (("", _label("task", name), seconds) for name, seconds in sorted(reading.picture.steps.items()))


def _listeners(reading: Reading) -> Iterator[Sample]:
    return (
        ("", _label("listener", name), int(not bound.error)) for name, bound in sorted(reading.picture.bound.items())
    )


def _config_age(reading: Reading) -> Iterator[Sample]:
    if reading.picture.config_age is not None:
        yield "", "", reading.picture.config_age


FAMILIES = (
    Family("rauta_http_requests_total", "counter", "Requests by route and class of status.", _code_classes),
    Family(
        "rauta_http_request_duration_seconds",
        "histogram",
        "Time from the request head to the end of the response, by route.",
        _durations,
    ),
    Family("rauta_http_request_bytes_total", "counter", "Bytes received from clients.", _route(RouteWord.BYTES_IN)),
    Family("rauta_http_response_bytes_total", "counter", "Bytes sent to clients.", _route(RouteWord.BYTES_OUT)),
    Family("rauta_http_retries_total", "counter", "Attempts after the first, by route.", _route(RouteWord.RETRIES)),
    Family(
        "rauta_retries_denied_total",
        "counter",
        "Retries not made because too many were under way.",
        _vital(Vital.RETRIES_DENIED),
    ),
    Family(
        "rauta_upstream_requests_total",
        "counter",
        "Attempts at an endpoint, with a connection or without: requests, retries and copies.",
        _endpoint(EndpointWord.REQUESTS),
    ),
    Family(
        "rauta_upstream_failures_total",
        "counter",
        "Failed connections, resets, timeouts and invalid responses of an endpoint.",
        _endpoint(EndpointWord.FAILURES),
    ),
    Family("rauta_upstream_5xx_total", "counter", "Responses 5xx of an endpoint.", _endpoint(EndpointWord.STATUS_5XX)),
    Family(
        "rauta_upstream_wait_seconds_total",
        "counter",
        "Time of the attempts at an endpoint, to their end: if they were answered, to the end of the response.",
        _waits,
    ),
    Family(
        "rauta_upstream_connects_total", "counter", "Connections made to an endpoint.", _endpoint(EndpointWord.CONNECTS)
    ),
    Family(
        "rauta_upstream_requests_active", "gauge", "Requests in flight to an endpoint.", _endpoint(EndpointWord.ACTIVE)
    ),
    Family(
        "rauta_responses_by_reason_total",
        "counter",
        "Requests that RAUTA answered itself or cut off, and connections that it ended without one, by reason.",
        _reasons(Vital.REASONS, Reason),
    ),
    Family("rauta_requests_total", "counter", "Requests answered, with or without a route.", _vital(Vital.REQUESTS)),
    Family("rauta_requests_active", "gauge", "Requests in flight.", _vital(Vital.REQUESTS_ACTIVE)),
    Family("rauta_connections", "gauge", "Client connections open.", _vital(Vital.CONNECTIONS)),
    Family(
        "rauta_connections_limit",
        "gauge",
        "Client connections that may be open: --max-connections, or what file descriptors allow.",
        _vital(Vital.CONNECTIONS_LIMIT),
    ),
    Family("rauta_connections_accepted_total", "counter", "Client connections accepted.", _vital(Vital.ACCEPTED)),
    Family(
        "rauta_connections_refused_total",
        "counter",
        "Client connections closed at once because a limit was reached.",
        _vital(Vital.REFUSED),
    ),
    Family("rauta_tls_handshakes_total", "counter", "TLS handshakes completed.", _vital(Vital.TLS_HANDSHAKES)),
    Family(
        "rauta_tls_handshake_failures_total",
        "counter",
        "Connections to TLS listeners that came to nothing, by reason.",
        _reasons(Vital.TLS_FAILURES, HandshakeFailure),
    ),
    Family("rauta_upstream_connections", "gauge", "Connections to endpoints open.", _vital(Vital.UPSTREAMS)),
    Family("rauta_upstream_connections_opened_total", "counter", "Connections made.", _vital(Vital.UPSTREAM_CONNECTS)),
    Family(
        "rauta_upstream_connections_reused_total",
        "counter",
        "Requests sent over a connection from the pool.",
        _vital(Vital.UPSTREAM_REUSES),
    ),
    Family(
        "rauta_mirrored_requests_total",
        "counter",
        "Copies of requests that a backend answered.",
        _vital(Vital.MIRRORED),
    ),
    Family(
        "rauta_mirrored_requests_dropped_total",
        "counter",
        "Copies of requests given up: too many, too slow, or the backend failed.",
        _vital(Vital.MIRRORS_DROPPED),
    ),
    Family(
        "rauta_route_cache_hits_total",
        "counter",
        "Decisions taken from the cache, or that needed none.",
        _vital(Vital.MEMO_HITS),
    ),
    Family("rauta_route_cache_misses_total", "counter", "Decisions computed.", _vital(Vital.MEMO_MISSES)),
    Family("rauta_route_cache_entries", "gauge", "Decisions remembered.", _vital(Vital.MEMO_SIZE)),
    Family("rauta_access_log_lines_total", "counter", "Access log lines written.", _vital(Vital.LOG_LINES)),
    Family(
        "rauta_access_log_dropped_total",
        "counter",
        "Access log lines dropped because the sink was slow or failed.",
        _vital(Vital.LOG_DROPPED),
    ),
    Family("rauta_workers", "gauge", "Workers alive.", _one(lambda reading: len(reading.picture.workers))),
    Family(
        "rauta_workers_expected", "gauge", "Workers configured.", _one(lambda reading: reading.picture.expected_workers)
    ),
    Family(
        "rauta_config_generation",
        "gauge",
        "The configuration published last.",
        _one(lambda reading: max(0, reading.picture.generation)),
    ),
    Family("rauta_config_age_seconds", "gauge", "Time since it was published.", _config_age),
    Family(
        "rauta_config_problems",
        "gauge",
        "Things wrong with the configuration, which /api/v1/status names.",
        _one(lambda reading: len(reading.picture.problems)),
    ),
    Family("rauta_worker_generation", "gauge", "The configuration that a worker acknowledged last.", _generations),
    Family(
        "rauta_worker_stall_seconds",
        "gauge",
        "The longest time, since the worker began to serve, that a step of applying a change of the configuration, or "
        "everything where the worker lacked what it was a change of, kept it from its requests.",
        _turns(Vital.STALL_CHANGE, Vital.STALL_WHOLE),
    ),
    Family(
        "rauta_worker_turn_cpu_seconds",
        "gauge",
        "The same, in CPU time of the worker: without what else the machine did meanwhile.",
        _turns(Vital.TURN_CPU_CHANGE, Vital.TURN_CPU_WHOLE),
    ),
    Family(
        "rauta_control_step_cpu_seconds",
        "gauge",
        "The longest CPU time, since control started, that a step of one of its tasks kept it from all others.",
        _steps,
    ),
    Family("rauta_listener_bound", "gauge", "Whether a listener accepts connections.", _listeners),
    Family("rauta_ready", "gauge", "Whether /readyz says yes.", _one(lambda reading: int(reading.picture.ready))),
    Family("rauta_uptime_seconds", "gauge", "Time since the gateway started.", _one(lambda r: r.picture.uptime)),
    Family(
        "rauta_build_info",
        "gauge",
        "The version.",
        lambda reading: iter([("", _label("version", reading.picture.version), 1)]),
    ),
)


# -- labels

_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def _label(name: str, value: str) -> str:
    return f'{name}="{value.translate(_ESCAPES)}"'


def _parse(labels: str) -> dict[str, str]:
    return {name: _unescape(value) for name, value in _LABEL.findall(labels)}


def _unescape(value: str) -> str:
    return re.sub(r"\\(.)", lambda escape: "\n" if escape[1] == "n" else escape[1], value) if "\\" in value else value
