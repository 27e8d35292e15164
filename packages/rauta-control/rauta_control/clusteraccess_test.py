"""Cluster access: pods, kubeconfigs with certificates, tokens and plug-ins, and what is said when there is no way."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from rauta_control.apiclient import BROKEN, ApiClient
from rauta_control.clusteraccess import REFRESH, REREAD, AccessError, FromKubeconfig, InCluster, find
from rauta_control.pki_test import BARE, Pair, authority_pem, pair

# Of kr8s, which leaves the closing of its files to the collector; from Python 3.14 on it is warned of that.
pytestmark = pytest.mark.filterwarnings("ignore:Implicitly cleaning up <_TemporaryFileWrapper:ResourceWarning")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "namespace").write_text("rauta-system")
    (tmp_path / "ca.crt").write_bytes(pair("test").certificate)
    return tmp_path


def kubeconfig(folder: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None, current: str = "here") -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "edge"}},
            {"name": "there", "context": {"cluster": "c", "user": "u"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def encoded(made: Pair) -> tuple[str, str]:
    """Certificate and key, as in a kubeconfig."""
    return base64.b64encode(made.certificate).decode(), base64.b64encode(made.key).decode()


def loaded(path: str) -> FromKubeconfig:
    access = FromKubeconfig(path)
    asyncio.run(access.load())
    return access


def test_in_a_pod_the_token_is_read_again_each_minute(account: Path) -> None:
    access = InCluster("10.0.0.1", "443", account, clock := Clock())
    assert access.base_url == "https://10.0.0.1:443"
    assert access.namespace == "rauta-system"
    assert access.headers() == {"Authorization": "Bearer first"}
    (account / "token").write_text("second")
    clock.now = REREAD - 1
    assert access.headers() == {"Authorization": "Bearer first"}
    clock.now = REREAD
    assert access.headers() == {"Authorization": "Bearer second"}
    (account / "token").write_text("third")
    asyncio.run(access.refresh())
    assert access.headers() == {"Authorization": "Bearer third"}


def test_a_token_that_is_away_for_a_moment_leaves_the_old_one(account: Path) -> None:
    access = InCluster("fd00::1", "443", account, clock := Clock())
    assert access.base_url == "https://[fd00::1]:443"
    (account / "token").unlink()
    clock.now = REREAD
    assert access.headers() == {"Authorization": "Bearer first"}
    (account / "token").write_text("second")
    clock.now += 1
    assert access.headers() == {"Authorization": "Bearer second"}


def test_new_authorities_are_taken(account: Path) -> None:
    access = InCluster("10.0.0.1", "443", account, clock := Clock())
    before = access.ssl
    clock.now = REREAD
    access.headers()
    assert access.ssl is before
    (account / "ca.crt").write_bytes(pair("test").certificate)
    clock.now = 2 * REREAD
    access.headers()
    assert access.ssl is not before


def test_a_pod_without_a_token_is_told(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="mount its token"):
        InCluster("10.0.0.1", "443", tmp_path)


def test_a_kubeconfig_with_certificates_leaves_no_key_behind(tmp_path: Path) -> None:
    certificate, key = encoded(pair("test"))
    before = set(Path(tempfile.gettempdir()).iterdir())
    access = loaded(
        kubeconfig(
            tmp_path,
            {"client-certificate-data": certificate, "client-key-data": key},
            {"certificate-authority-data": certificate, "tls-server-name": "api.example"},
        )
    )
    assert access.base_url == "https://10.0.0.1:6443"
    assert isinstance(access.ssl, ssl.SSLContext)
    assert access.server_name == "api.example"
    assert access.namespace == "edge"
    assert access.headers() == {}
    left = {each for each in Path(tempfile.gettempdir()).iterdir() if each.is_file()} - before
    assert not any(b"PRIVATE KEY" in each.read_bytes() for each in left)


def test_a_kubeconfig_with_a_token_and_a_context_without_a_namespace(tmp_path: Path) -> None:
    access = loaded(kubeconfig(tmp_path, {"token": "abc"}, current="there"))
    assert access.headers() == {"Authorization": "Bearer abc"}
    assert access.namespace == "default"


def test_a_plug_in_is_asked_again_when_its_token_was_refused_but_not_for_each_request(tmp_path: Path) -> None:
    counter, script = tmp_path / "count", tmp_path / "plugin.py"
    counter.write_text("0")
    script.write_text(
        f"import json, pathlib; p = pathlib.Path({str(counter)!r}); n = int(p.read_text()) + 1; p.write_text(str(n))\n"
        'print(json.dumps({"status": {"token": f"token{n}"}}))\n'
    )
    run = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(script)]}

    async def main() -> None:
        access = FromKubeconfig(kubeconfig(tmp_path, {"exec": run}), clock := Clock())
        await access.load()
        assert access.headers() == {"Authorization": "Bearer token1"}
        await access.refresh()
        assert access.headers() == {"Authorization": "Bearer token1"}
        clock.now = REFRESH
        await access.refresh()
        assert access.headers() == {"Authorization": "Bearer token2"}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "there is no kubeconfig .*: name one by --kubeconfig or KUBECONFIG"),
        ("not: [yaml", "cannot use the kubeconfig"),
        (json.dumps({"contexts": []}), "cannot use the kubeconfig"),
    ],
)
def test_a_kubeconfig_that_is_of_no_use_is_named_with_the_reason(tmp_path: Path, content: str | None, why: str) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AccessError, match=why) as caught:
        loaded(str(path))
    assert str(path) in str(caught.value)
    assert content is None or f"kubectl --kubeconfig {path}" in str(caught.value)


def test_a_kubeconfig_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    good = kubeconfig(tmp_path, {"token": "abc"})
    os.mkfifo(pipe := tmp_path / "pipe")
    with pytest.raises(AccessError, match=f"cannot use the kubeconfig {pipe}: not a regular file"):
        loaded(f"{good}:{pipe}")


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="nowhere"):
        loaded(kubeconfig(tmp_path, {"token": "abc"}, current="nowhere"))


def test_a_kubeconfig_that_was_named_comes_before_the_pod_and_the_pod_before_the_home(
    tmp_path: Path, account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rauta_control.clusteraccess.SERVICE_ACCOUNT", account)
    monkeypatch.setattr("rauta_control.clusteraccess.InCluster.__init__.__defaults__", (account, Clock()))
    path = kubeconfig(tmp_path, {"token": "abc"})
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.9"}
    assert isinstance(asyncio.run(find("", pod)), InCluster)
    assert isinstance(asyncio.run(find(path, pod)), FromKubeconfig)
    assert isinstance(asyncio.run(find("", pod | {"KUBECONFIG": path})), FromKubeconfig)


# -- whom it trusts


async def asked(access: InCluster | FromKubeconfig, shown: Pair, folder: Path) -> int:
    """Ask an API server that shows this certificate: the status."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.json_response({})

    (folder / "shown").write_bytes(shown.certificate + shown.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "shown")
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        access.base_url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        async with ApiClient(access) as client:
            return (await client.call("GET", "/version")).status
    finally:
        await runner.cleanup()


def in_pod(folder: Path, trusted: bytes, _: pytest.MonkeyPatch) -> InCluster | FromKubeconfig:
    for name, content in (("token", b"abc"), ("namespace", b"edge"), ("ca.crt", trusted)):
        (folder / name).write_bytes(content)
    return InCluster("127.0.0.1", "443", folder)


def by_kubeconfig(folder: Path, trusted: bytes, _: pytest.MonkeyPatch) -> InCluster | FromKubeconfig:
    authority = {"certificate-authority-data": base64.b64encode(trusted).decode()}
    return loaded(kubeconfig(folder, {"token": "abc"}, authority))


def by_system(folder: Path, trusted: bytes, patch: pytest.MonkeyPatch) -> InCluster | FromKubeconfig:
    (folder / "system.pem").write_bytes(trusted)
    patch.setenv("SSL_CERT_FILE", str(folder / "system.pem"))
    return loaded(kubeconfig(folder, {"token": "abc"}))


def by_system_with_certificate(folder: Path, trusted: bytes, patch: pytest.MonkeyPatch) -> InCluster | FromKubeconfig:
    (folder / "system.pem").write_bytes(trusted)
    patch.setenv("SSL_CERT_FILE", str(folder / "system.pem"))
    certificate, key = encoded(pair("me"))
    return loaded(kubeconfig(folder, {"client-certificate-data": certificate, "client-key-data": key}))


@pytest.mark.parametrize("way", [in_pod, by_kubeconfig, by_system, by_system_with_certificate])
def test_authorities_are_taken_as_kubectl_takes_them_with_any_python(
    way: Callable[[Path, bytes, pytest.MonkeyPatch], InCluster | FromKubeconfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare, good = pair("127.0.0.1", signer=BARE), pair("127.0.0.1")
    access = way(tmp_path, authority_pem(BARE), monkeypatch)
    assert asyncio.run(asked(access, bare, tmp_path)) == 200, "without key identifiers, as many clusters have them"
    for other in (good, pair("127.0.0.2", signer=BARE), pair("127.0.0.1", signer=BARE, days=-1)):
        with pytest.raises(BROKEN, match="certificate"):
            asyncio.run(asked(access, other, tmp_path))
    access = way(tmp_path, good.certificate, monkeypatch)
    assert asyncio.run(asked(access, good, tmp_path)) == 200, "trusted by name, and no root"
    with pytest.raises(BROKEN, match="certificate"):
        asyncio.run(asked(access, pair("127.0.0.1"), tmp_path))
