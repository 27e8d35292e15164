"""What an HTTPRoute does to requests and responses: its filters, and the rules of each. Pure.

The rules cite the HTTPRoute CRD of Gateway API v1.6.1; `external_auth` is in the experimental channel only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from msgspec import Meta

from rauta_control.apiresource import Part, Rules
from rauta_control.problem import Problem, forbidden, invalid, repeated, required
from rauta_control.reference import BackendObjectReference, LocalObjectReference
from rauta_control.scalars import (
    PATH,
    HeaderName,
    HeaderValue,
    NaturalInt32,
    Percentage,
    Port,
    PositiveInt32,
    PreciseHostname,
    text,
)

#: The filter types and the field each one is described in: set exactly when the type says so.
MEMBERS = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "CORS": "cors",
    "ExternalAuth": "externalAuth",
    "ExtensionRef": "extensionRef",
}
#: At most one of each in a list. Mirrors, external authorization and extensions may be several.
ONCE = ("CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite")

_PRINTABLE = re.compile(r"[!-~]+(?:[\t ][!-~]+)*")  # the experimental channel's form
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

CORSMethod = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"]
Replacement = Annotated[str, Meta(max_length=1024)]
Origin = Annotated[
    str,
    text(
        1,
        253,
        r"\*|https?://(?:\*|(?:\*\.)?[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*)(?::[0-9]{1,5})?",
        "'*' or an origin such as https://*.example.com:8443, without a path",
    ),
]


class HTTPHeader(Part, frozen=True, kw_only=True):
    """A field to set or add."""

    name: HeaderName
    value: HeaderValue


Headers = Annotated[tuple[HTTPHeader, ...], Meta(max_length=16)]


class HTTPHeaderFilter(Part, frozen=True, kw_only=True):
    """Fields to set, add and remove."""

    set: Headers = ()
    add: Headers = ()
    remove: Annotated[tuple[str, ...], Meta(max_length=16)] = ()


class HTTPPathModifier(Part, frozen=True, kw_only=True):
    """A new path, or a new beginning in place of the matched prefix."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: Replacement | None = None
    replace_prefix_match: Replacement | None = None


class HTTPRequestRedirectFilter(Part, frozen=True, kw_only=True):
    """An answer that sends the client elsewhere."""

    scheme: Literal["http", "https"] | None = None
    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None
    port: Port | None = None
    status_code: Literal[301, 302, 303, 307, 308] = 302


class HTTPURLRewriteFilter(Part, frozen=True, kw_only=True):
    """A changed target for the backend."""

    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None


class Fraction(Part, frozen=True, kw_only=True):
    """numerator / denominator of the requests."""

    numerator: NaturalInt32
    denominator: PositiveInt32 = 100


class HTTPRequestMirrorFilter(Part, frozen=True, kw_only=True):
    """A copy of each request, or of a share of them, to a backend whose answer is not waited for."""

    backend_ref: BackendObjectReference
    percent: Percentage | None = None
    fraction: Fraction | None = None


class HTTPCORSFilter(Part, frozen=True, kw_only=True):
    """What browsers are told about cross-origin use."""

    allow_origins: Annotated[tuple[Origin, ...], Meta(max_length=64)] = ()
    allow_credentials: bool | None = None
    allow_methods: Annotated[tuple[CORSMethod, ...], Meta(max_length=9)] = ()
    allow_headers: Annotated[tuple[HeaderName, ...], Meta(max_length=64)] = ()
    expose_headers: Annotated[tuple[HeaderName, ...], Meta(max_length=64)] = ()
    max_age: PositiveInt32 = 5


AllowedHeaders = Annotated[tuple[str, ...], Meta(max_length=64)]


class GRPCAuthConfig(Part, frozen=True, kw_only=True):
    """External authorization by gRPC."""

    allowed_headers: AllowedHeaders = ()


class HTTPAuthConfig(Part, frozen=True, kw_only=True):
    """External authorization by HTTP."""

    path: Annotated[str, text(0, 1024, PATH, "a path of valid characters")] | None = None
    allowed_headers: AllowedHeaders = ()
    allowed_response_headers: AllowedHeaders = ()


class ForwardBodyConfig(Part, frozen=True, kw_only=True):
    """How much of a body the authorizer sees, in bytes."""

    max_size: int | None = None


class HTTPExternalAuthFilter(Part, frozen=True, kw_only=True):
    """A backend that is asked whether a request may pass."""

    protocol: Literal["HTTP", "GRPC"]
    backend_ref: BackendObjectReference
    grpc: GRPCAuthConfig | None = None
    http: HTTPAuthConfig | None = None
    forward_body: ForwardBodyConfig | None = None


class HTTPRouteFilter(Part, frozen=True, kw_only=True):
    """One filter: a type, and the field of that type."""

    type: Literal[
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "ExtensionRef",
        "CORS",
        "ExternalAuth",
    ]
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = None
    cors: HTTPCORSFilter | None = None
    external_auth: HTTPExternalAuthFilter | None = None
    extension_ref: LocalObjectReference | None = None


Filters = Annotated[tuple[HTTPRouteFilter, ...], Meta(max_length=16)]

_ATTRIBUTES = dict(zip(HTTPRouteFilter.__struct_encode_fields__, HTTPRouteFilter.__struct_fields__, strict=True))


# -- rules


def member_of_type(item: HTTPRouteFilter) -> Iterable[Problem]:
    """filters: for each type, its field must be set with that type, and must not be with another (16 rules)."""
    for kind, name in MEMBERS.items():
        given = getattr(item, _ATTRIBUTES[name]) is not None
        if given and item.type != kind:
            yield forbidden(name, f"must not be set when type is {item.type}; it belongs to type {kind}")
        elif not given and item.type == kind:
            yield required(name, f"must be specified when type is {kind}")


def filters_together(filters: Sequence[HTTPRouteFilter]) -> Iterable[Problem]:
    """filters: no redirect beside a rewrite; CORS, header modifiers, redirect and rewrite at most once each."""
    if not filters:
        return
    count = Counter[str](item.type for item in filters)
    if count["RequestRedirect"] and count["URLRewrite"]:
        yield invalid("filters", "URLRewrite", "may not be used together with RequestRedirect in one list of filters")
    for kind in ONCE:
        if count[kind] > 1:
            yield invalid("filters", kind, "this filter cannot be repeated")


def modifier_names(modifier: HTTPHeaderFilter) -> Iterable[Problem]:
    """requestHeaderModifier, responseHeaderModifier: set and add are list-maps by name, remove is a set."""
    yield from repeated("set", modifier.set, "name")
    yield from repeated("add", modifier.add, "name")
    yield from repeated("remove", modifier.remove)


def header_value(header: HTTPHeader) -> Iterable[Problem]:
    """Values of headers: no control characters, whoever accepts them (RFC 9110 5.5); in the experimental channel
    also printable ASCII with single blanks between the words.
    """
    return value_form(header.value)


def value_form(value: str) -> Iterable[Problem]:
    """The two judgements on a header's value."""
    if _PRINTABLE.fullmatch(value):
        return
    if _CONTROL.search(value):
        yield invalid("value", value, "must not contain control characters")
    else:
        detail = "must be printable ASCII without blanks at the ends or two in a row"
        yield invalid("value", value, detail, judge="experimental")


def path_of_type(path: HTTPPathModifier) -> Iterable[Problem]:
    """requestRedirect.path, urlRewrite.path: the field of the type is set, and no other."""
    pairs = (
        ("ReplaceFullPath", "replaceFullPath", path.replace_full_path),
        ("ReplacePrefixMatch", "replacePrefixMatch", path.replace_prefix_match),
    )
    for kind, name, value in pairs:
        if path.type == kind and value is None:
            yield required(name, f"must be specified when type is {kind}")
        elif path.type != kind and value is not None:
            yield invalid("type", path.type, f"must be {kind} when {name} is set")


def fraction_at_most_one(fraction: Fraction) -> Iterable[Problem]:
    """requestMirror.fraction: the numerator is at most the denominator."""
    if fraction.numerator > fraction.denominator:
        yield invalid("numerator", fraction.numerator, f"must be at most the denominator, {fraction.denominator}")


def one_share(mirror: HTTPRequestMirrorFilter) -> Iterable[Problem]:
    """requestMirror: percent or fraction, not both."""
    if mirror.percent is not None and mirror.fraction is not None:
        yield forbidden("fraction", "only one of percent and fraction may be specified")


def star_alone(cors: HTTPCORSFilter) -> Iterable[Problem]:
    """cors: '*' stands alone in allowOrigins, allowMethods and allowHeaders."""
    lists: tuple[tuple[str, Sequence[str]], ...] = (
        ("allowOrigins", cors.allow_origins),
        ("allowMethods", cors.allow_methods),
        ("allowHeaders", cors.allow_headers),
    )
    for name, values in lists:
        if len(values) > 1 and "*" in values:
            yield invalid(name, "*", "cannot stand beside other values")


def cors_sets(cors: HTTPCORSFilter) -> Iterable[Problem]:
    """cors: all four lists are sets."""
    yield from repeated("allowOrigins", cors.allow_origins)
    yield from repeated("allowMethods", cors.allow_methods)
    yield from repeated("allowHeaders", cors.allow_headers)
    yield from repeated("exposeHeaders", cors.expose_headers)


def auth_of_protocol(auth: HTTPExternalAuthFilter) -> Iterable[Problem]:
    """externalAuth: grpc is set exactly with protocol GRPC, http exactly with HTTP (4 rules)."""
    for protocol, name, value in (("GRPC", "grpc", auth.grpc), ("HTTP", "http", auth.http)):
        if auth.protocol == protocol and value is None:
            yield required(name, f"must be specified when protocol is {protocol}")
        elif auth.protocol != protocol and value is not None:
            yield invalid("protocol", auth.protocol, f"must be {protocol} when {name} is set")


def grpc_auth_sets(config: GRPCAuthConfig) -> Iterable[Problem]:
    """externalAuth.grpc: allowedHeaders is a set."""
    return repeated("allowedHeaders", config.allowed_headers)


def http_auth_sets(config: HTTPAuthConfig) -> Iterable[Problem]:
    """externalAuth.http: allowedHeaders and allowedResponseHeaders are sets."""
    yield from repeated("allowedHeaders", config.allowed_headers)
    yield from repeated("allowedResponseHeaders", config.allowed_response_headers)


RULES: Rules = {
    HTTPRouteFilter: (member_of_type,),
    HTTPHeaderFilter: (modifier_names,),
    HTTPHeader: (header_value,),
    HTTPPathModifier: (path_of_type,),
    Fraction: (fraction_at_most_one,),
    HTTPRequestMirrorFilter: (one_share,),
    HTTPCORSFilter: (star_alone, cors_sets),
    HTTPExternalAuthFilter: (auth_of_protocol,),
    GRPCAuthConfig: (grpc_auth_sets,),
    HTTPAuthConfig: (http_auth_sets,),
}
