import pytest

from lab.errors import LabError, Problem, both, refuse

A = Problem("a.yaml:1: cpu", "'x'", "an integer", "range")


@pytest.mark.parametrize(
    ("next_step", "line"),
    [
        pytest.param("", "w: got x, expected y. [r]", id="without a next step"),
        pytest.param("Do it", "w: got x, expected y. Do it. [r]", id="a full stop is added"),
        pytest.param("Do it.", "w: got x, expected y. Do it. [r]", id="one full stop is enough"),
        pytest.param("Did you?", "w: got x, expected y. Did you? [r]", id="a question stays one"),
    ],
)
def test_a_problem_is_one_line(next_step: str, line: str) -> None:
    assert str(Problem("w", "x", "y", "r", next_step)) == line


def test_what_somebody_wrote_does_nothing_to_a_terminal() -> None:
    problem = Problem("a\x1b[2J", "\u202ex", "y\tz", "r")
    assert str(problem) == r"a\x1b[2J: got \u202ex, expected y" "\tz. [r]"


def test_an_error_names_each_problem_once_and_in_order() -> None:
    other = Problem("b", "1", "2", "range")
    error = LabError([A, other, A])
    assert error.problems == (A, other)
    assert str(error) == f"{A}\n{other}"


def test_refuse_raises_for_problems_only() -> None:
    refuse([])
    with pytest.raises(LabError) as caught:
        refuse(iter([A]))
    assert caught.value.problems == (A,)


def _fail(name: str) -> str:
    raise LabError([Problem(name, "x", "y", "r")])


def test_both_answers_both() -> None:
    assert both(lambda: 1, lambda: "two") == (1, "two")


@pytest.mark.parametrize(
    ("fail_first", "fail_second", "named"),
    [
        pytest.param(True, False, ["one"], id="the first"),
        pytest.param(False, True, ["two"], id="the second"),
        pytest.param(True, True, ["one", "two"], id="both, in one report"),
    ],
)
def test_both_reports_all_that_failed(
    fail_first: bool, fail_second: bool, named: list[str]
) -> None:
    with pytest.raises(LabError) as caught:
        both(
            lambda: _fail("one") if fail_first else "",
            lambda: _fail("two") if fail_second else "",
        )
    assert [problem.where for problem in caught.value.problems] == named
