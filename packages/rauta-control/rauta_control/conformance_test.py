"""Every test of the conformance suite is shown by golden cases, or is one that translation has no part in, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

DATA = Path(__file__).parent / "testdata"
SHOWN: dict[str, list[str]] = yaml.safe_load((DATA / "conformance.yaml").read_text())

#: The gateway tests of all profiles at v1.6.1 that ask nothing of translation as it is, and why.
ELSEWHERE = {
    "BackendTLSPolicy is not carried out yet": """
        BackendTLSPolicy BackendTLSPolicyConflictResolution BackendTLSPolicyInvalidCACertificateRef
        BackendTLSPolicyInvalidKind BackendTLSPolicyObservedGenerationBump BackendTLSPolicySANValidation""",
    "GRPCRoute is not read yet": """
        GRPCExactMethodMatching GRPCRouteHeaderMatching GRPCRouteListenerHostnameMatching GRPCRouteNamedRule
        GRPCRouteWeight""",
    "TLSRoute is not read yet": """
        TLSRouteHostnameIntersection TLSRouteInvalidBackendRefNonexistent TLSRouteInvalidBackendRefUnknownKind
        TLSRouteInvalidNoMatchingListenerHostname TLSRouteInvalidNoMatchingListener TLSRouteInvalidReferenceGrant
        TLSRouteListenerMixedTerminationNotSupported TLSRouteListenerPassthroughSupportedKinds
        TLSRouteListenerTerminateNotSupported TLSRouteListenerTerminateSupportedKinds
        TLSRouteMixedTerminationSameNamespace TLSRouteSimpleSameNamespace TLSRouteTerminateSimpleSameNamespace""",
    "TCPRoute is not read yet": """
        TCPRouteInvalidBackendRefNonexistent TCPRouteInvalidCrossNamespaceBackendRef TCPRouteInvalidNonTCPListener
        TCPRouteMultipleRoutesAttachment TCPRouteParentRefAttachAll TCPRouteParentRefPortAndSectionName
        TCPRouteReferenceGrant TCPRouteWeightedRouting""",
    "UDPRoute is not read yet": """
        UDPRouteInvalidBackendRefNonexistent UDPRouteInvalidCrossNamespaceBackendRef UDPRouteMultipleRoutesAttachment
        UDPRouteNotAllowedByListeners UDPRouteParentRefAttachAllListeners UDPRouteParentRefPortAndSectionName
        UDPRouteReferenceGrant UDPRoute UDPRouteWeightedRouting""",
}
COUNT = 131  # gateway tests at v1.6.1


def test_every_test_is_somewhere_once() -> None:
    elsewhere = [name for names in ELSEWHERE.values() for name in names.split()]
    assert len({*elsewhere, *SHOWN}) == len(elsewhere) + len(SHOWN) == COUNT


@pytest.mark.parametrize("name", SHOWN)
def test_its_cases_exist(name: str) -> None:
    assert SHOWN[name]
    assert [case for case in SHOWN[name] if not (DATA / f"{case}.out.yaml").exists()] == []
