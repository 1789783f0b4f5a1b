"""Moments of cron expressions: three time zones whose clocks change, and every way to write one wrong."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from shared import cron

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def shown(expression: str, zone: str, start: str, count: int) -> list[str]:
    """The next moments as the clock of the zone shows them: day, time, and the difference from UTC."""
    place = ZoneInfo(zone)
    moments = islice(cron.after(expression, zone, at(start, zone)), count)
    return [datetime.fromtimestamp(moment, place).strftime("%d %H:%M %z") for moment in moments]


@pytest.mark.parametrize(
    ("zone", "start", "expression", "come"),
    [
        # The clock goes from 02:00 to 03:00.
        (BERLIN, "2027-03-27T12:00", "30 2 * * *", ["28 03:00 +0200", "29 02:30 +0200"]),
        (BERLIN, "2027-03-27T12:00", "15,45 2 * * *", ["28 03:00 +0200", "29 02:15 +0200"]),
        (BERLIN, "2027-03-28T01:00", "30 * * * *", ["28 01:30 +0100", "28 03:30 +0200"]),
        (BERLIN, "2027-03-28T01:40", "*/20 * * * *", ["28 03:00 +0200", "28 03:20 +0200"]),
        (BERLIN, "2027-03-28T00:00", "*/30 2 * * *", ["29 02:00 +0200", "29 02:30 +0200"]),
        (NEW_YORK, "2027-03-13T12:00", "30 2 * * *", ["14 03:00 -0400", "15 02:30 -0400"]),
        (NEW_YORK, "2027-03-14T01:00", "0 * * * *", ["14 03:00 -0400", "14 04:00 -0400"]),
        # From 02:00 to 02:30.
        (LORD_HOWE, "2026-10-03T12:00", "15 2 * * *", ["04 02:30 +1100", "05 02:15 +1100"]),
        (LORD_HOWE, "2026-10-03T12:00", "45 2 * * *", ["04 02:45 +1100", "05 02:45 +1100"]),
        (LORD_HOWE, "2026-10-04T01:10", "30 * * * *", ["04 01:30 +1030", "04 02:30 +1100"]),
        (LORD_HOWE, "2026-10-04T01:10", "0 * * * *", ["04 03:00 +1100", "04 04:00 +1100"]),
    ],
)
def test_what_the_clock_leaves_out_comes_late_at_fixed_times_and_not_at_all_else(
    zone: str, start: str, expression: str, come: list[str]
) -> None:
    assert shown(expression, zone, start, 2) == come


@pytest.mark.parametrize(
    ("zone", "start", "expression", "come"),
    [
        # The clock goes from 03:00 back to 02:00.
        (BERLIN, "2027-10-30T12:00", "30 2 * * *", ["31 02:30 +0200", "01 02:30 +0100", "02 02:30 +0100"]),
        (BERLIN, "2027-10-31T01:40", "30 * * * *", ["31 02:30 +0200", "31 02:30 +0100", "31 03:30 +0100"]),
        (BERLIN, "2027-10-31T02:10", "*/30 2 * * *", ["31 02:30 +0200", "31 02:00 +0100", "31 02:30 +0100"]),
        # From 02:00 back to 01:00.
        (NEW_YORK, "2027-11-06T12:00", "30 1 * * *", ["07 01:30 -0400", "08 01:30 -0500", "09 01:30 -0500"]),
        (NEW_YORK, "2027-11-07T00:30", "0 * * * *", ["07 01:00 -0400", "07 01:00 -0500", "07 02:00 -0500"]),
        # From 02:00 back to 01:30.
        (LORD_HOWE, "2027-04-03T12:00", "45 1 * * *", ["04 01:45 +1100", "05 01:45 +1030", "06 01:45 +1030"]),
        (LORD_HOWE, "2027-04-04T01:10", "30 * * * *", ["04 01:30 +1100", "04 01:30 +1030", "04 02:30 +1030"]),
        (LORD_HOWE, "2027-04-04T01:10", "*/15 * * * *", ["04 01:15 +1100", "04 01:30 +1100", "04 01:45 +1100"]),
    ],
)
def test_what_the_clock_repeats_comes_once_at_fixed_times_and_twice_else(
    zone: str, start: str, expression: str, come: list[str]
) -> None:
    assert shown(expression, zone, start, 3) == come


EXPRESSIONS = (
    "30 2 * * *", "15,45 1-3 * * *", "0 */2 * * *", "*/20 * * * *", "7 0-23 * * *", "0 3 1 * MON", "0 2 L * *",
    "30 1 * * SUN", "*/45 1,2 * 3,10,11 *",
)  # fmt: skip


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Africa/Cairo", "America/Havana", "UTC"])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_where_clocks_change_by_hours_it_is_what_cronsim_says_of_debians_cron(zone: str, expression: str) -> None:
    start, end = at("2027-01-01T00:00"), at("2028-01-01T00:00")

    theirs = [moment.timestamp() for moment in _until(expression, zone, start, end)]

    # Of two times that are left out both come when the clock has moved on; one job is made.
    assert list(islice(cron.after(expression, zone, start), len(set(theirs)))) == sorted(set(theirs))


def _until(expression: str, zone: str, start: float, end: float) -> list[datetime]:
    found = []
    for moment in CronSim(expression, datetime.fromtimestamp(start, ZoneInfo(zone))):
        if moment.timestamp() > end:
            break
        found.append(moment)
    return found


@given(st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE]), st.sampled_from(EXPRESSIONS), st.floats(1.7e9, 1.9e9))
def test_a_moment_is_the_same_from_wherever_it_is_looked_for(zone: str, expression: str, start: float) -> None:
    come = list(islice(cron.after(expression, zone, start), 8))

    assert come == sorted(set(come)) and come[0] > start
    for place in range(7):
        assert cron.next_after(expression, zone, come[place]) == come[place + 1]
        assert cron.next_after(expression, zone, come[place] + 0.5) == come[place + 1]


@pytest.mark.parametrize(
    "text", ["@reboot", "@daily", "* * * * * *", "* * * *", "", "60 * * * *", "* 24 * * *", "x * * * *", "0 3 * 13 *",
             "0 3 * * 8", "0 3 * * FOO", "*/0 * * * *", "5-1 * * * *", "0 3 0 * *", "1,,2 * * * *", "-1 * * * *",
             "0 3 * * MON#6", "²L * * * *", "0 0 * * ²L", "99999999999999999999 * * * *"],
)  # fmt: skip
def test_what_is_no_expression_of_five_fields_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected .* 0 3 \* \* \*"):
        cron.read(text)


@pytest.mark.hostile("H52")
@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30,31 2 *", "0 0 */31 2 MON#5"])
def test_a_day_that_never_comes_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(ValueError, match="never does, so choose another day or month"):
        cron.read(text)


@given(st.text(alphabet="0123456789*/,-#LW ²MONJA@x\t", max_size=40))
def test_whatever_is_sent_is_an_expression_or_refused(text: str) -> None:
    try:
        read = cron.read(text)
    except ValueError as refused:
        assert str(refused).startswith("expected ")
    else:
        assert cron.next_after(read, BERLIN, at("2027-01-01T00:00")) is not None


def test_an_expression_is_kept_with_single_spaces() -> None:
    assert cron.read(" 0\t3  *  * MON-FRI ") == "0 3 * * MON-FRI"


@pytest.mark.parametrize("name", ["Europe", "../etc/passwd", "localtime", "Factory", "europe/berlin", "", "UTC+1", "/"])
def test_what_is_no_time_zone_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ValueError, match="expected a time zone such as Europe/Berlin or UTC"):
        cron.read_zone(name)


def test_a_slip_of_the_pen_is_told_what_was_meant() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin is meant"):
        cron.read_zone("Europe/Berln")


def test_of_a_long_time_only_the_newest_moments_are_looked_at() -> None:
    years = {"since": at("1990-01-01T00:00"), "until": at("2027-01-01T00:00")}

    minutes = cron.newest("* * * * *", BERLIN, **years, at_most=100)
    days = cron.newest("0 3 * * *", BERLIN, **years, at_most=100)
    leap_days = cron.newest("0 0 29 2 *", "UTC", **years, at_most=100)

    assert list(minutes) == [years["until"] - 60 * (99 - place) for place in range(100)]
    assert len(days) == 100 and days[-1] == at("2026-12-31T03:00", BERLIN)
    assert [datetime.fromtimestamp(day, UTC).year for day in leap_days] == list(range(1992, 2025, 4))


def test_both_ends_of_the_time_are_looked_at() -> None:
    assert cron.newest("0 * * * *", "UTC", since=7200.0, until=10800.0, at_most=9) == (7200.0, 10800.0)


def test_a_day_that_a_whole_island_left_out_is_left_out() -> None:
    come = shown("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00", 3)

    assert come == ["29 12:00 -1000", "31 00:00 +1400", "31 12:00 +1400"]
