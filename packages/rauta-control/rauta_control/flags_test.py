import pytest

from rauta_control import flags
from rauta_control.flags import Flag, Given

NAME = Flag("--name", "RAUTA_NAME", "NAME", "A name.", alias="OLD_NAME")
MANY = Flag("--many", "", "X", "Things.")
SWITCH = Flag("--switch", "", "", "On.")
FLAGS = (NAME, MANY, SWITCH)


def no_file(name: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", name)


def read(*argv: str, files: dict[str, str] | None = None) -> tuple[dict[str, list[str]], list[str]]:
    arguments = flags.read(FLAGS, argv, (files or {}).__getitem__ if files else no_file)
    return {name: [each.value for each in given] for name, given in arguments.given.items()}, arguments.problems


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], {}),
        (["--name", "x"], {"--name": ["x"]}),
        (["--name=x=y"], {"--name": ["x=y"]}),
        (["--name="], {"--name": [""]}),
        (["--name", ""], {"--name": [""]}),
        (["--name", "-1"], {"--name": ["-1"]}),
        (["--many", "1", "--switch", "--many=2"], {"--many": ["1", "2"], "--switch": ["true"]}),
    ],
)
def test_flags(argv: list[str], expected: dict[str, list[str]]) -> None:
    assert read(*argv) == (expected, [])


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--name"], "--name: expected NAME after it"),
        (["--name", "--many=1"], "--name: expected NAME after it"),
        (["--nane", "x"], "--nane: unknown argument; did you mean --name?"),
        (["--nane=x"], "--nane=x: unknown argument; did you mean --name?"),
        (["x"], "x: unknown argument"),
        (["--switch=no"], "--switch=no: --switch takes no value"),
        (["@nowhere"], "@nowhere: expected a readable text file: [Errno 2] No such file or directory: 'nowhere'"),
    ],
)
def test_mistakes(argv: list[str], problem: str) -> None:
    assert read(*argv)[1][0] == problem


def test_what_is_no_text_is_refused() -> None:
    said = ": expected text in UTF-8, without NUL"
    assert read("--name", "\udcff.log")[1] == [f"'\\udcff.log'{said}"]
    assert read("@file", files={"file": "--name a\0b\n"})[1] == [f"'a\\x00b'{said}"]


def test_a_mistake_does_not_hide_what_follows() -> None:
    given, problems = read("--name", "--bad", "--many", "--switch", "--name=2")
    assert given == {"--name": ["--bad", "2"], "--switch": ["true"]}
    assert problems == ["--many: expected X after it"]


def test_files_hold_arguments_a_line() -> None:
    files = {
        "routes": "# all of them\n\n--many 1\n  --many=2  \n--many\n3\n--many a value with spaces\n@more\n",
        "more": "--switch\r\n--many 4",
    }
    assert read("--name", "n", "@routes", files=files) == (
        {"--name": ["n"], "--many": ["1", "2", "3", "a value with spaces", "4"], "--switch": ["true"]},
        [],
    )


def test_files_that_include_themselves_come_to_an_end() -> None:
    assert read("@loop", files={"loop": "@loop"})[1] == ["@loop: expected no more than 8 files inside each other"]


def test_a_flag_wins_over_its_variable_and_that_over_its_alias() -> None:
    environ = {"RAUTA_NAME": "variable", "OLD_NAME": "alias"}
    assert flags.read(FLAGS, ["--name", "flag"], no_file).of(NAME, environ) == [Given("--name", "flag")]
    nothing = flags.read(FLAGS, [], no_file)
    assert nothing.of(NAME, environ) == [Given("RAUTA_NAME", "variable")]
    assert nothing.of(NAME, {"RAUTA_NAME": " ", "OLD_NAME": "alias"}) == [Given("OLD_NAME", "alias")]
    assert nothing.of(NAME, {"RAUTA_NAME": ""}) == []
    assert nothing.of(MANY, {"": "nameless"}) == []


def test_values_print_as_they_were_given() -> None:
    assert [str(Given(*each)) for each in (("--name", "x"), ("RAUTA_NAME", "x"), ("--name", ""), ("V", "a\nb"))] == [
        "--name x",
        "RAUTA_NAME=x",
        "--name ''",
        "V='a\\nb'",
    ]


def test_unknown_variables_are_reported_with_the_nearest_name() -> None:
    environ = {"RAUTA_NAM": "1", "RAUTA_QUITE_DIFFERENT": "2", "RAUTA_NAME": "3", "PATH": "4"}
    assert flags.unknown_variables(environ, ["RAUTA_NAME"]) == [
        "RAUTA_NAM=1: unknown variable; did you mean RAUTA_NAME?",
        "RAUTA_QUITE_DIFFERENT=2: unknown variable",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAUTA_SERVICE_HOST", "10.0.0.1"),
        ("RAUTA_ADMIN_SERVICE_PORT", "9091"),
        ("RAUTA_ADMIN_SERVICE_PORT_HTTP", "9091"),
        ("RAUTA_PORT", "tcp://10.0.0.1:80"),
        ("RAUTA_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("RAUTA_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("RAUTA_NAME_PORT", "udp://10.0.0.1:80"),
    ],
)
def test_what_kubernetes_says_about_services_is_nobodys_setting(name: str, value: str) -> None:
    assert flags.unknown_variables({name: value}, []) == []
    setting = Flag("--x", name, "X", "")
    assert flags.read([setting], [], no_file).of(setting, {name: value}) == []


def test_usage_names_the_variables() -> None:
    assert flags.usage(FLAGS) == (
        "  --name NAME   [RAUTA_NAME or OLD_NAME]\n      A name.\n  --many X\n      Things.\n  --switch\n      On."
    )
