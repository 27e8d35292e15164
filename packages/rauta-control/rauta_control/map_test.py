"""Whoever looks for a file finds it on the map of docs/architecture.md, in one place."""

import re
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "architecture.md"


def test_every_module_is_on_the_map_once() -> None:
    table = PAGE.read_text().partition("## Which file is what")[2].partition("|---|---|")[2]
    there = {path.stem for path in HERE.glob("*.py")} - {"__init__", "conftest"}
    assert Counter(re.findall(r"`(\w+)`", table)) == Counter(name for name in there if not name.endswith("_test"))
