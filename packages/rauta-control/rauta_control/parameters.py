"""What a Gateway's infrastructure.parametersRef may say: a ConfigMap beside it, with `serviceType` at most. Pure."""

from __future__ import annotations

from typing import get_args

from rauta_control.gateway import Gateway
from rauta_control.secret import ConfigMap
from rauta_control.serviceterms import ServiceTerms, ServiceType
from rauta_control.world import Key

SERVICE_TYPE = "serviceType"
TYPES: tuple[ServiceType, ...] = get_args(ServiceType)


def parameters_key(gateway: Gateway) -> Key | None:
    """The ConfigMap that a Gateway names; None if it names nothing, or something else."""
    infrastructure = gateway.spec.infrastructure
    ref = infrastructure.parameters_ref if infrastructure is not None else None
    if ref is None or (ref.group, ref.kind) != ("", "ConfigMap"):
        return None
    return Key("ConfigMap", gateway.namespace, ref.name)


def fault(found: ConfigMap) -> str:
    """What is wrong with such a ConfigMap; empty if nothing is."""
    unknown = sorted((found.data.keys() | found.binary_data.keys()) - {SERVICE_TYPE})
    if unknown:
        return f"there is no parameter {', '.join(unknown)}, only {SERVICE_TYPE}"
    given = found.data.get(SERVICE_TYPE, TYPES[0])
    return "" if given in TYPES else f"{SERVICE_TYPE} {given!r}: expected {', '.join(TYPES)}"


def service_type(found: ConfigMap | None, terms: ServiceTerms) -> ServiceType:
    """The type of a Gateway's Service, where its parameters are without fault."""
    given = found.data.get(SERVICE_TYPE) if found is not None else None
    return next((each for each in TYPES if each == given), terms.type)
