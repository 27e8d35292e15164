"""Certificates in files: which pairs are taken, that the last good one stays, and the whole program with them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from rauta_agent_api import rest
from rauta_control.certificatefiles import CertificateFiles, load, unusable
from rauta_control.ir import Resource, Secret
from rauta_control.pki_test import EPOCH, Pair, pair
from rauta_control.proxyharness_test import Backend, echo, eventually
from rauta_control.settings import PairFiles
from rauta_control.tlsharness_test import SecureClient, context


def put(folder: Path, made: Pair, name: str = "tls") -> PairFiles:
    """Write a pair as a renewal does: new files take the names."""
    paths = []
    for suffix, content in (("crt", made.certificate), ("key", made.key)):
        path, new = folder / f"{name}.{suffix}", folder / f"{name}.{suffix}.new"
        new.write_bytes(content)
        new.rename(path)
        paths.append(str(path))
    return PairFiles(*paths)


def read(files: CertificateFiles, *pairs: PairFiles, published: dict[str, Resource] | None = None) -> list[Secret]:
    return asyncio.run(files.read(pairs, published or {}))


def test_a_pair(tmp_path: Path) -> None:
    made = pair("a.example", "*.B.example", key_type="RSA")
    files = put(tmp_path, made)
    secret = load(files)
    assert isinstance(secret, Secret)
    assert secret == Secret(
        f"standalone/tls/{files.certificate}", made.certificate, made.key, ("a.example", "*.b.example"), "RSA"
    )
    assert repr(secret) == f"Secret({secret.name!r})"


def test_what_is_wrong_with_a_pair_is_said_with_its_files(tmp_path: Path) -> None:
    one, other = put(tmp_path, pair("a.example"), "one"), put(tmp_path, pair("b.example"), "other")
    empty = tmp_path / "empty"
    empty.touch()
    os.mkfifo(tmp_path / "pipe")
    assert unusable([one, other]) == []
    assert unusable(
        [
            PairFiles(one.certificate, other.key),
            PairFiles(str(empty), one.key),
            PairFiles(one.certificate, str(empty)),
            PairFiles(f"{tmp_path}/none", one.key),
            PairFiles(one.certificate, f"{tmp_path}/pipe"),
        ]
    ) == [
        f"{other.key} is not the key of the first certificate in {one.certificate}",
        f"{empty} is not a PEM certificate",
        f"{empty} is not a PEM private key",
        f"{tmp_path}/none: No such file or directory",
        f"{tmp_path}/pipe: Not a regular file",
    ]


def test_the_last_good_pair_stays(tmp_path: Path) -> None:
    files = CertificateFiles()
    first = put(tmp_path, pair("a.example"), "first")
    second = put(tmp_path, pair("b.example"), "second")
    good = read(files, first, second)
    assert len(good) == 2
    assert files.problems == []
    Path(first.key).write_bytes(b"")
    assert asyncio.run(files.changed())
    assert read(files, first, second) == good
    assert files.problems == [f"{first.key} is not a PEM private key; the last good pair stays"]
    assert not asyncio.run(files.changed())
    restarted = CertificateFiles()
    assert read(restarted, first, second, published={good[0].key: good[0]}) == good
    assert read(CertificateFiles(), first, second) == good[1:]
    renewed = pair("a.example")
    put(tmp_path, renewed, "first")
    assert read(files, first, second)[0].certificates == renewed.certificate
    assert files.problems == []
    assert read(files) == []


def test_an_expired_certificate_is_served_and_reported(tmp_path: Path) -> None:
    files = CertificateFiles()
    made = put(tmp_path, pair("a.example", days=-1))
    assert len(read(files, made)) == 1
    assert files.problems == [f"{made.certificate}: the certificate has expired on 2020-01-02: clients refuse it"]


def test_a_certificate_that_expires_while_it_is_served_is_reported(tmp_path: Path) -> None:
    now = EPOCH - timedelta(seconds=1)
    files = CertificateFiles(lambda: now)
    made = put(tmp_path, pair("a.example", days=30))

    def said() -> list[str]:
        read(files, made)
        assert not asyncio.run(files.changed())
        return [each.removeprefix(f"{made.certificate}: the certificate ") for each in files.problems]

    assert said() == ["is not valid before 2020-01-01: clients refuse it"]
    now = EPOCH
    assert asyncio.run(files.changed())
    assert said() == []
    now = EPOCH + timedelta(days=30)
    assert asyncio.run(files.changed())
    assert said() == ["has expired on 2020-01-31: clients refuse it"]


class Program:
    """rauta-control with two workers, as a user starts it."""

    def __init__(self, folder: Path, backend: int, *pairs: PairFiles) -> None:
        self.log_file = folder / "log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_")}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "rauta_control.main", "--workers", "2", "--to", f"127.0.0.1:{backend}"),
                    *("--from", "127.0.0.1:0", "--tls-bind", "127.0.0.1:0", "--admin-port", "0", "--probe-port", "0"),
                    *("--access-log", str(folder / "access.log")),
                ],
                env=environ
                | {
                    "RAUTA_TLS_CERT": ",".join(each.certificate for each in pairs),
                    "RAUTA_TLS_KEY": ",".join(each.key for each in pairs),
                },
                stderr=log,
            )
        eventually(lambda: "ready generation" in self.log() or self.process.poll() is not None, "not ready")

    def log(self) -> str:
        return self.log_file.read_text()

    def port(self, listener: str) -> int:
        return int(re.findall(rf"{listener}.* address=\S+:(\d+)", self.log())[0])

    def status(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port('admin listening')}/api/v1/status") as answer:
            return str(answer.read().decode())


@contextmanager
def running(folder: Path, *pairs: PairFiles) -> Iterator[Program]:
    with Backend(echo) as backend:
        program = Program(folder, backend.port, *pairs)
        try:
            yield program
        finally:
            program.process.terminate()
            assert program.process.wait(30) == 0, program.log()


def shown(port: int, name: str = "a.example", given: ssl.SSLContext | None = None) -> int:
    with SecureClient(port, name, given) as client:
        assert client.ask(name)[0] == 200
        return client.serial


def test_the_program_serves_https_and_follows_its_files(tmp_path: Path) -> None:
    made = {"ec": pair("a.example"), "rsa": pair("a.example", key_type="RSA"), "b": pair("b.example")}
    files = [put(tmp_path, each, name) for name, each in made.items()]
    with running(tmp_path, *files) as program:
        port = program.port("listening listener=standalone/127.0.0.1:0#2")
        only_rsa = context(ciphers="ECDHE-RSA-AES128-GCM-SHA256", version=ssl.TLSVersion.TLSv1_2)
        assert shown(port) == made["ec"].serial
        assert shown(port, given=only_rsa) == made["rsa"].serial
        assert shown(port, "b.example") == made["b"].serial
        # A renewal, which is seen without being told.
        renewed = pair("a.example")
        put(tmp_path, renewed, "ec")
        eventually(lambda: shown(port) == renewed.serial)
        # A bad one, with SIGHUP: the old one stays, and it is said.
        Path(files[0].key).write_bytes(made["b"].key)
        program.process.send_signal(signal.SIGHUP)
        eventually(lambda: "is not the key of the first certificate" in program.log())
        assert shown(port) == renewed.serial
        assert "the last good pair stays" in program.status()
        # A worker that dies comes back with it.
        for pid in re.findall(r"started child=worker-\d pid=(\d+)", program.log()):
            os.kill(int(pid), signal.SIGKILL)
        eventually(lambda: len(re.findall("started child=worker", program.log())) == 4)
        assert shown(port) == renewed.serial
        # The key is in no file that is not its own, and in no answer.
        secret = renewed.key.splitlines()[1].decode()
        told = [program.log(), program.status(), (tmp_path / "access.log").read_text()]
        admin = program.port("admin listening")
        for path, taken in rest.PATHS.items():
            query = f"?url=https://a.example:{port}/" if "url" in taken.parameters else ""
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}{path}{query}") as answer:
                told.append(answer.read().decode())
        assert not [text for text in told if secret in text or "PRIVATE KEY" in text]
        assert json.loads(program.status())


def test_the_program_does_not_start_with_an_unusable_pair(tmp_path: Path) -> None:
    one, other = put(tmp_path, pair("a.example"), "one"), put(tmp_path, pair("b.example"), "other")
    command = [sys.executable, "-m", "rauta_control.main", "--to", "127.0.0.1:9", "--check"]
    command += ["--tls-cert", one.certificate, "--tls-key"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAUTA_")}
    done = subprocess.run([*command, other.key], env=environ, capture_output=True, text=True, timeout=60, check=False)
    problem = "--tls-cert (RAUTA_TLS_CERT), --tls-key (RAUTA_TLS_KEY): "
    problem += f"{other.key} is not the key of the first certificate in {one.certificate}"
    assert (done.returncode, done.stderr) == (2, f"rauta-control: {problem}\n")
    done = subprocess.run([*command, one.key], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "the settings are fine\n")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n"])
def test_rubbish_is_no_certificate(tmp_path: Path, content: bytes) -> None:
    files = put(tmp_path, pair("a.example"))
    Path(files.certificate).write_bytes(content)
    assert load(files) == f"{files.certificate} is not a PEM certificate"
