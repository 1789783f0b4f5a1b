"""Which rows a training may not learn from: as the ledger has it when they are read, and once more when it ends."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select

from shared import carried_rights, pseudonyms, rights
from shared.consenting import FORBIDDING
from shared.errors import JobFailed, NotAllowedNow
from shared.models import NewVersion
from shared.tables import datasets, jobs
from worker.desk import Desk

Json = dict[str, Any]


@dataclass(frozen=True)
class Withheld:
    """The keys of rows that may not be learned from, as the ledger names them: by name of dataset, pseudonyms.

    It still knows a row whose key was erased, and comes again.
    """

    pepper: str
    tenant: str
    by_name: Mapping[str, frozenset[str]]

    def __contains__(self, key: object) -> bool:
        return any(self._is_named(name, known, str(key)) for name, known in self.by_name.items())

    def _is_named(self, name: str, known: frozenset[str], key: str) -> bool:
        return key in known or pseudonyms.of_row(self.pepper, self.tenant, name, key) in known

    def __len__(self) -> int:
        return sum(map(len, self.by_name.values()))

    def __iter__(self) -> Iterator[str]:
        return (each for known in self.by_name.values() for each in known)


def look(desk: Desk, rows: Sequence[Row[Any]]) -> Withheld:
    """Note what the ledger says of the datasets of a training; returns the keys of rows that it may not learn from.

    Raises JobFailed where it may learn from none, or where consent was withdrawn since the job began: what an earlier
    attempt has learned, or a trial of the same search, may have learned from it.
    """
    with desk.database.reading() as sql:
        wanted = rights.with_sources(sql, [row.id for row in rows])
        try:
            carried_rights.refuse_withheld(sql, [row.id for row in rows])
        except NotAllowedNow as cause:
            raise JobFailed(cause.detail, code=cause.code) from cause
        began = _began(sql, desk)
        if any(each.is_withdrawn_after(began) for each in rights.standing(sql, wanted).values()):
            raise _withdrawn()
        # In this order: what comes between the two is taken for withdrawn at the end, never overlooked.
        desk.rights_seen |= {each["id"]: each for each in carried_rights.of_datasets(sql, wanted)}
        standing = rights.standing(sql, wanted)
        names = dict(sql.execute(select(datasets.c.id, datasets.c.name).where(datasets.c.id.in_(wanted))).all())
    by_name: dict[str, frozenset[str]] = {}
    for dataset_id, each in standing.items():
        desk.rights_seen[dataset_id]["withheld"] = each.withheld
        if each.withheld:
            name = names[dataset_id]
            by_name[name] = by_name.get(name, frozenset()) | each.withheld
    return Withheld(desk.settings.pepper, desk.claim.tenant, by_name)


def _began(sql: Connection, desk: Desk) -> float:
    """When the job did, or the search whose trial it is; 0 where nothing tells."""
    mine, search = desk.claim.job_id, desk.claim.parent
    chosen = select(jobs.c.id, jobs.c.started_at).where(jobs.c.id.in_([mine, search or mine]))
    began = {row.id: row.started_at for row in sql.execute(chosen)}
    # A search that begins anew may have trials that do so before it.
    return float(began.get(search) or began.get(mine) or 0)


def note_withheld(desk: Desk, dataset_id: str, count: int) -> None:
    """Remember how many rows of a dataset were left out."""
    desk.rights_seen[dataset_id]["withheld_rows"] = count


def carry(sql: Connection, desk: Desk, version: NewVersion) -> NewVersion:
    """The version with its rights in its lineage, in the transaction that ends its training.

    Raises JobFailed where consent was withdrawn while it learned; from here on nobody withdraws it until the commit.
    """
    seen = desk.rights_seen
    # Whoever learns has asked `look` first, also a kind that is still to come.
    assert seen.keys() >= set(desk.claim.datasets)
    rights.hold(sql, seen)
    for dataset_id, now in rights.standing(sql, list(seen)).items():
        before = seen[dataset_id]
        if now.consent in FORBIDDING or now.withdrawn_since(before["entry"]) or now.withheld - before["withheld"]:
            raise _withdrawn()
    carried = carried_rights.of_training(sql, desk.claim.datasets, version.lineage, seen)
    return replace(version, lineage={**version.lineage, "rights": carried})


def _withdrawn() -> JobFailed:
    said = (
        "Consent to learn from this dataset, or from rows of it, was withdrawn while the job ran: nothing is kept of "
        "it. Submit it again, and it learns without them."
    )
    return JobFailed(said, code="consent_withdrawn")
