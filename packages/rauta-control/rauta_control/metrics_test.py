"""Metrics: what the reference parser reads out of the text is what the workers counted, and it goes with its route."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rauta_control.counters import Counters
from rauta_control.ir import Cluster, ClusterWeight, Endpoint, Resource, Rule
from rauta_control.messages import Bound
from rauta_control.metrics import FAMILIES, exposition, snapshots
from rauta_control.picture import Picture, WorkerStatus
from rauta_control.reasons import HandshakeFailure, Reason
from rauta_control.recorder import Recorder
from rauta_control.sharedmem import PID_SHIFT, EndpointWord, RouteWord, Vital
from rauta_control.slices import finish

ODD = 'a\\b"c\nd'

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def rule(route: str, slot: int, epoch: int = 1) -> Rule:
    return Rule(f"l|{route}", route, "l|*", "/", "prefix", (ClusterWeight("c"),), slot=slot, epoch=epoch)


def by_key(*resources: Resource) -> dict[str, Resource]:
    return {resource.key: resource for resource in resources}


@pytest.fixture
def picture(words: memoryview) -> Picture:
    return Picture(
        version="0.1.0",
        uptime=12.5,
        generation=4,
        config_age=3.25,
        ready=True,
        draining=False,
        expected_workers=2,
        workers=(WorkerStatus(0, 11, 4), WorkerStatus(1, 12, 3)),
        resources=by_key(rule("shop", 0), rule(ODD, 1), Cluster("c", (Endpoint("10.0.0.1", 80, slot=0, epoch=1),))),
        bound={"l": Bound("l", "0.0.0.0", 80), "m": Bound("m", "0.0.0.0", 81, "in use")},
        problems=("one",),
        counters=Counters(words, 2),
        steps={"Control.run": 0.003},
    )


def samples(picture: Picture) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(finish(exposition(picture)).decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def serve(words: memoryview, worker: int, slot: int, status: int, micros: int, count: int) -> None:
    """Count requests as a worker does."""
    recorder = Recorder(words, worker)
    counter = recorder.route(slot, 1)
    counter.words[RouteWord.STATUS_1XX + status // 100 - 1] += count
    counter.words[RouteWord.BUCKETS + micros.bit_length()] += count
    counter.words[RouteWord.DURATION_SUM] += micros * count
    counter.words[RouteWord.BYTES_IN] += 10 * count
    counter.words[RouteWord.BYTES_OUT] += 20 * count
    recorder.touch(counter)
    recorder.flush(1)


def test_routes(words: memoryview, picture: Picture) -> None:
    serve(words, worker=0, slot=0, status=200, micros=300, count=5)
    serve(words, worker=1, slot=0, status=200, micros=3_000, count=2)
    serve(words, worker=1, slot=0, status=503, micros=9_000_000, count=1)
    serve(words, worker=0, slot=1, status=404, micros=1, count=7)
    found = samples(picture)
    assert value(found, "rauta_http_requests_total", route="shop", code_class="2xx") == 7
    assert value(found, "rauta_http_requests_total", route="shop", code_class="5xx") == 1
    assert value(found, "rauta_http_requests_total", route="shop", code_class="4xx") is None
    assert value(found, "rauta_http_requests_total", route=ODD, code_class="4xx") == 7
    assert value(found, "rauta_http_request_bytes_total", route="shop") == 80
    assert value(found, "rauta_http_response_bytes_total", route="shop") == 160

    duration = "rauta_http_request_duration_seconds"
    buckets = [
        (float(dict(labels)["le"]), number)
        for (name, labels), number in found.items()
        if name == f"{duration}_bucket" and dict(labels)["route"] == "shop"
    ]
    assert len(buckets) == 13
    assert buckets == sorted(buckets)
    assert {bound: number for bound, number in buckets if bound in (0.000256, 0.001024, 0.002048, 0.004096)} == {
        0.000256: 0,
        0.001024: 5,
        0.002048: 5,
        0.004096: 7,
    }
    assert buckets[-1] == (float("inf"), 8)
    assert value(found, f"{duration}_count", route="shop") == 8
    assert value(found, f"{duration}_sum", route="shop") == pytest.approx(9.0075)


def test_a_series_is_gone_with_its_route(words: memoryview, picture: Picture) -> None:
    serve(words, worker=0, slot=0, status=200, micros=300, count=5)
    found = samples(replace(picture, resources=by_key(rule("heir", slot=0, epoch=2))))
    assert not any(dict(labels).get("route") for _, labels in found)


def test_endpoints(words: memoryview, picture: Picture) -> None:
    recorder = Recorder(words, 1)
    counter = recorder.endpoint(0, 1)
    counter.words[EndpointWord.REQUESTS] = 9
    counter.words[EndpointWord.FAILURES] = 2
    counter.words[EndpointWord.DURATION_SUM] = 1_500_000
    recorder.vitals[Vital.PID] = 12
    counter.words[EndpointWord.ACTIVE] = 12 << PID_SHIFT | 3
    recorder.touch(counter)
    recorder.flush(1)
    found = samples(picture)
    assert value(found, "rauta_upstream_requests_total", endpoint="10.0.0.1:80") == 9
    assert value(found, "rauta_upstream_failures_total", endpoint="10.0.0.1:80") == 2
    assert value(found, "rauta_upstream_wait_seconds_total", endpoint="10.0.0.1:80") == pytest.approx(1.5)
    assert value(found, "rauta_upstream_requests_active", endpoint="10.0.0.1:80") == 3


def test_the_gateway(words: memoryview, picture: Picture) -> None:
    for worker in range(2):
        recorder = Recorder(words, worker)
        recorder.vitals[Vital.CONNECTIONS] = 10
        recorder.vitals[Vital.CONNECTIONS_LIMIT] = 100
        recorder.vitals[Vital.LOG_DROPPED] = 1
        recorder.vitals[Vital.REASONS + Reason.NO_ROUTE.number] = 4
        recorder.vitals[Vital.STALL_CHANGE] = 2_000_000
        recorder.vitals[Vital.TURN_CPU_WHOLE] = 1_000_000
        recorder.flush(1)
    found = samples(picture)
    assert value(found, "rauta_connections") == 20
    assert value(found, "rauta_connections_limit") == 200
    assert value(found, "rauta_access_log_dropped_total") == 2
    assert value(found, "rauta_responses_by_reason_total", reason="no_route") == 8
    assert value(found, "rauta_workers") == 2
    assert value(found, "rauta_config_generation") == 4
    assert value(found, "rauta_config_age_seconds") == 3.25
    assert value(found, "rauta_config_problems") == 1
    assert value(found, "rauta_worker_generation", worker="1") == 3
    assert value(found, "rauta_worker_stall_seconds", worker="0", applying="change") == 0.002
    assert value(found, "rauta_worker_turn_cpu_seconds", worker="1", applying="everything") == 0.001
    assert value(found, "rauta_control_step_cpu_seconds", task="Control.run") == 0.003
    assert value(found, "rauta_listener_bound", listener="l") == 1
    assert value(found, "rauta_listener_bound", listener="m") == 0
    assert value(found, "rauta_ready") == 1
    assert value(found, "rauta_build_info", version="0.1.0") == 1


def test_snapshots_hold_the_same_samples_as_the_text(words: memoryview, picture: Picture) -> None:
    serve(words, worker=0, slot=0, status=200, micros=300, count=5)
    serve(words, worker=0, slot=1, status=200, micros=300, count=5)
    found = samples(picture)
    made = snapshots(picture)
    flat = {
        (metric.name, frozenset(sample.labels.items())): sample.value for metric in made for sample in metric.values
    }
    assert flat == {(name.removesuffix("_bucket"), labels): number for (name, labels), number in found.items()}
    kinds = {metric.name: metric.metric_type for metric in made}
    duration = "rauta_http_request_duration_seconds"
    assert [kinds[duration], kinds[f"{duration}_sum"], kinds[f"{duration}_count"]] == [
        "histogram",
        "counter",
        "counter",
    ]
    assert kinds["rauta_ready"] == "gauge"


def test_families_are_named_as_prometheus_wants_them() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert (family.kind == "counter") == family.name.endswith("_total"), family.name
        assert family.text.endswith("."), family.name


def test_they_are_documented(words: memoryview, picture: Picture) -> None:
    serve(words, worker=0, slot=0, status=200, micros=300, count=5)
    recorder = Recorder(words, 1)
    counter = recorder.endpoint(0, 1)
    counter.words[EndpointWord.REQUESTS] = 1
    recorder.touch(counter)
    recorder.vitals[Vital.REASONS + Reason.NO_ROUTE.number] = 1
    recorder.vitals[Vital.TLS_FAILURES + HandshakeFailure.TIMEOUT.number] = 1
    recorder.flush(1)
    labels: dict[str, list[str]] = {}
    for family in text_string_to_metric_families(finish(exposition(picture)).decode()):
        name = family.name + "_total" * (family.type == "counter")
        labels[name] = [f"`{label}`" for label in family.samples[0].labels if label != "le"]
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    assert [row.split(" | ") for row in re.findall(r"^\| (`rauta_.*) \|$", page, re.MULTILINE)] == [
        [f"`{family.name}`", family.kind, ", ".join(labels[family.name]), family.text] for family in FAMILIES
    ]
