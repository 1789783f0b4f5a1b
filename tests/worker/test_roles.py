"""Roles: what the client names must be there; what it does not name is told by names, and never guessed."""

import pytest

from shared.errors import JobFailed
from worker import roles


@pytest.mark.parametrize(
    ("names", "target"),
    [
        (["a", "Genre", "b"], ["Genre"]),
        (["composer", "genre"], ["genre"]),
        (["x", "y"], ["y"]),
        (["tempo", "energy", "loudness"], []),
        (["genre_probability", "last"], []),
    ],
)
def test_the_target_is_told_by_its_name_alone(names: list[str], target: list[str]) -> None:
    assert roles.assign(names, {}).target == target


def test_what_is_named_wins_over_what_would_be_inferred() -> None:
    found = roles.assign(["id", "genre", "composer", "work", "album"], {"target": "composer", "group": "album"})

    assert (found.target, found.group, found.keys) == (["composer"], "album", ["id"])
    assert found.inferred == {}


def test_a_column_that_is_dropped_or_masked_gets_no_inferred_role() -> None:
    found = roles.assign(["id", "genre", "work", "a"], {"drop": ["genre", "id"], "mask": ["work"]})

    assert (found.target, found.group, found.keys) == ([], None, [])


def test_several_columns_can_be_the_target() -> None:
    assert roles.assign(["a", "b", "c"], {"target": ["b", "c"]}).target == ["b", "c"]


def test_every_column_that_is_not_there_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(JobFailed) as refused:
        roles.assign(["Genre", "tempo", "work"], {"target": "genr", "group": "zzzzzz", "mask": ["tempos"]})

    told = {fault.pointer: (fault.code, fault.column, fault.message) for fault in refused.value.faults}
    assert set(told) == {"/columns/target", "/columns/group", "/columns/mask"}
    assert told["/columns/target"][:2] == ("column_missing", "genr")
    assert "did you mean 'Genre'?" in told["/columns/target"][2]
    assert "did you mean 'tempo'?" in told["/columns/mask"][2]
    assert "the columns are Genre, tempo, work" in told["/columns/group"][2]


@pytest.mark.parametrize(
    ("columns", "pointer"),
    [
        ({"target": "a", "drop": ["a"]}, "/columns/drop"),
        ({"target": "a", "group": "a"}, "/columns/group"),
        ({"drop": ["a", "b"]}, "/columns/drop"),
    ],
)
def test_roles_that_contradict_each_other_are_refused(columns: dict[str, object], pointer: str) -> None:
    with pytest.raises(JobFailed) as refused:
        roles.assign(["a", "b"], columns)

    assert [(fault.code, fault.pointer) for fault in refused.value.faults] == [("column_roles", pointer)]
