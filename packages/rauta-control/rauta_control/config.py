"""The settings: from flags and variables to one frozen struct, or to everything that is wrong with them. Pure.

Reading is repeatable: at SIGHUP `parse` is called with `Settings.argv` again, which reads files named by @FILE anew.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from rauta_control import balance, flags, limits, routespec
from rauta_control.flags import Flag, Given
from rauta_control.forwarded import pseudonym, trust
from rauta_control.handshake import upgrades
from rauta_control.ir import Balance
from rauta_control.limits import Limits
from rauta_control.routespec import Address, BackendSpec, RouteSpec
from rauta_control.sharedmem import MAX_WORKERS

T = TypeVar("T")

LEVELS = ("error", "warn", "info", "debug")  # of the log, the most important first
MAX_DRAIN = 86_400.0  # seconds; longer is a slip of the pen

FROM = Flag(
    "--from",
    "RAUTA_BIND_ADDR",
    "HOST:PORT",
    "Listen for requests here; an IP address of this machine, [::]:8080 or :8080 for all of IPv6 and IPv4. Repeatable, "
    "the variable takes a comma-separated list. Port 0 lets the kernel choose. Default 0.0.0.0:8080.",
)
TLS_CERT = Flag(
    "--tls-cert",
    "RAUTA_TLS_CERT",
    "FILE",
    "Serve HTTPS with the certificates in this PEM file, the server's own first. Repeatable, the variable takes a "
    "comma-separated list: clients get the one for their server name, else the first. Changed files are read anew.",
)
TLS_KEY = Flag(
    "--tls-key",
    "RAUTA_TLS_KEY",
    "FILE",
    "The private key of a --tls-cert, as many and in the same order; PEM, not encrypted.",
)
TLS_BIND = Flag(
    "--tls-bind",
    "RAUTA_TLS_BIND",
    "HOST:PORT",
    "Listen for HTTPS here, as --from does for HTTP. Default 0.0.0.0:8443 where there is a certificate.",
)
ADDRESSES = Flag(
    "--addresses",
    "RAUTA_ADDRESSES",
    "IP,IP",
    "The local addresses that listeners without an address of their own bind, instead of all.",
)
TO = Flag(
    "--to",
    "RAUTA_BACKEND_ADDR",
    "HOST:PORT",
    "Send every request to this backend, an IP address or a host name. Repeatable, or comma-separated: the backends "
    "share the requests, by weight where given (web:8080*3). Short for --route '/=...'.",
)
ROUTE = Flag(
    "--route",
    "",
    "ROUTE",
    "Send requests for a path and everything below it to backends: [HOST]/PATH=BACKEND[*WEIGHT][,BACKEND...], for "
    "example /api=127.0.0.1:9001,127.0.0.1:9002 or '*.shop.example/=blue:80*9,green:80*1'. Without weights the "
    "backends are one pool and a client stays with its backend; with weights each request is drawn. Repeatable.",
)
BALANCE = Flag(
    "--balance",
    "RAUTA_BALANCE",
    "POLICY",
    "How a request finds one of a backend's addresses, or one of a pool of backends. maglev: by a hash of the client's "
    "address and port, so that a connection stays where it is; maglev:ip, maglev:header=NAME or maglev:cookie=NAME: by "
    "a hash of that; least-request: the less busy of two; round-robin: in turns. Default maglev.",
)
CONFIG = Flag(
    "--config",
    "RAUTA_CONFIG",
    "PATH",
    "Serve the Gateway API objects of this YAML or JSON file, or of all such files below this folder, and follow every "
    "change of them. Beside --to and --route, which then may be missing.",
)
KUBERNETES = Flag(
    "--kubernetes",
    "RAUTA_K8S_MODE",
    "",
    "Serve the Gateway API objects of a Kubernetes cluster, follow every change of them, and write their statuses: the "
    "cluster of --kubeconfig, else the one that this runs in.",
)
KUBECONFIG = Flag("--kubeconfig", "KUBECONFIG", "PATH", "How to reach that cluster; its current context counts.")
NAMESPACES = Flag(
    "--watch-namespaces",
    "RAUTA_WATCH_NAMESPACES",
    "NAME,NAME",
    "Follow only the objects of these namespaces (GatewayClasses and Namespaces have none). Default: all.",
)
SECRETS_BY_NAME = Flag(
    "--secrets-by-name",
    "RAUTA_SECRETS_BY_NAME",
    "",
    "Read only the Secrets and ConfigMaps that Gateways refer to, each by its name, so that roles need not list more.",
)
DEMO = Flag("--demo", "", "", "Start with demo backends and routes to them.")
ADMIN_HOST = Flag(
    "--admin-host",
    "RAUTA_ADMIN_HOST",
    "IP",
    "Address of the admin server. Default 127.0.0.1: whoever reaches it can change the gateway.",
)
ADMIN_PORT = Flag(
    "--admin-port", "RAUTA_ADMIN_PORT", "PORT", "Port of the admin server; 0 lets the kernel choose. Default 9091."
)
PROBE_HOST = Flag(
    "--probe-host",
    "RAUTA_PROBE_HOST",
    "IP",
    "Address of the read-only probe server (/healthz, /readyz, /metrics). Default ::, which is all of IPv6 and IPv4.",
)
PROBE_PORT = Flag(
    "--probe-port", "RAUTA_PROBE_PORT", "PORT", "Port of the probe server; 0 lets the kernel choose. Default 9092."
)
GATEWAY_CLASS = Flag(
    "--gateway-class",
    "RAUTA_GATEWAY_CLASS",
    "NAME",
    "Serve only Gateways of this GatewayClass, which then need not exist as an object. Default: of rauta, and of every "
    "class whose controllerName is rauta.io/gateway-controller.",
)
LOG = Flag(
    "--log",
    "RAUTA_LOG",
    "LEVEL",
    "How much to say on stderr: error, warn, info or debug. Default info.",
    alias="RUST_LOG",
)
ACCESS_LOG = Flag(
    "--access-log",
    "RAUTA_ACCESS_LOG",
    "WHERE",
    "Where a line for each request goes: stdout, off, or the path of a file. Default stdout.",
)
WORKERS = Flag(
    "--workers",
    "RAUTA_WORKERS",
    "N",
    f"Processes that carry requests, 1 to {MAX_WORKERS}. Default: the cores this process may use (CPU limit or cores).",
)
DRAIN_DELAY = Flag(
    "--drain-delay",
    "RAUTA_DRAIN_DELAY",
    "SECONDS",
    "After SIGTERM, serve on for so long with readiness false, so that load balancers look elsewhere. Default 0.",
)
DRAIN_TIMEOUT = Flag(
    "--drain-timeout",
    "RAUTA_DRAIN_TIMEOUT",
    "SECONDS",
    "Then give requests in flight so long to finish. Default 30.",
)
TRUSTED_PROXIES = Flag(
    "--trusted-proxies",
    "RAUTA_TRUSTED_PROXIES",
    "CIDR,CIDR",
    "Peers whose X-Forwarded-* and Forwarded fields are believed and passed on, IP addresses or networks; those of all "
    "others are overwritten. Default none.",
)
VIA = Flag(
    "--via",
    "RAUTA_VIA",
    "NAME",
    "Add this gateway to the Via field of requests under this name, and refuse requests that name it already. "
    "Default: no Via, and nothing is refused.",
)
UPGRADES = Flag(
    "--upgrades",
    "RAUTA_UPGRADES",
    "TOKEN,TOKEN",
    "Protocols that clients may change to by the Upgrade field on the routes of --to and --route, besides websocket, "
    "which is always offered. Default none.",
)
CHECK = Flag("--check", "", "", "Check the settings, say what is wrong with them, and exit.")

FLAGS = (
    FROM,
    TO,
    ROUTE,
    BALANCE,
    CONFIG,
    KUBERNETES,
    KUBECONFIG,
    NAMESPACES,
    SECRETS_BY_NAME,
    DEMO,
    TLS_CERT,
    TLS_KEY,
    TLS_BIND,
    ADDRESSES,
    WORKERS,
    ACCESS_LOG,
    LOG,
    ADMIN_HOST,
    ADMIN_PORT,
    PROBE_HOST,
    PROBE_PORT,
    DRAIN_DELAY,
    DRAIN_TIMEOUT,
    GATEWAY_CLASS,
    TRUSTED_PROXIES,
    VIA,
    UPGRADES,
    *limits.FLAGS.values(),
    CHECK,
)

# Variables that are no flags of this program: those of the other RAUTA programs, and those of features to come.
_ELSEWHERE = ("RAUTA_ADMIN_ENDPOINT", "RAUTA_FORMAT")
_KNOWN = (*(flag.variable for flag in FLAGS if flag.variable), *_ELSEWHERE)

NOTHING_TO_ROUTE_TO = """nothing to route to: say where requests go in one of these ways
  rauta-control --to 127.0.0.1:9001
  rauta-control --route /api=127.0.0.1:9001,127.0.0.1:9002 --route shop.example/=web:8080
  RAUTA_BACKEND_ADDR=127.0.0.1:9001 rauta-control
  rauta-control --config gateway.yaml
  rauta-control --kubernetes
or see it work with backends of its own: rauta-control --demo"""


_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123

DEFAULT_CLASS = "rauta"
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
    log: str = "info"  # one of LEVELS
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
    open_text: Callable[[str], str] = lambda name: Path(name).read_text(encoding="utf-8"),
) -> Settings | list[str]:
    """Return the settings, or all problems at once. `cpus`: how many this process may use, also a fraction.

    Each problem names the flag or variable as it was given, its value and what is expected.
    """
    reader = _Reader(argv, environ, open_text)
    routes = reader.routes()
    kubernetes = reader.switch(KUBERNETES)
    standalone = bool(routes or reader.given(DEMO) or not (reader.given(CONFIG) or kubernetes))
    settings = Settings(
        bind=(reader.binds(FROM) or (Address("0.0.0.0", 8080),)) if standalone else reader.no_binds(FROM),
        tls_bind=reader.tls_binds() if standalone else reader.no_binds(TLS_BIND, TLS_CERT, TLS_KEY),
        tls_pairs=reader.tls_pairs(),
        addresses=reader.one(ADDRESSES, _ips, ()),
        routes=routes,
        balance=reader.one(BALANCE, balance.parse, Balance()),
        admin_host=reader.one(ADMIN_HOST, routespec.ip, "127.0.0.1"),
        admin_port=reader.one(ADMIN_PORT, routespec.port, 9091),
        probe_host=reader.one(PROBE_HOST, routespec.ip, "::"),
        probe_port=reader.one(PROBE_PORT, routespec.port, 9092),
        gateway_class=reader.one(GATEWAY_CLASS, _class_name, DEFAULT_CLASS),
        one_class=bool(reader.given(GATEWAY_CLASS)),
        config=reader.one(CONFIG, _path, ""),
        kubernetes=kubernetes,
        kubeconfig=reader.one(KUBECONFIG, _path, "") if kubernetes else "",
        namespaces=reader.one(NAMESPACES, _namespaces, ()),
        secrets_by_name=reader.switch(SECRETS_BY_NAME),
        log=reader.level(),
        access_log=reader.one(ACCESS_LOG, _access_log, "stdout"),
        workers=reader.one(WORKERS, _worker_count, min(MAX_WORKERS, max(1, math.floor(cpus)))),
        drain_delay=reader.one(DRAIN_DELAY, _seconds, 0.0),
        drain_timeout=reader.one(DRAIN_TIMEOUT, _seconds, 30.0),
        trusted_proxies=reader.one(TRUSTED_PROXIES, trust, ()),
        via=reader.one(VIA, pseudonym, ""),
        upgrades=reader.one(UPGRADES, upgrades, ()),
        limits=reader.limits(),
        demo=bool(reader.given(DEMO)),
        check=bool(reader.given(CHECK)),
        argv=tuple(argv),
    )
    problems = reader.problems + _collisions(settings) + flags.unknown_variables(environ, _KNOWN)
    if settings.config and kubernetes:
        problems.append(f"{CONFIG.name} and {KUBERNETES.name}: expected one of them, objects come from one place")
    if not (settings.demo or settings.config or kubernetes or reader.given(TO) or reader.given(ROUTE)):
        problems.append(NOTHING_TO_ROUTE_TO)
    return problems or settings


class _Reader:
    """Converts what was given and collects the problems; a value with a problem counts as not given."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], open_text: Callable[[str], str]) -> None:
        self._environ = environ
        self._arguments = flags.read(FLAGS, argv, open_text)
        self.problems = self._arguments.problems

    def given(self, flag: Flag) -> list[Given]:
        return self._arguments.of(flag, self._environ)

    def one(self, flag: Flag, convert: Callable[[str], T], default: T) -> T:
        """The value of a flag that has one. Given more often the last counts, so that a script can append."""
        value = self._convert(given[-1], convert) if (given := self.given(flag)) else None
        return default if value is None else value

    def switch(self, flag: Flag) -> bool:
        """Whether a flag without a value was given, or its variable says yes."""
        return self.one(flag, _yes, default=False)

    def binds(self, flag: Flag) -> tuple[Address, ...]:
        found: list[Address] = []
        for given in self.given(flag):
            for address in self._convert(given, _addresses) or ():
                if address.port and address in found:
                    self.problems.append(f"{given}: expected each address once")
                found.append(address)
        return tuple(found)

    def tls_binds(self) -> tuple[Address, ...]:
        if self.given(TLS_CERT) or self.given(TLS_KEY):
            return self.binds(TLS_BIND) or (Address("0.0.0.0", 8443),)
        for given in self.given(TLS_BIND):
            self.problems.append(f"{given}: expected a certificate for it, with {TLS_CERT.name} and {TLS_KEY.name}")
        return ()

    def tls_pairs(self) -> tuple[PairFiles, ...]:
        certificates, keys = self._paths(TLS_CERT), self._paths(TLS_KEY)
        if len(certificates) != len(keys):
            both = ((TLS_CERT, certificates), (TLS_KEY, keys))
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
            self.problems.append(f"{given}: expected {TO.name} or {ROUTE.name} too; Gateways say themselves where")
        return ()

    def routes(self) -> tuple[RouteSpec, ...]:
        found: dict[tuple[str, str], RouteSpec] = {}
        if (catch_all := self._catch_all()) is not None:
            found["", "/"] = catch_all
        for given in self.given(ROUTE):
            route = self._convert(given, routespec.route)
            if route and found.setdefault((route.host, route.path), route) is not route:
                place = f"{route.host}{route.path}"
                self.problems.append(f"{given}: expected one route for {place}, with all its backends in it")
        return tuple(found.values())

    def _catch_all(self) -> RouteSpec | None:
        """The route of --to: all its backends together."""
        given = self.given(TO)
        backends: list[BackendSpec] = []
        for one in given:
            backends += self._convert(one, routespec.backends) or ()
        together = Given(given[0].source, ",".join(one.value for one in given)) if backends else None
        pool = self._convert(together, lambda _: routespec.pool(backends)) if together else None
        return RouteSpec("", "/", pool) if pool else None

    def limits(self) -> Limits:
        read = {name: self.one(flag, partial(limits.read, name), None) for name, flag in limits.FLAGS.items()}
        values: dict[str, Any] = {name: value for name, value in read.items() if value is not None}
        return replace(Limits(), **values)

    def level(self) -> str:
        given = self.given(LOG)
        directives = bool(given) and given[-1].source == LOG.alias
        return self.one(LOG, _rust_level if directives else _level, "info")

    def _convert(self, given: Given, convert: Callable[[str], T]) -> T | None:
        try:
            return convert(given.value)
        except ValueError as error:
            self.problems.append(f"{given}: expected {error}")
            return None


def _addresses(text: str) -> tuple[Address, ...]:
    return tuple(routespec.address(part.strip()) for part in text.split(","))


def _ips(text: str) -> tuple[str, ...]:
    found = tuple(routespec.ip(part.strip()) for part in text.split(","))
    if len(set(found)) != len(found):
        raise ValueError("each address once")
    return found


def _class_name(text: str) -> str:
    if not routespec.is_name(text):
        raise ValueError("the name of a GatewayClass: lower-case letters, digits, '-' and '.'")
    return text


def _path(text: str) -> str:
    if not text:
        raise ValueError("the path of a file or folder")
    return text


def _level(text: str) -> str:
    if text.lower() not in LEVELS:
        raise ValueError("error, warn, info or debug")
    return text.lower()


def _rust_level(text: str) -> str:
    """RUST_LOG is a list of directives, a bare level among them is for everything: `info,hyper=warn`."""
    bare = [part.strip().lower().replace("trace", "debug") for part in text.split(",")]
    levels = [level for level in bare if level in LEVELS]
    if not levels:
        raise ValueError("a plain level in it (error, warn, info or debug); RAUTA_LOG=LEVEL overrides it for RAUTA")
    return levels[-1]


def _access_log(text: str) -> str:
    if text not in ("stdout", "off") and not re.search(r"[/.]", text):
        raise ValueError("stdout, off, or the path of a file (with a '/' or a '.' in it)")
    return text


def _worker_count(text: str) -> int:
    return routespec.whole(text, 1, MAX_WORKERS, f"a whole number from 1 to {MAX_WORKERS}")


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) > MAX_DRAIN:
        raise ValueError(f"seconds from 0 to {MAX_DRAIN:.0f}, for example 2.5")
    return float(text)


def _collisions(settings: Settings) -> list[str]:
    """Sockets of our own that could not all be bound."""
    servers = [
        (ADMIN_PORT.name, Address(settings.admin_host, settings.admin_port)),
        (PROBE_PORT.name, Address(settings.probe_host, settings.probe_port)),
    ]
    wanted = [(FROM.name, at) for at in settings.bind] + [(TLS_BIND.name, at) for at in settings.tls_bind]
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


def _yes(text: str) -> bool:
    """`true` or `false`, or what else people write for it."""
    said = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.strip().lower())
    if said is None:
        raise ValueError("true or false")
    return said


def _namespaces(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    if not all(map(_NAMESPACE.fullmatch, names)):
        raise ValueError("names of namespaces, separated by commas")
    return tuple(dict.fromkeys(names))
