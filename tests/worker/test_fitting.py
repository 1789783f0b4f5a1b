"""A table whose columns have changed since the training is refused as a whole, and named, before any row is scored."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import JobFailed
from tests.worker.canonical import write
from worker.features import Category, Number
from worker.fitting import refuse_unfit

WANTED = (Number(name="tempo"), Number(name="energy", fill=0.5), Category(name="key", words=("C", "G")))
FITS: dict[str, Any] = {"tempo": [120.0, 90.0], "energy": [0.5, None], "key": ["C", "D"], "title": ["a", "b"]}


def fit(folder: Path, columns: dict[str, Any], *, part_rows: int | None = None) -> None:
    paths, _ = write(folder, columns, part_rows=part_rows)
    refuse_unfit(paths, WANTED, ["title"])


def refusal(folder: Path, columns: dict[str, Any], *, part_rows: int | None = None) -> tuple[str, list[str | None]]:
    with pytest.raises(JobFailed) as failed:
        fit(folder, columns, part_rows=part_rows)
    return failed.value.code, [fault.column for fault in failed.value.faults]


def test_every_column_that_is_missing_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, {"energy": [0.5], "other": [1.0]}) == ("columns_missing", ["tempo", "key", "title"])


def test_a_column_of_words_alone_where_numbers_were_is_named_with_the_sort_of_one(tmp_path: Path) -> None:
    with pytest.raises(
        JobFailed, match="The model reads numbers in 'tempo', where the table holds words alone"
    ) as failed:
        fit(tmp_path, {**FITS, "tempo": ["fast", None]})

    (fault,) = failed.value.faults
    assert (failed.value.code, fault.column) == ("column_not_numeric", "tempo")
    assert fault.message == "expected numbers, received words alone, such as text of 4 characters"


def test_every_such_column_is_told_at_once(tmp_path: Path) -> None:
    wrong = {**FITS, "tempo": ["fast", "slow"], "energy": ["much", None]}

    assert refusal(tmp_path, wrong) == ("column_not_numeric", ["tempo", "energy"])


def test_all_parts_of_a_table_are_looked_at(tmp_path: Path) -> None:
    words, number = {**FITS, "tempo": ["fast", "slow"]}, {**FITS, "tempo": ["fast", "90"]}
    (tmp_path / "words").mkdir(), (tmp_path / "number").mkdir()

    assert refusal(tmp_path / "words", words, part_rows=1) == ("column_not_numeric", ["tempo"])
    fit(tmp_path / "number", number, part_rows=1)


@pytest.mark.parametrize(
    "tempo", [[120.0, 90.0], [120, 90], ["120", "fast"], [None, " 90 "], [True, False], [None, None]]
)
def test_where_one_cell_may_be_a_number_its_rows_are_told_one_by_one(tmp_path: Path, tempo: list[Any]) -> None:
    fit(tmp_path, {**FITS, "tempo": tempo})


def test_what_was_words_may_be_numbers_now(tmp_path: Path) -> None:
    fit(tmp_path, {**FITS, "key": [1, 2], "title": [1.5, 2.5]})


def test_a_table_without_rows_fits(tmp_path: Path) -> None:
    fit(tmp_path, {name: column[:0] for name, column in FITS.items()} | {"tempo": [], "energy": []})


@pytest.mark.parametrize(("one", "other"), [(["a"], [1.0]), ([1], [1.5]), ([True], ["yes"])])
def test_what_is_repeated_has_one_type_in_every_table(tmp_path: Path, one: list[Any], other: list[Any]) -> None:
    (tmp_path / "one").mkdir(), (tmp_path / "other").mkdir()
    first, _ = write(tmp_path / "one", {**FITS, "title": one * 2})
    second, _ = write(tmp_path / "other", {**FITS, "title": other * 2, "tempo": [120, 90]})

    with pytest.raises(JobFailed) as failed:
        refuse_unfit([*first, *second], WANTED, ["title"])

    (fault,) = failed.value.faults
    assert (failed.value.code, fault.column) == ("columns_differ", "title")
    assert fault.message.startswith("expected one type in every dataset, received ")
