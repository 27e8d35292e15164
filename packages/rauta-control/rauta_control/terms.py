"""What translation is told beside the objects: who we are, where we may listen, what the data plane does. Pure.

What changes often is apart from what hardly ever does: `held` and `names` are read entry by entry, any other change
translates everything anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import cast

import msgspec
from msgspec import field

from rauta_control.derive import Graph
from rauta_control.ir import Balance
from rauta_control.serviceterms import ServiceTerms
from rauta_control.supported import TODAY, Ability

CONTROLLER = "rauta.io/gateway-controller"
#: The domain of annotations, and of condition types that Gateway API does not have.
DOMAIN = "rauta.io"
IGNORED = f"{DOMAIN}/FieldsIgnored"  # a condition


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all objects. Addresses are IP literals without brackets."""

    #: GatewayClasses that name it are ours.
    controller: str = CONTROLLER
    #: A class that is ours even if there is no such object: files need not define it. Empty: there is none.
    class_name: str = ""
    #: Whether no other class is ours, whatever it names as its controller.
    one_class: bool = False
    #: Addresses to give to Gateways, one to each. Empty: `wildcard` is the only one.
    pool: tuple[str, ...] = ()
    wildcard: str = "0.0.0.0"
    #: Addresses of this machine, which a Gateway may ask for by value; statuses name them where `wildcard` is bound.
    local: tuple[str, ...] = ()
    #: How each Gateway gets a Service of its own, with ports of its own behind it; None: it gets addresses.
    services: ServiceTerms | None = None
    #: The policy of Services without an annotation about it (backends.py).
    balance: Balance = Balance()
    abilities: frozenset[Ability] = TODAY
    #: Addresses that Gateways (`namespace/name`) had before, and keep; else those in their status count.
    held: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Addresses of host names of endpoints, as far as they are known.
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def terms(q: Graph) -> Terms:
    """The terms, without `held` and `names`."""
    return cast("Terms", q.read("terms"))


def held(q: Graph, gateway: str) -> tuple[str, ...]:
    """The addresses a Gateway (`namespace/name`) had before."""
    return q.read(("held", gateway)) or ()


def resolved(q: Graph, name: str) -> tuple[str, ...]:
    """The addresses of a host name; none if it is not known, or not yet."""
    return q.read(("name", name)) or ()


def strange(annotations: Iterable[str], known: Collection[str]) -> list[str]:
    """Names of annotations that claim to be ours and are none of those `known`."""
    return [name for name in annotations if name.startswith(f"{DOMAIN}/") and name not in known]


def tell(q: Graph, new: Terms, old: Terms | None = None) -> None:
    """Make `new` the terms of a graph whose terms were `old`."""
    q.put("terms", msgspec.structs.replace(new, held={}, names={}))
    for kind, after, before in (
        ("held", new.held, old.held if old else {}),
        ("name", new.names, old.names if old else {}),
    ):
        for name in before.keys() | after.keys():
            q.put((kind, name), after.get(name))
