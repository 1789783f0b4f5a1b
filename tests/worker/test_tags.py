"""Vocabularies of labels: one thing under two names, labels that always or never come together, rare ones."""

import numpy as np
import pytest

from worker import tags


def look(names: list[str], given: np.ndarray, *, has_several: bool = True) -> dict[str, object]:
    return tags.look(names, given, has_several=has_several, check=lambda: None)


@pytest.mark.parametrize(
    ("word", "other", "distance"),
    [("rock", "rock", 0), ("techno", "tecno", 1), ("ambient", "abmient", 1), ("reggae", "raggea", 2), ("", "pop", 3)],
)
def test_a_distance_counts_letters_that_are_wrong(word: str, other: str, distance: int) -> None:
    assert tags.edit_distance(word, other) == distance == tags.edit_distance(other, word)


def test_names_that_differ_in_spelling_alone_are_one() -> None:
    names = ["Hip-Hop", "hip hop", "HIPHOP", "Café", "cafe", "80s", "90s", "pop", "bop"]

    found = look(names, np.ones((20, len(names)), bool), has_several=False)["variants"]

    assert [each["labels"] for each in found] == [
        ["Hip-Hop", "hip hop"], ["Hip-Hop", "HIPHOP"], ["hip hop", "HIPHOP"], ["Café", "cafe"],
    ]  # fmt: skip
    assert {each["differ_in"] for each in found} == {"spelling"}


def test_a_slip_of_a_letter_is_told_of_long_words_alone() -> None:
    names = ["electronic", "electronc", "progressive", "progresive", "house", "mouse", "soul", "foul"]

    found = look(names, np.ones((20, len(names)), bool), has_several=False)["variants"]

    assert [each["labels"] for each in found] == [
        ["electronic", "electronc"], ["house", "mouse"], ["progressive", "progresive"],
    ]  # fmt: skip
    assert {each["differ_in"] for each in found} == {"letters"}


def test_labels_that_share_their_rows_imply_each_other_or_never_meet_are_told() -> None:
    rows = np.arange(120)
    hot = np.stack([
        rows < 60,  # electronic
        rows < 30,  # techno: always electronic
        (rows >= 60) & (rows != 61),  # acoustic: never electronic
        rows >= 60,  # unplugged: the same rows, but for one
        rows == 7,  # rare
    ], axis=1)  # fmt: skip

    found = look(["electronic", "techno", "acoustic", "unplugged", "odd"], hot)

    assert found["synonyms"] == [{"labels": ["acoustic", "unplugged"], "rows": [59, 60], "both": 59}]
    assert [(each["label"], each["implies"]) for each in found["implied"]] == [("techno", "electronic")]
    never = [each["labels"] for each in found["never_together"]]
    assert ["electronic", "unplugged"] in never and ["techno", "acoustic"] in never and len(never) == 4
    assert found["rare"] == [{"label": "odd", "rows": 1}]


def test_labels_of_few_rows_are_no_news() -> None:
    hot = np.zeros((100, 2), bool)
    hot[:5] = True

    found = look(["a", "b"], hot)

    assert found["synonyms"] == found["implied"] == found["never_together"] == []


def test_rows_of_one_label_tell_nothing_of_what_comes_together() -> None:
    assert set(look(["a", "b"], np.eye(2, dtype=bool), has_several=False)) == {"variants", "rare"}
