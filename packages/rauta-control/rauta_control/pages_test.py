"""The pages of documentation: their links lead somewhere, and each setting is on one of them."""

import re
from pathlib import Path

import pytest

from rauta_control.flags import Flag
from rauta_control.options import FLAGS

ROOT = Path(__file__).parents[3]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docker/*.md"), *ROOT.glob("packages/*/*.md")]


def anchors(page: Path) -> set[str]:
    """The names that a reader's program makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not link.startswith("https://"):
            name, _, anchor = link.partition("#")
            there = page.parent / name if name else page
            assert there.exists(), link
            assert not anchor or anchor in anchors(there), link


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_setting_is_documented(flag: Flag) -> None:
    text = (ROOT / "README.md").read_text() + (ROOT / "docs" / "limits.md").read_text()
    for name in filter(None, (flag.name, flag.variable, flag.alias)):
        assert f"`{name}`" in text
