"""Drift: the index is the textbook's, chance raises no warning, and what has moved is found and told."""

import numpy as np
import pytest

from worker import drift
from worker.drift import Bins, Columns, Counted, Counts, Words
from worker.features import Category, Number

FEATURES = (
    Number(name="tempo", mean=120.0, scale=20.0, fill=120.0, indicator=True),
    Category(name="mode", words=("major", "minor"), rest=True),
)
ROWS = 4000


def matrix(rng: np.random.Generator, *, rows: int = ROWS, shift: float = 0.0, minor: float = 0.3) -> np.ndarray:
    """Standardised tempo, its missing cells, and the three columns of the mode."""
    tempo = rng.normal(shift, 1, rows).astype(np.float32)
    missing = rng.random(rows) < 0.05
    mode = np.eye(3, dtype=np.float32)[(rng.random(rows) < minor).astype(int)]
    return np.column_stack([np.where(missing, 0, tempo), missing, mode]).astype(np.float32)


def counted(x: np.ndarray) -> Counts:
    given = drift.of_matrix(FEATURES, x)
    return Counts(rows=len(x), inputs=drift.learn(given, FEATURES), outputs=())


def again(before: Counts, x: np.ndarray) -> Counts:
    return before.filled(before.count(drift.of_matrix(FEATURES, x), {}, len(x)))


def test_the_columns_of_the_client_come_back_from_the_matrix() -> None:
    x = np.array([[1.5, 0, 0, 1, 0], [0, 1, 0, 0, 0], [-2, 0, 0, 0, 1]], np.float32)
    columns = drift.of_matrix(FEATURES, x)

    tempo, mode = columns["tempo"], columns["mode"]
    assert isinstance(tempo, np.ndarray) and isinstance(mode, Words)
    np.testing.assert_array_equal(tempo, [1.5, np.nan, -2])
    assert mode.words == ("major", "minor", "(other)") and mode.places.tolist() == [1, 3, 2]


def test_the_index_is_the_textbooks() -> None:
    bins = Bins(name="x", words=("a", "b"))
    p, q = np.array([600_000, 400_000]), np.array([500_000, 500_000])
    (move,) = drift.compare(
        [Counted(bins=bins, counts=(*p.tolist(), 0))], [Counted(bins=bins, counts=(*q.tolist(), 0))]
    )

    assert move.index == pytest.approx((0.5 - 0.6) * np.log(0.5 / 0.6) + (0.5 - 0.4) * np.log(0.5 / 0.4), rel=1e-5)
    assert (move.bin, move.before, move.now) == ({"word": "a"}, 0.6, 0.5)


@pytest.mark.parametrize("rows", [8, 40, 400, ROWS])
def test_chance_alone_raises_no_warning_however_few_the_rows(rows: int) -> None:
    rng = np.random.default_rng(rows)
    before = counted(matrix(rng))
    for _ in range(200):
        moves = drift.compare(before.inputs, again(before, matrix(rng, rows=rows)).inputs)
        assert drift.warning("inputs", "then", moves, 0.0001) is None


def test_mere_chance_goes_beyond_what_is_called_chance_as_seldom_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "FALSE_ALARMS", 0.1)
    rng, beyond, runs = np.random.default_rng(0), 0, 600
    for _ in range(runs):
        before = counted(matrix(rng, rows=3000))
        moves = drift.compare(before.inputs, again(before, matrix(rng, rows=1000)).inputs)
        beyond += any(move.index > move.chance for move in moves)

    assert 0.04 < beyond / runs < 0.16


def test_what_has_moved_is_found_and_told_in_the_clients_units() -> None:
    rng = np.random.default_rng(1)
    before = counted(matrix(rng))
    moves = drift.compare(before.inputs, again(before, matrix(rng, rows=500, shift=2.0)).inputs)

    assert [move.name for move in moves] == ["tempo", "mode"]
    assert [drift.has_moved(move, 0.2) for move in moves] == [True, False]
    said = drift.told(moves, 0.2)
    assert (said["columns"], said["drifted"]) == (2, 1)
    largest = said["most"][0]["largest_move"]
    # The ninth decile of a normal distribution is 1.28 standard deviations above its mean.
    assert largest["from"] == pytest.approx(120 + 1.28 * 20, abs=2) and largest["to"] is None
    assert largest["before"] == pytest.approx(0.095, abs=0.01) and largest["now"] > 0.6
    warning = drift.warning("inputs", "at its training", moves, 0.2)
    assert warning is not None and warning["code"] == "inputs_drifted"
    assert "1 of 2 inputs" in warning["detail"] and "'tempo'" in warning["detail"]


@pytest.mark.parametrize(
    "change",
    [{"minor": 0.9}, {"shift": 1.0}],
)
def test_a_word_or_a_number_that_moves_raises_the_warning(change: dict[str, float]) -> None:
    rng = np.random.default_rng(2)
    before = counted(matrix(rng))
    moves = drift.compare(before.inputs, again(before, matrix(rng, rows=300, **change)).inputs)

    assert drift.has_moved(moves[0], 0.2) and not drift.has_moved(moves[1], 0.2)


def test_cells_that_are_missing_more_often_are_drift() -> None:
    rng = np.random.default_rng(3)
    before, gaps = counted(matrix(rng)), matrix(rng, rows=500)
    gaps[:250, 0], gaps[:250, 1] = 0, 1
    moves = drift.compare(before.inputs, again(before, gaps).inputs)

    assert moves[0].name == "tempo" and drift.has_moved(moves[0], 0.2)
    assert moves[0].bin == {"missing": True} and moves[0].now > 0.5


def test_a_number_that_is_mostly_one_value_has_a_bin_for_it() -> None:
    values = np.array([0] * 95 + [1, 2, 3, 4, 5], np.float32)
    (column,) = drift.learn({"plays": values})

    # Below it, it and what is nearer to it than to the next, above it, and missing.
    assert column.counts == (0, 95, 5, 0)
    assert column.bins.count(np.array([-1, 0, 0, 1e-30, 7, np.nan], np.float32)).tolist() == [1, 3, 1, 1]


def test_an_answer_that_is_off_by_rounding_lies_in_the_same_bin() -> None:
    rng = np.random.default_rng(7)
    answers = np.array([0.12345678, 0.5, 0.87654321], np.float32)
    then, now = (answers[rng.integers(3, size=rows)] for rows in (300, 1000))
    before = Counts(rows=300, inputs=(), outputs=drift.learn({"(confidence)": then}))
    for off in (np.float32(1 + 2e-7), np.float32(1 - 2e-7)):
        counted = before.filled(before.count({}, {"(confidence)": now * off}, 1000))
        assert drift.warning("outputs", "then", drift.compare(before.outputs, counted.outputs), 0.05) is None
    (column,) = before.outputs
    # Each has a bin of its own; below, above and missing.
    assert len(column.counts) == 3 + 3 and sorted(column.counts)[-3:] == sorted(np.unique(then, return_counts=True)[1])


@pytest.mark.parametrize("rows", [1, 4, 6, 8, 12, 30, 100])
def test_few_rows_at_the_training_raise_no_warning_by_chance(rows: int) -> None:
    rng = np.random.default_rng(rows)
    for _ in range(60):
        then, now = (rng.normal(size=size).astype(np.float32) for size in (rows, 20_000))
        before = Counts(rows=rows, inputs=(), outputs=drift.learn({"x": then}))
        moves = drift.compare(before.outputs, before.filled(before.count({}, {"x": now}, 20_000)).outputs)
        assert drift.warning("outputs", "then", moves, 0.2) is None
        assert bool(moves) == (rows >= drift.FEWEST_ROWS)


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan, 3.4028235e38, 0.0])
def test_values_at_the_end_of_numbers_have_bins_like_others(odd: float) -> None:
    values = np.array([odd] * 60 + list(range(40)), np.float32)
    (column,) = drift.learn({"x": values})

    assert sum(column.counts) == 100
    assert Counts.model_validate_json(Counts(rows=100, inputs=(column,), outputs=()).model_dump_json())
    assert column.bins.count(np.full(5, odd, np.float32)).sum() == 5


def test_counts_add_up_over_any_cut_and_survive_json() -> None:
    rng = np.random.default_rng(4)
    before, x = counted(matrix(rng)), matrix(rng, rows=777)

    def numbers(part: np.ndarray) -> np.ndarray:
        return before.count(drift.of_matrix(FEATURES, part), {}, len(part))

    whole = numbers(x)
    assert sum(numbers(part) for part in np.split(x, [5, 300, 301])).tolist() == whole.tolist()
    filled = before.filled(whole)
    assert filled.rows == 777 and Counts.model_validate_json(filled.model_dump_json()) == filled
    assert [sum(each.counts) for each in filled.inputs] == [777, 777]


def test_columns_in_other_bins_are_not_compared() -> None:
    rng = np.random.default_rng(5)
    one, other = counted(matrix(rng)), counted(matrix(rng))

    assert [move.name for move in drift.compare(one.inputs, other.inputs)] == ["mode"]


def test_the_sample_is_spread_evenly_and_no_larger_than_it_need_be() -> None:
    total = 1_000_000
    sampled = drift.is_sampled(np.arange(total), total)

    assert sampled.sum() == pytest.approx(drift.SAMPLE_ROWS, rel=0.02)
    tenths = sampled.reshape(10, -1).sum(axis=1)
    assert tenths.min() > 0.9 * tenths.mean()
    # A period that the rows have, say 7 days or 12 keys, is not met.
    for period in (2, 7, 12, 16, 1024):
        shares = np.bincount(np.flatnonzero(sampled) % period, minlength=period)
        assert shares.min() > 0.5 * shares.mean()
    assert drift.is_sampled(np.arange(10), 10).all()


def test_columns_of_a_table_of_no_rows() -> None:
    columns: Columns = drift.of_matrix(FEATURES, np.empty((0, 5), np.float32))
    rng = np.random.default_rng(6)
    before = counted(matrix(rng))

    assert drift.compare(before.inputs, before.filled(before.count(columns, {}, 0)).inputs) == []
