from dataclasses import replace
from pathlib import Path

from . import gobuild


def test_everything_is_built_from_modules_that_are_here() -> None:
    for suite in gobuild.SUITES:
        for program in gobuild.programs(suite):
            assert program.stamp("go version go1.26")


def test_the_version_that_a_binary_tells_is_the_one_it_is_built_from() -> None:
    assert f"require k8s.io/kubernetes {gobuild.KUBERNETES}\n" in (gobuild.HERE / "cluster" / "go.mod").read_text()


def test_the_suite_and_its_manifests_are_of_one_release() -> None:
    for suite, modfile in gobuild.SUITES.items():
        text = (gobuild.HERE / "suite" / modfile).read_text()
        assert f"sigs.k8s.io/gateway-api/conformance {suite}" in text
        assert f"replace sigs.k8s.io/gateway-api => sigs.k8s.io/gateway-api {suite}" in text


def test_the_stamp_changes_with_what_is_built() -> None:
    program = gobuild.programs("v1.6.1")[0]
    stamps = {
        program.stamp("go1.26"),
        program.stamp("go1.27"),
        replace(program, flags=("-race",)).stamp("go1.26"),
        replace(program, folder="suite").stamp("go1.26"),
    }
    assert len(stamps) == 4


def test_tests_are_compiled_and_programs_built() -> None:
    program = gobuild.programs("v1.6.1")[0]
    assert "build" in program.command("go", Path("out"))
    assert replace(program, test=True).command("go", Path("out"))[2:4] == ["test", "-c"]
