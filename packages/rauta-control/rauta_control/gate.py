"""Gates: steps on the way of a request that may have to wait for somebody else, as external authorization does.

Everything else that is done to a request is done at once, on its bytes (exchange.py). A gate is a coroutine: only a
request whose rule has one makes a task. Meanwhile no more of the request's body is read, the request's deadline goes on
(attempts.py), and the gate has one of its own; a client that leaves cancels it. A gate that takes too long or breaks,
or says what no message can have, lets nothing pass.
"""

from __future__ import annotations

import asyncio
import logging
from copy import copy
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rauta_control.action import HeaderEdit
from rauta_control.attempts import Attempts
from rauta_control.cors import is_preflight
from rauta_control.edit import Edit, unusable
from rauta_control.exchange import edit_trailers, treat
from rauta_control.policy import DEFAULT
from rauta_control.reasons import Reason

if TYPE_CHECKING:
    from rauta_control.downstream import Downstream
    from rauta_control.head import RequestHead
    from rauta_control.treatment import Treatment

_REASON = ("x-rauta-reason", Reason.GATE_ANSWERED.code)
_BODILESS = (204, 304)  # RFC 9110 8.6: without a length
_PHRASES = {int(status): status.phrase for status in HTTPStatus}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What a gate is asked about. `fields` are its field lines, each with its CRLF, without hop-by-hop ones."""

    client: bytes
    method: bytes
    target: bytes
    host: bytes
    fields: bytes
    request_id: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The gate answers the request itself, with a final status. `fields` do not frame the response."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


Verdict: TypeAlias = Answer | HeaderEdit | None
"""None: the request may pass as it is; a HeaderEdit: with these changes."""


class Gate(Protocol):
    """Something that has a say in whether a request may pass, within `timeout` seconds."""

    timeout: float

    async def ask(self, inquiry: Inquiry) -> Verdict:
        """Decide. Cancelled if the client leaves or time is up; an exception refuses the request."""


def enter(
    request: Downstream, treatment: Treatment, head: RequestHead, data: bytes, end: int, forwarded_host: bytes
) -> None:
    """Begin with a request whose rule is decided; its head is `data` up to the blank line at `end`."""
    if treatment.policy is not None or treatment.gates:
        request.attempts = attempts = Attempts(request, treatment.policy or DEFAULT)
        if treatment.gates and not _answers_preflight(request, treatment, head, data[: end + 2]):
            # The worker's one RequestHead will be filled anew while this request waits.
            passing = _pass(request, attempts, treatment, copy(head), data, end, forwarded_host)
            attempts.gate = request.worker.start(passing)
            attempts.watch()
            request.regulate()
            return
    treat(request, treatment, head, data, end, forwarded_host)


def _answers_preflight(request: Downstream, treatment: Treatment, head: RequestHead, data: bytes) -> bool:
    """Whether `treat` will answer this: browsers ask first, and without what a gate wants to see (Fetch, 3.3.2)."""
    return treatment.cors is not None and is_preflight(request.method, data if head.fields is None else head.fields)


async def _pass(
    request: Downstream,
    attempts: Attempts,
    treatment: Treatment,
    head: RequestHead,
    data: bytes,
    end: int,
    forwarded_host: bytes,
) -> None:
    if head.fields is None:
        head.fields = data[data.find(b"\n") + 1 : end + 2]
        head.wish = b""
    for gate in treatment.gates:
        inquiry = Inquiry(request.client, request.method, request.target, head.host, head.fields, request.request_id)
        try:
            async with asyncio.timeout(gate.timeout):
                verdict = _checked(await gate.ask(inquiry))
        except TimeoutError:
            attempts.gate = None
            request.fail(Reason.GATE_TIMEOUT)
            return
        except Exception:
            log.exception("%s failed", type(gate).__name__)
            attempts.gate = None
            request.fail(Reason.GATE_FAILED)
            return
        if isinstance(verdict, Answer):
            attempts.gate = None
            request.respond(Reason.GATE_ANSWERED, verdict.status, *_response(verdict, request.method))
            return
        if verdict is not None:
            edit = Edit(verdict, request=True)
            head.fields = edit.apply(head.fields)
            edit_trailers(request, head, (edit,))
    attempts.gate = None
    treat(request, treatment, head, data, end, forwarded_host)
    request.regulate()


def _checked(verdict: Verdict) -> Verdict:
    """Return a verdict that can be carried out; raise ValueError for any other. What a gate says may come from afar."""
    edit = HeaderEdit(append=verdict.fields) if isinstance(verdict, Answer) else verdict
    for name, why in unusable(edit) if edit is not None else ():
        raise ValueError(f"{name!r} {why}")
    if isinstance(verdict, Answer) and not 200 <= verdict.status <= 599:
        raise ValueError(f"{verdict.status} is not the status of a final response")
    return verdict


def _response(answer: Answer, method: bytes) -> tuple[bytes, bytes]:
    """Return the head of a response to `method`, without its blank line, and the body."""
    bodiless = answer.status in _BODILESS
    length = () if bodiless else (("Content-Length", str(len(answer.body))),)
    fields = (*answer.fields, _REASON, *length)
    lines = [
        f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, '')}",
        *(f"{name}: {value}" for name, value in fields),
        "",
    ]
    return "\r\n".join(lines).encode(), b"" if bodiless or method == b"HEAD" else answer.body
