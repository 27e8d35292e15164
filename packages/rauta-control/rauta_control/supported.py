"""What the data plane does: the one list by which translation says what is not served yet, and what the class claims.

Pure. When the data plane learns something, its entry moves into TODAY and everything follows: rules that were dropped
or answered 500 are published, conditions and findings about it go, and GatewayClass.status.supportedFeatures grows.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Ability(StrEnum):
    """Something the data plane may be able to do. The value completes "... not supported yet"."""

    PATH_REGEX = "regular expressions for paths are"
    METHODS = "matches on the method are"
    HEADERS = "matches on headers are"
    HEADER_REGEX = "regular expressions for headers are"
    QUERY = "matches on query parameters are"
    QUERY_REGEX = "regular expressions for query parameters are"
    HOST_FALLBACK = "falling back to the rules of a less specific host name is"
    WEIGHTS = "weights are"
    REQUEST_HEADERS = "RequestHeaderModifier is"
    RESPONSE_HEADERS = "ResponseHeaderModifier is"
    REDIRECT = "RequestRedirect is"
    REWRITE = "URLRewrite is"
    MIRROR = "RequestMirror is"
    MIRROR_SHARE = "RequestMirror of a share of the requests is"
    CORS = "CORS is"
    BACKEND_FILTERS = "filters of a single backend are"
    EXTERNAL_AUTH = "ExternalAuth is"
    REQUEST_TIMEOUT = "timeouts.request is"
    BACKEND_TIMEOUT = "timeouts.backendRequest is"
    RETRY = "retry is"
    SESSION = "sessionPersistence is"
    TLS = "protocol HTTPS is"
    CLIENT_CERTIFICATES = "validation of client certificates is"
    ANY_CLIENT_CERTIFICATE = "asking for client certificates without checking them is"
    MISDIRECTED = "answering 421 to misdirected requests is"
    HTTP2 = "HTTP/2 from clients is"
    H2C = "HTTP/2 without TLS to backends is"
    WEBSOCKET = "WebSocket to backends is"
    BACKEND_CLIENT_CERTIFICATE = "a client certificate towards backends is"
    INFRASTRUCTURE = "infrastructure is"
    STATIC_ADDRESSES = "addresses of a Gateway's own choice are"

    @property
    def missing(self) -> str:
        """`CORS is not supported yet`."""
        return f"{self.value} not supported yet"


#: What the data plane does today.
TODAY = frozenset(
    {
        Ability.PATH_REGEX,
        Ability.METHODS,
        Ability.HEADERS,
        Ability.HEADER_REGEX,
        Ability.QUERY,
        Ability.QUERY_REGEX,
        Ability.HOST_FALLBACK,
        Ability.WEIGHTS,
        Ability.REQUEST_HEADERS,
        Ability.RESPONSE_HEADERS,
        Ability.REDIRECT,
        Ability.REWRITE,
        Ability.MIRROR,
        Ability.MIRROR_SHARE,
        Ability.CORS,
        Ability.BACKEND_FILTERS,
        Ability.REQUEST_TIMEOUT,
        Ability.BACKEND_TIMEOUT,
        Ability.RETRY,
        Ability.WEBSOCKET,
        Ability.TLS,
        Ability.CLIENT_CERTIFICATES,
        Ability.MISDIRECTED,
        Ability.STATIC_ADDRESSES,
    }
)
#: What it does where each Gateway has a Service of its own, which carries labels and chooses the addresses.
BEHIND_SERVICES = TODAY - {Ability.STATIC_ADDRESSES} | {Ability.INFRASTRUCTURE}
#: What translation can express. An ability outside of it needs more than an entry in TODAY.
EXPRESSED = frozenset(Ability) - {Ability.EXTERNAL_AUTH, Ability.SESSION, Ability.BACKEND_CLIENT_CERTIFICATE}

_CORE = (Ability.HEADERS, Ability.REQUEST_HEADERS, Ability.REDIRECT, Ability.WEIGHTS, Ability.TLS)

#: The features of the conformance suite (pkg/features, v1.6.1), and what the data plane must be able to do for each.
FEATURES: dict[str, tuple[Ability, ...]] = {
    "Gateway": (Ability.TLS,),
    "GatewayAddressEmpty": (),
    "GatewayFrontendClientCertificateValidation": (Ability.TLS, Ability.CLIENT_CERTIFICATES),
    "GatewayFrontendClientCertificateValidationInsecureFallback": (Ability.TLS, Ability.ANY_CLIENT_CERTIFICATE),
    "GatewayBackendClientCertificate": (Ability.BACKEND_CLIENT_CERTIFICATE,),
    "GatewayHTTPListenerIsolation": (),
    # The suite asks over HTTP/2 only: it is the protocol for which browsers share connections between hosts.
    "GatewayHTTPSListenerDetectMisdirectedRequests": (Ability.TLS, Ability.MISDIRECTED, Ability.HTTP2),
    "GatewayInfrastructurePropagation": (Ability.INFRASTRUCTURE,),
    "GatewayPort8080": (),
    "GatewayStaticAddresses": (Ability.STATIC_ADDRESSES,),
    "HTTPRoute": _CORE,
    "HTTPRoute303RedirectStatusCode": (Ability.REDIRECT,),
    "HTTPRoute307RedirectStatusCode": (Ability.REDIRECT,),
    "HTTPRoute308RedirectStatusCode": (Ability.REDIRECT,),
    "HTTPRouteBackendProtocolH2C": (Ability.H2C,),
    "HTTPRouteBackendProtocolWebSocket": (Ability.WEBSOCKET,),
    "HTTPRouteBackendRequestHeaderModification": (Ability.BACKEND_FILTERS, Ability.REQUEST_HEADERS),
    "HTTPRouteBackendTimeout": (Ability.BACKEND_TIMEOUT,),
    "HTTPRouteCORS": (Ability.CORS,),
    "HTTPRouteDestinationPortMatching": (),
    "HTTPRouteHostRewrite": (Ability.REWRITE,),
    "HTTPRouteMethodMatching": (Ability.METHODS,),
    "HTTPRouteNamedRouteRule": (),
    "HTTPRouteParentRefPort": (),
    "HTTPRoutePathRedirect": (Ability.REDIRECT,),
    "HTTPRoutePathRewrite": (Ability.REWRITE,),
    "HTTPRoutePortRedirect": (Ability.REDIRECT,),
    "HTTPRouteQueryParamMatching": (Ability.QUERY,),
    "HTTPRouteRequestMirror": (Ability.MIRROR,),
    "HTTPRouteRequestMultipleMirrors": (Ability.MIRROR,),
    "HTTPRouteRequestPercentageMirror": (Ability.MIRROR, Ability.MIRROR_SHARE),
    "HTTPRouteRequestTimeout": (Ability.REQUEST_TIMEOUT,),
    "HTTPRouteResponseHeaderModification": (Ability.RESPONSE_HEADERS,),
    "HTTPRouteRetry": (Ability.RETRY,),
    "HTTPRouteRetryBackendTimeout": (Ability.RETRY, Ability.BACKEND_TIMEOUT),
    "HTTPRouteRetryConnectionError": (Ability.RETRY,),
    "HTTPRouteSchemeRedirect": (Ability.REDIRECT,),
    "ListenerSet": (),
    "ReferenceGrant": (),
}


def features(abilities: Iterable[Ability]) -> tuple[str, ...]:
    """The features that a data plane of these abilities has, sorted as GatewayClass wants them."""
    able = frozenset(abilities)
    return tuple(sorted(name for name, needs in FEATURES.items() if able.issuperset(needs)))
