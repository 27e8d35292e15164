"""Which listeners a URL reaches, as far as that can be known without asking DNS and whatever stands in front. Pure.

A port counts as it is bound and as the configuration names it: behind a Service those differ, and a user may mean
either. Which of several addresses a host name leads to is not ours to know, so listeners of any address are candidates,
and those of the address in the URL come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rauta_agent_api.errors import AgentApiError
from rauta_control import ir
from rauta_control.messages import Bound
from rauta_control.question import PORTS, Question


class Door(NamedTuple):
    """A listener that the request may come in by; `address` and `port` are those bound, `error` why it is not."""

    listener: ir.Listener
    address: str
    port: int
    error: str = ""
    why: str = ""


def doors(
    resources: Mapping[str, ir.Resource], bound: Mapping[str, Bound], question: Question, wanted: str = ""
) -> list[Door]:
    """Return the listeners, the likeliest first; empty if nothing listens on the port of the URL.

    `wanted` is the name of a listener, or a Gateway as `namespace/name`; the port then does not matter. Raises
    `not_found` if there is none.
    """
    every = [_door(each, bound) for each in resources.values() if isinstance(each, ir.Listener)]
    if wanted:
        return _named(every, wanted)
    protocol = "HTTPS" if question.secure else "HTTP"
    fitting = [each for each in every if each.listener.protocol == protocol]
    port = port_of(question)
    why = f"port {port}"
    here = [each for each in every if port in (each.port, each.listener.port, each.listener.spec_port)]
    if here:
        fitting = [each for each in here if each.listener.protocol == protocol] or here
    elif question.port is None:
        why = f"nothing listens on port {port}, and the URL names no other"
    else:
        fitting = []
    return [each._replace(why=why) for each in sorted(fitting, key=lambda each: each.address != question.address)]


def port_of(question: Question) -> int:
    """Return the port of the URL, that of its scheme if it names none."""
    return question.port or PORTS["https" if question.secure else "http"]


def ports(resources: Mapping[str, ir.Resource], bound: Mapping[str, Bound]) -> list[int]:
    """Return the ports on which anything listens."""
    return sorted({_door(each, bound).port for each in resources.values() if isinstance(each, ir.Listener)})


def _named(every: list[Door], wanted: str) -> list[Door]:
    found = [each for each in every if each.listener.name == wanted]
    found = found or [each for each in every if wanted in each.listener.gateways]
    if not found:
        names = ", ".join(each.listener.name for each in every) or "there is none"
        raise AgentApiError(
            "not_found", f"listener: no listener or Gateway is called {wanted!r}", f"listeners: {names}"
        )
    return [each._replace(why="asked for by name") for each in found]


def _door(listener: ir.Listener, bound: Mapping[str, Bound]) -> Door:
    place = bound.get(listener.name)
    if place is None:
        return Door(listener, listener.address, listener.port)
    return Door(listener, place.address, place.port, place.error)
