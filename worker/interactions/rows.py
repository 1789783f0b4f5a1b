"""From rows of text to events: which rows can be used, and of the others which file, row and cell is wrong."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.errors import FAULTS_SHOWN, Fault
from worker import tables
from worker.interactions import times
from worker.interactions.roles import CONTEXT, ITEM, TIME, USER, WEIGHT
from worker.tables import MISSING, Texts

# Beyond any track id, and still a line of a log.
ID_CHARACTERS = 1024
# A second each, this would be thirty years.
WEIGHT_AT_MOST = 1e9
# A clock may be wrong by a time zone, not by more.
AHEAD_S = 86_400.0
# Before there were recordings to play, more or less.
EARLIEST_S = -2_208_988_800.0

# What is wrong with a row, the first that applies: its code, the role whose cell is wrong, and what was expected.
WRONG = (
    ("id_missing", USER, "expected the id of a user"),
    ("id_missing", ITEM, "expected the id of an item"),
    ("id_too_long", USER, f"expected an id of at most {ID_CHARACTERS} characters"),
    ("id_too_long", ITEM, f"expected an id of at most {ID_CHARACTERS} characters"),
    ("weight_invalid", WEIGHT, f"expected a number above 0 and at most {WEIGHT_AT_MOST:,.0f}"),
    ("time_invalid", TIME, "expected a moment from 1900 on, as ISO 8601 or seconds since 1970"),
    ("time_in_future", TIME, "expected a moment no more than a day ahead"),
)


class Words:
    """Gives each word the place at which it was met first."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def take(self, cells: pa.Array) -> np.ndarray:
        """The places of these words, int32; MISSING for an empty cell."""
        coded = cells.dictionary_encode()
        places = [self._places.setdefault(word, len(self._places)) for word in coded.dictionary.to_pylist()]
        found: np.ndarray = np.array([*places, MISSING], np.int32)[coded.indices.fill_null(len(places)).to_numpy()]
        return found

    def listed(self) -> list[str]:
        return list(self._places)


@dataclass
class LeftOut:
    """The rows that cannot be used: how many by code, and where the first of them are."""

    counts: Counter[str] = field(default_factory=Counter)
    # What was expected, and no cell: of a file whose columns were mistaken any of them may hold users.
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Events:
    """The rows that can be used, in the order of the files."""

    users: list[str]
    items: list[str]
    user: np.ndarray  # int32 (events,), places in users
    item: np.ndarray  # int32 (events,), places in items
    weight: np.ndarray  # float64 (events,), 1 where there is no such column
    time: np.ndarray | None
    context: Texts | None


@dataclass(frozen=True)
class Origin:
    """Which rows of the table a file has."""

    file: str
    first: int
    end: int


def read(
    path: Path,
    roles: Mapping[str, str],
    files: Sequence[tuple[str, int]],
    *,
    now_s: float,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> tuple[Events, LeftOut]:
    """Judge every row of a table of text; `files` are the names and rows of those that it was read from."""
    rows, left_out, words = sum(count for _, count in files), LeftOut(), {role: Words() for role in roles}
    origins = list(_origins(files))
    parts: dict[str, list[np.ndarray]] = {role: [] for role in (*roles, WEIGHT)}
    first = 0
    for batch in tables.batches([path], list(roles.values())):
        cells = {role: batch.column(name) for role, name in roles.items()}
        columns, wrong = _judge(cells, words, now_s)
        usable = wrong < 0
        if not usable.all():
            _note(left_out, wrong, cells, roles, origins, first)
        for role, column in columns.items():
            parts[role].append(column[usable])
        first += batch.num_rows
        progress(first, rows)
    joined = {role: np.concatenate(each) if each else np.empty(0) for role, each in parts.items()}
    context = Texts(words[CONTEXT].listed(), joined[CONTEXT].astype(np.int32)) if CONTEXT in roles else None
    return (
        Events(
            words[USER].listed(), words[ITEM].listed(), joined[USER].astype(np.int32), joined[ITEM].astype(np.int32),
            joined[WEIGHT].astype(np.float64), joined.get(TIME), context,
        ),
        left_out,
    )  # fmt: skip


def _origins(files: Sequence[tuple[str, int]]) -> Iterator[Origin]:
    first = 0
    for name, rows in files:
        yield Origin(name, first, first + rows)
        first += rows


def _judge(
    cells: Mapping[str, pa.Array], words: Mapping[str, Words], now_s: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of a batch as numbers, and for each row which of WRONG it is, or -1."""
    rows = len(cells[USER])
    found: dict[str, np.ndarray] = {WEIGHT: np.ones(rows)}
    checks: dict[tuple[str, str], np.ndarray] = {}
    for role in (USER, ITEM):
        ids = _trimmed(cells[role])
        too_long = pc.fill_null(pc.greater(pc.utf8_length(ids), ID_CHARACTERS), False)
        checks["id_too_long", role] = too_long.to_numpy(zero_copy_only=False)
        # Nor is it kept: a thousand of them would be a megabyte.
        found[role] = words[role].take(pc.if_else(too_long, pa.scalar(None, pa.string()), ids))
        checks["id_missing", role] = (found[role] == MISSING) & ~checks["id_too_long", role]
    if WEIGHT in cells:
        found[WEIGHT] = _weights(cells[WEIGHT])
        checks["weight_invalid", WEIGHT] = ~((found[WEIGHT] > 0) & (found[WEIGHT] <= WEIGHT_AT_MOST))
    if TIME in cells:
        found[TIME] = times.read(cells[TIME])
        checks["time_invalid", TIME] = ~(found[TIME] >= EARLIEST_S)
        checks["time_in_future", TIME] = found[TIME] > now_s + AHEAD_S
    if CONTEXT in cells:
        found[CONTEXT] = words[CONTEXT].take(pc.utf8_slice_codeunits(_trimmed(cells[CONTEXT]), 0, ID_CHARACTERS))
    wrong = np.full(rows, -1, np.int8)
    for place in reversed(range(len(WRONG))):
        code, role, _ = WRONG[place]
        wrong[checks.get((code, role), np.zeros(rows, bool))] = place
    return found, wrong


def _trimmed(cells: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _weights(cells: pa.Array) -> np.ndarray:
    """Numbers of a column of text; NaN where a cell is none."""
    try:
        return _floats(pc.cast(cells, pa.float64()))
    except pa.ArrowInvalid:
        coded = pc.utf8_trim_whitespace(cells).dictionary_encode()
        values = np.array([*(_weight(word) for word in coded.dictionary.to_pylist()), np.nan])
        codes = coded.indices.fill_null(len(values) - 1).to_numpy()
        return values[codes]


def _weight(word: str) -> float:
    try:
        return float(pc.cast(pa.scalar(word), pa.float64()).as_py())
    except pa.ArrowInvalid:
        return float("nan")


def _floats(numbers: pa.Array) -> np.ndarray:
    return numbers.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)


def _describe(cell: str | None, code: str) -> str:
    """What may be said of any cell, wherever it is said."""
    if cell is None or not cell.strip():
        return ", received none"
    return f", received one of {len(cell):,}" if code == "id_too_long" else ""


def _note(
    left_out: LeftOut,
    wrong: np.ndarray,
    cells: Mapping[str, pa.Array],
    roles: Mapping[str, str],
    origins: Sequence[Origin],
    first: int,
) -> None:
    """Count the rows of a batch that are wrong, and say of the first where they are."""
    places = np.flatnonzero(wrong >= 0)
    for which, count in zip(*np.unique(wrong[places], return_counts=True), strict=True):
        left_out.counts[WRONG[which][0]] += int(count)
    for place in places[: FAULTS_SHOWN - len(left_out.faults)].tolist():
        code, role, said = WRONG[wrong[place]]
        cell = cells[role][place].as_py()
        origin = next(each for each in origins if each.first <= first + place < each.end)
        left_out.faults.append(
            Fault(
                said + _describe(cell, code), file=origin.file, row=first + place - origin.first,
                column=roles[role], code=code,
            )
        )  # fmt: skip
