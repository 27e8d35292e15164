"""Answers for people: aligned plain text, one function an answer, nothing cut off.

Pure. What an operator configured or a client sent is printed without its control characters, so that it cannot drive
the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rauta_cli.wording import about, count, duration, endpoint, severities

if TYPE_CHECKING:  # only names in annotations: `rauta --help` need not load msgspec
    from rauta_agent_api.errors import AgentApiError
    from rauta_agent_api.explanation import Explanation, HostTrial, RuleTrial
    from rauta_agent_api.meaning import Meaning
    from rauta_agent_api.snapshot import (
        BackendSnapshot,
        CacheStats,
        ConditionSnapshot,
        FindingSnapshot,
        GatewaySnapshot,
        ListenerSnapshot,
        MetricSnapshot,
        ObjectSnapshot,
        RouteSnapshot,
        ValidationSnapshot,
        WorkerSnapshot,
    )

GAP = "  "
OTHER_PATHS = 5  # rules with another path that an explanation shows


def status(snapshot: GatewaySnapshot) -> str:
    """The gateway, its listeners, its workers, and what is wrong with its configuration."""
    readiness = "" if snapshot.ready else ", not ready"
    age = "" if snapshot.config_age_seconds is None else f", {duration(snapshot.config_age_seconds)} old"
    facts = [
        ("Status", snapshot.status + readiness),
        ("Version", snapshot.version or "-"),
        ("Uptime", duration(snapshot.uptime_seconds)),
        ("Configuration", f"generation {snapshot.generation}{age}" if snapshot.generation else "none yet"),
        ("Routes", f"{snapshot.route_count:,}"),
        *([("Objects", f"{snapshot.object_count:,}")] if snapshot.object_count else []),
        *([("Findings", found)] if (found := severities(snapshot.findings)) else []),
        *_known("Open circuits", snapshot.open_circuits),
        *_known("Exhausted limiters", snapshot.exhausted_rate_limiters),
        ("Route cache", "-" if snapshot.cache_stats is None else cache(snapshot.cache_stats)),
    ]
    parts = [_facts(facts), listeners(snapshot.listeners), workers(snapshot.workers, snapshot.generation)]
    if snapshot.problems:
        parts.append(_table(("PROBLEM",), [(problem,) for problem in snapshot.problems], ""))
    return "\n\n".join(parts)


def listeners(listeners: Sequence[ListenerSnapshot]) -> str:
    """A line each; why one is not bound stands at the end of its line."""
    rows = [
        (
            listener.name or "-",
            listener.protocol,
            endpoint(listener.address, listener.port),
            ", ".join(listener.gateway_refs) or "-",
            "bound" if listener.bound else f"not bound: {listener.message or 'no reason given'}",
        )
        for listener in listeners
    ]
    return _table(("LISTENER", "PROTOCOL", "ADDRESS", "GATEWAYS", "STATE"), rows, "No listeners.")


def workers(workers: Sequence[WorkerSnapshot], generation: int) -> str:
    """A line each; `generation` is the newest, to tell who is behind."""
    rows = [
        (
            f"{worker.index}",
            "-" if worker.pid is None else f"{worker.pid}",
            _worker_state(worker, generation),
            f"{worker.generation}",
            f"{worker.connections:,}",
            f"{worker.requests_total:,}",
        )
        for worker in workers
    ]
    header = ("WORKER", ">PID", "STATE", ">GENERATION", ">CONNECTIONS", ">REQUESTS")
    return _table(header, rows, "No workers.")


def routes(routes: Sequence[RouteSnapshot]) -> str:
    """A line each, in the order of the configuration."""
    rows = [
        (
            route.name or "-",
            route.method,
            ", ".join(route.hostnames) or "*",
            " ".join((route.pattern, *route.conditions)),
            route.path_type,
            route.listener or "-",
            _backend_count(route),
            f"{route.requests_total:,}",
            f"{route.errors_total:,}",
            _features(route),
        )
        for route in routes
    ]
    header = ("ROUTE", "METHOD", "HOSTS", "PATH", "MATCH", "LISTENER", "BACKENDS", ">REQUESTS", ">5XX", "FEATURES")
    return _table(header, rows, "No routes.")


def route(route: RouteSnapshot) -> str:
    """One route and its backends."""
    errors = f" ({route.errors_total / route.requests_total:.2%})" if route.requests_total else ""
    whole = f" (all of {route.route})" if route.route not in ("", route.name) else ""
    facts = [
        ("Route", route.name or "-"),
        ("Method", route.method),
        ("Path", f"{route.pattern} ({route.path_type})"),
        *([("Conditions", ", ".join(route.conditions))] if route.conditions else []),
        ("Hosts", ", ".join(route.hostnames) or "*"),
        ("Listener", route.listener or "-"),
        ("Features", _features(route)),
        ("Requests", f"{route.requests_total:,}{whole}"),
        ("5xx", f"{route.errors_total:,}{errors}"),
        *(("Answers 500", fault) for fault in route.faults),
    ]
    return f"{_facts(facts)}\n\n{backends(route.backends)}"


def backends(backends: Sequence[BackendSnapshot]) -> str:
    """A line each, with the share of the requests that its weight gives it; state and health where there is any."""
    total = sum(backend.weight for backend in backends)
    drains = any(backend.is_draining for backend in backends)
    checked = any(backend.health_score is not None for backend in backends)
    rows = [
        (
            endpoint(backend.address, backend.port),
            backend.cluster or "-",
            f"{backend.weight}",
            f"{backend.weight / total:.1%}" if total else "-",
            *(("draining" if backend.is_draining else "active",) if drains else ()),
            *(("-" if backend.health_score is None else f"{backend.health_score:.2f}",) if checked else ()),
            f"{backend.requests_total:,}",
            f"{backend.failures_total:,}",
        )
        for backend in backends
    ]
    optional = (*(("STATE",) if drains else ()), *((">HEALTH",) if checked else ()))
    header = ("BACKEND", "CLUSTER", ">WEIGHT", ">SHARE", *optional, ">REQUESTS", ">FAILURES")
    return _table(header, rows, "No backends.")


def objects(objects: Sequence[ObjectSnapshot]) -> str:
    """A line for each object, or for each of its listeners and parents, with what does not hold and why."""
    rows = []
    for each in objects:
        name = f"{each.namespace}/{each.name}" if each.namespace else each.name
        if each.conditions or not each.parts:
            rows.append((each.kind, name, ", ".join(each.addresses) or "-", "-", _conditions(each.conditions)))
        for part in each.parts:
            attached = "-" if part.attached_routes is None else f"{part.attached_routes:,}"
            rows.append((each.kind, name, part.name, attached, _conditions(part.conditions)))
    return _table(("KIND", "NAME", "AT", ">ROUTES", "STATE"), rows, "No objects.")


def findings(findings: Sequence[FindingSnapshot]) -> str:
    """A line each, the worst first."""
    rows = [(each.severity, each.code, about(each), each.path or "-", each.message, each.advice) for each in findings]
    return _table(("SEVERITY", "CODE", "OBJECT", "FIELD", "WHAT", "WHAT TO DO"), rows, "No findings.")


def validation(validation: ValidationSnapshot) -> str:
    """The objects, then what was found."""
    return f"{objects(validation.objects)}\n\n{findings(validation.findings)}"


def explanation(explanation: Explanation) -> str:
    """The verdict, how it came about, what each share of the requests gets, and how the other rules fared."""
    facts = [
        ("Verdict", explanation.verdict),
        ("Request", f"{explanation.method} {explanation.url}"),
        *(("Listener", f"{each.name} ({each.protocol}): {each.why}") for each in explanation.listeners if each.chosen),
        *(("Or", f"{each.name}: {each.why}") for each in explanation.listeners if not each.chosen),
        *(("Host", f"{each.hostname}: {each.why}") for each in _asked(explanation)),
        *(("Rule", f"{_match(each)} of {_origin(each)}: {each.why}") for each in explanation.rules if each.chosen),
        *((("Timeouts", said),) if (said := _timeouts(explanation)) else ()),
        *((("Retries", said),) if (said := _retries(explanation)) else ()),
        *(("Note", note) for note in explanation.notes),
        *(("Try", suggestion) for suggestion in explanation.suggestions),
    ]
    parts = [_facts(facts)]
    steps = [(f"{one.share:.1%}", step.filter, step.effect) for one in explanation.outcomes for step in one.steps]
    if steps:
        parts.append(_table((">SHARE", "FILTER", "WHAT IT DOES"), steps, ""))
    endpoints = [
        (f"{each.share:.1%}", endpoint(each.address, each.port), one.cluster, one.balance, one.host + one.target)
        for one in explanation.outcomes
        for each in one.endpoints
    ]
    if endpoints:
        parts.append(_table((">SHARE", "ENDPOINT", "CLUSTER", "BALANCE", "GETS"), endpoints, ""))
    if losers := _losers(explanation):
        parts.append(losers)
    return "\n\n".join(parts)


def _asked(explanation: Explanation) -> Sequence[HostTrial]:
    """The hosts as far as the one that the request's rule was found on; all if there was none."""
    names = [each.hostname for each in explanation.hosts]
    found = [names.index(each.hostname) for each in explanation.rules if each.chosen and each.hostname in names]
    return explanation.hosts[: found[0] + 1] if found else explanation.hosts


def _losers(explanation: Explanation) -> str:
    """The rules that did not get the request; of those that have another path only the first few."""
    lost = [each for each in explanation.rules if not each.chosen]
    others = [each for each in lost if each.lost_by == "path"]
    hidden = {id(each) for each in others[OTHER_PATHS:]}
    rows = [(_origin(each), each.hostname, _match(each), each.why) for each in lost if id(each) not in hidden]
    left = len(hidden) + explanation.rules_omitted
    more = f"\n... and {count(left, 'rule')} more whose path does not match" if left else ""
    return _table(("LOST", "HOST", "MATCH", "WHY"), rows, "") + more if rows or left else ""


def _match(rule: RuleTrial) -> str:
    return " ".join((*((rule.method,) if rule.method != "ALL" else ()), rule.path_type, rule.pattern, *rule.conditions))


def _origin(rule: RuleTrial) -> str:
    return f"{rule.route}/{rule.section}" if rule.section else rule.route


def _timeouts(explanation: Explanation) -> str:
    named = (("request", explanation.request_timeout_seconds), ("backend", explanation.backend_timeout_seconds))
    return ", ".join(
        f"{name} {seconds:g} s" if seconds else f"{name} none" for name, seconds in named if seconds is not None
    )


def _retries(explanation: Explanation) -> str:
    if explanation.retry_attempts is None:
        return ""
    codes = ", ".join(map(str, explanation.retry_codes))
    return f"{explanation.retry_attempts} at most" + (f", on failures and on {codes}" if codes else ", on failures")


def meanings(meanings: Sequence[Meaning]) -> str:
    """What a code means, each meaning of it."""
    return "\n\n".join(
        _facts(
            [
                (each.kind.capitalize(), " ".join(filter(None, (each.code, each.severity, f"{each.status or ''}")))),
                ("Means", each.text),
                *([("To do", each.advice)] if each.advice else []),
                ("See", each.page),
            ]
        )
        for each in meanings
    )


def cache(cache: CacheStats) -> str:
    """One line."""
    lookups = cache.hits + cache.misses
    return f"{cache.hit_rate:.1%} hits of {count(lookups, 'lookup')}, {cache.size:,} remembered"


def metrics(metrics: Sequence[MetricSnapshot]) -> str:
    """A line a sample, named as Prometheus would."""
    rows = [
        (metric.name + _labels(value.labels), metric.metric_type, f"{value.value:,.15g}")
        for metric in metrics
        for value in metric.values
    ]
    return _table(("METRIC", "TYPE", ">VALUE"), rows, "No metrics.")


def version(version: Mapping[str, str]) -> str:
    """One line."""
    return f"rauta {version['version']}"


def error(program: str, error: AgentApiError) -> str:
    """What happened, and what to do about it."""
    return f"{program}: {_clean(error.message)}" + (f"\nfix: {_clean(error.fix)}" if error.fix else "")


def _conditions(conditions: Sequence[ConditionSnapshot]) -> str:
    """Those that hold by name, the others with reason and message."""
    said = []
    for each in conditions:
        if each.type == "Conflicted" and each.status == "False":
            continue  # good news
        plain = each.status == "True" and each.reason in ("", each.type)
        said.append(each.type if plain else f"{each.type}={each.status} {each.reason} ({each.message})")
    return ", ".join(said) or "-"


def _known(name: str, number: int | None) -> list[tuple[str, str]]:
    """A fact, or none where the gateway has nothing of the kind."""
    return [] if number is None else [(name, f"{number:,}")]


def _worker_state(worker: WorkerSnapshot, generation: int) -> str:
    if not worker.alive:
        return "not running"
    return "behind" if worker.generation < generation else "current"


def _backend_count(route: RouteSnapshot) -> str:
    draining = sum(backend.is_draining for backend in route.backends)
    return f"{len(route.backends)} ({draining} draining)" if draining else f"{len(route.backends)}"


def _features(route: RouteSnapshot) -> str:
    named = {
        "request filters": route.has_request_filters,
        "response filters": route.has_response_filters,
        "redirect": route.has_redirect,
        "timeout": route.has_timeout,
        "retry": route.has_retry,
    }
    return ", ".join(name for name, present in named.items() if present) or "-"


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    facts = list(facts)
    width = max(len(name) for name, _ in facts)
    return "\n".join(f"{name:<{width}}{GAP}{_clean(value)}" for name, value in facts)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> str:
    """Aligned columns; one whose title starts with `>` is aligned to the right. `empty` stands for no rows."""
    cells = [[_clean(cell) for cell in row] for row in rows]
    if not cells:
        return empty
    lines = [[title.removeprefix(">") for title in header], *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    aligns = [">" if title.startswith(">") else "<" for title in header]
    return "\n".join(
        GAP.join(f"{cell:{align}{width}}" for cell, align, width in zip(line, aligns, widths, strict=True)).rstrip()
        for line in lines
    )


def _clean(text: str) -> str:
    return (
        text
        if text.isprintable()
        else "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )
