"""What is done to the requests of a rule beyond sending them on: compiled with the table. Pure.

A rule without any of it has no treatment, and its requests pay one look for that (downstream.py). exchange.py carries
a treatment out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rauta_control import ir
from rauta_control.edit import Edit
from rauta_control.policy import Policy

if TYPE_CHECKING:
    from rauta_control.gate import Gate


class Treatment:
    """What a rule asks for; None or empty where it does not. Shared by all requests of the rule."""

    __slots__ = ("gates", "policy", "request", "response")

    def __init__(self, rule: ir.Rule) -> None:
        filters = rule.filters
        self.policy = Policy.of(rule)
        self.gates: tuple[Gate, ...] = ()  # asked in this order, before anything else is done
        self.request = Edit(filters.request) if filters and filters.request else None
        self.response = Edit(filters.response) if filters and filters.response else None

    @classmethod
    def of(cls, rule: ir.Rule) -> Treatment | None:
        """Return the treatment of a rule's requests; None if there is nothing to do."""
        made = cls(rule)
        return made if any(getattr(made, name) for name in cls.__slots__) else None
