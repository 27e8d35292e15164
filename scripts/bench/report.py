"""What is made of the samples: a JSON document, a table for the terminal, a section for docs/performance.md. Pure.

The document is what everything is printed from, so a file written yesterday prints the same today.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from .rows import Measure, Size
from .runner import DISTURBED, Result
from .stats import paired_ratio, ratio, spread

OURS = "rauta"
WIDTH = 200  # of a failure as printed; the document has all of it
Json = dict[str, Any]


def document(
    facts: Mapping[str, object], versions: Mapping[str, str], slices: int, size: Size, results: list[Result]
) -> Json:
    """Everything: facts, options, every sample and what they come to."""
    return {
        "machine": dict(facts),
        "versions": dict(versions),
        "options": {
            "slices": slices,
            "seconds": size.seconds,
            "body": size.body,
            "connections": size.connections,
            "streams": size.streams,
        },
        "rows": [_row(result) for result in results],
    }


def _row(result: Result) -> Json:
    row = result.row
    key = row.measures[0].key
    ours = result.values(OURS, key) if OURS in result.samples else []
    proxies = {}
    for name, samples in result.samples.items():
        good = result.good(name, key)
        entry: Json = {
            "samples": [sample.values for sample in samples if not sample.failure],
            "failures": result.failures(name),
            "summary": {measure.key: _summary(result.good(name, measure.key)) for measure in row.measures if good},
        }
        mine = [value for value in ours if value is not None]
        if name != OURS and mine and good and min(good) > 0:
            entry["ratio"] = ratio(mine, good)
            theirs = result.values(name, key)
            entry["paired_ratio"] = paired_ratio(ours, theirs) if len(ours) == len(theirs) else None
        proxies[name] = entry
    measures = [
        {"key": m.key, "title": m.title, "scale": m.scale, "digits": m.digits, "quartiles": m.quartiles}
        for m in row.measures
    ]
    return {"name": row.name, "title": row.title, "target": result.target, "measures": measures, "proxies": proxies}


def _summary(values: list[float]) -> Json:
    found = spread(values)
    return {"median": found.median, "low": found.low, "high": found.high, "least": min(values), "most": max(values)}


def failed(report: Json) -> list[str]:
    """A line for each proxy of a row that had failed slices."""
    found = []
    for row in report["rows"]:
        for name, entry in row["proxies"].items():
            if failures := entry["failures"]:
                total = len(failures) + len(entry["samples"])
                found.append(f"{row['name']}: {name} FAILED {len(failures)} of {total} slices: {_first(failures)}")
    return found


def _first(failures: list[str]) -> str:
    return failures[0].partition("\n")[0][:WIDTH]


def disturbed(report: Json) -> list[str]:
    """A line for each row in which proxies shared their core with others: such figures do not stand."""
    found = []
    for row in report["rows"]:
        waited = {name: entry["summary"].get("waited") for name, entry in row["proxies"].items()}
        shares = [
            f"{name} {each['median']:.0%}" for name, each in waited.items() if each and each["median"] > DISTURBED
        ]
        if shares:
            found.append(f"{row['name']}: do not trust it, they waited for their core: {', '.join(shares)} of the time")
    return found


def number(value: float, digits: int) -> str:
    """With thousands apart."""
    return f"{value:,.{digits}f}"


def cell(measure: Measure, summary: Mapping[str, float]) -> str:
    """`median` or `median (quartile-quartile)`."""
    median, low, high = (number(summary[key] / measure.scale, measure.digits) for key in ("median", "low", "high"))
    return f"{median} ({low}-{high})" if measure.quartiles else median


def grid(row: Json) -> list[list[str]]:
    """The cells of a row's table, headings first."""
    measures = [Measure(**measure) for measure in row["measures"]]
    rows = [["", *(measure.title for measure in measures), f"{OURS} / it", "paired"]]
    for name, entry in row["proxies"].items():
        if not entry["summary"]:
            rows.append([name, "FAILED", *[""] * len(measures), ""])
            continue
        ratios = [f"{entry[key]:.2f}" if entry.get(key) is not None else "" for key in ("ratio", "paired_ratio")]
        rows.append([name, *(cell(measure, entry["summary"][measure.key]) for measure in measures), *ratios])
    if not any(line[-2] for line in rows[1:]):
        rows = [line[:-2] for line in rows]
    return rows


def table(report: Json) -> Iterator[str]:
    """Lines for the terminal."""
    for row in report["rows"]:
        aim = f", {row['target']:,.0f} requests/s" if row["target"] else ""
        yield f"{row['name']}: {row['title']}{aim}"
        lines = grid(row)
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        for line in lines:
            yield (
                "  "
                + "  ".join(
                    [
                        line[0].ljust(widths[0]),
                        *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)),
                    ]
                ).rstrip()
            )
        yield ""
    yield from disturbed(report)
    yield from failed(report)


def markdown(report: Json) -> Iterator[str]:
    """The section with the figures, as docs/performance.md holds it."""
    machine, options = report["machine"], report["options"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    virtual = ", a virtual machine" if machine["virtual"] == "yes" else ""
    yield (
        f"{machine['when']}, commit {machine['commit']}. {machine['cpu']}, {machine['cores']} cores{virtual}; "
        f"{machine['kernel']}, TCP {machine['tcp']}; {machine['python']}."
    )
    yield f"{versions}. {options['slices']} slices of {options['seconds']:g} s. Median (quartiles)."
    for row in report["rows"]:
        aim = f" ({row['target']:,.0f} requests/s)" if row["target"] else ""
        yield from ("", f"### {row['title'][0].upper()}{row['title'][1:]}{aim}", "")
        head, *lines = grid(row)
        yield "| " + " | ".join(head) + " |"
        yield "|---|" + "---:|" * (len(head) - 1)
        for line in lines:
            yield "| " + " | ".join(line) + " |"
    if wrong := disturbed(report) + failed(report):
        yield from ("", *(f"* {line}" for line in wrong))
