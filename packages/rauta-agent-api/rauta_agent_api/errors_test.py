import pytest

from rauta_agent_api.errors import CODES, AgentApiError, Code


@pytest.mark.parametrize("code", CODES)
def test_a_problem_comes_back_as_the_error_it_was(code: Code) -> None:
    error = AgentApiError(code, "it broke", "mend it")
    back = AgentApiError.from_problem(error.to_problem(), error.status)
    assert (back.code, back.message, back.fix) == (code, "it broke", "mend it")
    assert (back.status, back.exit_code) == (error.status, error.exit_code)


def test_codes_are_told_apart_by_status_and_by_exit_code() -> None:
    assert len({meaning.status for meaning in CODES.values()}) == len(CODES)
    assert sorted(meaning.exit_code for meaning in CODES.values()) == list(range(1, 8))


@pytest.mark.parametrize(
    ("status", "code"), [(401, "denied"), (409, "conflict"), (418, "failure"), (504, "unreachable")]
)
def test_a_problem_without_a_code_we_know_means_what_its_status_says(status: int, code: str) -> None:
    error = AgentApiError.from_problem({"code": "invented_later", "title": "Oh no"}, status)
    assert (error.code, error.message, error.fix) == (code, "Oh no", "")


@pytest.mark.parametrize("strange", [{"code": []}, {"code": None, "detail": 7, "fix": None}, {}])
def test_a_problem_may_lack_or_mistype_every_member(strange: dict[str, object]) -> None:
    assert AgentApiError.from_problem(strange, 500).code == "failure"


def test_the_text_names_what_happened_and_the_mend() -> None:
    assert str(AgentApiError("usage", "it broke", "mend it")) == "it broke; mend it"
    assert str(AgentApiError("usage", "it broke", "")) == "it broke"
