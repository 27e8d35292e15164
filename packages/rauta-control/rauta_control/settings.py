"""The settings: from flags and variables to one frozen struct, or to everything that is wrong with them. Pure.

Reading is repeatable: at SIGHUP `reread` parses `Settings.argv` again, which reads files named by @FILE anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from rauta_control import balance, flags, limits, options, routespec, serviceterms, values
from rauta_control.flags import Flag, Given
from rauta_control.forwarded import pseudonym, trust
from rauta_control.handshake import upgrades
from rauta_control.ir import Balance
from rauta_control.limits import Limits
from rauta_control.routespec import Address, BackendSpec, RouteSpec
from rauta_control.serviceterms import Range, ServiceTerms
from rauta_control.sharedmem import MAX_WORKERS

T = TypeVar("T")

# Variables that are no flags of this program but of another RAUTA program.
_ELSEWHERE = ("RAUTA_ADMIN_ENDPOINT", "RAUTA_FORMAT")
_KNOWN = (*(flag.variable for flag in options.FLAGS if flag.variable), *_ELSEWHERE)

NOTHING_TO_ROUTE_TO = """nothing to route to: say where requests go in one of these ways
  rauta-control --to 127.0.0.1:9001
  rauta-control --route /api=127.0.0.1:9001,127.0.0.1:9002 --route shop.example/=web:8080
  RAUTA_BACKEND_ADDR=127.0.0.1:9001 rauta-control
  rauta-control --config gateway.yaml
  rauta-control --kubernetes
or see it work with backends of its own: rauta-control --demo"""


# Fields that say where objects come from, which a control process settles at its start.
_SETTLED = {
    "demo": options.DEMO,
    "kubernetes": options.KUBERNETES,
    "kubeconfig": options.KUBECONFIG,
    "namespaces": options.NAMESPACES,
    "secrets_by_name": options.SECRETS_BY_NAME,
    "services": options.GATEWAY_SERVICES,
}

DEFAULT_CLASS = "rauta"
OWN_SERVICE = ("rauta-system", "rauta")
TARGET_PORTS = Range(10000, 19999)
DEFAULT_LIMITS = Limits()


class PairFiles(NamedTuple):
    """The paths of a certificate chain and of its private key."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a user can set. Times are in seconds."""

    bind: tuple[Address, ...] = (Address("0.0.0.0", 8080),)  # where to accept requests for `routes`, if there are any
    tls_bind: tuple[Address, ...] = ()  # where to accept HTTPS requests for them; empty without tls_pairs
    tls_pairs: tuple[PairFiles, ...] = ()
    addresses: tuple[str, ...] = ()  # what listeners with a wildcard host bind instead of everything; empty: everything
    routes: tuple[RouteSpec, ...] = ()  # from --to, --route and RAUTA_BACKEND_ADDR; never two of one host and path
    balance: Balance = field(default_factory=Balance)  # among the endpoints of a backend
    admin_host: str = "127.0.0.1"  # an IP literal
    admin_port: int = 9091  # 0: the kernel chooses
    probe_host: str = "::"  # an IP literal; "::" is IPv4 too
    probe_port: int = 9092  # 0: the kernel chooses
    gateway_class: str = DEFAULT_CLASS
    one_class: bool = False  # the class was given: serve no other
    config: str = ""  # the file or folder of manifests; empty: there is none
    kubernetes: bool = False  # follow a cluster
    kubeconfig: str = ""  # the path of one; empty: where it is usual, or from inside a pod
    namespaces: tuple[str, ...] = ()  # the only ones to follow; empty: all
    secrets_by_name: bool = False  # read only those that are referred to
    services: ServiceTerms | None = None  # keep a Service for each Gateway
    log: str = "info"  # one of values.LEVELS
    access_log: str = "stdout"  # "stdout", "off" or a path
    workers: int = 1  # 1 to MAX_WORKERS
    drain_delay: float = 0.0  # between SIGTERM and the drain
    drain_timeout: float = 30.0  # for requests in flight
    trusted_proxies: tuple[str, ...] = ()  # networks whose word about clients counts
    via: str = ""  # this gateway's name in Via; empty: no Via
    upgrades: tuple[str, ...] = ()  # tokens, lower case, offered on the routes given here besides websocket
    limits: Limits = DEFAULT_LIMITS
    demo: bool = False  # demo backends
    check: bool = False  # only check the settings
    argv: tuple[str, ...] = field(default=(), compare=False)  # what these were parsed from, to parse it again


def parse(
    argv: Sequence[str],
    environ: Mapping[str, str],
    cpus: float,
    open_text: Callable[[str], str] = lambda name: Path(name).read_text(encoding="utf-8-sig"),
) -> Settings | list[str]:
    """Return the settings, or all problems at once. `cpus`: how many this process may use, also a fraction.

    Each problem names the flag or variable as it was given, its value and what is expected.
    """
    reader = _Reader(argv, environ, open_text)
    settings = _settings(reader, argv, cpus)
    problems = [
        *reader.problems,
        *_collisions(settings),
        *_services(settings),
        *flags.unknown_variables(environ, _KNOWN),
        *flags.garbled(f"{name}={environ[name]}" for name in _KNOWN if name in environ),
        *_sources(settings, reader),
        *_idle(settings, reader),
    ]
    return problems or settings


def reread(running: Settings, environ: Mapping[str, str], cpus: float) -> Settings | list[str]:
    """Return what the settings of a running gateway become at SIGHUP, or all that speaks against it."""
    read = parse(running.argv, environ, cpus, _file_again)
    if isinstance(read, list):
        return read
    differ = [flag.name for name, flag in _SETTLED.items() if getattr(read, name) != getattr(running, name)]
    return [f"{name}: expected what it was at the start; restart the gateway to change it" for name in differ] or read


def _file_again(name: str) -> str:
    """The text of a file. What was given by a pipe, as `@<(...)`, is gone; to wait for it would hold up the gateway."""
    path = Path(name)
    if path.exists() and not path.is_file():
        raise ValueError("it is no file that could be read again")
    return path.read_text(encoding="utf-8-sig")


def _settings(reader: _Reader, argv: Sequence[str], cpus: float) -> Settings:
    """The settings as given, one by one; what is wrong with a value is among the reader's problems."""
    routes = reader.routes()
    kubernetes = reader.switch(options.KUBERNETES)
    standalone = bool(routes or reader.given(options.DEMO) or not (reader.given(options.CONFIG) or kubernetes))
    bind, tls_bind = reader.sockets() if standalone else reader.no_sockets()
    default = Settings()
    return Settings(
        bind=bind,
        tls_bind=tls_bind,
        tls_pairs=reader.tls_pairs(),
        addresses=reader.one(options.ADDRESSES, values.ips, default.addresses),
        routes=routes,
        balance=reader.one(options.BALANCE, balance.parse, default.balance),
        admin_host=reader.one(options.ADMIN_HOST, routespec.ip, default.admin_host),
        admin_port=reader.one(options.ADMIN_PORT, routespec.port, default.admin_port),
        probe_host=reader.one(options.PROBE_HOST, routespec.ip, default.probe_host),
        probe_port=reader.one(options.PROBE_PORT, routespec.port, default.probe_port),
        gateway_class=reader.one(options.GATEWAY_CLASS, values.class_name, default.gateway_class),
        one_class=bool(reader.given(options.GATEWAY_CLASS)),
        config=reader.one(options.CONFIG, values.path, default.config),
        kubernetes=kubernetes,
        kubeconfig=reader.one(options.KUBECONFIG, values.path, default.kubeconfig) if kubernetes else "",
        namespaces=reader.one(options.NAMESPACES, values.namespaces, default.namespaces),
        secrets_by_name=reader.switch(options.SECRETS_BY_NAME),
        services=reader.services(),
        log=reader.level(),
        access_log=reader.one(options.ACCESS_LOG, values.access_log, default.access_log),
        workers=reader.one(options.WORKERS, values.worker_count, min(MAX_WORKERS, max(1, math.floor(cpus)))),
        drain_delay=reader.one(options.DRAIN_DELAY, values.seconds, default.drain_delay),
        drain_timeout=reader.one(options.DRAIN_TIMEOUT, values.seconds, default.drain_timeout),
        trusted_proxies=reader.one(options.TRUSTED_PROXIES, trust, default.trusted_proxies),
        via=reader.one(options.VIA, pseudonym, default.via),
        upgrades=reader.one(options.UPGRADES, upgrades, default.upgrades),
        limits=reader.limits(),
        demo=bool(reader.given(options.DEMO)),
        check=bool(reader.given(options.CHECK)),
        argv=tuple(argv),
    )


class _Reader:
    """Converts what was given and collects the problems; a value with a problem counts as not given."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], open_text: Callable[[str], str]) -> None:
        self._environ = environ
        self._arguments = flags.read(options.FLAGS, argv, open_text)
        self.problems = self._arguments.problems

    def given(self, flag: Flag) -> list[Given]:
        return self._arguments.of(flag, self._environ)

    def one(self, flag: Flag, convert: Callable[[str], T], default: T) -> T:
        """The value of a flag that has one. Given more often the last counts, so that a script can append."""
        value = self._convert(given[-1], convert) if (given := self.given(flag)) else None
        return default if value is None else value

    def switch(self, flag: Flag) -> bool:
        """Whether a flag without a value was given, or its variable says yes."""
        return self.one(flag, values.yes, default=False)

    def sockets(self) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
        """Where requests for routes given here are accepted, plain and over TLS."""
        return self.binds(options.FROM) or Settings().bind, self.tls_binds()

    def no_sockets(self) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
        """The same where there are none."""
        return self.no_binds(options.FROM), self.no_binds(options.TLS_BIND, options.TLS_CERT, options.TLS_KEY)

    def binds(self, flag: Flag) -> tuple[Address, ...]:
        found: list[Address] = []
        for given in self.given(flag):
            for address in self._convert(given, values.addresses) or ():
                if address.port and address in found:
                    self.problems.append(f"{given}: expected each address once")
                found.append(address)
        return tuple(found)

    def tls_binds(self) -> tuple[Address, ...]:
        if self.given(options.TLS_CERT) or self.given(options.TLS_KEY):
            return self.binds(options.TLS_BIND) or (Address("0.0.0.0", 8443),)
        for given in self.given(options.TLS_BIND):
            self.problems.append(
                f"{given}: expected a certificate for it, with {options.TLS_CERT.name} and {options.TLS_KEY.name}"
            )
        return ()

    def tls_pairs(self) -> tuple[PairFiles, ...]:
        certificates, keys = self._paths(options.TLS_CERT), self._paths(options.TLS_KEY)
        if len(certificates) != len(keys):
            both = ((options.TLS_CERT, certificates), (options.TLS_KEY, keys))
            given = ", ".join(f"{flag.name} ({flag.variable}) {' '.join(each) or 'none'}" for flag, each in both)
            self.problems.append(f"{given}: expected a key for each certificate, in the same order")
            return ()
        return tuple(PairFiles(*both) for both in zip(certificates, keys, strict=True))

    def _paths(self, flag: Flag) -> list[str]:
        found = []
        for given in self.given(flag):
            for path in given.value.split(","):
                if not path.strip():
                    self.problems.append(f"{given}: expected the path of a file")
                elif path.strip() in found:
                    self.problems.append(f"{given}: expected each file once")
                found.append(path.strip())
        return found

    def no_binds(self, *of: Flag) -> tuple[Address, ...]:
        """Nothing, where requests go only where manifests say; who binds all the same is told."""
        for given in (given for flag in of for given in self.given(flag)):
            self.problems.append(
                f"{given}: expected {options.TO.name} or {options.ROUTE.name} too; Gateways say themselves where"
            )
        return ()

    def routes(self) -> tuple[RouteSpec, ...]:
        found: dict[tuple[str, str], RouteSpec] = {}
        if (catch_all := self._catch_all()) is not None:
            found["", "/"] = catch_all
        for given in self.given(options.ROUTE):
            route = self._convert(given, routespec.route)
            if route and found.setdefault((route.host, route.path), route) is not route:
                place = f"{route.host}{route.path}"
                self.problems.append(f"{given}: expected one route for {place}, with all its backends in it")
        return tuple(found.values())

    def _catch_all(self) -> RouteSpec | None:
        """The route of --to: all its backends together."""
        given = self.given(options.TO)
        backends: list[BackendSpec] = []
        for one in given:
            backends += self._convert(one, routespec.backends) or ()
        together = Given(given[0].source, ",".join(one.value for one in given)) if backends else None
        pool = self._convert(together, lambda _: routespec.pool(backends)) if together else None
        return RouteSpec("", "/", pool) if pool else None

    def services(self) -> ServiceTerms | None:
        kind = self.one(options.GATEWAY_SERVICES, values.service_type, None)
        own = self.one(options.OWN_SERVICE, serviceterms.own_service, OWN_SERVICE)
        targets = self.one(options.TARGET_PORTS, serviceterms.port_range, TARGET_PORTS)
        if kind is not None:
            return ServiceTerms(kind, *own, targets)
        if not self.given(options.GATEWAY_SERVICES):
            for given in (*self.given(options.OWN_SERVICE), *self.given(options.TARGET_PORTS)):
                self.problems.append(f"{given}: expected {options.GATEWAY_SERVICES.name} too, which it is about")
        return None

    def limits(self) -> Limits:
        read = {name: self.one(flag, partial(limits.read, name), None) for name, flag in limits.FLAGS.items()}
        given: dict[str, Any] = {name: value for name, value in read.items() if value is not None}
        made = replace(Limits(), **given)
        for name, expected in limits.without_effect(made, given):
            self.problems.append(f"{self.given(limits.FLAGS[name])[-1]}: expected {expected}")
        return made

    def level(self) -> str:
        given = self.given(options.LOG)
        directives = bool(given) and given[-1].source == options.LOG.alias
        return self.one(options.LOG, values.rust_level if directives else values.level, "info")

    def _convert(self, given: Given, convert: Callable[[str], T]) -> T | None:
        try:
            return convert(given.value)
        except ValueError as error:
            self.problems.append(f"{given}: expected {error}")
            return None


def _sources(settings: Settings, reader: _Reader) -> Iterator[str]:
    """What says where requests go must be there, and objects come from one place."""
    if settings.config and settings.kubernetes:
        yield f"{options.CONFIG.name} and {options.KUBERNETES.name}: expected one of them, objects come from one place"
    routes = reader.given(options.TO) or reader.given(options.ROUTE)
    if not (settings.demo or settings.config or settings.kubernetes or routes or reader.problems):  # may be one of them
        yield NOTHING_TO_ROUTE_TO


def _idle(settings: Settings, reader: _Reader) -> Iterator[str]:
    """What has no effect without something else."""
    if not settings.kubernetes:
        about = [
            options.KUBECONFIG,
            options.NAMESPACES,
            *([options.SECRETS_BY_NAME] if settings.secrets_by_name else []),
        ]
        for given in (given for flag in about for given in reader.given(flag)):
            if given.source != options.KUBECONFIG.variable:  # kubectl's own, which many a shell has
                yield f"{given}: expected {options.KUBERNETES.name} too, which it is about"
    if not settings.bind:
        for given in reader.given(options.UPGRADES):
            yield (
                f"{given}: expected {options.TO.name} or {options.ROUTE.name} too; HTTPRoutes have the annotation "
                "rauta.io/upgrades"
            )


def _collisions(settings: Settings) -> list[str]:
    """Sockets of our own that could not all be bound."""
    servers = [
        (options.ADMIN_PORT.name, Address(settings.admin_host, settings.admin_port)),
        (options.PROBE_PORT.name, Address(settings.probe_host, settings.probe_port)),
    ]
    wanted = [(options.FROM.name, at) for at in settings.bind] + [
        (options.TLS_BIND.name, at) for at in settings.tls_bind
    ]
    binds = {(name, Address(host, at.port)) for name, at in wanted for host in _hosts(at, settings.addresses)}
    sockets = [*sorted(binds, key=str), *servers]
    return [
        f"{name} {address}: expected a free address, and {other_name} has {other}"
        for number, (name, address) in enumerate(sockets)
        for other_name, other in sockets[:number]
        if routespec.overlap(address, other)
    ]


def _hosts(address: Address, addresses: tuple[str, ...]) -> tuple[str, ...]:
    """What a listener really binds: `addresses` replace a wildcard."""
    return addresses if addresses and address.host in ("::", "0.0.0.0") else (address.host,)


def _services(settings: Settings) -> Iterator[str]:
    """What does not go together with a Service for each Gateway."""
    terms = settings.services
    if terms is None:
        return
    flag = options.GATEWAY_SERVICES.name
    if not settings.kubernetes:
        yield f"{flag}: expected {options.KUBERNETES.name} too; Services are objects of a cluster"
    if settings.addresses:
        yield f"{flag} and {options.ADDRESSES.name}: expected one of them, they say where Gateways get addresses from"
    if settings.namespaces and terms.namespace not in settings.namespaces:
        yield (
            f"{options.NAMESPACES.name} {','.join(settings.namespaces)}: expected {terms.namespace} among them, where "
            f"the Service of {options.OWN_SERVICE.name} is"
        )
    for name, port in (
        (options.ADMIN_PORT.name, settings.admin_port),
        (options.PROBE_PORT.name, settings.probe_port),
        *((options.FROM.name, at.port) for at in settings.bind),
        *((options.TLS_BIND.name, at.port) for at in settings.tls_bind),
    ):
        if port in terms.targets:
            yield f"{name} {port}: expected a port outside of {options.TARGET_PORTS.name} {terms.targets}"
