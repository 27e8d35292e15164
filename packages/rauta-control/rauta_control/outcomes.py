"""What a rule makes of a request: for each share of its backends the filters in their order, and who answers. Pure.

The order and every change are the treatment's own (treatment.py), carried out on the bytes of the request's head as
exchange.py does it, so that what is told here is what a backend would get. Fields that differ from request to request
(the client's address, the request id) are left out of what is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from rauta_agent_api.explanation import EndpointShare, Outcome, Step
from rauta_control import ir
from rauta_control.action import Filters, HeaderEdit
from rauta_control.cluster import Cluster
from rauta_control.cors import is_preflight
from rauta_control.reasons import Reason, Refused
from rauta_control.table import Rule
from rauta_control.treatment import Treatment
from rauta_control.trials import shown

_HOST = re.compile(rb"(?mi)^host:[ \t]*+([^\r\n]*)")


class Routed(NamedTuple):
    """A request that has found its rule.

    `host` is its Host field in lower case, `fields` are its lines as a backend gets them.
    """

    method: bytes
    host: bytes
    target: bytes
    fields: bytes


class _Drawn(NamedTuple):
    """A share of a rule's requests, and the cluster that gets them, None if nobody does."""

    share: ir.ClusterWeight
    cluster: Cluster | None
    treatment: Treatment | None


def refusal(reason: Reason, detail: str = "") -> Outcome:
    """What a request gets that the gateway answers before it has a rule."""
    return Outcome(action="answered", status=reason.status, reason=reason.code, detail=detail or reason.detail)


def closed(detail: str) -> Outcome:
    """The connection comes to nothing."""
    return Outcome(action="closed", detail=detail)


def outcomes(spec: ir.Rule, rule: Rule, asked: Routed, resources: Mapping[str, ir.Resource]) -> tuple[Outcome, ...]:
    """What requests like this one get, by share; the shares add up to 1. `spec` is what `rule` was made from."""
    drawn = _drawn(spec, rule)
    whole = sum(each.share.weight for each in drawn)
    return _merged(
        replace(_outcome(spec, rule, each, asked, resources), share=each.share.weight / whole if whole else 1.0)
        for each in drawn
    )


def _drawn(spec: ir.Rule, rule: Rule) -> list[_Drawn]:
    live = [share for share in spec.clusters if share.weight]
    if rule.treatment is not None and rule.treatment.shares:
        return [_Drawn(share, *pair) for share, pair in zip(live, rule.treatment.shares, strict=True)]
    if live:
        return [_Drawn(share, pair[0], rule.treatment) for share, pair in zip(live, rule.shares, strict=True)]
    return [_Drawn(ir.ClusterWeight("", 0), None, rule.treatment)]


def _merged(found: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """The answers of the gateway's own that differ in nothing, as one."""
    merged: list[Outcome] = []
    for each in found:
        same = next((at for at, one in enumerate(merged) if replace(one, share=each.share) == each), None)
        if each.action == "forwarded" or same is None:
            merged.append(each)
        else:
            merged[same] = replace(each, share=merged[same].share + each.share)
    return tuple(merged)


def _outcome(spec: ir.Rule, rule: Rule, drawn: _Drawn, asked: Routed, resources: Mapping[str, ir.Resource]) -> Outcome:
    share, cluster, treatment = drawn
    steps: list[Step] = []
    levels = [filters for filters in (spec.filters, share.filters) if filters is not None]
    if treatment is not None and (own := _answered(treatment, asked, steps)) is not None:
        return replace(own, steps=(*steps, *_response(levels if own.status != Reason.CORS_ORIGIN.status else ())))
    if cluster is None:
        detail = share.fault if rule.nobody is Reason.BACKEND_INVALID else ""
        return replace(refusal(rule.nobody, detail), weight=share.weight or None, steps=tuple(steps))
    pool = resources[f"cluster/{share.cluster}"]
    assert isinstance(pool, ir.Cluster)  # noqa: S101 - for the type checker
    if cluster.pick(0) is None:
        found = refusal(Reason.NO_ENDPOINTS)
    else:
        host, target = _host(asked.fields), asked.target
        if treatment is not None:
            steps += (*_edited(treatment, asked), *_copied(levels, resources), *_response(levels))
            message = treatment.edited(asked.method, asked.target, asked.fields)
            host, target = _host(message), message.split(b" ", 2)[1]
        endpoints = tuple(_endpoints(pool, share.weight / sum(each.weight for each in spec.clusters)))
        found = Outcome(action="forwarded", host=host.decode(), target=target.decode(), endpoints=endpoints)
    return replace(found, cluster=cluster.name, weight=share.weight, balance=_balance(pool.balance), steps=tuple(steps))


def _answered(treatment: Treatment, asked: Routed, steps: list[Step]) -> Outcome | None:
    """What the rule answers itself, as exchange.py decides it; what it has looked at goes into `steps`."""
    if (sharing := treatment.cors) is not None:
        origin = sharing.origin(asked.fields)
        said = f"origin {shown(origin)} may use the response" if origin else "no origin that is allowed"
        steps.append(Step(filter="cors", effect=said))
        if is_preflight(asked.method, asked.fields):
            return refusal(Reason.CORS_PREFLIGHT if origin else Reason.CORS_ORIGIN)
    if (redirect := treatment.redirect) is None:
        return None
    try:
        location = shown(redirect.location(asked.host, asked.target))
    except Refused as refused:
        return refusal(refused.reason)
    steps.append(Step(filter="redirect", effect=f"{redirect.status} to {location}"))
    return Outcome(
        action="redirected",
        status=redirect.status,
        reason=Reason.REDIRECT.code,
        detail=Reason.REDIRECT.detail,
        location=redirect.location(asked.host, asked.target).decode(),
    )


def _edited(treatment: Treatment, asked: Routed) -> Iterator[Step]:
    if treatment.path is not None:
        changed = treatment.path.apply(asked.target)
        yield Step(filter="rewrite", effect=f"path and query {shown(asked.target)} become {shown(changed)}")
    if treatment.host:
        name = treatment.host[len("Host: ") :].strip()
        yield Step(filter="rewrite", effect=f"host {shown(asked.host)} becomes {shown(name)}")
    fields = asked.fields
    for edit in treatment.request:
        before, fields = fields, edit.apply(fields)
        yield Step(filter="request_headers", effect=_difference(before, fields))


def _host(fields: bytes) -> bytes:
    """The Host field as a backend gets it, in the client's own letters."""
    found = _HOST.search(fields)
    return found[1].rstrip(b" \t") if found else b""


def _difference(before: bytes, after: bytes) -> str:
    """What an edit has done to field lines."""
    old, new = Counter(before.splitlines()), Counter(after.splitlines())
    gone = [f"removes {shown(line)}" for line in (old - new).elements()]
    come = [f"adds {shown(line)}" for line in (new - old).elements()]
    return "; ".join((*gone, *come)) or "changes nothing of this request"


def _copied(levels: Iterable[Filters], resources: Mapping[str, ir.Resource]) -> Iterator[Step]:
    for mirror in (mirror for filters in levels for mirror in filters.mirrors):
        pool = resources[f"cluster/{mirror.cluster}"]
        count = len(pool.endpoints) if isinstance(pool, ir.Cluster) else 0
        portion = mirror.numerator / mirror.denominator
        yield Step(
            filter="mirror", effect=f"copies {portion:.4g} of the requests to {mirror.cluster} ({count} endpoints)"
        )


def _response(levels: Iterable[Filters]) -> Iterator[Step]:
    for edit in (filters.response for filters in levels if filters.response):
        yield Step(filter="response_headers", effect=_spelled(edit))


def _spelled(edit: HeaderEdit) -> str:
    said = [f"{verb} {n}: {v}" for verb, pairs in (("sets", edit.replace), ("adds", edit.append)) for n, v in pairs]
    return "; ".join((*said, *(f"removes {name}" for name in edit.drop)))


def _balance(balance: ir.Balance) -> str:
    """As `--balance` has it."""
    if balance.key == "flow":
        return balance.policy
    return f"{balance.policy}:{balance.key}{f'={balance.name}' if balance.name else ''}"


def _endpoints(pool: ir.Cluster, portion: float) -> Iterator[EndpointShare]:
    whole = sum(endpoint.weight for endpoint in pool.endpoints)
    for each in pool.endpoints:
        share = portion * each.weight / whole if whole else 0.0
        yield EndpointShare(address=each.address, port=each.port, weight=each.weight, share=share)
