"""What there is to say to whoever wrote an object: all that is ignored, dangling, shadowed, unsupported, in conflict.

Pure. A condition says that something is wrong; a finding says where, why and what to do. Codes never change their
meaning; CODES is their documentation.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from rauta_control.terms import strange
from rauta_control.world import Key

PREFIX = "RAUTA-CFG-"


class Severity(StrEnum):
    """error: requests fail or nothing is served. warning: something written has no effect. info: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Code(msgspec.Struct, frozen=True):
    """A kind of finding: how bad it is, what it is about, and what to do."""

    severity: Severity
    title: str
    advice: str


_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

CODES: dict[int, Code] = {
    # Not supported by RAUTA.
    1: Code(
        _ERROR, "a rule or match is not served", "remove what is not supported, or keep the rule on another gateway"
    ),
    2: Code(_ERROR, "a rule is answered with 500", "remove the filter; without it requests would be treated wrongly"),
    3: Code(_WARNING, "a field has no effect", "remove the field, or do without it until it is supported"),
    # Parents of routes and listener sets.
    10: Code(_WARNING, "the parent does not exist", "create it, or correct group, kind, namespace and name"),
    11: Code(
        _ERROR, "no listener has this name and port", "name a listener of the parent: kubectl get gateway -o yaml"
    ),
    12: Code(_ERROR, "no listener allows this route", "allow its kind and namespace in the listener's allowedRoutes"),
    13: Code(_ERROR, "no host name in common with a listener", "give route and listener host names that intersect"),
    14: Code(_WARNING, "a host name is ignored", "remove it from the route, or serve it by a listener"),
    15: Code(_WARNING, "a host name belongs to another listener", "attach the route to the more specific listener"),
    16: Code(_ERROR, "attached to a listener that is not served", "repair the listener; see its conditions"),
    17: Code(_ERROR, "the ListenerSet is not allowed", "allow its namespace in the Gateway's allowedListeners"),
    18: Code(_ERROR, "the parent is not accepted", "repair the parent; see its conditions"),
    19: Code(_WARNING, "the route has no parent", "name a Gateway or ListenerSet in spec.parentRefs"),
    # Backends.
    20: Code(_ERROR, "the backend does not exist", "create the Service, or correct namespace and name"),
    21: Code(_ERROR, "the Service has no such port", "use a port of the Service's spec.ports with protocol TCP"),
    22: Code(_ERROR, "the reference is not permitted", "create a ReferenceGrant in the namespace of the backend"),
    23: Code(_ERROR, "the kind of backend is not known", "refer to a Service"),
    24: Code(_ERROR, "ExternalName services are refused", "use a Service with EndpointSlices (CVE-2021-25740)"),
    25: Code(_ERROR, "the backend's protocol is not supported", "correct the appProtocol of the Service's port"),
    26: Code(
        _WARNING,
        "no endpoint is ready",
        "see the pods of the Service, and the EndpointSlices with its name in the label kubernetes.io/service-name",
    ),
    27: Code(_ERROR, "no EndpointSlice has the port", "name the port in the EndpointSlice as in the Service"),
    28: Code(_WARNING, "a rule has no backend", "name a backend with a weight above 0, or remove the rule"),
    29: Code(_INFO, "endpoints of two address families", "nothing; one family is used, so that no pod counts twice"),
    # Matches.
    30: Code(_WARNING, "another route's rule wins", "remove one of both, or make them differ"),
    31: Code(_WARNING, "an earlier rule of the route wins", "remove one of both, or make them differ"),
    32: Code(_ERROR, "nothing can match", "correct the path"),
    33: Code(
        _WARNING, "a repeated name is ignored", "remove all but the first: names of headers are compared without case"
    ),
    34: Code(
        _ERROR,
        "the expression is invalid or too large",
        "use the syntax of RE2: https://github.com/google/re2/wiki/Syntax",
    ),
    35: Code(_ERROR, "the value of a filter cannot be used", "correct it; until then requests are answered with 500"),
    36: Code(_WARNING, "a match can never hold", "match another header: what clients say in this one is taken out"),
    37: Code(
        _INFO,
        "what clients say in this header decides nothing",
        "list the proxies in front with --trusted-proxies, if it is they who say it",
    ),
    # Annotations.
    39: Code(
        _WARNING,
        "an annotation is ignored",
        "of an HTTPRoute: rauta.io/upgrades, protocols of the Upgrade field, separated by commas; "
        "of a Service: rauta.io/balance, a policy",
    ),
    # Listeners.
    40: Code(_ERROR, "the protocol is not supported", "use HTTP or HTTPS"),
    41: Code(
        _ERROR, "listeners are in conflict", "give each listener its own combination of port, protocol and host name"
    ),
    42: Code(_ERROR, "route kinds are not supported", "list kinds the protocol can carry: HTTPRoute"),
    43: Code(
        _ERROR, "the certificate is not usable", "refer to a Secret of type kubernetes.io/tls with a matching pair"
    ),
    44: Code(_ERROR, "the certificate may not be used", "create a ReferenceGrant in the namespace of the Secret"),
    45: Code(_ERROR, "the certificate authority is not usable", "refer to a ConfigMap with PEM certificates in ca.crt"),
    46: Code(_WARNING, "the client certificate is not usable", "refer to a Secret of type kubernetes.io/tls"),
    47: Code(_ERROR, "the port is taken", "use another port: the Gateway shares its address with another one"),
    48: Code(_ERROR, "the listener cannot be bound", "free the port, or give the listener another port or address"),
    49: Code(
        _ERROR,
        "the selector selects nothing",
        "give it matchLabels, or matchExpressions of a key, an operator (In, NotIn, Exists, DoesNotExist) and values",
    ),
    # Gateways and classes.
    50: Code(_ERROR, "the type of address is not supported", "use type IPAddress"),
    51: Code(_ERROR, "the address is not usable", "ask for a free address of this gateway, or for none in particular"),
    52: Code(_ERROR, "no address is free", "give more with --addresses, or have listeners of one Gateway share a port"),
    53: Code(
        _ERROR,
        "the parameters are invalid",
        "remove parametersRef; of a Gateway with a Service of its own it may be a ConfigMap with serviceType",
    ),
    54: Code(_WARNING, "the GatewayClass does not exist", "create the GatewayClass, or correct gatewayClassName"),
    55: Code(
        _ERROR,
        "the Service of the Gateway has no address",
        "see what gives Services of this type addresses: kubectl describe service; until then wait",
    ),
    56: Code(_ERROR, "no target port is free", "widen --target-ports, or remove a Gateway"),
    57: Code(
        _INFO,
        "the GatewayClass is not RAUTA's",
        "nothing, if others are to serve its Gateways; for RAUTA, correct controllerName or the class of settings",
    ),
    58: Code(_ERROR, "the certificate is out of date", "renew it in the Secret"),
    59: Code(_WARNING, "a ReferenceGrant permits nothing", "correct group and kind of what refers, or is referred to"),
    # Policies.
    60: Code(_WARNING, "the balancing policy is not known", "correct the annotation; until then the default applies"),
    61: Code(
        _ERROR, "the backend is to be reached by TLS only", "remove the BackendTLSPolicy if requests may go in clear"
    ),
    # Certificates again.
    62: Code(
        _WARNING, "no certificate is for the listener's host name", "refer to one that is, or correct the host name"
    ),
    # Documents.
    70: Code(_ERROR, "a document or file is broken", "correct it; until then what was good before stays"),
    71: Code(_WARNING, "a document or a part of it is not read", "remove it, or correct the name of the field or kind"),
    72: Code(_ERROR, "two documents are the same object", "remove one of both; the first counts"),
}


def table() -> str:
    """CODES as a page of documentation (docs/findings.md)."""
    rows = [
        f"| {PREFIX}{number:03} | {code.severity} | {code.title} | {code.advice} |" for number, code in CODES.items()
    ]
    head = """# What RAUTA finds in manifests

Every object that is ignored in part, refers to nothing, is in conflict or never reached has a condition that says so,
and a finding with one of these codes. `rauta-control check PATH` prints them without a running gateway, and fails if
there is an error. A code never changes its meaning.

- **error**: requests fail, or something is not served
- **warning**: something that was written has no effect
- **info**: worth knowing

| Code | Severity | What is the matter | What to do |
| --- | --- | --- | --- |
"""
    return head + "\n".join(rows) + "\n"


class Finding(msgspec.Struct, frozen=True, order=True):
    """One thing found in `object` at `path` (as users write it, `spec.rules[0]`; empty: the whole object).

    `place` is the document, `FILE#NUMBER`, if it is the document that something is wrong with.
    """

    object: Key
    code: str
    severity: Severity
    path: str
    message: str
    advice: str
    place: str = ""

    def __str__(self) -> str:
        place = f" {self.path}" if self.path else ""
        return f"{self.severity.capitalize()} [{self.code}] ({self.object}{place}) {self.message}"


def finding(number: int, subject: Key, path: str, message: str) -> Finding:
    """A finding of a code in CODES. `message` is one sentence about this case, without a full stop."""
    code = CODES[number]
    return Finding(subject, f"{PREFIX}{number:03}", code.severity, path, message, code.advice)


def strangers(subject: Key, annotations: Iterable[str]) -> list[Finding]:
    """Findings of annotations that claim to be RAUTA's, for an object of a kind that has none."""
    return [
        finding(39, subject, f"metadata.annotations[{name}]", f"a {subject.kind} may have no {name}")
        for name in sorted(strange(annotations, ()))
    ]
