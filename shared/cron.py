"""The moments of a cron expression in a time zone: pure, and the same whoever asks and whenever.

Clock changes are met as Debian's cron meets them. An expression of fixed times, whose minute and hour both begin with
something other than `*`, comes once a day whatever the clock does: a time that is left out comes when the clock has
moved on, a time that comes twice counts the first time. Any other expression follows the clock: what is left out does
not come, what comes twice comes twice.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

# What the machine has made of them, which another one may not have.
NO_PLACES = {"localtime", "posixrules", "Factory"}
# Any day of any year comes again within the 50 years for which cronsim looks.
SOME_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 — a time on a clock, of no zone
DAY_S = 86_400.0
MINUTE_S = 60.0


def read(text: str) -> str:
    """The expression with single spaces. Raises ValueError with a sentence for the client."""
    fields = text.split()
    if len(fields) != 5:
        said = "expected five fields (minute, hour, day, month, weekday) such as 0 3 * * *"
        raise ValueError(f"{said}, received {len(fields)} in {text!r}")
    try:
        is_ever = next(CronSim(text, SOME_DAY), None) is not None
    except CronSimError as cause:
        if not _is_well_formed(fields):
            said = "such as 0 3 * * * (minute, hour, day, month, weekday), or 0 3 * * MON-FRI"
            raise ValueError(f"expected a cron expression {said}: {cause} in {text!r}") from cause
        is_ever = False
    if not is_ever:
        raise ValueError(f"expected a day that comes: {text!r} never does, so choose another day or month")
    return " ".join(fields)


def _is_well_formed(fields: list[str]) -> bool:
    """Whether only the month lacks the day."""
    try:
        CronSim(" ".join([*fields[:3], "*", "*"]), SOME_DAY)
        CronSim(" ".join(["*", "*", "*", *fields[3:]]), SOME_DAY)
    except CronSimError:
        return False
    return True


def read_zone(name: str) -> str:
    """The name of a time zone. Raises ValueError with a sentence for the client."""
    if name in _zones():
        return name
    meant = get_close_matches(name, _zones(), n=1)
    hint = f"; {meant[0]} is meant?" if meant else ""
    raise ValueError(f"expected a time zone such as Europe/Berlin or UTC, received {name!r}{hint}")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - NO_PLACES)


# Of many schedules most have the same few expressions, and are due at the same moments.
@lru_cache(maxsize=4096)
def next_after(cron: str, zone: str, at: float) -> float | None:
    """The first moment later than `at`; None when none comes."""
    return next(after(cron, zone, at), None)


@lru_cache(maxsize=4096)
def newest(cron: str, zone: str, *, since: float, until: float, at_most: int) -> tuple[float, ...]:
    """The last moments from `since` to `until`, both included, in order.

    However long that is: it looks back only as far as so many of them reach.
    """
    window_s = MINUTE_S * at_most
    while True:
        start = max(since, until - window_s)
        found = list(takewhile(lambda moment: moment <= until, after(cron, zone, start - 1)))
        if len(found) >= at_most or start == since:
            return tuple(found[-at_most:])
        window_s *= 2


def after(cron: str, zone: str, at: float) -> Iterator[float]:
    """The moments later than `at`, in order."""
    place, fields = ZoneInfo(zone), cron.split()
    is_fixed = not (fields[0].startswith("*") or fields[1].startswith("*"))
    last = at
    for moment in _in_order(CronSim(cron, _clock_before(at, place)), place, is_fixed=is_fixed):
        # Two times that are left out come at one moment.
        if moment > last:
            last = moment
            yield moment


def _clock_before(at: float, zone: ZoneInfo) -> datetime:
    """What the clock shows at `at`; if it will be put back within a day, so much less: these times come again."""
    today, tomorrow = _clock(at, zone), _clock(at + DAY_S, zone)
    return min(today, tomorrow - timedelta(seconds=DAY_S))


def _clock(at: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).replace(tzinfo=None, fold=0)


def _in_order(clock: Iterable[datetime], zone: ZoneInfo, *, is_fixed: bool) -> Iterator[float]:
    """The moments at which the clock shows these times."""
    # The second time of an hour that is repeated: it comes when all of the first has gone by.
    again: list[float] = []
    for shown in clock:
        moments = _moments(shown, zone, is_fixed=is_fixed)
        while again and moments and again[0] < moments[0]:
            yield again.pop(0)
        yield from moments[:1]
        again += moments[1:]
    yield from again


def _moments(shown: datetime, zone: ZoneInfo, *, is_fixed: bool) -> list[float]:
    first, second = _both(shown, zone)
    # PEP 495: a time that is left out, read with the difference from UTC before the change, is the later one.
    if second < first and not is_fixed:
        return []
    while second < first:
        shown += timedelta(seconds=MINUTE_S)
        first, second = _both(shown, zone)
    return [first] if is_fixed or first == second else [first, second]


def _both(shown: datetime, zone: ZoneInfo) -> tuple[float, float]:
    first, second = (shown.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return first, second
