"""The choice among rules by what is neither method nor path: header fields and query parameters. Pure.

Method and path decide most requests, and what they decided is remembered (table.py). Where they leave more than one
rule, or one that asks for more, what is remembered is a Choice: the rules that are left, in their order. Only requests
that meet one have their head and query searched, only for what its rules ask for, and once for each name.

* A field is compared as the client sent it, several lines of one name as one value (field.py); X-Forwarded-*,
  X-Request-Id and the like as the backend will see them, and so are those that Connection names: as if they were not
  there.
* Of a query parameter that is given more than once the first value counts (HTTPQueryParamMatch leaves it open; Envoy
  does the same). Names and values are decoded: percent escapes, and `+` for a space.
* An expression must match all of a value (regex.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from rauta_control import field, ir, regex
from rauta_control.head import NAMELESS, connection_options, without
from rauta_control.reasons import Reason
from rauta_control.regex import Test

if TYPE_CHECKING:
    from rauta_control.table import Rule

_CONNECTION = field.needle("Connection")


class Conditions:
    """What a rule asks for beside method and path: `headers` by needle, `query` by name, both must hold.

    Of a header there is also whether the gateway states it.
    """

    __slots__ = ("headers", "query")

    def __init__(self, rule: ir.Rule) -> None:
        self.headers = [
            (field.needle(each.name), _test(each, Reason.HEAD_TOO_LARGE), field.is_stated(each.name))
            for each in rule.headers
        ]
        self.query = [(each.name.encode(), _test(each, Reason.TARGET_TOO_LONG)) for each in rule.query]

    @classmethod
    def of(cls, rule: ir.Rule) -> Conditions | None:
        """Return the conditions of a rule; None if method and path are all that it asks for."""
        return cls(rule) if rule.headers or rule.query else None


class Choice:
    """The rules that method and path leave, best first; what follows one without conditions is left out."""

    __slots__ = ("rules",)

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules

    @property
    def treatment(self) -> Choice:
        """Not None, as that of a rule may be: a request cannot just be sent on."""
        return self

    def choose(self, head: bytes, target: bytes, stated: bytes = b"", request_id: bytes = b"") -> Rule | None:
        """Return the first rule whose conditions hold; raise Refused for a value that is too long for an expression.

        `head` ends in the CRLF of its last field line; `stated` are the lines that the gateway adds of its own,
        X-Request-Id, which is `request_id`, apart.
        """
        lowered = b""
        fields: dict[bytes, bytes | None] = {}
        query: dict[bytes, bytes] | None = None
        for rule in self.rules:
            conditions = rule.conditions
            if conditions is None:
                return rule
            for wanted, test, ours in conditions.headers:
                if wanted in fields:
                    value = fields[wanted]
                elif ours:
                    said = field.stated(stated, request_id)
                    value = fields[wanted] = field.value(said, said.lower(), wanted)
                else:
                    if not lowered:
                        head, lowered = _end_to_end(head)
                    value = fields[wanted] = field.value(head, lowered, wanted)
                if value is None or not test(value):
                    break
            else:
                if conditions.query and query is None:
                    query = parameters(target)
                for name, test in conditions.query:
                    value = query.get(name) if query else None
                    if value is None or not test(value):
                        break
                else:
                    return rule
        return None


def _end_to_end(head: bytes) -> tuple[bytes, bytes]:
    """Return `head`, for field.py, without what Connection names: no backend sees that. And the same in lower case."""
    lowered = head.lower()
    options = field.value(lowered, lowered, _CONNECTION)
    named = connection_options([options]) - NAMELESS if options else None
    if not named:
        return head, lowered
    fields = head.partition(b"\r\n")[2]  # not the request line: it could be named like a field, and hide the next one
    head = b"\r\n" + without(fields, named)
    return head, head.lower()


def parameters(target: bytes) -> dict[bytes, bytes]:
    """Return the query parameters of a request target, decoded; of equal names the first."""
    found: dict[bytes, bytes] = {}
    for pair in dict.fromkeys(target.partition(b"?")[2].split(b"&")):  # thousands of `&` cost no more than one
        name, _, value = pair.partition(b"=")
        if b"%" in pair or b"+" in pair:
            name, value = _decoded(name), _decoded(value)
        if name not in found:
            found[name] = value
    return found


def _decoded(text: bytes) -> bytes:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    return unquote_to_bytes(text) if b"%" in text else text


def _test(predicate: ir.Predicate, reason: Reason) -> Test:
    return regex.test(predicate.value, reason) if predicate.regex else predicate.value.encode().__eq__
