from __future__ import annotations

import pytest

from rauta_control import flags, limits, options
from rauta_control.balance import EXPECTED
from rauta_control.channel import encode
from rauta_control.ir import Balance
from rauta_control.messages import Retune
from rauta_control.routespec import Address, BackendSpec, RouteSpec
from rauta_control.serviceterms import Range, ServiceTerms
from rauta_control.settings import Settings, parse

CATCH_ALL = RouteSpec("", "/", (BackendSpec("web", 80),))


def settings(*argv: str, **environ: str) -> Settings:
    parsed = parse(["--to", "web:80", *argv], environ, 4.0)
    assert isinstance(parsed, Settings), parsed
    return parsed


def problems(*argv: str, **environ: str) -> list[str]:
    parsed = parse(["--to", "web:80", *argv], environ, 4.0)
    assert isinstance(parsed, list), parsed
    return parsed


def test_defaults() -> None:
    assert settings() == Settings(routes=(CATCH_ALL,), workers=4)
    defaults = Settings()
    assert defaults.bind == (Address("0.0.0.0", 8080),)
    assert (defaults.admin_host, defaults.admin_port) == ("127.0.0.1", 9091)
    assert (defaults.probe_host, defaults.probe_port) == ("::", 9092)
    assert (defaults.drain_delay, defaults.drain_timeout) == (0.0, 30.0)


# flag, variable, value, field, what it becomes
GOOD = [
    ("--from", "RAUTA_BIND_ADDR", "127.0.0.1:1", "bind", (Address("127.0.0.1", 1),)),
    ("--from", "RAUTA_BIND_ADDR", "[::1]:1, :2", "bind", (Address("::1", 1), Address("::", 2))),
    ("--from", "RAUTA_BIND_ADDR", "127.0.0.1:0,127.0.0.1:0", "bind", (Address("127.0.0.1", 0),) * 2),
    ("--addresses", "RAUTA_ADDRESSES", "10.0.0.1,[fd00::1]", "addresses", ("10.0.0.1", "fd00::1")),
    ("--admin-host", "RAUTA_ADMIN_HOST", "0.0.0.0", "admin_host", "0.0.0.0"),
    ("--admin-host", "RAUTA_ADMIN_HOST", "localhost", "admin_host", "127.0.0.1"),
    ("--admin-port", "RAUTA_ADMIN_PORT", "0", "admin_port", 0),
    ("--probe-host", "RAUTA_PROBE_HOST", "[::1]", "probe_host", "::1"),
    ("--probe-port", "RAUTA_PROBE_PORT", "65535", "probe_port", 65535),
    ("--gateway-class", "RAUTA_GATEWAY_CLASS", "edge.example", "gateway_class", "edge.example"),
    ("--balance", "RAUTA_BALANCE", "maglev:header=X-User", "balance", Balance(key="header", name="x-user")),
    ("--log", "RAUTA_LOG", "WARN", "log", "warn"),
    ("--access-log", "RAUTA_ACCESS_LOG", "off", "access_log", "off"),
    ("--access-log", "RAUTA_ACCESS_LOG", "/var/log/rauta", "access_log", "/var/log/rauta"),
    ("--access-log", "RAUTA_ACCESS_LOG", "access.log", "access_log", "access.log"),
    ("--workers", "RAUTA_WORKERS", "64", "workers", 64),
    ("--drain-delay", "RAUTA_DRAIN_DELAY", "2.5", "drain_delay", 2.5),
    ("--drain-timeout", "RAUTA_DRAIN_TIMEOUT", "0", "drain_timeout", 0.0),
]


@pytest.mark.parametrize(("flag", "variable", "value", "name", "expected"), GOOD)
def test_a_setting_by_flag_and_by_variable(flag: str, variable: str, value: str, name: str, expected: object) -> None:
    for parsed in (settings(flag, value), settings(f"{flag}={value}"), settings(**{variable: f" {value} "})):
        assert getattr(parsed, name) == expected


@pytest.mark.parametrize(("flag", "variable", "value", "name", "expected"), GOOD)
def test_a_flag_wins_and_an_empty_variable_is_none(
    flag: str, variable: str, value: str, name: str, expected: object
) -> None:
    assert getattr(settings(flag, value, **{variable: "not read at all"}), name) == expected
    assert getattr(settings(**{variable: ""}), name) == getattr(settings(), name)


# flag, variable, value, what is expected
BAD = [
    ("--from", "RAUTA_BIND_ADDR", "8080", "HOST:PORT, for example 0.0.0.0:8080, [::]:8080 or :8080"),
    ("--from", "RAUTA_BIND_ADDR", "web:80", "an IP address of this machine (names are not looked up here)"),
    ("--from", "RAUTA_BIND_ADDR", "1.1.1.1:1,1.1.1.1:1", "each address once"),
    ("--addresses", "RAUTA_ADDRESSES", "web", "an IP address of this machine (names are not looked up here)"),
    ("--addresses", "RAUTA_ADDRESSES", "::1,0::1", "each address once"),
    ("--gateway-services", "RAUTA_GATEWAY_SERVICES", "External", "LoadBalancer, NodePort or ClusterIP"),
    (
        "--own-service",
        "RAUTA_OWN_SERVICE",
        "rauta",
        "the namespace of a Service and its name, as in rauta-system/rauta",
    ),
    ("--target-ports", "RAUTA_TARGET_PORTS", "9-80", "the first and the last port, 1024 to 65535, as in 10000-19999"),
    ("--target-ports", "RAUTA_TARGET_PORTS", "3000", "the first and the last port, 1024 to 65535, as in 10000-19999"),
    ("--admin-host", "RAUTA_ADMIN_HOST", "admin", "an IP address of this machine (names are not looked up here)"),
    ("--admin-port", "RAUTA_ADMIN_PORT", "70000", "a port from 0 to 65535"),
    ("--probe-host", "RAUTA_PROBE_HOST", "*", "an IP address of this machine (names are not looked up here)"),
    ("--probe-port", "RAUTA_PROBE_PORT", "-1", "a port from 0 to 65535"),
    (
        "--gateway-class",
        "RAUTA_GATEWAY_CLASS",
        "My Class",
        "the name of a GatewayClass: lower-case letters, digits, '-' and '.'",
    ),
    ("--balance", "RAUTA_BALANCE", "maglev:header", EXPECTED),
    ("--log", "RAUTA_LOG", "verbose", "error, warn, info or debug"),
    ("--access-log", "RAUTA_ACCESS_LOG", "of", "stdout, off, or the path of a file (with a '/' or a '.' in it)"),
    ("--workers", "RAUTA_WORKERS", "0", "a whole number from 1 to 64"),
    ("--workers", "RAUTA_WORKERS", "65", "a whole number from 1 to 64"),
    ("--workers", "RAUTA_WORKERS", "2.0", "a whole number from 1 to 64"),
    ("--drain-delay", "RAUTA_DRAIN_DELAY", "soon", "seconds from 0 to 86400, for example 2.5"),
    ("--drain-timeout", "RAUTA_DRAIN_TIMEOUT", "-1", "seconds from 0 to 86400, for example 2.5"),
    ("--drain-timeout", "RAUTA_DRAIN_TIMEOUT", "nan", "seconds from 0 to 86400, for example 2.5"),
    ("--drain-timeout", "RAUTA_DRAIN_TIMEOUT", "90000", "seconds from 0 to 86400, for example 2.5"),
]


@pytest.mark.parametrize(("flag", "variable", "value", "expected"), BAD)
def test_a_wrong_value_is_named_as_it_was_given(flag: str, variable: str, value: str, expected: str) -> None:
    assert problems(flag, value)[0] == f"{flag} {value}: expected {expected}"
    assert problems(**{variable: value})[0] == f"{variable}={value}: expected {expected}"


def test_all_problems_at_once() -> None:
    found = parse(
        ["--to", "web", "--workers", "none", "--colour", "red", "--route"],
        {"RAUTA_DRAIN_DELAY": "x", "RAUTA_TLS_BIND": ":1", "RAUTA_WORKER": "3", "RAUTA_K8S_MODE": "maybe"},
        1.0,
    )
    assert isinstance(found, list)
    assert [problem.split(":")[0] for problem in found] == [
        "--colour",
        "red",
        "--route",
        "--to web",
        "RAUTA_K8S_MODE=maybe",
        "RAUTA_TLS_BIND=",
        "--workers none",
        "RAUTA_DRAIN_DELAY=x",
        "RAUTA_WORKER=3",
    ]


# -- log level


@pytest.mark.parametrize(
    ("value", "expected"),
    [("info", "info"), ("Debug", "debug"), ("trace", "debug"), ("warn,hyper=error", "warn"), ("h=warn,error", "error")],
)
def test_rust_log_is_an_alias(value: str, expected: str) -> None:
    assert settings(RUST_LOG=value).log == expected
    assert settings(RUST_LOG=value, RAUTA_LOG="info").log == "info"
    assert settings("--log", "info", RUST_LOG=value).log == "info"


def test_rust_log_without_a_level_is_explained() -> None:
    assert problems(RUST_LOG="hyper=warn") == [
        "RUST_LOG=hyper=warn: expected a plain level in it (error, warn, info or debug); "
        "RAUTA_LOG=LEVEL overrides it for RAUTA"
    ]
    assert settings("--log=warn", RUST_LOG="hyper=warn").log == "warn"


# -- features to come, variables of others


@pytest.mark.parametrize("value", ["true", "1", "yes", "TRUE"])
def test_kubernetes_needs_no_other_setting(value: str) -> None:
    for found in (parse([], {"RAUTA_K8S_MODE": value}, 1.0), parse(["--kubernetes"], {"RAUTA_K8S_MODE": "no"}, 1.0)):
        assert isinstance(found, Settings)
        assert (found.kubernetes, found.bind) == (True, ())


def test_what_is_read_of_a_cluster() -> None:
    given = settings("--kubernetes", "--watch-namespaces=a,b,a", "--secrets-by-name", KUBECONFIG="/k")
    assert (given.namespaces, given.secrets_by_name, given.kubeconfig) == (("a", "b"), True, "/k")
    assert settings(KUBECONFIG="/k").kubeconfig == ""
    assert problems("--kubernetes", "--watch-namespaces=a,B") == [
        "--watch-namespaces a,B: expected names of namespaces, separated by commas"
    ]


def test_what_is_about_a_cluster_is_not_ignored_without_one() -> None:
    assert problems("--kubeconfig=/k", "--watch-namespaces=a", "--secrets-by-name") == [
        f"{given}: expected --kubernetes too, which it is about"
        for given in ("--kubeconfig /k", "--watch-namespaces a", "--secrets-by-name true")
    ]
    assert settings(KUBECONFIG="/k", RAUTA_SECRETS_BY_NAME="false") == settings()


def test_upgrades_are_of_routes_given_here() -> None:
    assert settings("--config=x", RAUTA_UPGRADES="irc").upgrades == ("irc",)
    assert parse(["--config=x"], {"RAUTA_UPGRADES": "irc"}, 1.0) == [
        "RAUTA_UPGRADES=irc: expected --to or --route too; HTTPRoutes have the annotation rauta.io/upgrades"
    ]


def test_a_service_for_each_gateway() -> None:
    given = settings("--kubernetes", "--gateway-services=LoadBalancer")
    assert given.services == ServiceTerms("LoadBalancer", "rauta-system", "rauta", Range(10000, 19999))
    more = {"RAUTA_K8S_MODE": "true", "RAUTA_OWN_SERVICE": "edge/pods", "RAUTA_TARGET_PORTS": "20000-20099"}
    given = settings(RAUTA_GATEWAY_SERVICES="ClusterIP", **more)
    assert given.services == ServiceTerms("ClusterIP", "edge", "pods", Range(20000, 20099))
    assert settings("--kubernetes").services is None


def test_a_service_for_each_gateway_does_not_go_with_everything() -> None:
    assert problems("--gateway-services=NodePort", "--addresses=10.0.0.1") == [
        "--gateway-services: expected --kubernetes too; Services are objects of a cluster",
        "--gateway-services and --addresses: expected one of them, they say where Gateways get addresses from",
    ]
    assert problems("--kubernetes", "--gateway-services=NodePort", "--watch-namespaces=a", "--probe-port=10001") == [
        "--watch-namespaces a: expected rauta-system among them, where the Service of --own-service is",
        "--probe-port 10001: expected a port outside of --target-ports 10000-19999",
    ]
    assert problems("--kubernetes", "--own-service=a/b", "--target-ports=2000-3000") == [
        "--own-service a/b: expected --gateway-services too, which it is about",
        "--target-ports 2000-3000: expected --gateway-services too, which it is about",
    ]


def test_objects_come_from_one_place() -> None:
    assert problems("--kubernetes", "--config=x.yaml") == [
        "--config and --kubernetes: expected one of them, objects come from one place"
    ]


@pytest.mark.parametrize("value", ["false", "0", "no", "", "False"])
def test_no_kubernetes_is_fine(value: str) -> None:
    assert not settings(RAUTA_K8S_MODE=value).kubernetes


def test_kubernetes_mode_is_true_or_false() -> None:
    assert problems(RAUTA_K8S_MODE="maybe") == ["RAUTA_K8S_MODE=maybe: expected true or false"]


@pytest.mark.parametrize("variable", ["RAUTA_TLS_CERT", "RAUTA_TLS_KEY"])
def test_a_certificate_and_its_key_come_together(variable: str) -> None:
    certificate, key = ("/x.pem", "none") if variable == "RAUTA_TLS_CERT" else ("none", "/x.pem")
    assert problems(**{variable: "/x.pem"}) == [
        f"--tls-cert (RAUTA_TLS_CERT) {certificate}, --tls-key (RAUTA_TLS_KEY) {key}: "
        "expected a key for each certificate, in the same order"
    ]
    assert settings(**{variable: ""}).tls_pairs == ()


def test_certificates_and_where_they_are_served() -> None:
    parsed = settings(RAUTA_TLS_CERT="/a.crt, /b.crt", RAUTA_TLS_KEY="/a.key,/b.key")
    assert parsed.tls_pairs == (("/a.crt", "/a.key"), ("/b.crt", "/b.key"))
    assert parsed.tls_bind == (Address("0.0.0.0", 8443),)
    flags = ("--tls-cert", "/a", "--tls-key", "/b", "--tls-bind", ":443", "--tls-bind", "127.0.0.1:8444")
    assert settings(*flags).tls_bind == (Address("::", 443), Address("127.0.0.1", 8444))
    assert settings().tls_bind == ()


def test_https_needs_a_certificate_and_a_free_address() -> None:
    assert problems("--tls-bind", ":443") == [
        "--tls-bind :443: expected a certificate for it, with --tls-cert and --tls-key"
    ]
    pair = ("--tls-cert", "/a", "--tls-key", "/b")
    assert problems(*pair, "--tls-bind", ":8080") == [
        "--tls-bind [::]:8080: expected a free address, and --from has 0.0.0.0:8080"
    ]
    assert problems(*pair, *pair) == [
        "--tls-cert /a: expected each file once",
        "--tls-key /b: expected each file once",
    ]


def test_variables_of_the_other_programs_are_fine_and_slips_are_not() -> None:
    assert settings(RAUTA_ADMIN_ENDPOINT="http://x", RAUTA_FORMAT="json")
    assert problems(RAUTA_LOGS="x") == ["RAUTA_LOGS=x: unknown variable; did you mean RAUTA_LOG?"]


def test_a_service_called_rauta_admin_does_not_set_the_admin_port() -> None:
    assert settings(RAUTA_ADMIN_PORT="tcp://10.0.0.1:9091", RAUTA_ADMIN_SERVICE_HOST="10.0.0.1").admin_port == 9091


# -- sockets of our own


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (
            ["--admin-port", "9092"],
            "--probe-port [::]:9092: expected a free address, and --admin-port has 127.0.0.1:9092",
        ),
        (["--from", ":9091"], "--admin-port 127.0.0.1:9091: expected a free address, and --from has [::]:9091"),
        (
            ["--from", "0.0.0.0:80", "--from", "127.0.0.1:80"],
            "--from 127.0.0.1:80: expected a free address, and --from has 0.0.0.0:80",
        ),
    ],
)
def test_sockets_that_exclude_each_other(argv: list[str], expected: str) -> None:
    assert problems(*argv) == [expected]


def test_addresses_replace_wildcards_before_they_can_collide() -> None:
    assert settings("--from", "0.0.0.0:80,[::]:80,0.0.0.0:9091", "--addresses", "10.0.0.1")
    assert settings("--admin-port", "0", "--probe-port", "0", "--from", ":0")


# -- the rest


@pytest.mark.parametrize(("cpus", "workers"), [(0.5, 1), (1.99, 1), (2.0, 2), (100.0, 64)])
def test_workers_follow_the_cpus(cpus: float, workers: int) -> None:
    parsed = parse(["--demo"], {}, cpus)
    assert isinstance(parsed, Settings)
    assert parsed.workers == workers


def test_the_last_of_a_repeated_flag_counts() -> None:
    assert settings("--workers", "2", "--workers", "3").workers == 3


def test_settings_from_other_arguments_are_equal_and_can_be_read_again() -> None:
    one, other = settings("--workers", "2"), settings("--workers=2")
    assert one == other
    assert one.argv != other.argv
    assert parse(one.argv, {}, 4.0) == one


def test_every_flag_is_explained_with_its_variable() -> None:
    text = flags.usage(options.FLAGS)
    for flag in options.FLAGS:
        assert f"  {flag.name}" in text
        assert flag.variable in text
        assert flag.text.endswith(".")
    assert {flag.name for flag in options.FLAGS} == {
        value.name for value in (*vars(options).values(), *limits.FLAGS.values()) if isinstance(value, flags.Flag)
    }


def test_manifests_alone_need_no_routes_and_bind_nothing_else() -> None:
    parsed = parse(["--config", "folder"], {}, 1.0)
    assert isinstance(parsed, Settings)
    assert (parsed.config, parsed.routes, parsed.bind) == ("folder", (), ())
    parsed = parse(["--to", "web:1"], {"RAUTA_CONFIG": "folder"}, 1.0)
    assert isinstance(parsed, Settings)
    assert (parsed.config, len(parsed.routes), len(parsed.bind)) == ("folder", 1, 1)
    assert parse(["--config", "folder", "--from", ":80"], {}, 1.0) == [
        "--from :80: expected --to or --route too; Gateways say themselves where"
    ]
    assert "--config '': expected the path of a file or folder" in problems("--config=")


def test_a_class_that_is_given_is_the_only_one() -> None:
    given = parse(["--to", "web:1", "--gateway-class", "rauta"], {}, 1.0)
    assert isinstance(given, Settings)
    assert given.one_class
    default = parse(["--to", "web:1"], {}, 1.0)
    assert isinstance(default, Settings)
    assert (default.gateway_class, default.one_class) == ("rauta", False)


def test_a_variable_that_is_no_text_is_refused() -> None:
    assert problems(RAUTA_ACCESS_LOG="/\udcff") == ["'RAUTA_ACCESS_LOG=/\\udcff': expected text in UTF-8, without NUL"]


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--access-log", "/" + "x" * 4_095, "expected a path of at most 4095 bytes"),
        (
            "--trusted-proxies",
            ",".join(f"10.0.{n >> 8}.{n & 255}" for n in range(2_001)),
            "expected at most 2000 networks",
        ),
    ],
)
def test_no_setting_is_longer_than_a_message_to_workers(flag: str, value: str, said: str) -> None:
    networks = ",".join(f"ffff:ffff:ffff:ffff:ffff:ffff:ffff:{n:x}/128" for n in range(0xF000, 0xF000 + 2_000))
    most = settings("--access-log", "/" + "x" * 4_094, "--trusted-proxies", networks, "--via", "x" * 64)
    encode(Retune(most.limits, most.workers, most.trusted_proxies, most.via, most.access_log))
    (problem,) = problems(flag, value)
    assert said in problem
