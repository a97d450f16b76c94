from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.removal import check_emptied, check_removed, indexes_left

WHERE = "stacks/Pulumi.foo.yaml: remove-nodes"


@given(st.integers(1, 40), st.data())
def test_exactly_those_are_gone(count: int, data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.integers(0, count - 1)))
    left = indexes_left({"tiny": count}, [f"tiny-{index}" for index in gone])["tiny"]
    assert left == tuple(index for index in range(count) if index not in gone)


def test_roles_that_begin_alike_are_two() -> None:
    left = indexes_left({"compute": 2, "compute-dvr": 2}, ["compute-1"])
    assert left == {"compute": (0,), "compute-dvr": (0, 1)}


@pytest.mark.parametrize(
    ("word", "next_step"),
    [
        pytest.param("tiny1", "Did you mean tiny-1?", id="infrared's documented example"),
        pytest.param("tiny-3", "Did you mean tiny-", id="past the last"),
        pytest.param("tiny-01", "Did you mean tiny-1?", id="a leading zero"),
        pytest.param("compute-1", "tiny-0, tiny-1, tiny-2", id="another role"),
        pytest.param("foo-tiny-1", "Did you mean tiny-1?", id="the domain's name"),
    ],
)
def test_what_no_node_is_called_is_refused(word: str, next_step: str) -> None:
    (problem,) = check_removed({"tiny": 3}, ["tiny-0", word], WHERE)
    assert str(problem).startswith(
        f"{WHERE}: got '{word}', expected nodes of topology-nodes: tiny-0"
    )
    assert next_step in str(problem)


def test_the_last_of_a_role_is_not_removed_by_a_slip() -> None:
    counts = {"controller": 1, "compute": 2}
    assert check_emptied(counts, ["compute-1"], WHERE, "Do that") == []
    (problem,) = check_emptied(counts, ["compute-1", "controller-0"], WHERE, "Do that")
    assert (problem.got, problem.next_step) == ("all controller nodes", "Do that")


def test_eight_are_a_line_s_worth() -> None:
    (problem,) = check_removed({"tiny": 8}, ["x"], WHERE)
    assert problem.allowed.endswith("tiny-6, tiny-7")


def test_long_lists_are_cut_in_the_order_in_which_people_count() -> None:
    (problem,) = check_removed({"tiny": 12}, ["x"], WHERE)
    assert problem.allowed.endswith("tiny-6, tiny-7, ...")


def test_without_nodes_the_form_is_said() -> None:
    (problem,) = check_removed({}, ["x"], WHERE)
    assert problem.allowed == "role-index, such as compute-1"
