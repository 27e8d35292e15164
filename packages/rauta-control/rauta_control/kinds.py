"""The kinds RAUTA reads: their versions, scope and struct, in one table. Pure.

`SUPPORTED` is what `admit` dispatches on; `NOT_YET` is what it answers for the rest of Gateway API.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from rauta_control import gatewayclass, namespace, secret
from rauta_control.apiresource import GATEWAY_GROUP, GATEWAY_V1, Resource, label_name, subdomain_name
from rauta_control.backendtlspolicy import BackendTLSPolicy
from rauta_control.endpointslice import EndpointSlice
from rauta_control.gateway import Gateway
from rauta_control.gatewayclass import GatewayClass
from rauta_control.httproute import HTTPRoute
from rauta_control.listenerset import ListenerSet
from rauta_control.namespace import Namespace
from rauta_control.problem import Problem
from rauta_control.referencegrant import ReferenceGrant
from rauta_control.secret import ConfigMap, Secret
from rauta_control.service import Service

AnyResource: TypeAlias = (
    GatewayClass
    | Gateway
    | HTTPRoute
    | ListenerSet
    | ReferenceGrant
    | BackendTLSPolicy
    | Service
    | EndpointSlice
    | Secret
    | ConfigMap
    | Namespace
)
NameForm: TypeAlias = Callable[[str, str], Iterable[Problem]]


class KindEntry(msgspec.Struct, frozen=True):
    """One kind. `version` is the apiVersion it has once admitted, `served` those it may come in."""

    struct: type[Resource]
    version: str
    served: tuple[str, ...]
    namespaced: bool = True
    core: bool = False  # built into the API server rather than defined by a CRD
    needed: bool = False  # without permission to read it from an API server, nothing is served
    selector: str = ""  # a field selector of an API server: objects that RAUTA never reads need not come
    name_form: NameForm = subdomain_name
    settle: Callable[[Any], Any] | None = None  # what the API server writes into an object beside its defaults
    transition: Callable[[Any, Any], Iterable[Problem]] | None = None  # what it forbids to change


_BOTH = (GATEWAY_V1, f"{GATEWAY_GROUP}/v1beta1")

KINDS: dict[str, KindEntry] = {
    entry.struct.__name__: entry
    for entry in (
        KindEntry(
            GatewayClass,
            GATEWAY_V1,
            _BOTH,
            namespaced=False,
            needed=True,
            transition=gatewayclass.controller_name_kept,
        ),
        KindEntry(Gateway, GATEWAY_V1, _BOTH, needed=True),
        KindEntry(HTTPRoute, GATEWAY_V1, _BOTH, needed=True),
        KindEntry(ListenerSet, GATEWAY_V1, (GATEWAY_V1,)),
        KindEntry(ReferenceGrant, GATEWAY_V1, _BOTH),
        KindEntry(BackendTLSPolicy, GATEWAY_V1, (GATEWAY_V1,)),
        KindEntry(Service, "v1", ("v1",), core=True, needed=True, name_form=label_name),
        KindEntry(EndpointSlice, "discovery.k8s.io/v1", ("discovery.k8s.io/v1",), core=True, needed=True),
        KindEntry(
            Secret,
            "v1",
            ("v1",),
            core=True,
            needed=True,
            selector="type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token",
            settle=secret.merged,
        ),
        KindEntry(ConfigMap, "v1", ("v1",), core=True),
        KindEntry(
            Namespace, "v1", ("v1",), core=True, namespaced=False, name_form=label_name, settle=namespace.labelled
        ),
    )
}

#: Kinds of Gateway API that RAUTA knows of and does not read, and what happens without them.
NOT_YET = {
    "GRPCRoute": "its requests find no route",
    "TLSRoute": "its connections find no listener",
    "TCPRoute": "its connections find no listener",
    "UDPRoute": "its datagrams find no listener",
    "XBackend": "routes that refer to it answer 500",
    "XBackendTrafficPolicy": "its targets are served without it",
    "XMesh": "RAUTA is no mesh",
}


@functools.cache
def decoder(struct: type[Resource]) -> msgspec.json.Decoder[Any]:
    """The JSON decoder of a kind."""
    return msgspec.json.Decoder(struct)
