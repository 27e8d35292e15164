import io
import os
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rauta_control.certificate import vouches
from rauta_control.check import Report, check, load
from rauta_control.main import main
from rauta_control.manifests import read, run_check
from rauta_control.pki_test import pair
from rauta_control.samples_test import GATEWAY, ROUTE, SERVICE, endpoints
from rauta_control.terms import Terms

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = Terms(class_name="rauta", pool=("10.9.0.1",))
SERVED = SERVICE + endpoints("IPv4", "127.0.0.1")


def report(*texts: str) -> Report:
    return check([(f"{number}.yaml", text) for number, text in enumerate(texts)], TERMS, NOW)


def test_all_is_well() -> None:
    said = report(GATEWAY, ROUTE, SERVED)
    assert said.text.splitlines() == [
        "Gateway default/gw at 10.9.0.1: Accepted, Programmed, ResolvedRefs",
        "    listener http, 1 route: Accepted, Programmed, ResolvedRefs",
        "HTTPRoute default/web at Gateway gw: Accepted, ResolvedRefs",
        "2 objects with a status, 0 faults in documents, 0 errors, 0 warnings, 0 notes",
    ]
    assert not said.failed


def test_a_dangling_reference_fails_and_is_explained() -> None:
    said = report(GATEWAY, ROUTE)
    assert said.failed
    assert "ResolvedRefs=False BackendNotFound (Service default/web does not exist)" in said.text
    assert (
        "Error [RAUTA-CFG-020] (HTTPRoute default/web spec.rules[0].backendRefs[0]) Service default/web does not exist"
        "\n"
        "    create the Service"
    ) in said.text


def https(days: int, hostname: str = "*") -> str:
    made = pair("a.example", days=days)
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw}}
spec:
  gatewayClassName: rauta
  listeners:
    - name: https
      port: 443
      protocol: HTTPS
      {"" if hostname == "*" else f"hostname: '{hostname}'"}
      tls: {{certificateRefs: [{{name: pair}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: pair}}
type: kubernetes.io/tls
data: {{tls.crt: {b64encode(made.certificate).decode()}, tls.key: {b64encode(made.key).decode()}}}
"""


def test_a_certificate_that_is_out_of_date_is_served_and_said() -> None:
    said = report(https(days=-1), ROUTE, SERVED)
    assert "listener https, 1 route: Accepted, Programmed, ResolvedRefs" in said.text
    assert (
        "Error [RAUTA-CFG-058] (Secret default/pair data[tls.crt]) "
        "the certificate has expired on 2020-01-02: clients refuse it\n" in said.text
    )
    assert said.failed
    assert not report(https(days=36_500), ROUTE, SERVED).failed
    early = check([("a.yaml", https(days=36_500))], TERMS, datetime(2019, 1, 1, tzinfo=UTC))
    assert "the certificate is not valid before 2020-01-01" in early.text


@pytest.mark.parametrize(
    ("hostname", "fits"),
    [("a.example", True), ("*.example", True), ("b.example", False), ("x.a.example", False), ("*.b.example", False)],
)
def test_a_certificate_for_another_name_is_served_and_said(hostname: str, fits: bool) -> None:
    said = report(https(days=36_500, hostname=hostname), ROUTE, SERVED)
    assert "listener https, 1 route: Accepted, Programmed, ResolvedRefs" in said.text
    warning = (
        "Warning [RAUTA-CFG-062] (Gateway default/gw spec.listeners[0].tls.certificateRefs) "
        f"Secret default/pair is for a.example, not for {hostname}: clients refuse it\n"
    )
    assert (warning in said.text) is not fits
    assert ("CFG-062" in said.text) is not fits
    assert not said.failed


@pytest.mark.parametrize(
    ("name", "hostname", "fits"),
    [
        ("*.example", "a.example", True),
        ("*.example", "a.b.example", False),
        ("*.example", "example", False),
        ("*.example", "*.example", True),
        ("*.example", "*.b.example", False),
        ("*.c.b.example", "*.b.example", True),
    ],
)
def test_a_star_in_a_certificate_is_one_label(name: str, hostname: str, fits: bool) -> None:
    assert vouches(name, hostname) is fits


def test_a_warning_does_not_fail() -> None:
    said = report(GATEWAY, ROUTE, SERVICE)
    assert "Warning [RAUTA-CFG-026]" in said.text
    assert not said.failed


def test_a_refused_document_is_named_by_file_and_number() -> None:
    said = report(SERVED + "---\n" + ROUTE.replace("port: 80", "port: 99999"))
    assert "Error 0.yaml#3 (HTTPRoute default/web) spec.rules[0].backendRefs[0].port: " in said.text
    assert said.failed


def test_what_is_no_yaml_is_said_and_the_rest_is_read() -> None:
    manifests = load([("bad.yaml", "a: [1"), ("good.yaml", GATEWAY)])
    assert [str(key) for key in manifests.objects] == ["Gateway default/gw"]
    assert str(manifests.faults[0]).startswith("Error bad.yaml#1 not YAML: ")


def test_the_example_of_the_documentation_is_without_fault() -> None:
    page = (Path(__file__).parents[3] / "docs" / "routing.md").read_text()
    said = report(page.partition("```yaml\n")[2].partition("```")[0])
    assert "HTTPRoute default/shop at Gateway public: Accepted, ResolvedRefs\n" in said.text
    assert said.text.endswith("0 faults in documents, 0 errors, 0 warnings, 0 notes\n")


def test_an_object_counts_once() -> None:
    manifests = load([("a.yaml", GATEWAY), ("b.yaml", GATEWAY)])
    assert str(manifests.faults[0]) == (
        "Error b.yaml#1 (Gateway default/gw) metadata.name: is also in a.yaml#1, which counts"
    )


def test_foreign_documents_are_no_fault() -> None:
    said = report(GATEWAY, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n")
    assert "Warning 1.yaml#1 (Deployment default/x)" in said.text or "Warning 1.yaml#1 (Deployment x)" in said.text
    assert not said.failed


def test_a_folder_is_read_in_order_without_hidden_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "..data").mkdir()
    for name, text in (("b.yaml", ROUTE), ("a.yml", GATEWAY), ("sub/c.yaml", SERVED), ("x.txt", "no")):
        (tmp_path / name).write_text(text)
    (tmp_path / "..data" / "a.yml").write_text(GATEWAY)
    assert [name for name, _ in read(tmp_path)] == ["a.yml", "b.yaml", "sub/c.yaml"]
    assert run_check(tmp_path, TERMS) == 0
    assert "0 errors" in capsys.readouterr().out


def test_files_that_cannot_be_read_are_faults_and_the_rest_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_bytes(GATEWAY.encode("utf-16"))
    (tmp_path / "b.yaml").symlink_to("b.yaml")
    (tmp_path / "c.yaml").symlink_to("nowhere")
    (tmp_path / "d.yaml").write_text(GATEWAY)
    os.mkfifo(tmp_path / "f.yaml")
    (tmp_path / os.fsdecode(b"e\xff.yaml")).write_text(GATEWAY)
    assert run_check(tmp_path, TERMS) == 1
    said = capsys.readouterr().out
    assert "Error e\\xff.yaml cannot be read: its name is not UTF-8; rename it\n" in said
    assert "Error a.yaml cannot be read: not UTF-8 (byte 0)\nError b.yaml cannot be read: too many" in said
    assert "Error f.yaml cannot be read: not a regular file\n" in said
    assert "\nGateway default/gw" in said


def test_a_path_without_manifests_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("no")
    assert run_check(tmp_path, TERMS) == 1
    assert f"Error {tmp_path} there is no file that ends in .yaml, .yml, .json" in capsys.readouterr().out
    (tmp_path / "a.yaml").write_text("# nothing yet\n---\n")
    assert run_check(tmp_path, TERMS) == 1
    assert "Error a.yaml there is no document at all" in capsys.readouterr().out


def test_the_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SERVICE.encode() + b"---\nkind: [\n")))
    assert run_check(Path("-"), TERMS) == 1
    assert "Error stdin#2 not YAML" in capsys.readouterr().out


def test_a_path_that_is_not_there_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check(tmp_path / "none", TERMS) == 1
    assert "none: cannot be read: no such file or directory; give another PATH\n" in capsys.readouterr().err


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "all.yaml").write_text(f"{GATEWAY}---\n{ROUTE}")
    monkeypatch.setattr("sys.argv", ["rauta-control", "check", str(tmp_path)])
    assert main() == 1
    assert "RAUTA-CFG-020" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["rauta-control", "check"])
    assert main() == 2
