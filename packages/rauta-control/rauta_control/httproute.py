"""HTTPRoute: which requests go where. Its structs, and what its CRD's validation asks beyond types. Pure.

The rules cite the CRD of Gateway API v1.6.1. `retry`, `session_persistence` and `use_default_gateways` are in the
experimental channel only; they are declared so that whoever cannot serve them can say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from msgspec import Meta

from rauta_control.apiresource import Conditions, Part, Resource, Rules, conditions_unique
from rauta_control.duration import milliseconds
from rauta_control.httpfilter import Filters, HTTPRouteFilter, filters_together, value_form
from rauta_control.problem import Problem, duplicate, forbidden, invalid, repeated, required
from rauta_control.reference import BackendObjectReference, ParentReference, service_port
from rauta_control.scalars import (
    PATH,
    ControllerName,
    Duration,
    HeaderName,
    HeaderValue,
    Hostname,
    Method,
    SectionName,
    text,
)

MAX_MATCHES = 128  # of all rules of a route together
#: What the path of an Exact or PathPrefix match must not contain: it would never equal a normalized path.
NEVER_IN_PATH = ("//", "/./", "/../", "%2f", "%2F", "#")
NEVER_AT_END = ("/..", "/.")

_PATH = re.compile(PATH)


class HTTPPathMatch(Part, frozen=True, kw_only=True):
    """A path, by segments (PathPrefix), whole (Exact) or by an expression."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Annotated[str, Meta(max_length=1024)] = "/"


class HTTPHeaderMatch(Part, frozen=True, kw_only=True):
    """A header field's value."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: HeaderValue


class HTTPQueryParamMatch(Part, frozen=True, kw_only=True):
    """A query parameter's value."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: Annotated[str, text(1, 1024)]


class HTTPRouteMatch(Part, frozen=True, kw_only=True):
    """All of these together."""

    path: HTTPPathMatch = HTTPPathMatch()
    headers: Annotated[tuple[HTTPHeaderMatch, ...], Meta(max_length=16)] = ()
    query_params: Annotated[tuple[HTTPQueryParamMatch, ...], Meta(max_length=16)] = ()
    method: Method | None = None


class HTTPBackendRef(BackendObjectReference, frozen=True, kw_only=True):
    """A backend, its share of the requests, and filters for its share only."""

    weight: Annotated[int, Meta(ge=0, le=1_000_000)] = 1
    filters: Filters = ()


class HTTPRouteTimeouts(Part, frozen=True, kw_only=True):
    """Zero means no limit; None leaves it to the gateway."""

    request: Duration | None = None
    backend_request: Duration | None = None


class HTTPRouteRetry(Part, frozen=True, kw_only=True):
    """When a failed request is tried again. No `attempts` (0) are none; the CRD has that from v1.7 on only."""

    codes: tuple[Annotated[int, Meta(ge=400, le=599)], ...] = ()
    attempts: Annotated[int, Meta(ge=0)] | None = None
    backoff: Duration | None = None


class CookieConfig(Part, frozen=True, kw_only=True):
    """How long a session's cookie lives."""

    lifetime_type: Literal["Permanent", "Session"] = "Session"


class SessionPersistence(Part, frozen=True, kw_only=True):
    """Requests of one session go to one backend."""

    session_name: Annotated[str, Meta(max_length=128)] | None = None
    absolute_timeout: Duration | None = None
    type: Literal["Cookie", "Header"] = "Cookie"
    cookie_config: CookieConfig | None = None


class HTTPRouteRule(Part, frozen=True, kw_only=True):
    """Any of the matches, then the filters, then one of the backends. `matches` is empty only where a user wrote []."""

    name: SectionName | None = None
    matches: Annotated[tuple[HTTPRouteMatch, ...], Meta(max_length=64)] = (HTTPRouteMatch(),)
    filters: Filters = ()
    backend_refs: Annotated[tuple[HTTPBackendRef, ...], Meta(max_length=16)] = ()
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: SessionPersistence | None = None


class HTTPRouteSpec(Part, frozen=True, kw_only=True):
    """Where the route attaches, for which hosts, and its rules."""

    parent_refs: Annotated[tuple[ParentReference, ...], Meta(max_length=32)] = ()
    hostnames: Annotated[tuple[Hostname, ...], Meta(max_length=16)] = ()
    rules: Annotated[tuple[HTTPRouteRule, ...], Meta(min_length=1, max_length=16)] = (HTTPRouteRule(),)
    use_default_gateways: Literal["All", "None"] | None = None


class RouteParentStatus(Part, frozen=True, kw_only=True):
    """What one controller says of one parent."""

    parent_ref: ParentReference
    controller_name: ControllerName
    conditions: Annotated[Conditions, Meta(min_length=1)]


class RouteStatus(Part, frozen=True, kw_only=True):
    """Entries of all controllers; ours are only those with our name."""

    parents: Annotated[tuple[RouteParentStatus, ...], Meta(max_length=32)]


class HTTPRoute(Resource, frozen=True, kw_only=True, tag=True):
    """Namespaced."""

    spec: HTTPRouteSpec
    status: RouteStatus | None = None


# -- rules


def path_absolute(path: HTTPPathMatch) -> Iterable[Problem]:
    """matches.path, Exact and PathPrefix: begins with a slash, valid characters, nothing that normalizing would change
    (10 rules; the eleventh, on the type, is its enumeration).
    """
    if path.type == "RegularExpression" or path.value == "/":
        return
    value, where = path.value, f"when type is {path.type}"
    if not value.startswith("/"):
        yield invalid("value", value, f"must be an absolute path, beginning with '/', {where}")
    for part in NEVER_IN_PATH:
        if part in value:
            yield invalid("value", value, f"must not contain '{part}' {where}")
    for part in NEVER_AT_END:
        if value.endswith(part):
            yield invalid("value", value, f"must not end with '{part}' {where}")
    if not _PATH.fullmatch(value):
        yield invalid("value", value, f"must be valid path characters, others percent-encoded, {where}")


def match_names(match: HTTPRouteMatch) -> Iterable[Problem]:
    """matches: headers and queryParams are list-maps by name."""
    if match.headers:
        yield from repeated("headers", match.headers, "name")
    if match.query_params:
        yield from repeated("queryParams", match.query_params, "name")


def header_match_value(match: HTTPHeaderMatch) -> Iterable[Problem]:
    """matches.headers: the form of the value."""
    return value_form(match.value)


def backend_filters(ref: HTTPBackendRef) -> Iterable[Problem]:
    """backendRefs.filters: the rules of a list of filters."""
    return filters_together(ref.filters)


def rule_filters(rule: HTTPRouteRule) -> Iterable[Problem]:
    """rules.filters: the rules of a list of filters."""
    return filters_together(rule.filters)


def redirect_without_backends(rule: HTTPRouteRule) -> Iterable[Problem]:
    """rules: no RequestRedirect among the filters of a rule that has backendRefs."""
    if rule.backend_refs and any(item.request_redirect for item in rule.filters):
        yield forbidden("filters", "RequestRedirect must not be used together with backendRefs")


def prefix_replaced_once(rule: HTTPRouteRule) -> Iterable[Problem]:
    """rules: ReplacePrefixMatch, in a redirect or rewrite of the rule or of a backend, needs exactly one match, by
    PathPrefix (4 rules). Where several backends have it, the CRD does not look; it is no clearer, so we warn.
    """
    if len(rule.matches) == 1 and rule.matches[0].path.type == "PathPrefix":
        return
    for kind in ("RequestRedirect", "URLRewrite"):
        if any(_replaces_prefix(item, kind) for item in rule.filters):
            yield _one_prefix("filters", kind)
        backends = [
            index
            for index, ref in enumerate(rule.backend_refs)
            if any(_replaces_prefix(item, kind) for item in ref.filters)
        ]
        for index in backends:
            yield _one_prefix(f"backendRefs[{index}].filters", kind, only_warn=len(backends) > 1)


def timeouts_nested(timeouts: HTTPRouteTimeouts) -> Iterable[Problem]:
    """timeouts: backendRequest is not longer than request, unless request is zero."""
    if timeouts.request is None or timeouts.backend_request is None:
        return
    whole = milliseconds(timeouts.request)
    if whole and milliseconds(timeouts.backend_request) > whole:
        yield invalid("backendRequest", timeouts.backend_request, f"cannot be longer than request, {timeouts.request}")


def retry_codes(retry: HTTPRouteRetry) -> Iterable[Problem]:
    """retry.codes: a set."""
    return repeated("codes", retry.codes)


def permanent_cookie(session: SessionPersistence) -> Iterable[Problem]:
    """sessionPersistence: a permanent cookie needs an absoluteTimeout; cookieConfig needs the type Cookie."""
    if session.cookie_config is None:
        return
    if session.cookie_config.lifetime_type == "Permanent" and session.absolute_timeout is None:
        yield required("absoluteTimeout", "must be specified when cookieConfig.lifetimeType is Permanent")
    if session.type != "Cookie":
        yield forbidden("cookieConfig", "can only be set with type Cookie")


def parents_distinct(refs: Sequence[ParentReference]) -> Iterable[Problem]:
    """parentRefs: several references to one parent all name a section, or all a port, and differ in it (2 rules)."""
    first: dict[tuple[str, str, str, str], ParentReference] = {}
    seen: set[tuple[object, ...]] = set()
    for index, ref in enumerate(refs):
        parent = (ref.group, ref.kind, ref.namespace or "", ref.name)
        other = first.setdefault(parent, ref)
        if (other.section_name is None, other.port is None) != (ref.section_name is None, ref.port is None):
            detail = (
                "sectionName or port must be specified in every reference when there are several to the same parent"
            )
            yield invalid(f"parentRefs[{index}]", ref.name, detail)
        elif (*parent, ref.section_name, ref.port) in seen:
            detail = "sectionName or port must be unique when there are several references to the same parent"
            yield invalid(f"parentRefs[{index}]", ref.name, detail)
        seen.add((*parent, ref.section_name, ref.port))


def spec_parents(spec: HTTPRouteSpec) -> Iterable[Problem]:
    """parents_distinct, of the spec."""
    return parents_distinct(spec.parent_refs) if len(spec.parent_refs) > 1 else ()


def matches_bounded(spec: HTTPRouteSpec) -> Iterable[Problem]:
    """rules: at most 128 matches in a route."""
    count = sum(len(rule.matches) for rule in spec.rules)
    if count > MAX_MATCHES:
        detail = f"the total number of matches across all rules in a route must be at most {MAX_MATCHES}"
        yield invalid("rules", count, detail)


def rules_named_apart(spec: HTTPRouteSpec) -> Iterable[Problem]:
    """rules: names are unique within the route; in the experimental channel only."""
    if len(spec.rules) == 1:
        return
    seen: set[str] = set()
    for index, rule in enumerate(spec.rules):
        if rule.name is None:
            continue
        if rule.name in seen:
            yield duplicate(f"rules[{index}].name", rule.name, judge="experimental")
        seen.add(rule.name)


def _replaces_prefix(item: HTTPRouteFilter, kind: str) -> bool:
    modifier = item.request_redirect if kind == "RequestRedirect" else item.url_rewrite
    path = modifier.path if modifier else None
    return path is not None and path.type == "ReplacePrefixMatch" and path.replace_prefix_match is not None


def _one_prefix(path: str, kind: str, *, only_warn: bool = False) -> Problem:
    detail = "with path.replacePrefixMatch the rule must have exactly one match, of type PathPrefix"
    return Problem(path, f'Invalid value: "{kind}": {detail}', level="warning" if only_warn else "error")


RULES: Rules = {
    HTTPPathMatch: (path_absolute,),
    HTTPRouteMatch: (match_names,),
    HTTPHeaderMatch: (header_match_value,),
    HTTPBackendRef: (service_port, backend_filters),
    HTTPRouteRule: (rule_filters, redirect_without_backends, prefix_replaced_once),
    HTTPRouteTimeouts: (timeouts_nested,),
    HTTPRouteRetry: (retry_codes,),
    SessionPersistence: (permanent_cookie,),
    HTTPRouteSpec: (spec_parents, matches_bounded, rules_named_apart),
    RouteParentStatus: (conditions_unique,),
}
