"""Which cluster, and as whom: from a kubeconfig (with its exec plug-ins, by kr8s), or from inside a pod.

A shell. Everything else sees only a `ClusterAccess`. The order is that of other controllers: a kubeconfig that was
named, else the service account of the pod, else the kubeconfig in the home folder.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rauta_control.regularfile import NOT_REGULAR, is_special

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOME_CONFIG = "~/.kube/config"
REREAD = 60.0  # seconds; the kubelet renews a token long before its end, and an old one is good for minutes more
REFRESH = 10.0  # seconds in which credentials are asked for once, however many requests were refused


class AccessError(Exception):
    """There is no way to the cluster; the text says why and what to do."""


class ClusterAccess(Protocol):
    """A way to an API server. The properties may change after `headers` and `refresh`: read them for each request."""

    @property
    def base_url(self) -> str:
        """`https://10.0.0.1:443`, without a slash at the end."""

    @property
    def ssl(self) -> ssl.SSLContext:
        """How to verify the server and, with client certificates, who we are."""

    @property
    def server_name(self) -> str | None:
        """The name to find in the server's certificate where it is not the host's."""

    @property
    def proxy(self) -> str | None:
        """The URL of a proxy on the way."""

    @property
    def namespace(self) -> str:
        """The namespace we are in."""

    def headers(self) -> Mapping[str, str]:
        """The headers that say who we are."""

    async def refresh(self) -> None:
        """Ask for credentials anew: the server took them for invalid. Raises AccessError."""


async def find(kubeconfig: str, environ: Mapping[str, str]) -> ClusterAccess:
    """Find the cluster. An empty `kubeconfig` is not set. Raises AccessError."""
    named = kubeconfig or environ.get("KUBECONFIG", "")
    if not named and "KUBERNETES_SERVICE_HOST" in environ and (SERVICE_ACCOUNT / "token").exists():
        return InCluster(environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443"))
    access = FromKubeconfig(named or str(Path(HOME_CONFIG).expanduser()))
    await access.load()
    return access


class InCluster:
    """The service account of this pod; `folder` is where the kubelet keeps it fresh. Raises AccessError."""

    server_name: str | None = None
    proxy: str | None = None

    def __init__(
        self, host: str, port: str, folder: Path = SERVICE_ACCOUNT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.base_url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._folder = folder
        self._clock = clock
        self._authorities = b""
        self._token = ""
        self._due = 0.0
        try:
            self.namespace = (folder / "namespace").read_text().strip()
            self._read()
        except OSError as error:
            raise AccessError(f"cannot read the service account: {error}; mount its token into the pod") from None

    def headers(self) -> Mapping[str, str]:
        """The token, read again each minute."""
        if self._clock() >= self._due:
            try:
                self._read()
            except OSError:  # between two versions of a mounted volume; the token in hand is still good
                self._due = self._clock() + 1.0
        return {"Authorization": f"Bearer {self._token}"}

    async def refresh(self) -> None:
        """Read the token now."""
        self._due = 0.0

    def _read(self) -> None:
        self._token = (self._folder / "token").read_text().strip()
        authorities = (self._folder / "ca.crt").read_bytes()
        if authorities != self._authorities:
            try:
                self.ssl = _lenient(ssl.create_default_context(cadata=authorities.decode()))
            except (ssl.SSLError, ValueError) as error:
                raise AccessError(f"{self._folder / 'ca.crt'} holds no certificates: {error}") from None
            self._authorities = authorities
        self._due = self._clock() + REREAD


class FromKubeconfig:
    """The current context of a kubeconfig, read by kr8s. `path` may be several, with colons in between."""

    base_url = ""
    ssl: ssl.SSLContext
    server_name: str | None = None
    proxy: str | None = None
    namespace = "default"

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._asked = -REFRESH
        self._headers: dict[str, str] = {}

    def headers(self) -> Mapping[str, str]:
        """The token, if it is by one that we are known."""
        return self._headers

    async def refresh(self) -> None:
        """Read the kubeconfig and run its plug-in again."""
        if self._clock() - self._asked >= REFRESH:
            await self.load()

    async def load(self) -> None:
        """Read everything."""
        from kr8s.asyncio import Api  # noqa: PLC0415 - 0.7 s that only those wait who have a kubeconfig

        self._asked = self._clock()
        for path in filter(is_special, self._path.split(os.pathsep)):  # opening a pipe would wait for a writer
            raise AccessError(f"cannot use the kubeconfig {path}: {NOT_REGULAR.lower()}; it is read again at times")
        auth: Any = Api(kubeconfig=self._path, serviceaccount="", bypass_factory=True).auth
        try:
            with _memory():
                await auth
                context = await auth.ssl_context()  # True if the kubeconfig has nothing to say about it
        except Exception as error:
            if not any(map(os.path.exists, self._path.split(os.pathsep))):
                # kr8s only says that there are no credentials.
                raise AccessError(
                    f"there is no kubeconfig {self._path}: name one by --kubeconfig or KUBECONFIG, or run in a pod"
                ) from error
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise AccessError(
                f"cannot use the kubeconfig {self._path}: {text}; check it with `kubectl --kubeconfig {self._path} "
                "get namespaces`"
            ) from error
        if not isinstance(context, ssl.SSLContext):
            context = ssl.create_default_context()
        elif auth.server_ca_file is None:
            context.load_default_certs()  # kr8s would trust nobody
        self.ssl = _lenient(context)
        self.base_url = auth.server.rstrip("/")
        self.server_name = auth.tls_server_name
        self.proxy = auth.proxy
        self.namespace = auth.namespace or "default"
        self._headers = {"Authorization": f"Bearer {auth.token}"} if auth.token else {}


def _lenient(context: ssl.SSLContext) -> ssl.SSLContext:
    """Have it verify what kubectl and other Go programs do, with any Python: signatures, dates, usages and names.

    The authorities of many clusters, made years ago, lack extensions that RFC 5280 asks for, as identifiers of keys. By
    default Python refuses them from 3.13 on. And a certificate that is trusted by name need not be a root.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


@contextmanager
def _memory() -> Iterator[None]:
    """Have temporary files made in memory, unreadable to others, and removed: kr8s would leave keys in /tmp."""
    shm = Path("/dev/shm")  # noqa: S108 - not predictable: a folder is made there
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="rauta-", dir=shm if shm.is_dir() else None) as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before
