"""Faults: every one counted, a hundred kept, and nothing in them that a database cannot store."""

from worker.formats.source import BOOLEAN, INTEGER, NUMBER, TEXT, UNKNOWN, Cell, Faults, widest


def test_a_fault_quotes_no_control_characters() -> None:
    faults = Faults("t.csv")

    faults.add("csv_shape", "received \0\x1b[31m \N{RIGHT-TO-LEFT OVERRIDE}x")

    assert faults.kept[0].message == "received ??[31m ?x"


def test_faults_beyond_the_hundredth_are_only_counted() -> None:
    faults = Faults("t.csv")

    faults.add_infinite([Cell(row, "inf") for row in range(100)], 5000, column="a")
    refused = faults.refuse("csv_shape", "and the rest")

    assert (len(refused.faults), refused.faults_total) == (100, 5001)


def test_the_widest_type_holds_the_cells_of_all() -> None:
    assert widest([UNKNOWN, INTEGER, UNKNOWN]) == INTEGER
    assert widest([INTEGER, NUMBER]) == NUMBER
    assert widest([BOOLEAN, INTEGER]) == TEXT
    assert widest([NUMBER, TEXT]) == TEXT
    assert widest([UNKNOWN]) == UNKNOWN
