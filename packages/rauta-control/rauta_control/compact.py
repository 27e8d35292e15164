"""A translation as plain mappings, short enough to read: for `rauta translate`, and for golden cases.

Pure. Rules are listed under their host in the order in which the data plane tries them. Times are left out, and
messages where all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from rauta_control import action, balance, ir
from rauta_control.apiresource import GATEWAY_GROUP, Condition
from rauta_control.condition import Status
from rauta_control.gateway import GatewayStatus, ListenerStatus
from rauta_control.gatewayclass import GatewayClassStatus
from rauta_control.httproute import RouteParentStatus, RouteStatus
from rauta_control.listenerset import ListenerSetStatus
from rauta_control.translate import Translation
from rauta_control.trials import spelled

#: Conditions that are good news when they are False.
_NEGATIVE = frozenset({"Conflicted", "PartiallyInvalid"})


def compact(translation: Translation) -> dict[str, Any]:
    """The whole translation."""
    statuses = {str(key): status(each) for key, each in sorted(translation.statuses.items())}
    parts = {
        "ir": resources(translation.resources),
        "statuses": {key: each for key, each in statuses.items() if each},
        "findings": [str(each) for each in translation.findings],
        "hosts": sorted(translation.hosts),
    }
    return {name: part for name, part in parts.items() if part}


def resources(given: Mapping[str, ir.Resource]) -> dict[str, Any]:
    """The IR."""
    every = [given[key] for key in sorted(given)]
    rules: dict[str, list[ir.Rule]] = {}
    for each in every:
        if isinstance(each, ir.Rule):
            rules.setdefault(each.host, []).append(each)
    parts: dict[str, dict[str, Any]] = {
        "listeners": {each.name: _listener(each) for each in every if isinstance(each, ir.Listener)},
        "hosts": {each.name: _host(each, rules) for each in every if isinstance(each, ir.VirtualHost)},
        "clusters": {each.name: _cluster(each) for each in every if isinstance(each, ir.Cluster)},
        "secrets": {each.name: _secret(each) for each in every if isinstance(each, ir.Secret)},
    }
    return {name: part for name, part in parts.items() if part}


def status(given: Status) -> Any:
    """A status."""
    match given:
        case RouteStatus():
            return [_parent(each) for each in given.parents]
        case GatewayClassStatus():
            features = " ".join(each.name for each in given.supported_features)
            return _conditions(given.conditions) | ({"features": features} if features else {})
        case GatewayStatus():
            found: dict[str, Any] = {"addresses": " ".join(each.value for each in given.addresses)}
            found |= _conditions(given.conditions) | {"listeners": _listeners(given.listeners)}
            return found | (
                {"attachedListenerSets": given.attached_listener_sets} if given.attached_listener_sets else {}
            )
        case ListenerSetStatus():
            return {**_conditions(given.conditions), "listeners": _listeners(given.listeners)}


def _listener(each: ir.Listener) -> Any:
    bound = f"{each.protocol} {each.address}:{each.port}" + (
        "" if each.port == each.spec_port else f" for {each.spec_port}"
    )
    if not each.tls:
        return bound
    return {"bind": bound, "tls": {name.hostname: " ".join(_server_name(name)) for name in each.tls}}


def _server_name(name: ir.ServerName) -> Iterator[str]:
    yield ", ".join(name.secrets)
    if name.client != "none":
        yield f"client certificate {name.client} from {', '.join(name.authorities)}"


def _host(host: ir.VirtualHost, rules: Mapping[str, list[ir.Rule]]) -> Any:
    listed = {_label(each): _rule(each) for each in sorted(rules.get(host.name, ()), key=lambda rule: rule.tried)}
    head = {"section": host.section} | ({"fallback": host.fallback.rpartition("|")[2]} if host.fallback else {})
    return head | listed


def _label(rule: ir.Rule) -> str:
    return rule.name.partition("@")[0]


def _rule(rule: ir.Rule) -> Any:
    shares = ", ".join(map(_share, rule.clusters)) or "nothing"
    line = f"{spelled(rule)} -> {shares}"
    more: dict[str, Any] = {
        **_filters(rule.filters),
        **{f"to {each.cluster}": _filters(each.filters) for each in rule.clusters if each.filters},
        "timeout": f"{rule.request_timeout} ms" if rule.request_timeout != action.UNSET else None,
        "backend timeout": f"{rule.backend_timeout} ms" if rule.backend_timeout != action.UNSET else None,
        "retry": _line(rule.retry) if rule.retry else None,
        "upgrades": ", ".join(rule.upgrades) or None,
        "name": rule.section or None,
    }
    more = {name: part for name, part in more.items() if part is not None}
    return {"match": line, **more} if more else line


def _share(share: ir.ClusterWeight) -> str:
    target = share.cluster or f"500 ({share.fault})"
    return target if share.weight == 1 else f"{target} *{share.weight}"


def _filters(filters: action.Filters | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if filters is None:
        return found
    for name in ("request", "response", "redirect", "rewrite", "cors"):
        if (part := getattr(filters, name)) is not None:
            found[name] = _line(part)
    if filters.mirrors:
        found["mirrors"] = ", ".join(f"{each.cluster} {each.numerator}/{each.denominator}" for each in filters.mirrors)
    return found


def _line(part: msgspec.Struct) -> str:
    """The fields that are not as they are by default, on one line."""
    return ", ".join(
        f"{field.name} {_plain(value)}"
        for field in msgspec.structs.fields(part)
        if (value := getattr(part, field.name)) != field.default
    )


def _plain(value: Any) -> Any:
    match value:
        case action.PathEdit():
            return f"{value.path} (prefix)" if value.prefix else value.path
        case tuple():
            return "; ".join("=".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in value)
        case _:
            return value


def _cluster(each: ir.Cluster) -> Any:
    endpoints = " ".join(endpoint.name for endpoint in each.endpoints) or "none"
    policy = "" if each.balance == ir.Balance() else f" by {balance.written(each.balance)}"
    return f"{'' if each.protocol == 'http' else f'{each.protocol} '}{endpoints}{policy}"


def _secret(each: ir.Secret) -> str:
    return "certificates and key" if each.private_key else "certificates"


def _parent(each: RouteParentStatus) -> dict[str, Any]:
    ref = each.parent_ref
    name = f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name
    section = f" {ref.section_name}" if ref.section_name else ""
    port = f" port {ref.port}" if ref.port else ""
    return {"parent": f"{ref.kind} {name}{section}{port}", **_conditions(each.conditions)}


def _listeners(given: Iterable[ListenerStatus]) -> dict[str, Any]:
    return {each.name: _listener_status(each) for each in given}


def _listener_status(each: ListenerStatus) -> Any:
    """One line if all is well."""
    kinds = ", ".join(
        kind.kind if kind.group == GATEWAY_GROUP else f"{kind.group}/{kind.kind}" for kind in each.supported_kinds
    )
    head = f"{each.attached_routes} of {kinds or 'no kind'}"
    conditions = _conditions(each.conditions)
    if list(conditions) == ["ok"]:
        return f"{head}, {conditions['ok']}"
    return {"routes": head, **conditions}


def _conditions(given: Iterable[Condition]) -> dict[str, str]:
    """Those that say that all is well together, the others each with its message."""
    good = [each for each in given if _good(each)]
    shown = [each for each in good if each.status == "True"]
    generations = {_generation(each) for each in shown}
    found = {"ok": " ".join(each.type for each in shown) + "".join(sorted(generations))} if shown else {}
    for each in given:
        if not _good(each):
            found[each.type] = f"{each.status} {each.reason}{_generation(each)}: {each.message}"
    return found


def _good(each: Condition) -> bool:
    return each.reason in _GOOD and each.status == ("False" if each.type in _NEGATIVE else "True")


def _generation(each: Condition) -> str:
    return f" @{each.observed_generation}" if each.observed_generation else ""


_GOOD = frozenset({"Accepted", "Programmed", "ResolvedRefs", "NoConflicts"})
