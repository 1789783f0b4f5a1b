"""Moments in the forms that clients write."""

import math

import pyarrow as pa
import pytest

from worker.interactions import times

NEW_YEAR = 1_704_067_200.0


@pytest.mark.parametrize(
    "cell",
    [
        "1704067200", "1704067200.0", "1704067200000", "1704067200000000", "1704067200000000000", "2024-01-01",
        "2024-01-01T00:00:00", "2024-01-01 00:00", "2024-01-01T00:00:00Z", "2024-01-01T02:00:00+02:00",
        "2023-12-31T19:00:00-0500", " 2024-01-01 ", "20240101T000000Z", "2024-01-01T00:00:00.000000000",
    ],
)  # fmt: skip
def test_a_moment_is_read_alone_and_among_others_of_every_form(cell: str) -> None:
    alone = times.read(pa.array([cell, None]))
    among = times.read(pa.array(["x", "2024-01-01", "1704067200", cell, "2024-01-01T00:00:00Z"]))

    assert (alone[0], among[3]) == (NEW_YEAR, NEW_YEAR)
    assert math.isnan(alone[1])
    assert math.isnan(among[0])


@pytest.mark.parametrize("cell", ["", "yesterday", "2024-13-01", "01/02/2024", "nan", "inf", "1e400", "1_704_067_200"])
def test_what_is_no_moment_is_none(cell: str) -> None:
    assert math.isnan(times.read(pa.array([cell]))[0])
    assert math.isnan(times.read(pa.array(["2024-01-01", cell]))[1])


def test_fractions_of_seconds_are_kept() -> None:
    assert times.read(pa.array(["2024-01-01T00:00:00.25Z", "2024-01-01T00:00:00.5Z"])).tolist() == [
        NEW_YEAR + 0.25, NEW_YEAR + 0.5
    ]  # fmt: skip
    assert times.read(pa.array(["1704067200250"]))[0] == NEW_YEAR + 0.25


def test_a_moment_is_written_in_utc() -> None:
    assert times.write(NEW_YEAR + 0.75) == "2024-01-01T00:00:00Z"
