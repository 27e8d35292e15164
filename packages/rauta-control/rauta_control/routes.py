"""HTTPRoutes: their plan joined with where they attach, which gives the rules of the IR, and their status.

Pure. A rule of the IR is one match on one virtual host. Which rule a request gets is decided by precedence, so two
rules that match exactly the same are one too many: the later one is never reached, and its route is told to which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from rauta_control import ir
from rauta_control.action import Filters
from rauta_control.apiresource import Condition
from rauta_control.attach import Attachment, attachments, mistaken, parent_refused
from rauta_control.condition import condition, resolved_refs
from rauta_control.derive import Graph
from rauta_control.filters import redirected
from rauta_control.finding import Finding, finding
from rauta_control.hostname import wider
from rauta_control.hosts import Socket, routed, sockets
from rauta_control.httpfilter import HTTPRequestRedirectFilter
from rauta_control.httproute import HTTPRoute, RouteParentStatus, RouteStatus
from rauta_control.listeners import Facts, Section
from rauta_control.output import Output
from rauta_control.plan import MATCHES, Match, Plan, Planned, plan
from rauta_control.supported import Ability
from rauta_control.terms import DOMAIN, IGNORED, terms
from rauta_control.world import Key, age, find

SHADOWED = f"{DOMAIN}/RulesShadowed"
_ORIGIN = ir.Predicate("origin", ".*", regex=True)  # there is one, whatever it is
LISTED = 5  # names in a message before "and N more"


class Claim(NamedTuple):
    """Who matches something: sorts like the precedence of its rule among those that match the same."""

    created: int
    route: str
    place: int  # of the match, counted across the route's rules
    label: str


class Links(msgspec.Struct, frozen=True):
    """What a route has to do with others: listeners it attaches to, hosts it needs, matches it claims, clusters."""

    attached: frozenset[Section] = frozenset()
    hosts: frozenset[tuple[Key, Section, str]] = frozenset()
    claims: frozenset[tuple[str, Claim]] = frozenset()
    clusters: frozenset[tuple[Key, int]] = frozenset()


class _Spot(NamedTuple):
    """A virtual host that the route has rules on."""

    gateway: Key
    socket: Socket
    listener: Facts
    hostname: str


def rules(q: Graph, key: Key) -> tuple[ir.Rule, ...]:
    """All rules of a route."""
    route = find(q, HTTPRoute, key)
    made = q.get(plan, key)
    if route is None:
        return ()
    created = age(route)
    return tuple(
        _rule(key, created, spot, planned, match, made.upgrades)
        for spot in q.get(_spots, key)
        for planned in made.rules
        for match in (*planned.matches, *_preflights(planned))
    )


def route_links(q: Graph, key: Key) -> Links:
    """What a route has to do with others."""
    made = q.get(plan, key)
    found = q.get(attachments, key)
    own = q.get(rules, key)
    labels = {match.index: match.label for planned in made.rules for match in planned.matches}
    return Links(
        frozenset() if made.refused else frozenset(join.section for each in found for join in each.joins),
        frozenset((spot.gateway, spot.listener.section, spot.hostname) for spot in q.get(_spots, key)),
        frozenset((signature(each), Claim(each.created, each.route, each.index, labels[each.index])) for each in own),
        frozenset(made.clusters) if own else frozenset(),
    )


def route_output(q: Graph, key: Key) -> Output:
    """The rules of a route, its status for each parent of ours, and all there is to say."""
    route = find(q, HTTPRoute, key)
    if route is None:
        return Output()
    made = q.get(plan, key)
    found = q.get(attachments, key)
    own = q.get(rules, key)
    alone = q.get(_alone, key)
    shadowed = list(_shadowed(q, own, key))
    findings = [*_plan_findings(made, key), *_parent_findings(q, found, key), *_shadow_findings(shadowed, key)]
    if alone:
        findings.append(finding(3, key, "spec.hostnames", alone))
    parents = tuple(
        RouteParentStatus(
            parent_ref=each.ref,
            controller_name=terms(q).controller,
            conditions=tuple(_conditions(made, each, shadowed, alone, route.metadata.generation)),
        )
        for each in found
        if each.gateway is not None
    )
    return Output(own, RouteStatus(parents=parents), tuple(dict.fromkeys(findings)))


def signature(rule: ir.Rule) -> str:
    """The same for rules that match exactly the same requests."""
    parts = [rule.host, rule.path_type, rule.path, rule.method]
    parts += [f"{each.name}\0{each.value}\0{each.regex}" for each in rule.headers]
    parts.append("\0")
    parts += [f"{each.name}\0{each.value}\0{each.regex}" for each in rule.query]
    return "\n".join(parts)


def _spots(q: Graph, key: Key) -> tuple[_Spot, ...]:
    if not any(planned.matches for planned in q.get(plan, key).rules):
        return ()
    spots: dict[tuple[str, str], _Spot] = {}
    for each in q.get(attachments, key):
        if each.gateway is None:
            continue
        for socket in q.get(sockets, each.gateway):
            for join in each.joins:
                for hostname in join.hostnames:
                    owner = socket.owner(hostname)
                    if owner is not None and owner.section == join.section:
                        spots[socket.name, hostname] = _Spot(each.gateway, socket, owner, hostname)
    return tuple(spots[name] for name in sorted(spots))


def _rule(key: Key, created: int, spot: _Spot, planned: Planned, match: Match, upgrades: tuple[str, ...]) -> ir.Rule:
    host = f"{spot.socket.name}|{spot.hostname}"
    shares = planned.shares
    if any(planned.redirects):
        shares = tuple(
            msgspec.structs.replace(share, filters=_redirecting(share.filters, redirect, spot))
            for share, redirect in zip(planned.shares, planned.redirects, strict=True)
        )
    return ir.Rule(
        ir.bounded(f"{key.path}#{match.label}@{host}"),
        key.path,
        host,
        match.path,
        match.path_type,
        shares,
        match.method,
        ir.order(match.method, len(match.headers), len(match.query)),
        created=created,
        index=match.index,
        headers=match.headers,
        query=match.query,
        filters=_redirecting(planned.filters, planned.redirect, spot),
        request_timeout=planned.request_timeout,
        backend_timeout=planned.backend_timeout,
        retry=planned.retry,
        section=planned.name,
        upgrades=upgrades,
    )


def _preflights(planned: Planned) -> Iterator[Match]:
    """What matches the preflights of requests with CORS whose method is matched: browsers ask by OPTIONS, naming it.

    Without that they would find no rule, or one whose backend gets them, which must not be (GEP-1767).
    """
    given = (planned.filters, *(share.filters for share in planned.shares))
    if not any(filters is not None and filters.cors is not None for filters in given):
        return
    for match in planned.matches:
        if match.method not in ("", "OPTIONS"):
            asked = ir.Predicate("access-control-request-method", match.method)
            headers = {_ORIGIN.name: _ORIGIN, **{each.name: each for each in match.headers}, asked.name: asked}
            yield msgspec.structs.replace(
                match,
                label=f"{match.label}/preflight",
                method="OPTIONS",
                headers=tuple(headers[name] for name in sorted(headers)),
            )


def _redirecting(filters: Filters | None, redirect: HTTPRequestRedirectFilter | None, spot: _Spot) -> Filters | None:
    if redirect is None:
        return filters
    made = redirected(redirect, spot.socket.protocol, spot.socket.port)
    return msgspec.structs.replace(filters or Filters(), redirect=made)


class _Shadow(NamedTuple):
    """A match that never gets a request on a host, and the claim that does."""

    place: int
    gateway: Key
    host: str
    winner: Claim


def _shadowed(q: Graph, own: Sequence[ir.Rule], key: Key) -> Iterator[_Shadow]:
    gateways = {f"{spot.socket.name}|{spot.hostname}": spot.gateway for spot in q.get(_spots, key)}
    for each in own:
        claims: Iterable[Claim] = q.read(("claims", signature(each))) or ()
        winner = min(claims, default=None)
        if winner is not None and (winner.route, winner.place) != (key.path, each.index):
            yield _Shadow(each.index, gateways[each.host], each.host.rpartition("|")[2], winner)


def _alone(q: Graph, key: Key) -> str:
    """That requests for some host names are not offered to the rules of less specific ones, where they should be."""
    if Ability.HOST_FALLBACK in terms(q).abilities:
        return ""
    names = [
        spot.hostname
        for spot in q.get(_spots, key)
        if any(routed(q, spot.gateway, spot.listener.section, name) for name in wider(spot.hostname))
    ]
    only = f"requests for {_few(sorted(set(names)))} get only rules for that very name"
    return f"{Ability.HOST_FALLBACK.missing}: {only}" if names else ""


def _conditions(
    made: Plan, each: Attachment, shadowed: Sequence[_Shadow], alone: str, generation: int
) -> Iterator[Condition]:
    refused = each.refused or made.refused
    if refused:
        yield condition("Accepted", False, refused.reason, refused.message, generation)
    else:
        yield condition("Accepted", True, "Accepted", "the route is accepted", generation)
    yield resolved_refs(made.unresolved.reason, made.unresolved.message, generation)
    if refused:
        return
    if made.partial:
        yield condition("PartiallyInvalid", True, "UnsupportedValue", f"Dropped Rule: {made.partial}", generation)
    if lost := [shadow for shadow in shadowed if shadow.gateway == each.gateway]:
        names = [f"match {_label(index)} by {_whose(claim)}" for index, claim in _unique(lost)]
        yield condition(SHADOWED, True, "RouteRulesOverlap", f"never reached: {_few(names)}", generation)
    if ignored := "; ".join(filter(None, (made.ignored, alone))):
        yield condition(IGNORED, True, "UnsupportedField", ignored, generation)


def _plan_findings(made: Plan, key: Key) -> Iterator[Finding]:
    return (finding(each.code, key, each.path, each.message) for each in made.notes)


def _parent_findings(q: Graph, found: Sequence[Attachment], key: Key) -> Iterator[Finding]:
    if not found:
        yield finding(19, key, "spec.parentRefs", "without a parent nobody serves it")
    codes = {"NoMatchingParent": 11, "NotAllowedByListeners": 12, "NoMatchingListenerHostname": 13}
    for each in found:
        path = f"spec.parentRefs[{each.index}]"
        if wrong := mistaken(each.ref):
            yield finding(10, key, path, wrong)
        if each.missing:
            yield finding(10, key, path, f"{each.ref.kind} {_full(each, key)} does not exist")
        if each.refused:
            yield finding(codes[each.refused.reason], key, path, each.refused.message)
        for name in each.ignored:
            yield finding(14, key, "spec.hostnames", f"no listener of {each.ref.kind} {_full(each, key)} has {name}")
        if each.gateway is not None and each.joins and not q.get(plan, key).refused:
            yield from _unserved(q, each, each.gateway, key, path)


def _unserved(q: Graph, each: Attachment, gateway: Key, key: Key, path: str) -> Iterator[Finding]:
    """Where it is attached and nevertheless gets no requests."""
    if refused := parent_refused(q, gateway):
        yield finding(18, key, path, f"{gateway} is not accepted: {refused.message}")
        return
    listening = q.get(sockets, gateway)
    alive = {listener.section for socket in listening for listener in socket.listeners}
    reached = {(spot.socket.name, spot.hostname) for spot in q.get(_spots, key)}
    for join in each.joins:
        if join.section not in alive:
            yield finding(16, key, path, f"listener {join.section.name} of {join.section.owner} is not served")
            continue
        for socket in listening:
            for hostname in join.hostnames:
                owner = socket.owner(hostname) if _on(socket, join.section) else None
                if owner is not None and (socket.name, hostname) not in reached:
                    text = (
                        f"requests for {hostname} belong to listener {owner.section.name} ({owner.hostname}) of "
                        f"{owner.section.owner}, not to {join.section.name}"
                    )
                    yield finding(15, key, path, text)


def _on(socket: Socket, section: Section) -> bool:
    return any(each.section == section for each in socket.listeners)


def _shadow_findings(shadowed: Sequence[_Shadow], key: Key) -> Iterator[Finding]:
    for index, claim in _unique(shadowed):
        hosts = sorted({each.host for each in shadowed if (each.place, each.winner) == (index, claim)})
        code = 31 if claim.route == key.path else 30
        path = f"spec.rules[{index // MATCHES}].matches[{index % MATCHES}]"
        yield finding(code, key, path, f"on host {_few(hosts)} requests go to {_whose(claim)}")


def _unique(shadowed: Sequence[_Shadow]) -> list[tuple[int, Claim]]:
    return sorted({(each.place, each.winner) for each in shadowed})


def _whose(claim: Claim) -> str:
    return f"match {claim.label} of HTTPRoute {claim.route}"


def _label(index: int) -> str:
    return f"{index // MATCHES}.{index % MATCHES}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _full(each: Attachment, key: Key) -> str:
    return f"{each.ref.namespace or key.namespace}/{each.ref.name}"
