"""Gateways and ListenerSets: their sockets and statuses, and what is to be said of their listeners. Pure.

`Programmed` here means that a configuration was made. That every worker has it and the sockets are bound is known only
later: until then who writes the status says Pending instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rauta_control.addresses import place, said
from rauta_control.apiresource import GATEWAY_GROUP, Condition
from rauta_control.classes import ours
from rauta_control.condition import condition, resolved_refs
from rauta_control.derive import Graph
from rauta_control.finding import Finding, finding, strangers
from rauta_control.gateway import Gateway, GatewayStatus, ListenerNamespaces, ListenerStatus, RouteNamespaces
from rauta_control.gatewayclass import GatewayClass
from rauta_control.gatewayservice import overruled
from rauta_control.hosts import sockets, sockets_output
from rauta_control.listeners import (
    Facts,
    Said,
    extends,
    gateway_accepted,
    gateway_refused,
    of_owner,
    sets,
)
from rauta_control.listenerset import ListenerSet, ListenerSetStatus
from rauta_control.listenertls import client_certificate, insecure
from rauta_control.output import Output
from rauta_control.placement import Place
from rauta_control.selector import fault
from rauta_control.supported import Ability
from rauta_control.terms import IGNORED, terms
from rauta_control.world import Key, find, parent

_CODES = {
    "UnsupportedProtocol": 40,
    "ProtocolConflict": 41,
    "HostnameConflict": 41,
    "InvalidRouteKinds": 42,
    "UnsupportedValue": 3,
    "NoValidCACertificate": 45,
}
_GATEWAY_CODES = {"UnsupportedAddress": 50, "InvalidParameters": 53, "AddressNotUsable": 51, "AddressNotAssigned": 52}


def gateway_output(q: Graph, key: Key) -> Output:
    """The sockets of a Gateway of ours and its status."""
    gateway = find(q, Gateway, key)
    if gateway is None:
        return Output()
    if not ours(q, gateway.spec.gateway_class_name):
        return Output(findings=tuple(_classless(q, gateway, key)))
    where = place(q, key)
    own = q.get(of_owner, key, key)
    generation = gateway.metadata.generation
    notes = list(_ignored(q, gateway, key))
    status = GatewayStatus(
        addresses=said(q, where),
        conditions=tuple(_gateway_conditions(q, gateway, key, where, own, notes)),
        listeners=tuple(_listener_status(q, each, where, q.get(_accepted, key), generation) for each in own),
        attached_listener_sets=sum(q.get(_set_accepted, each) for each in q.get(sets, key)),
    )
    made = q.get(sockets_output, key)
    findings = [*_gateway_findings(q, gateway, key, where), *notes, *_listener_findings(key, own)]
    return Output(made.resources, status, tuple(dict.fromkeys(findings)), made.needs)


def set_output(q: Graph, key: Key) -> Output:
    """The status of a ListenerSet whose Gateway is ours."""
    listener_set = find(q, ListenerSet, key)
    if listener_set is None:
        return Output()
    gateway_key = parent(listener_set)
    if gateway_key is None:
        ref = listener_set.spec.parent_ref
        text = f"{ref.kind} ({ref.group}) is no kind of parent for a ListenerSet, only Gateway ({GATEWAY_GROUP})"
        return Output(findings=(finding(10, key, "spec.parentRef", text),))
    gateway = find(q, Gateway, gateway_key)
    if gateway is None:
        return Output(findings=(finding(10, key, "spec.parentRef", f"{gateway_key} does not exist"),))
    if not ours(q, gateway.spec.gateway_class_name):
        return Output()
    generation = listener_set.metadata.generation
    refused = _set_refused(q, listener_set, gateway, gateway_key)
    if refused:
        conditions = tuple(
            condition(kind, False, refused.reason, refused.message, generation) for kind in ("Accepted", "Programmed")
        )
        code = 17 if refused.reason == "NotAllowed" else 18
        found = finding(code, key, "spec.parentRef", refused.message)
        return Output(status=ListenerSetStatus(conditions=conditions), findings=(found,))
    where = place(q, gateway_key)
    own = q.get(of_owner, gateway_key, key)
    status = ListenerSetStatus(
        conditions=tuple(_set_conditions(own, where, generation)),
        listeners=tuple(_listener_status(q, each, where, True, generation) for each in own),
    )
    strange = strangers(key, listener_set.metadata.annotations)
    findings = [*strange, *_listener_findings(key, own), *_blocked(key, own, where)]
    return Output(status=status, findings=tuple(dict.fromkeys(findings)))


def _blocked(key: Key, own: Sequence[Facts], where: Place) -> Iterator[Finding]:
    for each in own:
        if each.port in where.blocked and not each.refused:
            yield finding(47, key, f"spec.listeners[{each.index}].port", f"another Gateway has port {each.port}")


def _accepted(q: Graph, key: Key) -> bool:
    gateway = find(q, Gateway, key)
    return gateway is not None and gateway_accepted(q, gateway)[0]


def _set_refused(q: Graph, listener_set: ListenerSet, gateway: Gateway, key: Key) -> Said:
    if not extends(q, listener_set, key):
        return Said("NotAllowed", f"{key} does not allow ListenerSets of namespace {listener_set.namespace}")
    accepted, why = gateway_accepted(q, gateway)
    return Said() if accepted else Said("ParentNotAccepted", f"{key} is not accepted: {why.message}")


def _set_accepted(q: Graph, key: Key) -> bool:
    """Whether any listener of a ListenerSet, allowed by its Gateway, is valid."""
    listener_set = find(q, ListenerSet, key)
    gateway = parent(listener_set) if listener_set is not None else None
    if gateway is None or not q.get(_accepted, gateway):
        return False
    return any(not each.unserved for each in q.get(of_owner, gateway, key))


def _set_conditions(own: Sequence[Facts], where: Place, generation: int) -> Iterator[Condition]:
    invalid = [each for each in own if each.unserved]
    text = "; ".join(f"listener {each.section.name}: {each.unserved.message}" for each in invalid)
    if len(invalid) == len(own):
        for kind in ("Accepted", "Programmed"):
            yield condition(kind, False, "ListenersNotValid", f"not valid: {text}", generation)
        return
    if invalid:
        yield condition("Accepted", True, "ListenersNotValid", f"not valid: {text}", generation)
    else:
        yield condition("Accepted", True, "Accepted", "all listeners are valid", generation)
    if where.addresses:
        yield condition("Programmed", True, "Programmed", "a configuration was made", generation)
    else:
        yield condition("Programmed", False, "ParentNotProgrammed", where.message, generation)


def _gateway_conditions(
    q: Graph, gateway: Gateway, key: Key, where: Place, own: Sequence[Facts], notes: Sequence[Finding]
) -> Iterator[Condition]:
    generation = gateway.metadata.generation
    accepted, why = gateway_accepted(q, gateway)
    if why:
        yield condition("Accepted", accepted, why.reason, why.message, generation)
    else:
        yield condition("Accepted", True, "Accepted", "the Gateway is accepted", generation)
    if not accepted:
        yield condition("Programmed", False, "Invalid", why.message, generation)
    elif where.reason:
        yield condition("Programmed", False, where.reason, where.message, generation)
    elif not q.get(sockets, key):
        yield condition("Programmed", False, "Invalid", "no listener can be served", generation)
    else:
        yield condition("Programmed", True, "Programmed", "a configuration was made", generation)
    unresolved = [each.section.name for each in own if each.unresolved]
    if problem := client_certificate(q, gateway, key):
        yield resolved_refs(problem.reason, problem.message, generation)
    else:
        text = f"references of listeners do not resolve: {', '.join(unresolved)}"
        yield resolved_refs("ListenersNotResolved" if unresolved else "", text, generation)
    if insecure(gateway):
        text = "connections are accepted without a valid client certificate (AllowInsecureFallback)"
        if Ability.ANY_CLIENT_CERTIFICATE not in terms(q).abilities:
            text += f"; none is asked for: {Ability.ANY_CLIENT_CERTIFICATE.missing}"
        yield condition("InsecureFrontendValidationMode", True, "ConfigurationChanged", text, generation)
    if notes:
        text = "; ".join(dict.fromkeys(each.message for each in notes))
        yield condition(IGNORED, True, "UnsupportedField", text, generation)


def _listener_status(q: Graph, each: Facts, where: Place, accepted: bool, generation: int) -> ListenerStatus:
    attached = q.read(("attached", each.section)) or ()
    return ListenerStatus(
        name=each.section.name,
        attached_routes=len(attached),
        conditions=tuple(_listener_conditions(each, where, accepted, generation)),
        supported_kinds=each.kinds,
    )


def _listener_conditions(each: Facts, where: Place, accepted: bool, generation: int) -> Iterator[Condition]:
    """`accepted` is whether the Gateway is."""
    blocked = each.port in where.blocked
    taken = f"another Gateway has port {each.port} on the same address"
    if each.refused:
        yield condition("Accepted", False, each.refused.reason, each.refused.message, generation)
    elif blocked:
        yield condition("Accepted", False, "PortUnavailable", taken, generation)
    else:
        yield condition("Accepted", True, "Accepted", "the listener is accepted", generation)
    if each.unserved:
        yield condition("Programmed", False, each.unserved.reason, each.unserved.message, generation)
    elif not accepted:
        yield condition("Programmed", False, "Invalid", "the Gateway is not accepted", generation)
    elif blocked:
        yield condition("Programmed", False, "PortUnavailable", taken, generation)
    elif not where.addresses:
        yield condition("Programmed", False, "Pending", where.message or "there is no address", generation)
    else:
        yield condition("Programmed", True, "Programmed", "a configuration was made", generation)
    yield resolved_refs(each.unresolved.reason, each.unresolved.message, generation)
    if each.conflict:
        yield condition("Conflicted", True, each.conflict.reason, each.conflict.message, generation)
    else:
        yield condition("Conflicted", False, "NoConflicts", "no other listener is in the way", generation)


def _listener_findings(owner: Key, own: Sequence[Facts]) -> Iterator[Finding]:
    for each in own:
        path = f"spec.listeners[{each.index}]"
        yield from _namespace_findings(owner, each.allowed.namespaces, f"{path}.allowedRoutes.namespaces")
        if each.refused:
            yield finding(_CODES[each.refused.reason], owner, path, each.refused.message)
        if each.unresolved.reason == "InvalidRouteKinds":
            yield finding(42, owner, f"{path}.allowedRoutes.kinds", each.unresolved.message)
        for problem in each.identity.problems:
            where = problem.path if problem.path.startswith("spec.") else f"{path}.{problem.path}"
            yield finding(problem.code, owner, where, problem.message)
        if each.identity.foreign:
            yield finding(62, owner, f"{path}.tls.certificateRefs", each.identity.foreign)


def _namespace_findings(owner: Key, given: RouteNamespaces | ListenerNamespaces, path: str) -> Iterator[Finding]:
    """What is wrong with a choice of namespaces."""
    if given.from_ != "Selector":
        if given.selector is not None:
            yield finding(3, owner, f"{path}.selector", f"there is no selection by labels where from is {given.from_}")
    elif given.selector is None:
        yield finding(49, owner, path, "from is Selector, and there is no selector")
    elif problem := fault(given.selector):
        yield finding(49, owner, f"{path}.selector", problem)


def _gateway_findings(q: Graph, gateway: Gateway, key: Key, where: Place) -> Iterator[Finding]:
    if gateway.spec.allowed_listeners is not None:
        yield from _namespace_findings(
            key, gateway.spec.allowed_listeners.namespaces, "spec.allowedListeners.namespaces"
        )
    refused = gateway_refused(q, gateway)
    if refused:
        path = "spec.addresses" if refused.reason == "UnsupportedAddress" else "spec"
        yield finding(_GATEWAY_CODES[refused.reason], key, path, refused.message)
    if where.reason:
        yield finding(where.code or _GATEWAY_CODES[where.reason], key, "spec.addresses", where.message)
    if problem := client_certificate(q, gateway, key):
        yield finding(problem.code, key, problem.path, problem.message)


def _ignored(q: Graph, gateway: Gateway, key: Key) -> Iterator[Finding]:
    """What a Gateway says that has no effect."""
    yield from strangers(key, gateway.metadata.annotations)
    able = terms(q).abilities
    infrastructure = gateway.spec.infrastructure
    carried = infrastructure is not None and bool(infrastructure.labels or infrastructure.annotations)
    backend = gateway.spec.tls.backend if gateway.spec.tls else None
    shown = backend is not None and backend.client_certificate_ref is not None
    for given, ability, path in (
        (carried, Ability.INFRASTRUCTURE, "spec.infrastructure"),
        (shown, Ability.BACKEND_CLIENT_CERTIFICATE, "spec.tls.backend"),
    ):
        if given and ability not in able:
            yield finding(3, key, path, ability.missing)
    if infrastructure is not None and Ability.INFRASTRUCTURE in able:
        for name in overruled(infrastructure.labels, infrastructure.annotations):
            yield finding(3, key, "spec.infrastructure", f"{name} is set by RAUTA itself")
    if gateway.spec.default_scope == "All":
        yield finding(3, key, "spec.defaultScope", "routes do not attach to default Gateways by themselves")
    for index, listener in enumerate(gateway.spec.listeners):
        if listener.tls is not None and listener.tls.options:
            names = ", ".join(sorted(listener.tls.options))
            yield finding(3, key, f"spec.listeners[{index}].tls.options", f"there are no TLS options: {names}")


def _classless(q: Graph, gateway: Gateway, key: Key) -> Iterator[Finding]:
    name = gateway.spec.gateway_class_name
    if find(q, GatewayClass, Key("GatewayClass", "", name)) is None:
        yield finding(54, key, "spec.gatewayClassName", f"there is no GatewayClass {name}")
