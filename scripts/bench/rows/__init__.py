"""What is measured: one file a kind of row."""

from . import bodies, events, idle, rate, requests, smoke
from .model import Measure, Row, Sample, Size, Turn

SMOKE = smoke.ROWS
MEASURED = (*requests.ROWS, *rate.ROWS, *bodies.ROWS, *events.ROWS, *idle.ROWS)
ROWS = {row.name: row for row in (*MEASURED, *SMOKE)}

__all__ = ["MEASURED", "ROWS", "SMOKE", "Measure", "Row", "Sample", "Size", "Turn"]
