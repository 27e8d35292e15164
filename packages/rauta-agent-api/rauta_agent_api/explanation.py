"""What a gateway would do with a request, and why: the answer to `explain`.

Pure. Conventions are those of snapshot.py. `verdict` is the answer in one sentence, the rest is how it came about, in
the order in which the gateway decides: listener, host, rule, and what a share of the requests gets.
"""

from __future__ import annotations

import msgspec


class ListenerTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A listener that the URL may reach."""

    name: str
    address: str = ""
    """As it is bound; `::` and `0.0.0.0` are all interfaces."""
    port: int
    """The port bound."""
    protocol: str = ""
    chosen: bool = False
    """Whether the rest of the explanation is about this one."""
    why: str = ""
    """Of the one chosen, why; of another, what the request would get there."""


class HostTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual host of the listener that covers the request's host name."""

    hostname: str
    """Exact, `*.suffix`, or `*` for any."""
    chosen: bool = False
    why: str = ""


class RuleTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A match of a route, and how it fared."""

    name: str
    """Stable name, unique in the gateway."""
    route: str = ""
    """The route it comes from, such as `default/shop`."""
    section: str = ""
    """The name of the route's rule, where it has one."""
    hostname: str = ""
    """The virtual host it is tried on."""
    method: str
    """`ALL` for every method."""
    pattern: str
    path_type: str = ""
    """`exact`, `prefix` or `regex`."""
    conditions: tuple[str, ...] = ()
    """What it asks for beside method and path, as in RouteSnapshot."""
    matches: bool = False
    """Whether it would take the request if it were alone."""
    chosen: bool = False
    lost_by: str = ""
    """Why it does not get the request: `path`, `method`, `header`, `query`, or `order` if it matches; else empty."""
    why: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A filter, and what it makes of this request."""

    filter: str
    """`cors`, `redirect`, `rewrite`, `request_headers`, `mirror` or `response_headers`."""
    effect: str


class EndpointShare(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint that may get the request."""

    address: str
    """IP address, without brackets."""
    port: int
    weight: int = 1
    share: float = 0.0
    """Of all requests like this one, 0 to 1."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a share of the requests like this one gets."""

    share: float = 1.0
    """Of all requests like this one, 0 to 1."""
    action: str
    """`forwarded`, `redirected`, `answered` (by the gateway), or `closed` (the connection, without an answer)."""
    status: int | None = None
    """The HTTP status; None where the backend decides, or nothing is answered."""
    reason: str = ""
    """The code that `x-rauta-reason`, the access log and docs/reasons.md have; empty where the backend answers."""
    detail: str = ""
    """What the reason means here."""
    cluster: str = ""
    weight: int | None = None
    """Of the cluster in its rule; None where no backend is drawn."""
    balance: str = ""
    """How the cluster picks an endpoint, such as `maglev`."""
    host: str = ""
    """The Host field as the backend gets it."""
    target: str = ""
    """Path and query as the backend gets them."""
    location: str = ""
    """Of a redirect."""
    steps: tuple[Step, ...] = ()
    """The filters in the order in which they run."""
    endpoints: tuple[EndpointShare, ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a request would get, and why."""

    verdict: str
    """The answer in one sentence."""
    generation: int | None = None
    """The configuration it is about; None if no gateway was asked."""
    method: str
    url: str
    host: str = ""
    """The request's Host field, in lower case."""
    path: str = ""
    """The path as it is matched and forwarded; empty if the request was refused before."""
    listeners: tuple[ListenerTrial, ...] = ()
    hosts: tuple[HostTrial, ...] = ()
    """The most specific first."""
    rules: tuple[RuleTrial, ...] = ()
    """In the order in which they are tried."""
    rules_omitted: int = 0
    """Rules of these hosts whose path does not match, beside those listed."""
    route: str = ""
    """The route that takes the request; empty if none does."""
    rule: str = ""
    """Of its rules the one, by its RuleTrial's name."""
    request_timeout_seconds: float | None = None
    """For all of the request; None: the route sets none."""
    backend_timeout_seconds: float | None = None
    """For each attempt; None: the route sets none."""
    retry_attempts: int | None = None
    """Further attempts after a failure; None if nothing is forwarded."""
    retry_codes: tuple[int, ...] = ()
    """Statuses of a backend that are tried again."""
    outcomes: tuple[Outcome, ...] = ()
    notes: tuple[str, ...] = ()
    """What else there is to know, a sentence each."""
    suggestions: tuple[str, ...] = ()
    """Where nothing matches: what nearly does, and what would have to be different."""
