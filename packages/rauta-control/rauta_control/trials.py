"""How each rule of a host fares with a request: in the order in which they are tried, and for each why it lost. Pure.

What holds is asked of the rules as requests use them (table.py, choice.py); here it is only put into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from heapq import nlargest, nsmallest
from itertools import islice, takewhile
from typing import NamedTuple

from msgspec.structs import replace

from rauta_agent_api.explanation import RuleTrial
from rauta_agent_api.snapshot import ANY_METHOD
from rauta_common.radix import Editor, Radix
from rauta_control import field, ir
from rauta_control.choice import Choice, parameters
from rauta_control.reasons import Refused
from rauta_control.regex import Test
from rauta_control.table import Host, Rule

KEPT = 100  # trials in an explanation; those whose path does not match give way first
NEAR = 3  # suggestions
COMPARED = 200  # rules that are looked at more closely for the one that is nearest
LOOKED_AT = 256  # characters of a path: comparing takes their square
SHOWN = 80  # characters of a value

_ARTICLES = {"exact": "an exact path", "regex": "an expression", "prefix": "a prefix"}


class Asked(NamedTuple):
    """What rules look at. `head` ends in the CRLF of its last field line; `stated`: lines of the gateway's own."""

    method: bytes
    path: bytes
    target: bytes
    head: bytes
    stated: bytes
    request_id: bytes

    def fields(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Return what a Choice chooses by."""
        return self.head, self.target, self.stated, self.request_id


class Missed(NamedTuple):
    """A condition that does not hold: which, in words, and what would meet it, empty for a path."""

    by: str
    why: str
    mend: str


class Trial(NamedTuple):
    """A rule on a host. `taken` is the rule as requests use it, None if its path does not match."""

    rule: ir.Rule
    hostname: str
    taken: Rule | None
    matches: bool


def reachable(rules: Iterable[ir.Rule], path: bytes) -> list[ir.Rule]:
    """Return the rules that may take a path, in no order: those that a routing table's tree finds, and expressions.

    Of thousands few are left, so that few have to be made into a table.
    """
    rules = list(rules)
    editor: Editor[list[ir.Rule]] = Radix[list[ir.Rule]]().edit()
    for rule in rules:
        if rule.path_type != "regex":
            key, exact = rule.path.encode(), rule.path_type == "exact"
            same = editor.get(key, exact=exact)
            if same is None:
                editor.insert(key, [rule], exact=exact)
            else:
                same.append(rule)
    found = [rule for group in editor.freeze().match(path) for rule in group]
    return found + [rule for rule in rules if rule.path_type == "regex"]


def trials(hostname: str, host: Host, rules: Iterable[ir.Rule], asked: Asked) -> Iterator[Trial]:
    """Try the rules of one host, its fallback left out."""
    taken = {rule.order[1]: rule for group in host.tried(asked.path) for rule in group}
    for rule in sorted(rules, key=lambda rule: rule.tried):
        used = taken.get(rule.name)
        if used is not None and used.expression is not None and _holds(used.expression, asked.path) is False:
            used = None
        yield Trial(rule, hostname, used, used is not None and _takes(used, asked))


def told(tried: Sequence[Trial], winner: str, asked: Asked) -> tuple[tuple[RuleTrial, ...], int]:
    """Put trials into words, and say how many are left out; `winner` is the name of the rule that the table chose."""
    won = next((trial for trial in tried if trial.rule.name == winner), None)
    kept = nsmallest(KEPT, range(len(tried)), lambda at: (tried[at] is not won, tried[at].taken is None, at))
    matching = sum(trial.matches for trial in tried)
    return tuple(_told(tried[at], won, matching, asked) for at in sorted(kept)), len(tried) - len(kept)


def near(tried: Sequence[Trial], asked: Asked) -> list[str]:
    """Say which rules would take the request if one thing were different; else which path is the nearest."""
    path = asked.path.decode()
    found: list[str] = []
    for trial in islice((trial for trial in tried if trial.taken is not None), KEPT):
        missed = list(_missed(trial, asked))
        if len(missed) == 1 and missed[0].mend:
            found.append(f"with {missed[0].mend} it would go to {named(trial.rule)}")
    if not found and tried:
        closest = max(
            nlargest(COMPARED, tried, lambda each: _alike(each, path)), key=lambda each: _like(each, path)
        ).rule
        found = [f"the nearest path is {describe(closest)} of {named(closest)}"]
    return list(dict.fromkeys(found))[:NEAR]


def _takes(rule: Rule, asked: Asked) -> bool:
    """Whether a rule whose path matches would take the request, were there no other."""
    if rule.method and rule.method != asked.method:
        return False
    if rule.expression is not None and _holds(rule.expression, asked.path) is None:
        return False
    try:
        return Choice([rule]).choose(*asked.fields()) is not None
    except Refused:
        return False


def _holds(test: Test, value: bytes) -> bool | None:
    """Whether an expression matches; None if the value is too long for it."""
    try:
        return bool(test(value))
    except Refused:
        return None


def _alike(trial: Trial, path: str) -> int:
    """How many segments the paths of a rule and a request begin with alike."""
    pairs = zip(trial.rule.path.split("/"), path.split("/"), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _like(trial: Trial, path: str) -> tuple[int, float, int]:
    """The same, then how much they look alike, then how little else the rule asks for."""
    rule = trial.rule
    looks = SequenceMatcher(None, rule.path[:LOOKED_AT], path[:LOOKED_AT]).ratio()
    return _alike(trial, path), looks, -len(rule.headers) - len(rule.query) - bool(rule.method)


def describe(rule: ir.Rule) -> str:
    """`prefix /cart`."""
    return f"{rule.path_type} {rule.path}"


def spelled(rule: ir.Rule) -> str:
    """`GET prefix /cart header x-env=prod`."""
    return " ".join((*filter(None, (rule.method,)), describe(rule), *conditions(rule)))


def conditions(rule: ir.Rule) -> Iterator[str]:
    """What a rule asks for beside method and path: `header x-env=prod`, `query v~[12]` for an expression."""
    for kind, predicates in (("header", rule.headers), ("query", rule.query)):
        for each in predicates:
            yield _condition(kind, each)


def _missed(trial: Trial, asked: Asked) -> Iterator[Missed]:
    """What the request does not meet, path first; of a rule with another path nothing more is looked at."""
    rule, taken = trial.rule, trial.taken
    if taken is None:
        verb = {"exact": "is not", "prefix": "does not begin with", "regex": "does not match"}[rule.path_type]
        yield Missed("path", f"path {verb} {rule.path}", "")
        return
    if taken.expression is not None and _holds(taken.expression, asked.path) is None:
        yield Missed("path", f"path is too long for {rule.path}", "")
    if rule.method and rule.method.encode() != asked.method:
        yield Missed("method", f"method is {shown(asked.method)}, it wants {rule.method}", f"method {rule.method}")
    yield from _unmet(rule, asked)


def _unmet(rule: ir.Rule, asked: Asked) -> Iterator[Missed]:
    """Conditions one by one, each by the choice that the proxy would make if there were no other."""
    for kind, predicates in (("header", rule.headers), ("query", rule.query)):
        for each in predicates:
            alone = replace(_ANY, headers=(each,)) if kind == "header" else replace(_ANY, query=(each,))
            try:
                if Choice([Rule(alone, {})]).choose(*asked.fields()) is not None:
                    continue
                value = _value(kind, each.name, asked)
                is_what = "is missing" if value is None else f"is {shown(value)!r}"
            except Refused:
                is_what = "is too long for an expression"
            wanted = f"a match of {each.value}" if each.regex else repr(shown(each.value.encode()))
            yield Missed(kind, f"{kind} {each.name} {is_what}, it wants {wanted}", _condition(kind, each))


_ANY = ir.Rule("any", "", "", "/", "prefix", ())


def _value(kind: str, name: str, asked: Asked) -> bytes | None:
    if kind == "query":
        return parameters(asked.target).get(name.encode())
    lines = field.stated(asked.stated, asked.request_id) if field.is_stated(name) else asked.head
    return field.value(lines, lines.lower(), field.needle(name))


def _condition(kind: str, predicate: ir.Predicate) -> str:
    return f"{kind} {predicate.name}{'~' if predicate.regex else '='}{predicate.value}"


def _told(trial: Trial, won: Trial | None, matching: int, asked: Asked) -> RuleTrial:
    rule = trial.rule
    if trial is won:
        by, why = "", "the only one that matches" if matching == 1 else f"the first of {matching} that match"
    elif not trial.matches:
        by, why, _ = next(_missed(trial, asked))
    elif won is not None:
        first = spelled(won.rule) if won.rule.route == rule.route else named(won.rule)
        by, why = "order", f"matches, but {first} comes first: {_sooner(won, trial)}"
    else:
        by, why = "order", "matches, but the request was refused before"
    return RuleTrial(
        name=rule.name,
        route=rule.route,
        section=rule.section,
        hostname=trial.hostname,
        method=rule.method or ANY_METHOD,
        pattern=rule.path,
        path_type=rule.path_type,
        conditions=tuple(conditions(rule)),
        matches=trial.matches,
        chosen=trial is won,
        lost_by=by,
        why=why,
    )


def _sooner(won: Trial, lost: Trial) -> str:
    """Why one of two rules that match is tried before the other (docs/routing.md)."""
    one, other = won.rule, lost.rule
    if won.hostname != lost.hostname:
        return f"host {won.hostname} is more specific"
    if one.tried[:3] != other.tried[:3]:
        if one.path_type == other.path_type:
            return "its prefix is longer"
        return f"{_ARTICLES[one.path_type]} comes before {_ARTICLES[other.path_type]}"
    if one.order != other.order:
        return next((text for better, text in _more(one, other) if better), "it stands first in the configuration")
    if one.created != other.created:
        return "its route is older"
    return "it stands first in the route" if one.route == other.route else "its route comes first by name"


def _more(one: ir.Rule, other: ir.Rule) -> tuple[tuple[bool, str], ...]:
    return (
        (bool(one.method) > bool(other.method), "it asks for a method"),
        (len(one.headers) > len(other.headers), "it asks for more headers"),
        (len(one.query) > len(other.query), "it asks for more query parameters"),
    )


def named(rule: ir.Rule) -> str:
    """The route that a rule comes from, and its name in it if it has one."""
    return f"{rule.route}, rule {rule.section}" if rule.section else rule.route


def shown(value: bytes) -> str:
    """A value as text, cut where it is long."""
    text = value.decode(errors="backslashreplace")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def by_host(resources: Mapping[str, ir.Resource]) -> dict[str, list[ir.Rule]]:
    """The rules of each virtual host."""
    found: dict[str, list[ir.Rule]] = {}
    for resource in resources.values():
        if isinstance(resource, ir.Rule):
            found.setdefault(resource.host, []).append(resource)
    return found
