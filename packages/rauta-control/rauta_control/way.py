"""The way of a request that comes in by one listener, step by step as in downstream.py. Pure.

The head goes through the gate of every request (head.py); the rules that may take it become a routing table like a
worker's (draft.py), and that table decides. Only the part of the configuration that host name and path can reach is
built, so that a question costs little beside tens of thousands of routes.

The client is taken for a stranger, at an address nobody knows: what it says in X-Forwarded-* decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from rauta_agent_api.explanation import Explanation, HostTrial, Outcome
from rauta_control import hostname, ir, servername
from rauta_control.action import UNSET
from rauta_control.certificate import vouches
from rauta_control.choice import Choice
from rauta_control.cluster import Clusters
from rauta_control.draft import Draft
from rauta_control.field import REQUEST_ID
from rauta_control.finding import Finding
from rauta_control.handshake import TRAILERS
from rauta_control.head import RequestHead, split_host
from rauta_control.limits import Limits, met
from rauta_control.outcomes import Routed, closed, outcomes, refusal
from rauta_control.policy import DEFAULT, Policy
from rauta_control.question import Question
from rauta_control.reasons import HandshakeFailure, Reason, Refused
from rauta_control.slices import finish
from rauta_control.table import Host, Routes, Rule, SectionRoutes, Table
from rauta_control.trials import Asked, Trial, near, reachable, told, trials

MAX_FINDINGS = 10  # of a route and its certificates that are noted
MAX_NAMES = 2_000  # host names that are looked through for one like that of the request
_UNKNOWN = b"unknown"  # what is not known of a request that is not made (RFC 7239 6.2)


class _Found(NamedTuple):
    """A rule, decided by the table: as requests use it, and as the configuration has it."""

    rule: Rule
    spec: ir.Rule


class _Closed(Exception):  # noqa: N818 - a verdict, not a fault of ours
    """The connection comes to nothing."""


class Known(NamedTuple):
    """What a gateway is asked with: its configuration, the rules of each virtual host in it, and what was found."""

    resources: Mapping[str, ir.Resource]
    rules: Mapping[str, list[ir.Rule]]
    limits: Limits
    findings: Sequence[Finding]


class Way:
    """See the module; `explain` is called once."""

    def __init__(self, known: Known, listener: ir.Listener, question: Question) -> None:
        self._resources, self._rules, self._limits, self._findings = known
        self._listener = listener
        self._question = question
        self._met: set[tuple[str, str]] = set()  # kind and path of objects that the request meets
        self._head = RequestHead(known.limits, scheme=b"https" if question.secure else b"http")
        self._host = self._path = b""
        self._hosts: list[HostTrial] = []
        self._tried: list[Trial] = []
        self._notes: list[str] = []
        self._suggestions: list[str] = []

    def explain(self, made: Explanation) -> Explanation:
        """Return what was begun, complete but for the listeners and the verdict."""
        try:
            section = self._section()
        except _Closed as end:
            return replace(made, outcomes=(closed(str(end)),))
        found = None
        try:
            self._read()
            found = self._routed(section)
            given = self._outcomes(found)
        except Refused as refused:
            detail = f"{refused.reason.detail} ({refused.note})" if refused.note else refused.reason.detail
            given = (refusal(refused.reason, detail),)
        if found is not None:
            self._met.add(("HTTPRoute", found.spec.route))
        self._notes += islice(map(str, filter(self._concerns, self._findings)), MAX_FINDINGS)
        rules, omitted = told(self._tried, found.spec.name if found else "", self._asked())
        made = replace(
            made,
            host=self._host.decode(errors="backslashreplace"),
            path=self._path.decode(),
            hosts=tuple(self._hosts),
            rules=rules,
            rules_omitted=omitted,
            outcomes=given,
            notes=tuple(self._notes),
        )
        if found is not None:
            made = _policy(replace(made, route=found.spec.route, rule=found.spec.name), found.spec)
        return replace(made, suggestions=tuple(self._suggestions))

    def _section(self) -> str | None:
        """Which section of a TLS listener the server name selects, None on a listener without TLS."""
        listener, question = self._listener, self._question
        if not listener.tls:
            if question.secure:
                raise _Closed("this port takes HTTP without TLS, and the URL is one of https")
            return None
        if not question.secure:
            return ""
        names = {each.hostname: each for each in listener.tls}
        entry = servername.entry(names, question.server_name)
        if entry is None:
            raise _Closed(f"{HandshakeFailure.UNKNOWN_NAME.detail}: {question.server_name or 'none is sent'}")
        self._met.update(("Secret", name) for name in entry.secrets)
        self._note_names(entry.secrets)
        if entry.client != "none":
            word = "needs" if entry.client == "required" else "asks for"
            self._notes.append(f"the TLS handshake {word} a client certificate")
        return servername.section(self._resources, listener.name, entry)

    def _note_names(self, secrets: Iterable[str]) -> None:
        """Note if no certificate is for the server name."""
        asked = self._question.server_name
        served = [self._resources.get(f"secret/{name}") for name in secrets]
        names = sorted({name for each in served if isinstance(each, ir.Secret) for name in each.hostnames})
        if asked and names and not any(vouches(name, asked) for name in names):
            self._notes.append(f"the certificate is for {', '.join(names)}, not for {asked}: clients refuse it")

    def _concerns(self, finding: Finding) -> bool:
        return (finding.object.kind, finding.object.path) in self._met

    def _read(self) -> None:
        """Take the head through the gate."""
        question, head = self._question, self._head
        if self._listener.tls and not question.secure:
            raise Refused(Reason.PLAIN_HTTP)
        try:
            head.read(question.head, len(question.head) - 4)
        except Refused as refused:
            raise Refused(refused.reason, refused.note or met(refused.reason, self._limits)) from refused
        path = question.head.split(b" ", 2)[1].partition(b"?")[0]
        if path != head.path:
            normal = head.path.decode()
            self._notes.append(f"path {path.decode()} is {normal} in normal form, which is matched and sent on")
        self._host, self._path = head.host, head.path

    def _routed(self, section: str | None) -> _Found:
        """Find the rule; raises Refused where there is none."""
        head, listener = self._head, self._listener
        name = split_host(head.host).decode()
        hosts = list(self._covering(name))
        chain = list(self._chain(hosts[0])) if hosts else []
        table = _table(self._part(hosts, chain))
        routes = table.listeners.get(listener.name) or Routes({})
        if section is not None:
            routes = SectionRoutes(routes, section)
        host = routes.host(head.host)
        self._hosts += _host_trials(hosts, chain, chosen=host is not None)
        if host is None:
            self._suggest_hosts(name)
            raise Refused(routes.missing(head.host))
        asked = self._asked()
        at: Host | None = host
        for each in chain:
            assert at is not None  # noqa: S101 - for the type checker: the table has the same chain
            self._tried += trials(each.hostname, at, self._rules.get(each.name, ()), asked)
            at = at.fallback
        rule = host.decide(head.method, head.path)
        if isinstance(rule, Choice):
            rule = rule.choose(*asked.fields())
        if rule is None:
            self._suggestions += near(self._tried, asked)
            if chain[0].hostname != name:
                self._suggest_hosts(name)
            raise Refused(host.missing())
        spec = self._resources[f"rule/{rule.order[1]}"]
        assert isinstance(spec, ir.Rule)  # noqa: S101 - for the type checker
        return _Found(rule, spec)

    def _covering(self, name: str) -> Iterator[ir.VirtualHost]:
        """The virtual hosts of the listener that cover a name, the most specific first."""
        for each in dict.fromkeys((name, *hostname.wider(name))):
            host = self._resources.get(f"host/{self._listener.name}|{each}")
            if isinstance(host, ir.VirtualHost):
                yield host

    def _chain(self, host: ir.VirtualHost) -> Iterator[ir.VirtualHost]:
        """A host, and those that are asked after it."""
        at: ir.Resource | None = host
        while isinstance(at, ir.VirtualHost):
            yield at
            at = self._resources.get(f"host/{at.fallback}")

    def _part(self, hosts: list[ir.VirtualHost], chain: list[ir.VirtualHost]) -> Iterator[ir.Resource]:
        """What of the configuration the request can reach."""
        yield self._listener
        yield from hosts
        clusters: dict[str, None] = {}
        for rule in (rule for host in chain for rule in self._reachable(host)):
            yield rule
            clusters.update((share.cluster, None) for share in rule.clusters if share.cluster)
            for filters in (rule.filters, *(share.filters for share in rule.clusters)):
                clusters.update((mirror.cluster, None) for mirror in (filters.mirrors if filters else ()))
        for name in clusters:
            yield self._resources[f"cluster/{name}"]

    def _reachable(self, host: ir.VirtualHost) -> list[ir.Rule]:
        """The rules of a host that may take the path; any one if none may: a host with a rule is not one without."""
        rules = self._rules.get(host.name, [])
        return reachable(rules, self._head.path) or rules[:1]

    def _asked(self) -> Asked:
        head = self._head
        stated = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n"
        stated %= (_UNKNOWN, head.scheme, head.host)
        known = head.request_id or _UNKNOWN
        return Asked(head.method, head.path, head.target, self._question.head[:-2], stated, known)

    def _outcomes(self, found: _Found) -> tuple[Outcome, ...]:
        head, data = self._head, self._question.head
        own = head.fields if head.fields is not None else data[data.find(b"\n") + 1 : -2]
        asked = self._asked()
        fields = b"%b%bX-Request-Id: %b\r\n" % (own, asked.stated, asked.request_id)
        if head.fields is not None and head.wish and head.wish != TRAILERS:
            offered = head.wish in found.rule.upgrades
            then = (
                "if the backend agrees, the connection becomes a tunnel" if offered else "the route does not offer that"
            )
            self._notes.append(f"the request asks for an upgrade to {head.wish.decode()}: {then}")
        if any(each.name == "x-forwarded-for" for each in found.spec.headers):
            self._notes.append("the rule looks at x-forwarded-for, and who the client is is not known")
        if not head.request_id and any(each.name == REQUEST_ID for each in found.spec.headers):
            self._notes.append("the rule looks at x-request-id, and the one that will be made is not known")
        return outcomes(found.spec, found.rule, Routed(head.method, head.host, head.target, fields), self._resources)

    def _suggest_hosts(self, name: str) -> None:
        """Names that are served here and look like the one asked for."""
        prefix = f"host/{self._listener.name}|"
        names = (key.removeprefix(prefix) for key in self._resources if key.startswith(prefix))
        close = get_close_matches(name, islice(names, MAX_NAMES))
        self._suggestions += [f"host {each} is served here" for each in close]


def _table(part: Iterator[ir.Resource]) -> Table:
    """The routing table of a worker that knows no more than this."""
    draft = Draft(Table.empty(), Clusters())
    finish(draft.stage(part, ()))
    finish(draft.fill())
    return draft.commit(0)


def _host_trials(hosts: list[ir.VirtualHost], chain: list[ir.VirtualHost], *, chosen: bool) -> Iterator[HostTrial]:
    for at, host in enumerate(hosts):
        if at == 0:
            why = (
                _specific(host.hostname) if chosen else "belongs to another listener than the TLS server name selected"
            )
        elif host in chain:
            why = f"asked where no rule of {hosts[0].hostname} matches"
        else:
            why = f"not asked: {hosts[0].hostname} is more specific"
        yield HostTrial(hostname=host.hostname, chosen=chosen and at == 0, why=why)


def _specific(name: str) -> str:
    if name == hostname.ANY:
        return "takes every name that no other host covers"
    return "the longest wildcard that covers the name" if name.startswith("*.") else "the exact name"


def _policy(made: Explanation, spec: ir.Rule) -> Explanation:
    """Add timeouts and retries; None of it where the rule says nothing and no default is worth a word."""
    if not any(each.action == "forwarded" for each in made.outcomes):
        return made
    policy = Policy.of(spec) or DEFAULT
    return replace(
        made,
        request_timeout_seconds=None if spec.request_timeout == UNSET else policy.request,
        backend_timeout_seconds=None if spec.backend_timeout == UNSET else policy.backend,
        retry_attempts=policy.attempts,
        retry_codes=tuple(sorted(policy.codes)),
    )
