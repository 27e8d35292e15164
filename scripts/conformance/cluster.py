"""A control plane for one run: etcd, kube-apiserver and kube-controller-manager, real ones, as local processes.

The controllers that run are the ones whose work the suite or an installed gateway sees: Pods come of Deployments,
EndpointSlices of Services, namespaces empty when they end. What needs a machine (scheduler, kubelet) is `kubelet`'s.
"""

import shutil
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from .api import Api
from .certificates import Authority, Pair, write_key
from .network import HOST, SERVICES
from .process import Process, free_port

START = 90.0  # seconds, on a machine that does other things too
LOCAL = "127.0.0.1"
CONTROLLERS = (
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A control plane that serves."""

    server: str  # URL
    authority: Authority
    kubeconfig: Path  # of a cluster administrator
    processes: tuple[Process, ...]

    def context(self, pair: Pair) -> ssl.SSLContext:
        """For a client with this certificate."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(pair.certificate, pair.key)
        return context


def write_kubeconfig(
    path: Path, server: str, authority: Path, user: dict[str, str], namespace: str = "default"
) -> Path:
    """A kubeconfig of one cluster and one user, whose fields are given, in `namespace`; readable by its owner alone."""
    name = "conformance"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        "users": [{"name": name, "user": user}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    return path


def _etcd(binary: Path, folder: Path, client: str, peer: str) -> list[str]:
    return [
        str(binary),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # nobody needs the data after a crash
        "--log-level=warn",
    ]


def _apiserver(
    binary: Path, etcd: str, port: int, folder: Path, authority: Path, serving: Pair, kubelet: Pair
) -> list[str]:
    return [
        str(binary),
        f"--etcd-servers={etcd}",
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        f"--secure-port={port}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={authority}",
        f"--kubelet-certificate-authority={authority}",
        f"--kubelet-client-certificate={kubelet.certificate}",
        f"--kubelet-client-key={kubelet.key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'service-accounts.key'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        f"--cert-dir={folder}",
    ]


def _controllers(binary: Path, kubeconfig: Path, folder: Path, authority: Path) -> list[str]:
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--service-account-private-key-file={folder / 'service-accounts.key'}",
        f"--root-ca-file={authority}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--concurrent-deployment-syncs=2",
    ]


@asynccontextmanager
async def running(programs: Mapping[str, Path], folder: Path) -> AsyncIterator[Cluster]:
    """A cluster in this network namespace for as long as the context lasts. Logs, keys and data go to `folder`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = Authority(folder)
    write_key(folder / "service-accounts.key")
    administrator = authority.issue("administrator", "system:masters")
    kubelet = authority.issue("kube-apiserver-kubelet-client", "system:masters")
    serving = authority.issue(
        "kube-apiserver",
        addresses=(HOST, LOCAL, SERVICES.rsplit(".", 1)[0] + ".1"),
        names=("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
    )
    etcd, peer = (f"http://{LOCAL}:{free_port(LOCAL)}" for _ in range(2))
    port = free_port(HOST)
    server = f"https://{HOST}:{port}"
    ca = authority.certificate
    user = {"client-certificate": str(administrator.certificate), "client-key": str(administrator.key)}
    kubeconfig = write_kubeconfig(folder / "kubeconfig", server, ca, user)
    commands = {
        "etcd": _etcd(programs["etcd"], folder, etcd, peer),
        "kube-apiserver": _apiserver(programs["kube-apiserver"], etcd, port, folder, ca, serving, kubelet),
        "kube-controller-manager": _controllers(programs["kube-controller-manager"], kubeconfig, folder, ca),
    }
    async with AsyncExitStack() as ended:
        ended.callback(shutil.rmtree, folder / "etcd", ignore_errors=True)
        processes = []
        for name, command in commands.items():
            process = await Process.start(name, command, folder / f"{name}.log")
            ended.push_async_callback(process.stop)
            processes.append(process)
            if name == "kube-apiserver":
                cluster = Cluster(server, authority, kubeconfig, tuple(processes))
                async with Api(server, cluster.context(administrator)) as api:
                    await process.await_ready(api.healthy, START)
        yield Cluster(server, authority, kubeconfig, tuple(processes))
