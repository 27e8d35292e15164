"""What an HTTPRoute asks for, whatever it is attached to: its matches, filters, shares and policies, and what is wrong.

Pure. Nothing is dropped in silence: a match that cannot be served is left out, a filter that cannot be applied makes
its requests fail, and both are said; so is every field without effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from rauta_control import handshake, ir, regex
from rauta_control.action import UNSET, Filters, Retry
from rauta_control.backends import Backend, backend
from rauta_control.derive import Graph
from rauta_control.duration import milliseconds
from rauta_control.field import REQUEST_ID, is_stated, is_taken
from rauta_control.filters import Compiled, Note, compiled, refused
from rauta_control.httpfilter import HTTPRequestRedirectFilter, HTTPRouteFilter
from rauta_control.httproute import (
    HTTPHeaderMatch,
    HTTPPathMatch,
    HTTPQueryParamMatch,
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
)
from rauta_control.listeners import Said
from rauta_control.path import normalise
from rauta_control.reasons import Refused
from rauta_control.supported import Ability
from rauta_control.terms import DOMAIN, strange, terms
from rauta_control.world import Key, find

PathType = Literal["exact", "prefix", "regex"]

UPGRADES = f"{DOMAIN}/upgrades"  # the annotation
MATCHES = 128  # the most that a route can have: `Match.index` counts them across rules


class Match(msgspec.Struct, frozen=True):
    """One match, normalised. `label` is how users know it: `rule.match`, by position."""

    index: int
    label: str
    path: str
    path_type: PathType
    method: str = ""
    headers: tuple[ir.Predicate, ...] = ()
    query: tuple[ir.Predicate, ...] = ()


class Planned(msgspec.Struct, frozen=True):
    """One rule. `redirect`, and for each share `redirects`, wait for their listener (filters.redirected).

    `invalid`: nothing is served as asked.
    """

    index: int
    name: str
    matches: tuple[Match, ...]
    shares: tuple[ir.ClusterWeight, ...]
    redirects: tuple[HTTPRequestRedirectFilter | None, ...]
    filters: Filters | None = None
    redirect: HTTPRequestRedirectFilter | None = None
    request_timeout: int = UNSET
    backend_timeout: int = UNSET
    retry: Retry | None = None
    invalid: bool = False
    dropped: tuple[str, ...] = ()  # what of it cannot be served
    ignored: tuple[str, ...] = ()  # what of it has no effect


class Plan(msgspec.Struct, frozen=True):
    """A whole route. `clusters` are the Services and ports that its shares and mirrors go to."""

    rules: tuple[Planned, ...] = ()
    unresolved: Said = Said()
    clusters: tuple[tuple[Key, int], ...] = ()
    notes: tuple[Note, ...] = ()
    upgrades: tuple[str, ...] = ()  # protocols that its requests may change to, besides websocket
    beside: tuple[str, ...] = ()  # what has no effect that is of none of its rules

    @property
    def refused(self) -> Said:
        """Why the route as a whole is not accepted. What of it can be matched answers 500 nevertheless: else its
        requests would go to the next best rule, past a filter that may be there to keep them out.
        """
        if not self.rules or not all(rule.invalid for rule in self.rules):
            return Said()
        return Said("UnsupportedValue", _listed(self.rules, "dropped"))

    @property
    def partial(self) -> str:
        """What of the route cannot be served while the rest of it is."""
        return "" if self.refused else _listed(self.rules, "dropped")

    @property
    def ignored(self) -> str:
        """What of the route has no effect."""
        return "; ".join(filter(None, (*self.beside, _listed(self.rules, "ignored"))))


def plan(q: Graph, key: Key) -> Plan:
    """Plan a route."""
    route = find(q, HTTPRoute, key)
    if route is None:
        return Plan()
    notes: list[Note] = []
    backends: list[Backend] = []
    rules = tuple(_rule(q, key, index, rule, notes, backends) for index, rule in enumerate(route.spec.rules))
    beside: list[Note] = []
    if route.spec.use_default_gateways not in (None, "None"):
        beside.append(Note(3, "spec.useDefaultGateways", "routes do not attach to default Gateways by themselves"))
    wrong = [each for each in backends if each.reason]
    unresolved = Said(wrong[0].reason, "; ".join(dict.fromkeys(each.message for each in wrong))) if wrong else Said()
    clusters = tuple(dict.fromkeys((each.service, each.port) for each in backends if each.cluster))
    upgrades = _upgrades(route.metadata.annotations, beside)
    messages = tuple(each.message for each in beside)
    return Plan(rules, unresolved, clusters, (*notes, *beside), upgrades, messages)


def _upgrades(annotations: Mapping[str, str], notes: list[Note]) -> tuple[str, ...]:
    """The protocols that an annotation offers: all of them or, if anything is wrong with them, none."""
    notes += (
        Note(39, f"metadata.annotations[{name}]", f"an HTTPRoute may have {UPGRADES}, not {name}")
        for name in sorted(strange(annotations, {UPGRADES}))
    )
    try:
        return handshake.upgrades(annotations[UPGRADES]) if UPGRADES in annotations else ()
    except ValueError as error:
        notes.append(
            Note(39, f"metadata.annotations[{UPGRADES}]", f"{UPGRADES} {annotations[UPGRADES]!r}: expected {error}")
        )
        return ()


def _rule(q: Graph, key: Key, index: int, rule: HTTPRouteRule, notes: list[Note], backends: list[Backend]) -> Planned:
    path = f"spec.rules[{index}]"
    matches, dropped = _matches(q, index, rule, notes)
    given = compiled(q, key, rule.filters, f"{path}.filters", prefixed=_prefixed(rule))
    notes += given.notes
    backends += given.mirrored
    shares, redirects, faults = _shares(q, key, rule, path, notes, backends)
    dropped += [given.fault] if given.unable else faults
    if given.fault:
        shares, redirects = [ir.ClusterWeight("", fault=given.fault)], [None]
    elif not any(each.weight for each in shares) and given.redirect is None:
        text = "its weights are all 0" if shares else "it has no backendRefs"
        notes.append(Note(28, path, f"{text}: requests are answered with 500"))
    ignored = list(_ignored(q, rule, path, notes))
    timeouts, able = rule.timeouts, terms(q).abilities
    return Planned(
        index,
        rule.name or "",
        matches,
        tuple(shares),
        tuple(redirects),
        given.filters,
        given.redirect,
        _limit(timeouts.request) if timeouts and Ability.REQUEST_TIMEOUT in able else UNSET,
        _limit(timeouts.backend_request) if timeouts and Ability.BACKEND_TIMEOUT in able else UNSET,
        _retry(rule) if Ability.RETRY in able else None,
        invalid=not matches or given.unable or (bool(faults) and len(faults) == len(shares)),
        dropped=tuple(dict.fromkeys(dropped)),
        ignored=tuple(ignored),
    )


def _matches(q: Graph, index: int, rule: HTTPRouteRule, notes: list[Note]) -> tuple[tuple[Match, ...], list[str]]:
    """The matches that can be served, and what is wrong with the others."""
    found: list[Match] = []
    dropped: list[str] = []
    for number, match in enumerate(rule.matches or (HTTPRouteMatch(),)):
        where = f"spec.rules[{index}].matches[{number}]"
        wrong = [*_unable(q, match, where), *_broken(match, where)]
        if wrong:
            notes += wrong
            dropped += [each.message for each in wrong]
            continue
        path, kind = _path(match.path)
        found.append(
            Match(
                index * MATCHES + number,
                f"{index}.{number}",
                path,
                kind,
                match.method or "",
                _headers(match.headers, f"{where}.headers", notes),
                _query(match.query_params),
            )
        )
    return tuple(found), dropped


def _unable(q: Graph, match: HTTPRouteMatch, where: str) -> Iterator[Note]:
    """What the data plane cannot do."""
    expressions = (
        any(each.type == "RegularExpression" for each in match.headers),
        any(each.type == "RegularExpression" for each in match.query_params),
    )
    needs: tuple[tuple[bool, Ability, str], ...] = (
        (match.path.type == "RegularExpression", Ability.PATH_REGEX, "path"),
        (match.method is not None, Ability.METHODS, "method"),
        (bool(match.headers), Ability.HEADERS, "headers"),
        (expressions[0], Ability.HEADER_REGEX, "headers"),
        (bool(match.query_params), Ability.QUERY, "queryParams"),
        (expressions[1], Ability.QUERY_REGEX, "queryParams"),
    )
    able = terms(q).abilities
    said = set()
    for needed, ability, field in needs:
        if needed and ability not in able and field not in said:
            said.add(field)
            yield Note(1, f"{where}.{field}", ability.missing)


def _broken(match: HTTPRouteMatch, where: str) -> Iterator[Note]:
    """What nobody could do."""
    if match.path.type != "RegularExpression":
        try:
            normalise(match.path.value.encode())
        except Refused as refused:
            text = f"path {match.path.value} cannot be requested: {refused.note}"
            yield Note(32, f"{where}.path.value", text)
    expressions = [("path.value", match.path.value)] if match.path.type == "RegularExpression" else []
    for index, header in enumerate(match.headers):
        if header.type == "RegularExpression":
            expressions.append((f"headers[{index}].value", header.value))
    for index, parameter in enumerate(match.query_params):
        if parameter.type == "RegularExpression":
            expressions.append((f"queryParams[{index}].value", parameter.value))
    for field, pattern in expressions:
        if problem := regex.problem(pattern):
            yield Note(34, f"{where}.{field}", problem)


def _path(path: HTTPPathMatch) -> tuple[str, PathType]:
    """A path as requests have it (path.py). A prefix has no slash at its end: it ends between segments anyway."""
    if path.type == "RegularExpression":
        return path.value, "regex"
    normal = normalise(path.value.encode()).decode()
    if path.type == "Exact":
        return normal, "exact"
    return normal.rstrip("/") or "/", "prefix"


def _headers(given: Iterable[HTTPHeaderMatch], where: str, notes: list[Note]) -> tuple[ir.Predicate, ...]:
    """Of names that are equal but for case the first counts (HTTPHeaderMatch.name)."""
    found: dict[str, ir.Predicate] = {}
    for index, each in enumerate(given):
        name = each.name.lower()
        if name in found:
            notes.append(Note(33, f"{where}[{index}]", f"{each.name} was named before"))
            continue
        found[name] = ir.Predicate(name, each.value, each.type == "RegularExpression")
        if is_taken(name):
            notes.append(Note(36, f"{where}[{index}]", f"{each.name} is taken out of requests: nothing can match"))
        elif is_stated(name) and name != REQUEST_ID:
            notes.append(Note(37, f"{where}[{index}]", f"{each.name} is matched as the gateway states it"))
    return tuple(found[name] for name in sorted(found))


def _query(given: Iterable[HTTPQueryParamMatch]) -> tuple[ir.Predicate, ...]:
    found: dict[str, ir.Predicate] = {}
    for each in given:
        found.setdefault(each.name, ir.Predicate(each.name, each.value, each.type == "RegularExpression"))
    return tuple(found[name] for name in sorted(found))


def _shares(
    q: Graph, key: Key, rule: HTTPRouteRule, path: str, notes: list[Note], backends: list[Backend]
) -> tuple[list[ir.ClusterWeight], list[HTTPRequestRedirectFilter | None], list[str]]:
    """The shares of a rule, their redirects, and what is not supported (a dangling reference is another matter)."""
    shares: list[ir.ClusterWeight] = []
    redirects: list[HTTPRequestRedirectFilter | None] = []
    faults: list[str] = []
    for index, ref in enumerate(rule.backend_refs):
        where = f"{path}.backendRefs[{index}]"
        target = backend(q, key, ref)
        backends.append(target)
        if target.reason:
            notes.append(Note(target.code, where, target.message))
            shares.append(ir.ClusterWeight("", ref.weight, fault=f"{target.reason}: {target.message}"))
            redirects.append(None)
            continue
        own = _own(q, key, ref.filters, f"{where}.filters", prefixed=_prefixed(rule))
        notes += own.notes
        backends += own.mirrored
        redirects.append(own.redirect)
        if own.fault:
            faults += [own.fault] if own.unable else []
            shares.append(ir.ClusterWeight("", ref.weight, fault=own.fault))
        else:
            shares.append(ir.ClusterWeight(target.cluster, ref.weight, own.filters))
    return shares, redirects, faults


def _prefixed(rule: HTTPRouteRule) -> bool:
    return all(match.path.type == "PathPrefix" for match in rule.matches)


def _own(q: Graph, key: Key, given: Sequence[HTTPRouteFilter], path: str, *, prefixed: bool) -> Compiled:
    """The filters of a single backend."""
    if not given:
        return Compiled()
    if Ability.BACKEND_FILTERS not in terms(q).abilities:
        return refused(key, [Note(2, path, Ability.BACKEND_FILTERS.missing)])
    return compiled(q, key, given, path, prefixed=prefixed)


def _ignored(q: Graph, rule: HTTPRouteRule, path: str, notes: list[Note]) -> Iterator[str]:
    timeouts = rule.timeouts
    needs: tuple[tuple[bool, Ability, str], ...] = (
        (timeouts is not None and timeouts.request is not None, Ability.REQUEST_TIMEOUT, "timeouts.request"),
        (
            timeouts is not None and timeouts.backend_request is not None,
            Ability.BACKEND_TIMEOUT,
            "timeouts.backendRequest",
        ),
        (rule.retry is not None, Ability.RETRY, "retry"),
        (rule.session_persistence is not None, Ability.SESSION, "sessionPersistence"),
    )
    for given, ability, field in needs:
        if given and ability not in terms(q).abilities:
            notes.append(Note(3, f"{path}.{field}", ability.missing))
            yield ability.missing


def _limit(duration: str | None) -> int:
    return UNSET if duration is None else milliseconds(duration)


def _retry(rule: HTTPRouteRule) -> Retry | None:
    retry = rule.retry
    if retry is None:
        return None
    return Retry(UNSET if retry.attempts is None else retry.attempts, retry.codes, _limit(retry.backoff))


def _listed(rules: Iterable[Planned], what: Literal["dropped", "ignored"]) -> str:
    parts = []
    for rule in rules:
        said = rule.dropped if what == "dropped" else rule.ignored
        if said:
            parts.append(f"rule {rule.index}{f' ({rule.name})' if rule.name else ''}: {', '.join(said)}")
    return "; ".join(parts)
