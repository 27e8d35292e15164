"""What an HTTPS listener shows to clients and asks of them: certificates, and authorities for those they show. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import msgspec

from rauta_control.certificate import authorities_problem, hostnames, pair_problem, vouches
from rauta_control.derive import Graph
from rauta_control.gateway import FrontendValidation, Gateway, Listener
from rauta_control.grants import refusal
from rauta_control.reference import ObjectReference, SecretObjectReference
from rauta_control.supported import Ability
from rauta_control.terms import terms
from rauta_control.world import Key, find


class Unresolved(msgspec.Struct, frozen=True):
    """A reference that does not resolve: the reason and text of the condition, the code of the finding, and where."""

    reason: str
    message: str
    code: int
    path: str  # below the listener, or of the Gateway if it begins with "spec."


class Identity(msgspec.Struct, frozen=True):
    """`refused`: the reason and text if the listener must not be served. `secrets` and `authorities` are usable.

    `foreign` says that none of the certificates is for the listener's host name; empty if one is, or might be.
    """

    secrets: tuple[Key, ...] = ()
    authorities: tuple[Key, ...] = ()
    client: Literal["none", "required", "optional"] = "none"
    problems: tuple[Unresolved, ...] = ()
    refused: tuple[str, str] | None = None
    foreign: str = ""


class _Use(NamedTuple):
    """What a reference is for: the kind it must name, what is wrong with the object, and how that is reported."""

    kind: str
    fault: Callable[[Graph, Key], str]
    reason: str
    kind_reason: str  # where it names another kind
    code: int


_CERTIFICATE = _Use("Secret", pair_problem, "InvalidCertificateRef", "InvalidCertificateRef", 43)
_CLIENT = _Use("Secret", pair_problem, "InvalidClientCertificateRef", "InvalidClientCertificateRef", 46)
_AUTHORITY = _Use("ConfigMap", authorities_problem, "InvalidCACertificateRef", "InvalidCACertificateKind", 45)


def identity(q: Graph, gateway: Key, owner: Key, listener: Listener) -> Identity:
    """Resolve what `listener` of `owner`, served by `gateway`, refers to."""
    found = _identity(q, gateway, owner, listener)
    return msgspec.structs.replace(found, foreign=_foreign(q, found.secrets, listener.hostname))


def _identity(q: Graph, gateway: Key, owner: Key, listener: Listener) -> Identity:
    secrets, problems = _certificates(q, owner, listener)
    path, validation = _validation(q, gateway, listener.port)
    if validation is None:
        return Identity(secrets=secrets, problems=problems)
    if Ability.CLIENT_CERTIFICATES not in terms(q).abilities:
        refused = ("UnsupportedValue", Ability.CLIENT_CERTIFICATES.missing)
        return Identity(secrets=secrets, problems=problems, refused=refused)
    authorities, more = _authorities(q, gateway, validation, path)
    client: Literal["required", "optional"] = "required" if validation.mode == "AllowValidOnly" else "optional"
    if authorities:
        return Identity(secrets, authorities, client, problems + more)
    text = "none of the certificate authorities for client certificates is usable"
    return Identity(secrets, (), "none", problems + more, ("NoValidCACertificate", text))


def insecure(gateway: Gateway) -> bool:
    """Whether client certificates are asked for somewhere and the connection accepted whatever they are."""
    frontend = gateway.spec.tls.frontend if gateway.spec.tls else None
    if frontend is None:
        return False
    parts = [frontend.default, *(each.tls for each in frontend.per_port)]
    return any(each.validation is not None and each.validation.mode == "AllowInsecureFallback" for each in parts)


def client_certificate(q: Graph, gateway: Gateway, key: Key) -> Unresolved | None:
    """What is wrong with the certificate a Gateway is to show to backends."""
    backend = gateway.spec.tls.backend if gateway.spec.tls else None
    ref = backend.client_certificate_ref if backend is not None else None
    if ref is None:
        return None
    found = _resolved(q, key, ref, "spec.tls.backend.clientCertificateRef", _CLIENT)
    return found if isinstance(found, Unresolved) else None


def _resolved(
    q: Graph, owner: Key, ref: SecretObjectReference | ObjectReference, path: str, use: _Use
) -> Key | Unresolved:
    """What a reference of `owner` at `path` leads to."""
    if (ref.group, ref.kind) != ("", use.kind):
        kind = f"{ref.group}/{ref.kind}" if ref.group else ref.kind
        return Unresolved(use.kind_reason, f"kind {kind} is not {use.kind}", use.code, path)
    target = Key(use.kind, ref.namespace or owner.namespace, ref.name)
    if text := refusal(q, owner, target):
        return Unresolved("RefNotPermitted", text, 44, path)
    if fault := q.get(use.fault, target):
        return Unresolved(use.reason, f"{target} {fault}", use.code, path)
    return target


def _sorted(found: Iterable[Key | Unresolved]) -> tuple[tuple[Key, ...], tuple[Unresolved, ...]]:
    keys, problems = [], []
    for each in found:
        if isinstance(each, Unresolved):
            problems.append(each)
        else:
            keys.append(each)
    return tuple(keys), tuple(problems)


def _certificates(q: Graph, owner: Key, listener: Listener) -> tuple[tuple[Key, ...], tuple[Unresolved, ...]]:
    refs = listener.tls.certificate_refs if listener.tls is not None else ()
    if not refs:
        return (), (Unresolved(_CERTIFICATE.reason, "there are no certificateRefs", _CERTIFICATE.code, "tls"),)
    return _sorted(
        _resolved(q, owner, ref, f"tls.certificateRefs[{index}]", _CERTIFICATE) for index, ref in enumerate(refs)
    )


def _foreign(q: Graph, secrets: tuple[Key, ...], hostname: str | None) -> str:
    if not secrets or hostname is None:
        return ""
    named = [q.get(hostnames, secret) for secret in secrets]
    if not all(named) or any(vouches(name, hostname) for names in named for name in names):
        return ""
    said = "; ".join(f"{secret} is for {', '.join(names)}" for secret, names in zip(secrets, named, strict=True))
    return f"{said}, not for {hostname}: clients refuse it"


def _validation(q: Graph, gateway: Key, port: int) -> tuple[str, FrontendValidation | None]:
    """How client certificates are checked on a port, and where that is said."""
    found = find(q, Gateway, gateway)
    frontend = found.spec.tls.frontend if found is not None and found.spec.tls else None
    if frontend is None:
        return "", None
    for index, each in enumerate(frontend.per_port):
        if each.port == port:
            return f"spec.tls.frontend.perPort[{index}].tls.validation", each.tls.validation
    return "spec.tls.frontend.default.validation", frontend.default.validation


def _authorities(
    q: Graph, gateway: Key, validation: FrontendValidation, path: str
) -> tuple[tuple[Key, ...], tuple[Unresolved, ...]]:
    return _sorted(
        _resolved(q, gateway, ref, f"{path}.caCertificateRefs[{index}]", _AUTHORITY)
        for index, ref in enumerate(validation.ca_certificate_refs)
    )
