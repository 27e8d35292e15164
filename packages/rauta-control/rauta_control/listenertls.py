"""What an HTTPS listener shows to clients and asks of them: certificates, and authorities for those they show. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from rauta_control.certificate import authorities_problem, hostnames, pair_problem, vouches
from rauta_control.derive import Graph
from rauta_control.gateway import FrontendValidation, Gateway, Listener
from rauta_control.grants import permitted
from rauta_control.supported import Ability
from rauta_control.terms import terms
from rauta_control.world import Key, find


class Problem(msgspec.Struct, frozen=True):
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
    problems: tuple[Problem, ...] = ()
    refused: tuple[str, str] | None = None
    foreign: str = ""


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


def client_certificate(q: Graph, gateway: Gateway, key: Key) -> Problem | None:
    """What is wrong with the certificate a Gateway is to show to backends."""
    backend = gateway.spec.tls.backend if gateway.spec.tls else None
    ref = backend.client_certificate_ref if backend is not None else None
    if ref is None:
        return None
    path = "spec.tls.backend.clientCertificateRef"
    if (ref.group, ref.kind) != ("", "Secret"):
        return Problem("InvalidClientCertificateRef", f"kind {_kind(ref.group, ref.kind)} is not Secret", 46, path)
    target = Key("Secret", ref.namespace or gateway.namespace, ref.name)
    if not permitted(q, key, target):
        return Problem("RefNotPermitted", f"no ReferenceGrant permits Gateway {key.path} to use {target}", 44, path)
    if problem := q.get(pair_problem, target):
        return Problem("InvalidClientCertificateRef", f"{target} {problem}", 46, path)
    return None


def _certificates(q: Graph, owner: Key, listener: Listener) -> tuple[tuple[Key, ...], tuple[Problem, ...]]:
    found, problems = [], []
    refs = listener.tls.certificate_refs if listener.tls is not None else ()
    for index, ref in enumerate(refs):
        path = f"tls.certificateRefs[{index}]"
        target = Key("Secret", ref.namespace or owner.namespace, ref.name)
        if (ref.group, ref.kind) != ("", "Secret"):
            problems.append(
                Problem("InvalidCertificateRef", f"kind {_kind(ref.group, ref.kind)} is not Secret", 43, path)
            )
        elif not permitted(q, owner, target):
            text = f"no ReferenceGrant permits {owner.kind} {owner.path} to use {target}"
            problems.append(Problem("RefNotPermitted", text, 44, path))
        elif problem := q.get(pair_problem, target):
            problems.append(Problem("InvalidCertificateRef", f"{target} {problem}", 43, path))
        else:
            found.append(target)
    if not refs:
        problems.append(Problem("InvalidCertificateRef", "there are no certificateRefs", 43, "tls"))
    return tuple(found), tuple(problems)


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
    found = find(q, Gateway, gateway.namespace, gateway.name)
    frontend = found.spec.tls.frontend if found is not None and found.spec.tls else None
    if frontend is None:
        return "", None
    for index, each in enumerate(frontend.per_port):
        if each.port == port:
            return f"spec.tls.frontend.perPort[{index}].tls.validation", each.tls.validation
    return "spec.tls.frontend.default.validation", frontend.default.validation


def _authorities(
    q: Graph, gateway: Key, validation: FrontendValidation, path: str
) -> tuple[tuple[Key, ...], tuple[Problem, ...]]:
    found, problems = [], []
    for index, ref in enumerate(validation.ca_certificate_refs):
        where = f"{path}.caCertificateRefs[{index}]"
        target = Key("ConfigMap", ref.namespace or gateway.namespace, ref.name)
        if (ref.group, ref.kind) != ("", "ConfigMap"):
            text = f"kind {_kind(ref.group, ref.kind)} is not ConfigMap"
            problems.append(Problem("InvalidCACertificateKind", text, 45, where))
        elif not permitted(q, gateway, target):
            text = f"no ReferenceGrant permits Gateway {gateway.path} to use {target}"
            problems.append(Problem("RefNotPermitted", text, 44, where))
        elif problem := q.get(authorities_problem, target):
            problems.append(Problem("InvalidCACertificateRef", f"{target} {problem}", 45, where))
        else:
            found.append(target)
    return tuple(found), tuple(problems)


def _kind(group: str, kind: str) -> str:
    return f"{group}/{kind}" if group else kind
