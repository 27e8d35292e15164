"""From the objects of a source to what is published, shown and said of them, kept up to date. Pure.

    source -> edit -> Translator -> `pending` resources -> (control publishes) -> statuses as they are to be shown

A Sink (source.py). Work is done in slices, one at a time; edits that come meanwhile wait for the next. What was
translated stays in `pending` until it was published, so that a failed attempt loses nothing. A status is that of the
translation with what became of sockets and workers laid over it (overlay.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from rauta_control.addresses import held_by
from rauta_control.condition import Status, stamp
from rauta_control.finding import Finding, finding
from rauta_control.gateway import Gateway
from rauta_control.ir import Listener, Resource, Rule
from rauta_control.kinds import AnyResource
from rauta_control.listenerset import ListenerSet
from rauta_control.messages import Bound
from rauta_control.overlay import failures, gateway_of, ground, overlaid
from rauta_control.settings import Settings
from rauta_control.slices import Slices
from rauta_control.source import Fault
from rauta_control.supported import BEHIND_SERVICES, TODAY
from rauta_control.terms import Terms
from rauta_control.translate import Change, Translator
from rauta_control.validity import Period, outdated, period_of
from rauta_control.world import Key

PLACED = ("GatewayClass", "Gateway", "ListenerSet")  # kinds that a change of may move addresses
MAX_SAID = 10  # broken documents among the problems of the gateway
HELD = "documents were broken when control restarted: until something is edited, what was published before is served"
UNSURE = "documents were broken when control restarted: until they are mended, nothing goes that they may have said"
DOCUMENT = "Document"  # the kind of what cannot be told to be an object


class Pipeline:
    """See the module. `wake` is called when there is something to translate.

    Public to read: `resources` as translated, `pending` of them to publish (None: to delete), `statuses` to show, and
    whether they are `complete`, so that they can be published, and `sure`, so that what is not among them is to go.

    `restored` says that an older configuration is published already. A source that then begins with broken documents
    may not know what they were when they were good: then what is published stays as it is until something is edited. In
    any case what nobody says any more stays until nothing is broken (`sure`).
    """

    def __init__(self, terms: Terms, wake: Callable[[], None], *, restored: bool = False) -> None:
        self.pending: dict[str, Resource | None] = {}
        self.statuses: dict[Key, Status] = {}
        self.complete = False
        self.sure = not restored
        self._synced = False
        self._wake = wake
        self._terms = terms
        self._retold = False  # whether it is to be told although nothing was edited
        self._translator = Translator(terms)
        self._edits: dict[Key, AnyResource | None] = {}
        self._faults: tuple[Fault, ...] = ()
        self._failures: dict[Key, tuple[Finding, ...]] = {}
        self._findings: tuple[Finding, ...] | None = None
        self._periods: dict[str, Period] = {}  # of certificates, by resource key
        # -- Gateways and what stands on them
        self._sockets: dict[Key, dict[str, Listener]] = {}  # by Gateway and resource key
        self._listeners: list[Listener] | None = None  # all of them; None: to be listed anew
        self._standing: dict[Key, set[Key]] = {}  # Gateways and ListenerSets with a status, by Gateway
        self._awaited: dict[Key, int | None] = {}  # Gateways whose sockets changed: since which generation, once known
        self._unsettled: dict[Key, None] = {}  # objects whose status is to be made anew

    # -- the sink

    def edit(self, objects: Mapping[Key, AnyResource | None]) -> None:
        """See Sink."""
        self._edits.update(objects)
        self.complete = self._synced
        self._wake()

    def report(self, faults: Sequence[Fault]) -> None:
        """See Sink."""
        self._faults = tuple(faults)
        self._findings = None
        if self._synced and not self._broken:
            self.complete = self.sure = True
            self._wake()

    def synced(self) -> None:
        """See Sink."""
        if not self._synced:
            self._synced = True
            self.sure |= not self._broken
            self.complete = self.sure or all(fault.kept for fault in self._faults if fault.problem.level == "error")
            self._wake()

    # -- what else translation depends on

    def tell(self, terms: Terms) -> None:
        """Translate under these terms from now on; their `held` and `names` are not looked at."""
        self._terms = replace(terms, held=self._terms.held, names=self._terms.names)
        self._retold = True
        self._wake()

    def resolve(self, addresses: Mapping[str, tuple[str, ...]]) -> None:
        """Take the addresses of host names, as far as they are known."""
        names = {host: addresses[host] for host in self.hosts if addresses.get(host)}
        if names != self._terms.names:
            self._terms = replace(self._terms, names=names)
            self._retold = True

    def hold(self, resources: Iterable[Resource]) -> None:
        """Let Gateways keep the addresses that they have in this configuration."""
        self._terms = replace(self._terms, held=held_by(resources))

    @property
    def hosts(self) -> frozenset[str]:
        """The host names of endpoints."""
        return self._translator.hosts

    @property
    def resources(self) -> Mapping[str, Resource]:
        """All resources as translated."""
        return self._translator.resources

    @property
    def sockets(self) -> list[Listener]:
        """The listeners among them: the same list until one of them changes."""
        if self._listeners is None:
            found = {each.key: each for sockets in self._sockets.values() for each in sockets.values()}
            self._listeners = list(found.values())
        return self._listeners

    @property
    def waits(self) -> bool:
        """Whether statuses are to be settled, or wait for workers."""
        return bool(self._unsettled or self._awaited)

    @property
    def busy(self) -> bool:
        """Whether there is anything to translate."""
        return bool(self._edits) or self._retold

    # -- the work

    def updating(self, now: datetime) -> Slices[Change]:
        """Translate what was said since the last time."""
        edits, self._edits = self._edits, {}
        terms = None
        if self._retold or any(key.kind in PLACED for key in edits):
            terms, self._retold = self._terms, False
        change = yield from self._translator.updating(edits, now, terms)
        self.pending.update(change.upserts)
        self.pending.update(dict.fromkeys(change.deletes))
        for key in [key for key in (*change.upserts, *change.deletes) if key.startswith("secret/")]:
            self._periods.pop(key, None)
            if key in change.upserts and (period := period_of(change.upserts[key])) is not None:
                self._periods[key] = period
                yield
        moved = [key for key in (*change.upserts, *change.deletes) if key.startswith("listener/")]
        for key in moved:
            self._socket(key, change.upserts.get(key))
        if moved:
            self.hold(self.sockets)
        yield
        self._unsettled.update(dict.fromkeys(change.statuses))
        if change.findings:
            self._findings = None
        return change

    def wanted(self, some: Mapping[str, Resource | None], held: Mapping[str, Resource]) -> dict[str, Resource]:
        """What is to be published of `some` resources, where `held` is published.

        A cluster with a host name that never had an address, as when control was restarted and the name server is down,
        stays as it is: old addresses are better than none.
        """
        waiting = self._translator.unresolved(self._terms.names)
        return {
            key: held[key] if waiting and key in held and key.rpartition(":")[0] in waiting else each
            for key, each in some.items()
            if each is not None
        }

    def gone(self, held: Mapping[str, Resource]) -> list[str]:
        """What of `pending` is to be deleted, where `held` is published.

        Only rules while `sure` is not given: rules that nobody can translate now may need all that is not a rule.
        """
        missing = (key for key, each in self.pending.items() if each is None and key in held)
        return [key for key in missing if self.sure or isinstance(held[key], Rule)]

    def published(self, generation: int, refused: Collection[str] = ()) -> None:
        """Know that all of `pending` but what was `refused` is published as of `generation`, or was before."""
        self.pending = {key: self.resources[key] for key in refused if key in self.resources}
        for gateway, since in self._awaited.items():
            if since is None:
                self._awaited[gateway] = generation

    def moved(self, socket: str) -> None:
        """Know that there is another answer about binding this listener."""
        for gateway, sockets in self._sockets.items():
            if f"listener/{socket}" in sockets:
                self._unsettled.update(dict.fromkeys(self._standing.get(gateway, ())))

    def settling(
        self, bound: Mapping[str, Bound], acknowledged: int, now: datetime
    ) -> Slices[dict[Key, Status | None]]:
        """Bring `statuses` up to date and return those that changed.

        `bound` is what became of the listeners by name, `acknowledged` the generation that every worker has.
        """
        arrived = [key for key, since in self._awaited.items() if since is not None and since <= acknowledged]
        for gateway in arrived:
            del self._awaited[gateway]
            self._unsettled.update(dict.fromkeys(self._standing.get(gateway, ())))
        unsettled, self._unsettled = self._unsettled, {}
        changed: dict[Key, Status | None] = {}
        for key in unsettled:
            old, new = self.statuses.get(key), self._status(key, bound, now)
            if new is None:
                self.statuses.pop(key, None)
            else:
                self.statuses[key] = new
            if new != old:
                changed[key] = new
            yield
        return changed

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything found, in no order: of the translation, of sockets, and of documents."""
        if self._findings is None:
            failed = (each for found in self._failures.values() for each in found)
            self._findings = (*self._translator.findings(), *failed, *map(of_fault, self._faults))
        return self._findings

    def outdated(self, now: datetime) -> tuple[Finding, ...]:
        """What is found of certificates that are not valid now."""
        return tuple(outdated(self._periods, now))

    @property
    def problems(self) -> list[str]:
        """A sentence for each document that is broken, the first few of many."""
        broken = self._broken
        more = [f"{len(broken) - MAX_SAID} more documents are broken: see the findings"] if broken[MAX_SAID:] else []
        unsure = [UNSURE if self.complete else HELD] if self._synced and not self.sure else []
        return unsure + broken[:MAX_SAID] + more

    @property
    def _broken(self) -> list[str]:
        return [str(fault) for fault in self._faults if fault.problem.level == "error"]

    def _socket(self, key: str, socket: Resource | None) -> None:
        """Take note of a socket that changed, by its resource key."""
        self._listeners = None
        for gateway, sockets in list(self._sockets.items()):
            if sockets.pop(key, None) is not None:
                self._awaited[gateway] = None
                if not sockets:
                    del self._sockets[gateway]
        if isinstance(socket, Listener):
            for path in socket.gateways:
                gateway = Key.of_path("Gateway", path)
                self._sockets.setdefault(gateway, {})[key] = socket
                self._awaited[gateway] = None

    def _status(self, key: Key, bound: Mapping[str, Bound], now: datetime) -> Status | None:
        """The status of an object as it is to be shown."""
        status = self._translator.statuses.get(key)
        resource = self._translator.object(key)
        gateway = gateway_of(resource)
        old_failures = self._failures.pop(key, ())
        if gateway is not None and status is not None:
            self._standing.setdefault(gateway, set()).add(key)
        elif key.kind in ("Gateway", "ListenerSet"):
            for standing in self._standing.values():
                standing.discard(key)
        if isinstance(resource, Gateway | ListenerSet) and gateway is not None and status is not None:
            under = ground(self._sockets.get(gateway, {}).values(), bound, acknowledged=gateway not in self._awaited)
            if found := tuple(failures(resource, status, under)):  # type: ignore[arg-type]  # the status of its kind
                self._failures[key] = found
            shown = overlaid(resource, status, under)  # type: ignore[arg-type]
            status = stamp(shown, self.statuses.get(key) or resource.status, now)
        if self._failures.get(key, ()) != old_failures:
            self._findings = None
        return status


def terms_of(given: Settings, local: tuple[str, ...]) -> Terms:
    """What the settings of the gateway, on a machine with these `local` addresses, mean to translation."""
    return Terms(
        class_name=given.gateway_class,
        local=local,
        one_class=given.one_class,
        pool=given.addresses,
        wildcard="::",
        balance=given.balance,
        services=given.services,
        abilities=TODAY if given.services is None else BEHIND_SERVICES,
    )


def of_fault(fault: Fault) -> Finding:
    """What is wrong with a document, as a finding."""
    problem = fault.problem
    if problem.level == "warning":
        number = 71
    else:
        number = 72 if (problem.code, problem.path) == ("duplicate", "metadata.name") else 70
    subject = fault.key or Key(fault.subject or DOCUMENT, "", fault.place)
    return replace(finding(number, subject, problem.path, problem.message), place=fault.place)
