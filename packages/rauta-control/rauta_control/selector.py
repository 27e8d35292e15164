"""Label selectors, as the API server evaluates them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from rauta_control.gateway import LabelSelector, LabelSelectorRequirement

#: Whether an operator takes values.
_OPERATORS = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether all of the selector holds. No selector selects nothing, an empty one everything."""
    if selector is None or fault(selector):
        return False
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(expression, labels) for expression in selector.match_expressions
    )


def fault(selector: LabelSelector) -> str:
    """What is wrong with a selector, which then selects nothing: the CRD does not check it, and a typo must not open a
    door. Empty if nothing is.
    """
    for index, each in enumerate(selector.match_expressions):
        where = f"matchExpressions[{index}]"
        if each.operator not in _OPERATORS:
            return f"{where}.operator {each.operator!r} is none of {', '.join(_OPERATORS)}"
        if _OPERATORS[each.operator] != bool(each.values):
            must = "must have" if _OPERATORS[each.operator] else "must not have"
            return f"{where} {must} values with operator {each.operator}"
    return ""


def _holds(expression: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression.key)
    match expression.operator:
        case "In":
            return value is not None and value in expression.values
        case "NotIn":
            return value is None or value not in expression.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
