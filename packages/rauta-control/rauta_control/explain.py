"""What a request would get, and why: the way of a request through a configuration, decided by the proxy itself. Pure.

Nothing here has an opinion of its own. entrance.py knows by which listeners the request may come in; for each of them
way.py has the proxy's own code decide, and trials.py and outcomes.py put into words what it saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from rauta_agent_api.explanation import Explanation, ListenerTrial, Outcome
from rauta_control import entrance, ir
from rauta_control.entrance import Door
from rauta_control.finding import Finding
from rauta_control.limits import Limits
from rauta_control.messages import Bound
from rauta_control.outcomes import closed
from rauta_control.question import Question
from rauta_control.trials import by_host
from rauta_control.way import Known, Way

MAX_DOORS = 16  # listeners that are tried; who has more can name one


def explain(
    resources: Mapping[str, ir.Resource],
    question: Question,
    *,
    listener: str = "",
    bound: Mapping[str, Bound] | None = None,
    limits: Limits | None = None,
    findings: Iterable[Finding] = (),
    generation: int | None = None,
) -> Explanation:
    """Explain what a request gets. `listener` is the name of one, or of a Gateway; empty: those of the URL's port.

    Of `findings`, those about the route and the certificates that the request meets are among the notes.
    Raises `not_found` for a listener that does not exist.
    """
    bound = bound or {}
    begun = Explanation(verdict="", generation=generation, method=question.method, url=question.url)
    found = entrance.doors(resources, bound, question, listener)
    if not found:
        ports = ", ".join(map(str, entrance.ports(resources, bound))) or "no listener"
        return _closed(begun, f"nothing listens on port {entrance.port_of(question)}; there is {ports}")
    known = Known(resources, by_host(resources), limits or Limits(), sorted(findings))
    ways = [_by(door, begun, question, known) for door in found[:MAX_DOORS]]
    best = max(range(len(ways)), key=lambda at: (bool(ways[at].route), bool(ways[at].hosts), -at))
    left = len(found) - len(ways)
    notes = (f"{left} more listeners were not tried; name one",) if left else ()
    return replace(ways[best], listeners=tuple(_listeners(found, ways, best)), notes=(*ways[best].notes, *notes))


def _by(door: Door, begun: Explanation, question: Question, known: Known) -> Explanation:
    """What the request gets if it comes in by this listener."""
    if door.error:
        return _closed(begun, f"the listener is not bound: {door.error}")
    return _judged(Way(known, door.listener, question).explain(begun))


def _listeners(found: Sequence[Door], ways: Sequence[Explanation], best: int) -> Iterator[ListenerTrial]:
    for at, (door, way) in enumerate(zip(found, ways, strict=False)):
        yield ListenerTrial(
            name=door.listener.name,
            address=door.address,
            port=door.port,
            protocol=door.listener.protocol,
            chosen=at == best,
            why=door.why if at == best else way.verdict,
        )


def _closed(begun: Explanation, detail: str) -> Explanation:
    return _judged(replace(begun, outcomes=(closed(detail),)))


def _judged(made: Explanation) -> Explanation:
    said = "; ".join((f"{each.share:.1%} " if len(made.outcomes) > 1 else "") + _ending(each) for each in made.outcomes)
    return replace(made, verdict=f"{said}, by {made.route}" if made.route else said)


def _ending(outcome: Outcome) -> str:
    match outcome.action:
        case "forwarded":
            count = len(outcome.endpoints)
            return f"forwarded to {outcome.cluster} ({count} {'endpoint' if count == 1 else 'endpoints'})"
        case "redirected":
            return f"redirected with {outcome.status} to {outcome.location}"
        case "closed":
            return f"no answer: {outcome.detail}"
        case _:
            return f"answered with {outcome.status} {outcome.reason}: {outcome.detail}"
