"""The scalar types of Kubernetes and Gateway API fields: lengths, ranges and forms, declared once.

Pure. A `Meta` is enforced by msgspec while it decodes, and read again by survey.py, which lists every fault of a
document; `description` completes the sentence "must be ...". The forms are ours, equal in what they accept to those of
the CRDs (Gateway API v1.6.1), with two changes that change nothing: `\\Z` instead of `$`, because Python's `$` also
matches before a final newline, and no nested quantifier, because Python's engine backtracks where Go's does not.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"  # RFC 1123, lower case
SUBDOMAIN = rf"{LABEL}(?:\.{LABEL})*"
TOKEN = r"[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+"  # RFC 9110 5.6.2  # noqa: S105
NAME_PART = r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"  # the part of a qualified name after its prefix
PATH_CHARACTERS = r"A-Za-z0-9/\-._~%!$&'()*+,;=:"
PATH = r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+"  # RFC 3986 3.3

MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1


def text(low: int, high: int, form: str = "", description: str = "") -> Any:
    """The constraint of a string of `low` to `high` characters that has `form` from its start to its end."""
    return Meta(
        min_length=low or None,
        max_length=high,
        pattern=rf"^(?:{form})\Z" if form else None,
        description=description or None,
    )


Group: TypeAlias = Annotated[
    str, text(0, 253, rf"(?:{SUBDOMAIN})?", "an API group (a lower-case DNS name), or empty for the core group")
]
Kind: TypeAlias = Annotated[
    str,
    text(1, 63, r"[a-zA-Z](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?", "a kind: letters, digits and '-', beginning with a letter"),
]
ObjectName: TypeAlias = Annotated[str, text(1, 253)]
NamespaceName: TypeAlias = Annotated[
    str, text(1, 63, LABEL, "a namespace: lower-case letters, digits and '-', with a letter or digit at both ends")
]
SectionName: TypeAlias = Annotated[
    str, text(1, 253, SUBDOMAIN, "a name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends")
]
PreciseHostname: TypeAlias = Annotated[str, text(1, 253, SUBDOMAIN, "a lower-case host name without a wildcard")]
Hostname: TypeAlias = Annotated[
    str,
    text(
        1,
        253,
        rf"(?:\*\.)?{SUBDOMAIN}",
        "a lower-case host name, optionally with one wildcard label first (*.example.com)",
    ),
]
ControllerName: TypeAlias = Annotated[
    str,
    text(1, 253, rf"{SUBDOMAIN}/[{PATH_CHARACTERS}]+", "a domain-prefixed path such as example.com/gateway-controller"),
]
#: Both of these are anchored at one side only in the CRDs, so that the last alternative may begin anywhere.
Protocol: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?\Z|[a-z0-9]/[A-Za-z0-9]+\Z",
        description="a protocol such as HTTP, or a domain-prefixed one such as example.com/bar",
    ),
]
AddressType: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=rf"^Hostname|IPAddress|NamedAddress|[a-z0-9]/[{PATH_CHARACTERS}]+\Z",
        description="IPAddress, Hostname, NamedAddress or a domain-prefixed type",
    ),
]
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65535)]
Int32: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=MAX_INT32)]
PositiveInt32: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_INT32)]
NaturalInt32: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_INT32)]
NaturalInt64: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_INT64)]
Percentage: TypeAlias = Annotated[int, Meta(ge=0, le=100)]

HeaderName: TypeAlias = Annotated[str, text(1, 256, TOKEN, "a header name: letters, digits and !#$%&'*+-.^_`|~")]
HeaderValue: TypeAlias = Annotated[str, text(1, 4096)]  # its characters: httpheader rules, they differ by channel
Duration: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^(?:[0-9]{1,5}(?:h|ms|m|s)){1,4}\Z", description="a duration such as 10s, 1m30s or 250ms (GEP-2257)"
    ),
]
Method: TypeAlias = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]

AnnotationValue: TypeAlias = Annotated[str, Meta(max_length=4096)]
LabelValue: TypeAlias = Annotated[
    str, text(0, 63, rf"(?:{NAME_PART})?", "a label value: letters, digits, '-', '_' and '.', or empty")
]
