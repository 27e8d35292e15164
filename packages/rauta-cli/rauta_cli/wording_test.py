import pytest

from rauta_agent_api.fake import FINDINGS
from rauta_agent_api.snapshot import FindingCounts
from rauta_cli import wording


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59.9, "59s"), (60, "1m 0s"), (3_600, "1h 0m"), (90_061, "1d 1h"), (86_400 * 400, "400d 0h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert wording.duration(seconds) == shown


def test_numbers_of_things() -> None:
    assert [wording.count(number, "route") for number in (0, 1, 2_000)] == ["0 routes", "1 route", "2,000 routes"]
    assert wording.severities(FindingCounts(error=1, info=2)) == "1 error, 2 notes"
    assert wording.severities(FindingCounts()) == ""


def test_what_a_finding_is_about() -> None:
    assert [wording.about(each) for each in FINDINGS] == ["HTTPRoute default/shop", "Deployment cart.yaml#2"]
