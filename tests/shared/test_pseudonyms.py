"""Pseudonyms: the same for the same user of a dataset's name, another for everything else."""

import pytest

from shared import pseudonyms

PEPPER = "a pepper that is only good for tests"


def test_the_same_user_has_the_same_pseudonym() -> None:
    first = pseudonyms.of(PEPPER, "ten_1", "plays", "alice")

    assert pseudonyms.of(PEPPER, "ten_1", "plays", "alice") == first
    assert pseudonyms.is_pseudonym(first)
    assert "alice" not in first


def test_it_depends_on_all_that_it_is_made_of() -> None:
    made = {
        pseudonyms.of(PEPPER, "ten_1", "plays", "alice"),
        pseudonyms.of(PEPPER, "ten_1", "plays", "Alice"),
        pseudonyms.of(PEPPER, "ten_1", "purchases", "alice"),
        pseudonyms.of(PEPPER, "ten_2", "plays", "alice"),
        pseudonyms.of(PEPPER + "!", "ten_1", "plays", "alice"),
    }

    assert len(made) == 5


def test_it_never_changes() -> None:
    """Nights are compared by it: a release that made others would make every listener a new one."""
    assert pseudonyms.of(PEPPER, "ten_1", "plays", "alice") == "p-ef5fb67b5f25dc6c68d1b0fe12350b94"


def test_a_pseudonym_stays_as_it_is() -> None:
    once = pseudonyms.of(PEPPER, "ten_1", "plays", "alice")

    assert pseudonyms.of(PEPPER, "ten_1", "plays", once) == once


@pytest.mark.parametrize("text", ["", "p-", "p-" + "0" * 31, "p-" + "0" * 33, "P-" + "0" * 32, "p-" + "G" * 32, "x"])
def test_other_ids_are_none(text: str) -> None:
    assert not pseudonyms.is_pseudonym(text)


def test_without_a_pepper_there_is_none() -> None:
    with pytest.raises(ValueError, match="pepper"):
        pseudonyms.of("", "ten_1", "plays", "alice")
    with pytest.raises(ValueError, match="pepper"):
        pseudonyms.of_row("", "ten_1", "songs", "a.wav")


def test_a_row_has_another_than_a_listener_of_the_same_id() -> None:
    of_row = pseudonyms.of_row(PEPPER, "ten_1", "plays", "alice")

    assert of_row.startswith("r-")
    assert of_row[2:] != pseudonyms.of(PEPPER, "ten_1", "plays", "alice")[2:]
    assert of_row != pseudonyms.of_row(PEPPER, "ten_1", "songs", "alice")
    # What looks like a pseudonym may be the key of a row.
    assert pseudonyms.of_row(PEPPER, "ten_1", "plays", of_row) != of_row
