"""What columns of licence and consent say of rows: counted when a table is read, obeyed when it is learned from."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared import licences, sorts
from shared.consenting import REFUSED, WORDS
from shared.errors import Fault, JobFailed
from worker import tables
from worker.cautions import Caution
from worker.formats.source import rejection
from worker.tables import Column, Texts

# More licences than these are no licences, but names or numbers.
MOST_LICENCES = 200

Json = dict[str, Any]


class Tally:
    """What the columns of licence and consent say of the rows of a table, batch by batch."""

    def __init__(self, licence: str | None, consent: str | None) -> None:
        self._licence, self._consent = licence, consent
        self._found: Counter[tuple[str | None, str | None]] = Counter()

    def take(self, group: pa.Table) -> None:
        """Count the next rows."""
        if self._licence is None and self._consent is None:
            return
        columns = [self._cells(group, name) for name in (self._licence, self._consent)]
        self._found.update(zip(*columns, strict=True))

    def _cells(self, group: pa.Table, name: str | None) -> list[str | None]:
        if name is None:
            return [None] * group.num_rows
        return [(each or "").strip() or None for each in pc.cast(group.column(name), pa.string()).to_pylist()]

    def as_json(self) -> Json | None:
        """Rows by licence and by consent; None of a table without such columns. Raises JobFailed (dataset_rejected)."""
        if self._licence is None and self._consent is None:
            return None
        self._refuse_unreadable()
        consents: Counter[str | None] = Counter()
        usable: Counter[str | None] = Counter()
        for (licence, consent), rows in self._found.items():
            state = None if consent is None else WORDS[consent.lower()]
            consents[state] += rows
            if state != REFUSED:
                usable[None if licence is None else licences.name(licence)] += rows
        return {
            "licences": _named(usable), "without_licence": usable[None],
            "consents": _named(consents), "without_consent": consents[None],
        }  # fmt: skip

    def _refuse_unreadable(self) -> None:
        unread = Counter[str]()
        for (_, each), rows in self._found.items():
            if each is not None and each.lower() not in WORDS:
                unread[sorts.of(each)] += rows
        said = "expected granted, refused, unknown or an empty cell, received {} ({:,} times)"
        faults = [
            Fault(said.format(sort, rows), column=self._consent, code="consent_unreadable")
            for sort, rows in sorted(unread.items())
        ]
        named = {licences.name(each) for each, _ in self._found if each is not None}
        if len(named) > MOST_LICENCES:
            text = f"expected at most {MOST_LICENCES} licences, received {len(named):,}: is this the right column?"
            faults.append(Fault(text, column=self._licence, code="licences_too_many"))
        unfit = sorted(sorts.of(each) for each in named if not each.isprintable())
        faults += [
            Fault(f"expected printable text, received {each}", column=self._licence, code="licence_unreadable")
            for each in unfit
        ]
        if faults:
            raise rejection(faults, len(faults))


def _named(counts: Counter[str | None]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(name for name in counts if name is not None)}


def is_withheld(key: Column | None, consent: Column | None, keys: Collection[str], rows: int) -> np.ndarray:
    """Which of `rows` rows may not be learned from, by their own cell of consent or by their key; bool (rows,)."""
    found = np.zeros(rows, bool)
    if consent is not None:
        found |= _by_word(consent, lambda word: WORDS.get(word.strip().lower()) == REFUSED)
    if key is not None and keys:
        found |= _by_word(key, lambda word: word in keys)
    return found


def _by_word(column: Column, is_one: Callable[[str], bool]) -> np.ndarray:
    if isinstance(column, Texts):
        table = np.array([*(is_one(word) for word in column.words), False])
        chosen: np.ndarray = table[column.codes]
        return chosen
    return np.array([is_one(_text(value)) for value in column.tolist()], bool)


def _text(number: float) -> str:
    """A number as a key is told: whole ones without a point."""
    return str(int(number)) if float(number).is_integer() else repr(number)


def withheld_rows(paths: Sequence[Path], profile: Mapping[str, Any], keys: Collection[str]) -> set[int]:
    """The numbers of the rows of a dataset that may not be learned from."""
    roles = profile["roles"]
    named = [roles[role] for role in ("id", "consent") if roles.get(role)]
    columns = tables.read(paths, named)
    found = is_withheld(columns.get(roles["id"]), columns.get(roles.get("consent")), keys, tables.count_rows(paths))
    return set(np.flatnonzero(found).tolist())


def cautions(count: int, what: str) -> list[Caution]:
    """What is told of rows that were left out; nothing of none."""
    said = f"{count:,} {what} are left out: consent to learn from them is refused"
    return [Caution("rights_excluded", said)] if count else []


def all_withheld() -> JobFailed:
    said = "Consent is refused for every row that could be learned from: add rows, or entries in the ledger of rights."
    return JobFailed(said, code="rights_exclude_all")
