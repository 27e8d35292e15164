"""The listeners of a Gateway, its own and those of its ListenerSets, as one list: which are valid, and what is wrong.

Pure. Precedence is the specification's: the Gateway's own, then sets by age, then by name. An entry that conflicts with
an earlier owner's loses; entries of one owner that conflict with each other all lose (GatewaySpec.listeners, "Handling
indistinct Listeners": no winner may be picked). Listeners of protocols we do not have are no party to a conflict, but
can lose one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from rauta_control import parameters
from rauta_control.classes import accepted, ours
from rauta_control.derive import Graph
from rauta_control.gateway import AllowedRoutes, Gateway, Listener
from rauta_control.hostname import ANY
from rauta_control.listenerset import ListenerSet
from rauta_control.listenertls import Identity, identity
from rauta_control.reference import RouteGroupKind
from rauta_control.secret import ConfigMap
from rauta_control.selector import selects
from rauta_control.supported import Ability
from rauta_control.terms import terms
from rauta_control.world import SETS, Key, find, key_of, labels, objects, seniority

ROUTE_KINDS = {"HTTP": ("HTTPRoute",), "HTTPS": ("HTTPRoute",)}  # by protocol


class Section(NamedTuple):
    """A listener by name: of a Gateway or of a ListenerSet."""

    owner: Key
    name: str

    @property
    def path(self) -> str:
        """`namespace/name/listener`."""
        return f"{self.owner.path}/{self.name}"


class Said(msgspec.Struct, frozen=True):
    """A reason and a message of a condition. No reason: there is nothing to say."""

    reason: str = ""
    message: str = ""

    def __bool__(self) -> bool:
        return bool(self.reason)


class Facts(msgspec.Struct, frozen=True):
    """What is known of a listener. `refused`: why it is not accepted; `unresolved`: why references do not resolve."""

    section: Section
    index: int
    port: int
    protocol: str
    hostname: str  # * for any
    allowed: AllowedRoutes
    kinds: tuple[RouteGroupKind, ...]
    identity: Identity
    conflict: Said = Said()
    refused: Said = Said()
    unresolved: Said = Said()

    @property
    def unserved(self) -> Said:
        """Why nothing is served here, as far as the listener itself goes."""
        if self.conflict:
            return self.conflict
        if self.refused:
            return Said("Invalid", self.refused.message)
        if not self.kinds or (self.protocol == "HTTPS" and not self.identity.secrets):
            return Said("Invalid", self.unresolved.message)
        return Said()


def sets(q: Graph, gateway: Key) -> list[Key]:
    """The ListenerSets that name a Gateway and may extend it, in order of precedence."""
    named = objects(q, ListenerSet, SETS, gateway.namespace, gateway.name)
    allowed = (each for each in named if extends(q, each, gateway))
    return [key_of(each) for each in sorted(allowed, key=seniority)]


def extends(q: Graph, listener_set: ListenerSet, gateway: Key) -> bool:
    """Whether a Gateway allows a ListenerSet of that namespace; by default it allows none."""
    found = find(q, Gateway, gateway)
    if found is None or found.spec.allowed_listeners is None:
        return False
    namespaces = found.spec.allowed_listeners.namespaces
    match namespaces.from_:
        case "All":
            return True
        case "Same":
            return listener_set.namespace == gateway.namespace
        case "Selector":
            return selects(namespaces.selector, labels(q, listener_set.namespace))
        case "None":
            return False


def facts(q: Graph, gateway: Key) -> tuple[Facts, ...]:
    """All listeners of a Gateway of ours, in order of precedence."""
    found = find(q, Gateway, gateway)
    if found is None or not ours(q, found.spec.gateway_class_name):
        return ()
    extensions = (find(q, ListenerSet, key) for key in sets(q, gateway))
    owners: list[Gateway | ListenerSet] = [found, *(each for each in extensions if each is not None)]
    earlier: list[Facts] = []
    everything: list[Facts] = []
    for owner in owners:
        bare = [_facts(q, found, owner, index, each) for index, each in enumerate(owner.spec.listeners)]
        judged = _judge(earlier, bare)
        everything += judged
        earlier += [each for each in judged if each.protocol in ROUTE_KINDS and not each.refused]
    return tuple(everything)


def of_owner(q: Graph, gateway: Key, owner: Key) -> tuple[Facts, ...]:
    """The listeners of one owner."""
    return tuple(each for each in q.get(facts, gateway) if each.section.owner == owner)


def served(q: Graph, gateway: Key) -> tuple[Facts, ...]:
    """The listeners that requests may come in by, as soon as the Gateway has an address."""
    found = find(q, Gateway, gateway)
    if found is None or gateway_accepted(q, found)[0] is False:
        return ()
    return tuple(each for each in q.get(facts, gateway) if not each.unserved)


def gateway_refused(q: Graph, gateway: Gateway) -> Said:
    """Why a Gateway of ours is not accepted, apart from its listeners."""
    if not accepted(q, gateway.spec.gateway_class_name):
        return Said("InvalidParameters", f"GatewayClass {gateway.spec.gateway_class_name} is not accepted")
    if problem := _parameters(q, gateway):
        return Said("InvalidParameters", problem)
    for address in gateway.spec.addresses:
        if address.type != "IPAddress":
            return Said("UnsupportedAddress", f"addresses of type {address.type} are not supported, only IPAddress")
    return Said()


def gateway_accepted(q: Graph, gateway: Gateway) -> tuple[bool, Said]:
    """Whether a Gateway of ours is accepted, and what there is to say: none of its own listeners valid, or not all."""
    if refused := gateway_refused(q, gateway):
        return False, refused
    key = key_of(gateway)
    invalid = [each for each in q.get(of_owner, key, key) if each.refused]
    if not invalid:
        return True, Said()
    text = "; ".join(f"listener {each.section.name}: {each.refused.message}" for each in invalid)
    return len(invalid) < len(gateway.spec.listeners), Said("ListenersNotValid", f"not valid: {text}")


def _parameters(q: Graph, gateway: Gateway) -> str:
    """What is wrong with the parameters of a Gateway; empty if nothing is."""
    infrastructure = gateway.spec.infrastructure
    if infrastructure is None or infrastructure.parameters_ref is None:
        return ""
    kind = infrastructure.parameters_ref.kind
    if terms(q).services is None:
        return f"there are no parameters of kind {kind}: RAUTA takes none"
    key = parameters.parameters_key(gateway)
    if key is None:
        return f"there are no parameters of kind {kind}: RAUTA takes a ConfigMap (group empty)"
    found = find(q, ConfigMap, key)
    return f"{key} does not exist" if found is None else parameters.fault(found)


def _facts(q: Graph, gateway: Gateway, owner: Gateway | ListenerSet, index: int, listener: Listener) -> Facts:
    """A listener by itself."""
    able = terms(q).abilities
    protocol = listener.protocol
    section = Section(key_of(owner), listener.name)
    kinds: tuple[RouteGroupKind, ...] = ()
    refused = unresolved = Said()
    trust = Identity()
    if protocol not in ROUTE_KINDS:
        refused = Said("UnsupportedProtocol", f"protocol {protocol} is not supported")
    elif protocol == "HTTPS" and Ability.TLS not in able:
        refused = Said("UnsupportedProtocol", Ability.TLS.missing)
    else:
        kinds, unresolved = _kinds(listener)
    if protocol == "HTTPS" and not refused:
        trust = identity(q, key_of(gateway), section.owner, listener)
        if trust.problems:
            unresolved = Said(trust.problems[0].reason, "; ".join(each.message for each in trust.problems))
        if trust.refused:
            refused = Said(*trust.refused)
    return Facts(
        section,
        index,
        listener.port,
        protocol,
        listener.hostname or ANY,
        listener.allowed_routes,
        kinds,
        trust,
        refused=refused,
        unresolved=unresolved,
    )


def _kinds(listener: Listener) -> tuple[tuple[RouteGroupKind, ...], Said]:
    """The kinds of routes that are supported here, of those asked for, and what is wrong with the others."""
    possible = tuple(RouteGroupKind(kind=kind) for kind in ROUTE_KINDS[listener.protocol])
    asked = listener.allowed_routes.kinds
    if not asked:
        return possible, Said()
    wrong = [f"{each.group}/{each.kind}" for each in asked if each not in possible]
    kinds = tuple(dict.fromkeys(each for each in asked if each in possible))
    if not wrong:
        return kinds, Said()
    text = f"protocol {listener.protocol} does not carry routes of kind {', '.join(wrong)}"
    return kinds, Said("InvalidRouteKinds", text)


def _judge(earlier: Sequence[Facts], own: Sequence[Facts]) -> list[Facts]:
    """`own` with their conflicts, where `earlier` are those of owners that come first."""
    losers = {each.section.name: said for each in own if (said := _conflict(each, earlier))}
    rest = [each for each in own if each.section.name not in losers and each.protocol in ROUTE_KINDS]
    for each in rest:
        if not each.refused and (
            said := _conflict(each, (other for other in rest if other is not each and not other.refused))
        ):
            losers[each.section.name] = said
    return [
        msgspec.structs.replace(each, conflict=losers[each.section.name], refused=losers[each.section.name])
        if each.section.name in losers
        else each
        for each in own
    ]


def _conflict(listener: Facts, others: Iterable[Facts]) -> Said:
    for other in others:
        if other.port != listener.port:
            continue
        kind: Literal["ProtocolConflict", "HostnameConflict"]
        if other.protocol != listener.protocol:
            kind, what = "ProtocolConflict", f"has protocol {other.protocol} on port {other.port}"
        elif other.hostname == listener.hostname:
            named = "no host name" if other.hostname == ANY else f"host name {other.hostname}"
            kind, what = "HostnameConflict", f"has port {other.port} with {named}"
        else:
            continue
        return Said(kind, f"listener {other.section.name} of {other.section.owner} {what} too")
    return Said()
