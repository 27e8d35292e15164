"""The settings that users can give: each flag with its variable and what it says of itself. Pure.

One table, in the order of `--help`. What the values mean is settings.py's, what they may be is said there too; those of
limits and timeouts are in limits.py.
"""

from __future__ import annotations

from rauta_control import limits
from rauta_control.flags import Flag
from rauta_control.sharedmem import MAX_WORKERS

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
GATEWAY_SERVICES = Flag(
    "--gateway-services",
    "RAUTA_GATEWAY_SERVICES",
    "TYPE",
    "Keep a Service of this type for each Gateway of the cluster (LoadBalancer, NodePort or ClusterIP), beside the "
    "Gateway and with the labels and annotations of its spec.infrastructure; the addresses that the Service gets are "
    "those of the Gateway. For pods in a network of their own; without it, Gateways get --addresses.",
)
OWN_SERVICE = Flag(
    "--own-service",
    "RAUTA_OWN_SERVICE",
    "NAMESPACE/NAME",
    "The Service that selects the pods of this gateway; those of Gateways lead where it leads. Default "
    "rauta-system/rauta.",
)
TARGET_PORTS = Flag(
    "--target-ports",
    "RAUTA_TARGET_PORTS",
    "FROM-TO",
    "The ports to bind behind those Services, one for each port of each Gateway. Default 10000-19999.",
)
DEMO = Flag("--demo", "", "", "Start with demo backends and routes to them.")
ADMIN_HOST = Flag(
    "--admin-host",
    "RAUTA_ADMIN_HOST",
    "IP",
    "Address of the admin server, which tells whoever reaches it all about the gateway. Default 127.0.0.1.",
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
    "Where a line for each request goes: stdout, off, or the path of a file, which SIGHUP and SIGUSR1 open anew. "
    "Default stdout.",
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
    GATEWAY_SERVICES,
    OWN_SERVICE,
    TARGET_PORTS,
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
