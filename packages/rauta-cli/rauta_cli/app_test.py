"""The program run in this process: commands, formats and exit codes over a FakeGateway."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from rauta_agent_api.errors import CODES, AgentApiError
from rauta_agent_api.fake import FINDINGS, ROUTES, SNAPSHOT, FakeGateway
from rauta_agent_api.query import GatewayQuery
from rauta_cli import hints, offline
from rauta_cli.app import run

QUESTIONS = [
    "status",
    "routes list",
    "routes get /api",
    "listeners",
    "objects",
    "findings",
    "cache",
    "metrics",
    "explain http://shop.example.com:8080/health",
]
ILL = replace(
    SNAPSHOT,
    ready=False,
    listeners=tuple(replace(listener, bound=False) for listener in SNAPSHOT.listeners),
    workers=tuple(replace(worker, alive=False) for worker in SNAPSHOT.workers),
)


class Program:
    """Runs command lines and keeps what they wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.gateway: GatewayQuery = FakeGateway()
        self.asked: list[tuple[str, float]] = []
        self._capsys = capsys

    def __call__(self, line: str, program: str = "rauta") -> tuple[int, str, str]:
        code = run(shlex.split(line), program, self._connect)
        out, err = self._capsys.readouterr()
        return code, out, err

    def agent(self, line: str) -> dict[str, Any]:
        _, out, err = self(f"{line} --format agent")
        assert err == ""
        assert out.count("\n") == 1
        answer: dict[str, Any] = json.loads(out)
        return answer

    def _connect(self, url: str, timeout: float) -> GatewayQuery:
        self.asked.append((url, timeout))
        return self.gateway


@pytest.fixture
def rauta(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.delenv("RAUTA_FORMAT", raising=False)
    monkeypatch.delenv("RAUTA_ADMIN_ENDPOINT", raising=False)
    return Program(capsys)


@pytest.mark.parametrize("question", [*QUESTIONS, "version"])
def test_every_question_is_answered_in_every_format(rauta: Program, question: str) -> None:
    code, table, err = rauta(f"{question} --format table")
    assert (code, err) == (0, "")
    assert table.strip()
    _, plain, _ = rauta(f"{question} --format json")
    answer = rauta.agent(question)
    assert answer["data"] == json.loads(plain)
    assert answer["error"] is None
    assert " ".join(question.split()[:2]).startswith(answer["_meta"]["command"])
    assert answer["_meta"]["generation"] == (None if question == "version" else 3)


def test_json_is_what_a_pipe_gets(rauta: Program) -> None:
    code, out, _ = rauta("routes list --path-prefix /he")
    assert code == 0
    assert [route["name"] for route in json.loads(out)] == ["standalone/route-1"]
    assert rauta("routes list --method POST")[1].count('"pattern"') == 1


def test_the_environment_names_format_and_endpoint(rauta: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAUTA_FORMAT", "table")
    monkeypatch.setenv("RAUTA_ADMIN_ENDPOINT", "http://env:1")
    assert rauta("cache")[1].startswith("97.6% hits")
    assert rauta("cache --format json")[1].startswith("{")
    rauta("cache --endpoint http://flag:2 --timeout 0.5")
    assert rauta.asked == [("http://env:1", 5.0), ("http://env:1", 5.0), ("http://flag:2", 0.5)]


def shape(value: object) -> object:
    """The keys of nested objects in their order."""
    return [(key, shape(member)) for key, member in value.items()] if isinstance(value, dict) else None


def test_the_envelope_has_the_same_keys_in_the_same_order_for_answers_and_errors(rauta: Program) -> None:
    answers = [rauta.agent(line) for line in [*QUESTIONS, "version", "routes get nope", "status --bad", "bad"]]
    for answer in answers:
        assert list(answer) == ["_meta", "_hints", "data", "error"]
        assert shape(answer["_meta"]) == shape(answers[0]["_meta"])
        assert list(answer["_hints"]) == ["summary", "urgent", "actions", "next"]
        assert [list(action) for action in answer["_hints"]["actions"]] == [["cmd", "why", "risk"]] * len(
            answer["_hints"]["actions"]
        )
    assert list(answers[-1]["error"]) == ["code", "message", "fix"]


def test_the_envelope_says_who_was_asked_and_at_which_generation(rauta: Program) -> None:
    meta = rauta.agent("routes list")["_meta"]
    assert (meta["gateway"], meta["generation"]) == ("http://127.0.0.1:9091", 3)
    assert (meta["command"], meta["schema"]) == ("routes list", "rauta/routes-list/v1")
    meta = rauta.agent("version")["_meta"]
    assert (meta["gateway"], meta["generation"]) == (None, None)


@pytest.mark.parametrize(
    "gateway", [FakeGateway(), FakeGateway(ILL, [replace(ROUTES[0], name="it's", backends=())], [])]
)
def test_every_suggested_command_works(rauta: Program, gateway: GatewayQuery) -> None:
    rauta.gateway = gateway
    lines = [*QUESTIONS, "metrics uptime", "version", "routes get nope", "status --bad", "bad"]
    hinted = [rauta.agent(f"{line} --endpoint 'http://gw:1/a b'")["_hints"] for line in lines]
    commands = {action["cmd"] for advice in hinted for action in advice["actions"]}
    commands |= {f"rauta {hints.for_error(AgentApiError(code, '', '')).actions[0].cmd}" for code in CODES}
    assert len(commands) > len(QUESTIONS)
    for command in commands:
        assert rauta(command.removeprefix("rauta "))[0] == 0, command
    assert {url for url, _ in rauta.asked} == {"http://gw:1/a b", "http://127.0.0.1:9091"}


@pytest.mark.parametrize(
    ("line", "said", "mend"),
    [
        ("status --bad", "--bad", "rauta status --help"),
        ("routes", "Missing command", "rauta routes --help"),
        ("routes get", "NAME_OR_PATTERN", "rauta routes get --help"),
        ("rutes", "Did you mean 'routes'", "rauta --help"),
        ("status --timeout soon", "soon", "rauta --help"),
        ("status --format", "--format", "rauta --help"),
        ("status --format xml", "xml", "rauta --help"),
        ("status extra", "extra", "rauta status --help"),
    ],
)
def test_wrong_arguments_are_told_with_the_mend(rauta: Program, line: str, said: str, mend: str) -> None:
    code, out, err = rauta(f"--format table {line}")
    assert (code, out) == (2, "")
    assert said in err
    assert f"fix: see `{mend}`" in err
    code, out, err = rauta(line)
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["code"] == "usage"
    assert rauta.asked == []


@pytest.mark.parametrize("line", ["translate -f /nowhere", "explain GET /a /b"])
def test_an_error_says_of_which_command_it_is(rauta: Program, line: str) -> None:
    assert rauta.agent(line)["_meta"]["command"] == line.split(maxsplit=1)[0]


def test_errors_go_where_their_reader_looks(rauta: Program) -> None:
    said = "no route has the name or pattern 'nope'"
    mend = "`rauta routes list` shows the names and patterns there are"
    assert rauta("routes get nope --format table") == (3, "", f"rauta: {said}\nfix: {mend}\n")
    code, out, err = rauta("routes get nope --format json")
    assert (code, json.loads(out)["error"]["code"], err) == (3, "not_found", "")
    answer = rauta.agent("routes get nope")
    assert (answer["error"]["code"], answer["data"], answer["_hints"]["urgent"]) == ("not_found", None, True)
    assert answer["_meta"]["command"] == "routes get"


@pytest.mark.parametrize(("line", "option"), [("status -o json", "--format"), ("--url http://h status", "--endpoint")])
def test_options_of_other_programs_are_told_their_names_here(rauta: Program, line: str, option: str) -> None:
    code, _, err = rauta(f"--format table {line}")
    assert (code, err.splitlines()[1]) == (2, f"fix: say {option}; see `rauta --help`")


@pytest.mark.parametrize(
    "line",
    ["", "--help", "-h", "routes list -h", "routes --help", "routes list --help", "status --help --format agent"],
)
def test_help_is_an_answer(rauta: Program, line: str) -> None:
    code, out, err = rauta(line, program="kubectl rauta")
    assert (code, err) == (0, "")
    assert out.startswith("Usage: kubectl rauta")


@pytest.mark.parametrize("command", ["status", "routes get", "validate"])
def test_help_of_a_command_tells_the_options_of_all(rauta: Program, command: str) -> None:
    assert "Also --endpoint, --format, --timeout: see rauta --help." in rauta(f"{command} --help")[1]


def test_commands_are_completed(
    rauta: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"_RAUTA_COMPLETE": "complete_bash", "COMP_WORDS": "rauta routes g", "COMP_CWORD": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        rauta("")
    assert capsys.readouterr().out.split() == ["get"]


def test_help_tells_the_formats_the_variables_and_the_exit_codes(rauta: Program) -> None:
    out = " ".join(rauta("--help")[1].split())
    for part in ["table on a terminal, json elsewhere", "RAUTA_FORMAT", "RAUTA_ADMIN_ENDPOINT", "7 unreachable"]:
        assert part in out


def test_objects_are_found_by_kind_and_name(rauta: Program) -> None:
    _, out, _ = rauta("objects --kind httproute --format table")
    assert "HTTPRoute  default/shop  Gateway default/rauta" in out
    assert "ResolvedRefs=False BackendNotFound (Service default/cart does not exist)" in out
    assert "Gateway    default/rauta" not in out
    assert json.loads(rauta("objects --name default/none")[1]) == []


def test_findings_decide_the_exit_code_only_when_asked_to(rauta: Program) -> None:
    assert rauta("findings")[0] == 0
    assert rauta("findings --fail-on error")[0] == 6
    code, out, _ = rauta("findings --severity error --fail-on warning --format table")
    assert code == 6
    assert out.count("RAUTA-CFG") == 1
    rauta.gateway = FakeGateway(findings=FINDINGS[1:])
    assert rauta("findings --fail-on error")[0] == 0
    assert rauta("findings --fail-on info")[0] == 6
    rauta.gateway = FakeGateway(findings=())
    assert rauta("findings --fail-on info --format table") == (0, "No findings.\n", "")
    assert rauta("findings --severity bad")[0] == 2


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A route to a Service that does not exist."""
    path = tmp_path / "all.yaml"
    path.write_text(MANIFESTS)
    return path


MANIFESTS = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: rauta, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}
"""


def test_manifests_are_validated_without_a_gateway(rauta: Program, manifests: Path) -> None:
    code, out, err = rauta(f"validate -f {manifests} --format table")
    assert (code, err) == (1, "")
    assert "BackendNotFound" in out
    assert "RAUTA-CFG-020" in out
    assert rauta(f"validate -f {manifests} --fail-on error")[0] == 6
    assert "RAUTA-CFG-054" in rauta(f"validate -f {manifests} --gateway-class other")[1]
    answer = rauta.agent(f"validate -f {manifests}")
    assert answer["_hints"]["urgent"]
    assert [each["kind"] for each in answer["data"]["objects"]] == ["Gateway", "HTTPRoute"]
    manifests.write_text(MANIFESTS.partition("---")[0])
    assert rauta(f"validate -f {manifests}")[0] == 0
    assert rauta(f"validate -f {manifests}.none")[0] == 3
    assert rauta.asked == []


def test_manifests_are_translated_without_a_gateway(rauta: Program, manifests: Path) -> None:
    code, out, err = rauta(f"translate -f {manifests} --format table")
    assert (code, err) == (0, "")
    assert "default/web#0.0: 'prefix / -> 500 (BackendNotFound: Service default/web does not exist)'" in out
    assert list(json.loads(rauta(f"translate -f {manifests}")[1])) == ["ir", "statuses", "findings"]
    manifests.write_text("kind: [")
    assert "Error " in json.loads(rauta(f"translate -f {manifests}")[1])["documents"][0]


def test_a_request_is_explained(rauta: Program) -> None:
    code, out, _ = rauta("explain post http://h:8080/health -H 'a: b' --header 'c: d' --listener http --format table")
    assert code == 0
    assert out.startswith("Verdict   forwarded to standalone/v1 (1 endpoint), by standalone/route-1\n")
    assert "Request   POST http://h:8080/health\n" in out
    assert json.loads(rauta("explain http://h/")[1])["method"] == "GET"


@pytest.mark.parametrize(
    "words", ["", "GET http://h/ more", "GET http://h/ -H", "--file", "http://h/ --gateway-class x"]
)
def test_a_request_that_is_none_is_a_wrong_argument(rauta: Program, words: str) -> None:
    code, _, err = rauta(f"explain {words} --format table")
    assert code == 2
    assert "fix: " in err


@pytest.mark.parametrize("code", ["RAUTA-CFG-036", "CFG-036", "cfg-36"])
def test_the_code_of_a_finding_is_explained(rauta: Program, code: str) -> None:
    status, out, err = rauta(f"explain {code} --format table")
    assert (status, err) == (0, "")
    assert out.splitlines()[:2] == ["Finding  RAUTA-CFG-036 warning", "Means    a match can never hold"]
    answer = rauta.agent(f"explain {code}")
    assert answer["data"][0]["page"] == "docs/findings.md"
    assert answer["_hints"]["next"].startswith("rauta findings")
    assert rauta.asked == []


def test_a_reason_is_explained_with_its_limit(rauta: Program) -> None:
    assert "Means   the request target is too long\n" in rauta("explain target_too_long --format table")[1]
    assert "--max-target-bytes (default 8192)" in rauta("explain target_too_long --format table")[1]
    assert [each["kind"] for each in rauta.agent("explain client_closed")["data"]] == ["reason", "handshake"]


@pytest.mark.parametrize("word", ["no_such_thing", "CFG-999", "localhost"])
def test_a_word_that_is_neither_url_nor_code(rauta: Program, word: str) -> None:
    code, out, err = rauta(f"explain {word} --format table")
    assert (code, out) == (2, "")
    assert f"'{word}' is no URL, and no code" in err


def test_a_request_is_explained_from_manifests_without_a_gateway(rauta: Program, manifests: Path) -> None:
    code, out, err = rauta(f"explain http://h/cart -f {manifests} --format table")
    assert (code, err) == (0, "")
    assert out.startswith("Verdict   answered with 500 backend_invalid: BackendNotFound: Service default/web does not ")
    assert "Rule      prefix / of default/web: the only one that matches\n" in out
    answer = rauta.agent(f"explain DELETE http://h/cart --file {manifests} -H 'x: y'")
    assert answer["_hints"]["urgent"]
    assert (answer["_meta"]["gateway"], answer["_meta"]["generation"], answer["data"]["method"]) == (
        None,
        None,
        "DELETE",
    )
    assert rauta(f"explain http://h/ -f {manifests} --listener default/gw")[0] == 0
    assert rauta(f"explain http://h/ -f {manifests} --listener default/none")[0] == 3
    assert rauta(f"explain nonsense -f {manifests}")[0] == 2
    assert rauta(f"explain http://h/ -f {manifests}.none")[0] == 3
    assert rauta.asked == []


def test_the_examples_of_the_documentation_are_what_it_says(rauta: Program, tmp_path: Path) -> None:
    docs = Path(__file__).parents[3] / "docs"
    file = tmp_path / "gateway.yaml"
    file.write_text((docs / "routing.md").read_text().partition("```yaml\n")[2].partition("```")[0])
    examples = re.findall(r"```\n\$ rauta (.*)\n((?:.*\n)*?)```", (docs / "explain.md").read_text())
    assert len(examples) == 2
    for line, said in examples:
        assert rauta(f"{line.replace(file.name, str(file))} --format table") == (0, said, "")


def test_without_the_gateways_package_they_say_what_to_install(
    rauta: Program, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "MODULE", "rauta_control.not_there")
    code, _, err = rauta(f"validate -f {manifests} --format table")
    assert code == 1
    assert "needs rauta-control, which is not installed" in err
    assert "pip install ./packages/rauta-common ./packages/rauta-control" in err
