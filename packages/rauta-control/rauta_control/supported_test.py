"""The list of what is supported does all it claims: it needs no other change when the data plane learns something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rauta_control import ir
from rauta_control.cluster import Clusters
from rauta_control.draft import Draft
from rauta_control.finding import CODES, PREFIX, finding, table
from rauta_control.golden_test import CASES, DATA, translated
from rauta_control.slices import finish
from rauta_control.supported import EXPRESSED, FEATURES, TODAY, Ability, features
from rauta_control.table import Table
from rauta_control.world import Key

SOURCES = sorted(Path(__file__).parent.glob("*.py"))

#: Found by a running gateway and in documents, not by translation.
ELSEWHERE = {48, 58, 62, 70, 71, 72}


def today(name: str) -> dict[str, ir.Resource]:
    """What is published of a golden case today."""
    text = (DATA / f"{name}.in.yaml").read_text()
    return translated(f"terms: {{abilities: today}}\n---\n{text}" if "terms:" not in text else text)[1]


def test_the_class_claims_what_the_data_plane_can_do() -> None:
    assert "HTTPRouteMethodMatching" in features(TODAY)
    assert "HTTPRoute" in features(TODAY)
    assert "HTTPRouteBackendProtocolH2C" not in features(TODAY)
    assert "HTTPRouteCORS" in features({*TODAY, Ability.CORS})
    assert set(FEATURES) - set(features(EXPRESSED)) == {"GatewayBackendClientCertificate"}
    assert features(Ability) == tuple(sorted(FEATURES))


def test_every_ability_is_asked_for_somewhere() -> None:
    sources = "".join(path.read_text() for path in SOURCES if path.name not in {"supported.py", Path(__file__).name})
    unasked = [each.name for each in Ability if f"Ability.{each.name}" not in sources]
    # Weights have always been there; 421 and HTTP/2 are nothing that a manifest asks for; of addresses others decide.
    assert unasked == ["WEIGHTS", "MISDIRECTED", "HTTP2", "STATIC_ADDRESSES"]


@pytest.mark.parametrize("name", [name for name in CASES if "terms:" not in (DATA / f"{name}.in.yaml").read_text()])
def test_what_is_published_today_is_what_the_table_can_do(name: str) -> None:
    resources = today(name)
    for each in resources.values():
        match each:
            case ir.Cluster():
                assert each.protocol in ("http", "websocket")
    draft = Draft(Table.empty(), Clusters())
    finish(draft.stage(resources.values(), ()))
    assert draft.commit(1).resources == resources


def test_codes_are_used_and_shown() -> None:
    outputs = "".join(path.read_text() for path in DATA.glob("*.out.yaml"))
    assert {int(number) for number in re.findall(rf"{PREFIX}([0-9]+)", outputs)} == CODES.keys() - ELSEWHERE


@pytest.mark.parametrize("number", CODES)
def test_a_code_explains_itself(number: int) -> None:
    found = finding(number, Key("HTTPRoute", "infra", "web"), "spec", "something is so")
    assert str(found) == (
        f"{found.severity.capitalize()} [RAUTA-CFG-{number:03}] (HTTPRoute infra/web spec) something is so"
    )
    assert found.advice
    assert CODES[number].title


def test_the_codes_are_documented() -> None:
    page = Path(__file__).parents[3] / "docs" / "findings.md"
    assert page.read_text() == table(), "write finding.table() to docs/findings.md"
