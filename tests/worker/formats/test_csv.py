"""CSV: types over whole columns, missing cells, delimiters, and where each broken row stands."""

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import JobFailed
from tests.worker.formats import reading
from worker.formats import csv as csv_format
from worker.formats.source import BOOLEAN, INTEGER, NUMBER, TEXT, UNKNOWN, Faults
from worker.formats.text import BLOCK_BYTES, LINE_BYTES, check_text


def test_a_type_is_learned_over_the_whole_column(tmp_path: Path) -> None:
    rows = ["1,1,true,1", *["2,2,FALSE,2"] * 300_000, "3,2.5,True,x"]

    source = reading.csv(tmp_path, "\n".join(["a,b,c,d", *rows]))

    assert source.types == {"a": INTEGER, "b": NUMBER, "c": BOOLEAN, "d": TEXT}
    assert source.rows == 300_002
    assert reading.table(source).slice(300_001).to_pylist() == [{"a": 3, "b": 2.5, "c": True, "d": "x"}]


@pytest.mark.parametrize("token", ["", "NA", "N/A", "NaN", "nan", "null", "None", "?", '"NA"', '""', " NA ", "  "])
def test_a_token_for_a_missing_cell_does_not_make_a_column_text(tmp_path: Path, token: str) -> None:
    source = reading.csv(tmp_path, f"a,b\n1,{token}\n2,7\n")

    assert source.types["b"] == INTEGER
    assert reading.table(source)["b"].to_pylist() == [None, 7]


def test_a_column_without_a_cell_has_no_type_of_its_own(tmp_path: Path) -> None:
    source = reading.csv(tmp_path, "a,b\n1,NA\n2,\n")

    assert source.types["b"] == UNKNOWN


@pytest.mark.parametrize("number", ["1e5", "-.5", "+3.", "12345678901234567890", "1E-400", " 2.5 "])
def test_numbers_are_read_as_people_write_them(tmp_path: Path, number: str) -> None:
    source = reading.csv(tmp_path, f"a\n0.5\n{number}\n")

    assert source.types["a"] == NUMBER
    assert reading.table(source)["a"].to_pylist() == [0.5, float(number)]


@pytest.mark.parametrize("word", ["0x1F", "1_000", "1,5", "5 %", "1e", "--1", "１"])
def test_what_only_resembles_a_number_is_text(tmp_path: Path, word: str) -> None:
    source = reading.csv(tmp_path, f'a\n1\n"{word}"\n')

    assert source.types["a"] == TEXT
    assert reading.table(source)["a"].to_pylist() == ["1", word]


@pytest.mark.parametrize("key", ["007", "12345678901234567890", "1.50", "+1"])
def test_the_cells_of_an_id_stay_as_they_were_written(tmp_path: Path, key: str) -> None:
    source = reading.csv(tmp_path, f"id,a\n{key},{key}\n2,2\n")

    assert source.types["id"] == TEXT
    assert reading.table(source)["id"].to_pylist() == [key, "2"]
    assert source.types["a"] in (INTEGER, NUMBER)


def test_an_id_of_plain_integers_stays_one(tmp_path: Path) -> None:
    source = reading.csv(tmp_path, "work,a\n17,1\n-2,2\n", columns={"id": "work"})

    assert source.types["work"] == INTEGER


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_the_delimiter_is_the_sign_that_splits_the_header_most(tmp_path: Path, sign: str) -> None:
    source = reading.csv(tmp_path, f'"a,b;c"{sign} d {sign}e\n1{sign}2{sign}3\n')

    assert list(source.types) == ["a,b;c", "d", "e"]
    assert source.rows == 1


@pytest.mark.parametrize(
    "content",
    ["a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n3,4\r\n", "a,b\r1,2\r3,4\r", "a,b\n1,2\n3,4", "\n\na,b\n\n1,2\n\n\n3,4\n\n"],
    ids=["newline", "both", "return", "no last newline", "empty lines"],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte-order mark"])
def test_line_ends_and_a_byte_order_mark_are_no_matter(tmp_path: Path, content: str, mark: str) -> None:
    source = reading.csv(tmp_path, mark + content)

    assert reading.table(source).to_pylist() == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_however_lines_end_only_one_that_is_long_is_too_long(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b" + end + (b"1,2" + end) * 1_500_000)
    short = check_text(path, Faults("t.csv"))
    path.write_bytes(b"a,b" + end + b"1," + b"x" * (LINE_BYTES + BLOCK_BYTES) + end + b"1,2" + end)
    long = check_text(path, Faults("t.csv"))

    assert short.long_until == 0 and long.long_until > LINE_BYTES


def test_quoted_cells_hold_delimiters_lines_and_quotation_marks(tmp_path: Path) -> None:
    source = reading.csv(tmp_path, 'a,b\n"x, ""y""\nz",1\n5" disc,2\n')

    assert reading.table(source)["a"].to_pylist() == ['x, "y"\nz', '5" disc']
    assert source.faults.total == 0


def test_every_ragged_row_is_named_with_its_number_and_what_it_has(tmp_path: Path) -> None:
    good = ["1,2"] * 200_000
    source = reading.csv(tmp_path, "\n".join(["a,b", "1", *good, "", '"3\n3",4', "5,6,7", *good, "8", "9,inf"]))

    told = [(fault.row, fault.column, fault.message) for fault in source.faults.kept]

    assert told == [
        (0, None, "expected 2 cells, received 1"),
        (200_002, None, "expected 2 cells, received 3"),
        (400_003, None, "expected 2 cells, received 1"),
        (400_004, "b", "expected a finite number, received an infinite number"),
    ]


def test_a_hundred_faults_are_named_and_all_are_counted(tmp_path: Path) -> None:
    source = reading.csv(tmp_path, "\n".join(["a,b", *["1"] * 150, *["1,inf"] * 150]))

    assert source.faults.total == 300
    assert [fault.row for fault in source.faults.kept] == list(range(100))


def test_reading_stops_where_nobody_would_count_the_ragged_rows(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as refused:
        reading.csv(tmp_path, "\n".join(["a,b", *["1"] * 50_000]))

    assert refused.value.faults_total == csv_format.RAGGED_AT_MOST
    assert len(refused.value.faults) == 100


def test_infinity_in_a_column_of_text_is_a_word(tmp_path: Path) -> None:
    source = reading.csv(tmp_path, "a\ninf\n1e999\nInfinity Song\n")

    assert source.types["a"] == TEXT
    assert source.faults.total == 0


CELLS = st.one_of(
    st.integers(-(2**62), 2**62).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20), sign=st.sampled_from(",;\t"))
def test_what_the_csv_module_writes_is_read_back(tmp_path: Path, rows: list[tuple[str, str]], sign: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=sign, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b"), *rows])

    source = reading.csv(tmp_path, written.getvalue())
    read = reading.table(source)

    assert source.rows == len(rows)
    for place, name in enumerate(("a", "b")):
        for cell, value in zip((row[place] for row in rows), read[name].to_pylist(), strict=True):
            assert _same(cell, value, read.schema.field(name).type)


def _same(cell: str, value: object, kind: pa.DataType) -> bool:
    if value is None:
        return cell.strip() in ("", "NA", "N/A", "NaN", "nan", "null", "None", "?")
    if kind == TEXT:
        return value == cell
    if kind == BOOLEAN:
        return str(value).lower() == cell.strip().lower()
    return (int(cell) if kind == INTEGER else float(cell)) == value
