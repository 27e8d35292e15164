"""What an agent should make of an answer: one sentence, whether it is urgent, and the commands worth running next.

Pure, one function an answer. A command is written without the program's name (the caller adds that), and every one of
them exists: a test runs them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rauta_agent_api.errors import AgentApiError
from rauta_cli.wording import about, count, endpoint

if TYPE_CHECKING:  # only names in annotations: a run that ends in an error need not load msgspec
    from rauta_agent_api.explanation import Explanation
    from rauta_agent_api.meaning import Meaning
    from rauta_agent_api.snapshot import (
        BackendSnapshot,
        CacheStats,
        FindingSnapshot,
        GatewaySnapshot,
        ListenerSnapshot,
        MetricSnapshot,
        ObjectSnapshot,
        RouteSnapshot,
        ValidationSnapshot,
    )


@dataclass(frozen=True, slots=True)
class Action:
    """A command worth running: its words, the reason, and its risk (`none` for a command that only reads)."""

    cmd: str
    why: str
    risk: str = "none"


@dataclass(frozen=True, slots=True)
class Hints:
    """What to make of an answer. The first action is the one to take next."""

    summary: str
    urgent: bool = False
    actions: tuple[Action, ...] = ()


def for_status(snapshot: GatewaySnapshot) -> Hints:
    """Urgent when anything is not as it should be."""
    lost = [worker for worker in snapshot.workers if not worker.alive]
    behind = [worker for worker in snapshot.workers if worker.alive and worker.generation < snapshot.generation]
    unbound = [listener for listener in snapshot.listeners if not listener.bound]
    trouble = [
        *_some(len(lost), "worker", "not running"),
        *_some(len(behind), "worker", "behind on configuration"),
        *_some(len(unbound), "listener", "not bound"),
        *_some(snapshot.open_circuits or 0, "circuit", "open"),
        *_some(snapshot.exhausted_rate_limiters or 0, "rate limiter", "exhausted"),
    ]
    if snapshot.problems:
        trouble.append(f"{count(len(snapshot.problems), 'problem')} with the configuration")
    if not snapshot.ready:
        trouble.insert(0, "not ready")
    if snapshot.findings.error:
        trouble.append(f"{count(snapshot.findings.error, 'error')} in objects and documents")
    actions = [Action("listeners", "see why a listener is not bound")] if unbound else []
    if snapshot.findings.error:
        actions.append(Action("findings --severity error", "see what is wrong with them, and what to do"))
    if lost or behind:
        actions.append(Action("status", "see whether the worker has come back"))
    actions.append(Action("routes list", "see where requests go and which routes fail"))
    summary = f"{snapshot.status}, {count(snapshot.route_count, 'route')}, generation {snapshot.generation}"
    return Hints("; ".join([summary, *trouble]), bool(trouble) or snapshot.status != "ok", tuple(actions))


def for_routes(routes: Sequence[RouteSnapshot]) -> Hints:
    """Point at the routes that cannot answer, then at those with most errors."""
    dead = [route for route in routes if route.faults or cannot_answer(route)]
    failing = sorted((route for route in routes if route.errors_total), key=lambda route: -route.errors_total)
    suspects = list(dict.fromkeys(route.name for route in [*dead, *failing] if route.name))
    summary = [
        count(len(routes), "route"),
        *_some(len(dead), "route", "of which requests must fail"),
        *_some(len(failing), "route", "with 5xx answers"),
    ]
    actions = [
        Action(f"routes get {shlex.quote(name)}", "see its backends and their failures") for name in suspects[:3]
    ]
    return Hints("; ".join(summary), bool(dead), tuple(actions or [Action("status", "see the gateway as a whole")]))


def for_route(route: RouteSnapshot) -> Hints:
    """Tell the share of errors, and whether anything is left to send requests to."""
    summary = f"{route.method} {route.pattern}: {count(len(route.backends), 'backend')}"
    if route.requests_total:
        whole = f" of all of {route.route}" if route.route not in ("", route.name) else ""
        summary += f", {route.errors_total} of {count(route.requests_total, 'request')}{whole} answered with a 5xx"
    failing = [one for one in route.backends if one.failures_total]
    summary += "".join(f"; {_failures(one)}" for one in failing[:3])
    dead = cannot_answer(route)
    if dead:
        summary += "; no backend takes requests"
    if route.faults:
        summary += f"; with 500: {'; '.join(route.faults)}"
    actions = [Action("status", "see whether the gateway itself is well, and its problems")]
    if route.errors_total or failing:
        actions.insert(0, Action("metrics reason", "see why the gateway answered instead of a backend"))
    if dead or route.faults:
        actions.insert(0 if route.faults else 1, Action("findings", "see which field is wrong, and what to do"))
    silent = any(one.failures_total == one.requests_total for one in failing)
    return Hints(summary, bool(dead or route.faults or silent), tuple(actions))


def _failures(backend: BackendSnapshot) -> str:
    """`3 of 9 attempts at 192.0.2.1:80 failed`."""
    attempts = count(backend.requests_total, "attempt")
    return f"{backend.failures_total:,} of {attempts} at {endpoint(backend.address, backend.port)} failed"


def for_listeners(listeners: Sequence[ListenerSnapshot]) -> Hints:
    """Urgent when one is not bound."""
    unbound = [listener for listener in listeners if not listener.bound]
    summary = [count(len(listeners), "listener"), *(f"{one.name} is not bound: {one.message}" for one in unbound)]
    return Hints("; ".join(summary), bool(unbound), (Action("status", "see the gateway as a whole"),))


def for_objects(objects: Sequence[ObjectSnapshot]) -> Hints:
    """Urgent when something does not hold that should."""
    ill = [each for each in objects if not _well(each)]
    lost = [each for each in objects if each.kind == "HTTPRoute" and not each.parts]
    summary = [count(len(objects), "object"), *_some(len(ill), "object", "not as it should be")]
    summary += _some(len(lost), "HTTPRoute", "attached to nothing here")
    return Hints("; ".join(summary), bool(ill), (Action("findings", "see what is wrong, and what to do about it"),))


def for_findings(findings: Sequence[FindingSnapshot]) -> Hints:
    """Urgent when one is an error; what to do about the worst is the hint."""
    errors = sum(each.severity == "error" for each in findings)
    summary = [count(len(findings), "finding"), *([count(errors, "error")] if errors else [])]
    summary += [f"{about(each)}: {each.message}: {each.advice}" for each in findings[:1]]
    actions = [
        Action(f"objects --name {shlex.quote(f'{each.namespace}/{each.name}')}", f"see the state of the {each.kind}")
        for each in findings[:1]
        if each.namespace and not each.place
    ]
    return Hints("; ".join(summary), bool(errors), (*actions, Action("objects", "see the state of every object")))


def for_validation(validation: ValidationSnapshot) -> Hints:
    """As for findings, with nothing to ask a gateway for."""
    advice = for_findings(validation.findings)
    summary = f"{count(len(validation.objects), 'object')} with a status; {advice.summary}"
    return Hints(summary, advice.urgent, (Action("findings", "see what a running gateway has found"),))


def for_translation(_: object) -> Hints:
    """There is nothing to judge: that is what validating is for."""
    return Hints("what the data plane would be told", actions=(Action("routes list", "see what a gateway serves"),))


def for_explanation(explanation: Explanation) -> Hints:
    """Urgent when a share of such requests gets an error of the gateway's, or no answer."""
    bad = [each for each in explanation.outcomes if each.action == "closed" or (each.status or 0) >= 400]
    summary = "; ".join([f"{explanation.method} {explanation.url}: {explanation.verdict}", *explanation.suggestions])
    actions = [Action("routes list", "see every match, what it asks for, and how its backends do")]
    if bad or explanation.notes or explanation.url.startswith("https:"):  # a certificate may be for another name
        actions.insert(0, Action("findings", "see what is wrong with objects and documents, and what to do"))
    if any(each.action == "closed" for each in bad):
        actions.insert(0, Action("listeners", "see what listens where"))
    return Hints(summary, bool(bad), tuple(actions))


def for_meanings(meanings: Sequence[Meaning]) -> Hints:
    """The meaning itself; then where there are such things now."""
    summary = "; ".join(": ".join(filter(None, (each.code, each.text, each.advice))) for each in meanings)
    there = {
        "finding": Action("findings", "see whether there is one now, and of which object"),
        "reason": Action("metrics responses_by_reason", "see how often there was one"),
        "handshake": Action("metrics handshake", "see how often there was one"),
    }
    return Hints(summary, actions=tuple(there[each.kind] for each in meanings))


def for_cache(cache: CacheStats) -> Hints:
    """Nothing about a cache is urgent."""
    lookups = cache.hits + cache.misses
    summary = f"{cache.hit_rate:.1%} of {count(lookups, 'lookup')} hit" if lookups else "not used yet"
    return Hints(summary, actions=(Action("routes list", "see which routes take the requests"),))


def for_metrics(metrics: Sequence[MetricSnapshot]) -> Hints:
    """Name the way to fewer of them."""
    summary = f"{count(len(metrics), 'metric')}, {count(sum(len(metric.values) for metric in metrics), 'sample')}"
    if len(metrics) < 2:
        return Hints(summary, actions=(Action("metrics", "see every metric"),))
    return Hints(summary, actions=(Action(f"metrics {shlex.quote(metrics[0].name)}", "see one metric"),))


def for_version(version: Mapping[str, str]) -> Hints:
    """Tell it apart from the gateway's version."""
    return Hints(f"this is rauta {version['version']}", actions=(Action("status", "see the gateway's own version"),))


def for_error(error: AgentApiError) -> Hints:
    """Every error stops the question that was asked, so it is urgent."""
    return Hints(str(error), True, (_AFTER.get(error.code, Action("status", "see whether the gateway is well")),))


_AFTER = {
    "usage": Action("--help", "see the commands and their options"),
    "not_found": Action("routes list", "see the names and patterns there are"),
    "conflict": Action("routes list", "see the names of the routes"),
    "unreachable": Action("status", "try again once the gateway runs and --endpoint is right"),
}


def _well(each: ObjectSnapshot) -> bool:
    conditions = (*each.conditions, *(condition for part in each.parts for condition in part.conditions))
    return all(condition.status == _WELL.get(condition.type, condition.status) for condition in conditions)


_WELL = {  # what these conditions are if all is well
    "Accepted": "True",
    "Programmed": "True",
    "ResolvedRefs": "True",
    "Conflicted": "False",
    "PartiallyInvalid": "False",
    "rauta.io/FieldsIgnored": "False",
    "rauta.io/RulesShadowed": "False",
}


def cannot_answer(route: RouteSnapshot) -> bool:
    """Whether every request to the route must fail: nothing to send it to, and no redirect instead."""
    return not route.has_redirect and not any(one.weight > 0 and not one.is_draining for one in route.backends)


def _some(number: int, noun: str, state: str) -> list[str]:
    return [f"{count(number, noun)} {state}"] if number else []
