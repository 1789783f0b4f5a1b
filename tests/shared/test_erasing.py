"""Versions of a name change together, and never under somebody who builds on one of them."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Row, insert, update

from shared import datasets, erasing
from shared.database import Database, now
from shared.erasing import Change
from shared.errors import TryAgain
from shared.tables import dataset_files
from shared.tables import datasets as table
from tests import factories

LIMIT_S = 60.0
PROFILE = {"rows": 1, "columns": []}


def make(database: Database, tenant: str, *, version: int = 1, **values: Any) -> Row[Any]:
    with database.transaction() as sql:
        dataset = factories.make_dataset(
            sql, tenant, name="plays", version=version, format="interactions", sha256=str(version) * 64, **values
        )
        return datasets.find(sql, tenant, dataset)


def change(row: Row[Any]) -> Change:
    return Change(row, [{"name": "events.parquet", "key": "new", "size_bytes": 7, "sha256": "n"}], PROFILE, "f" * 64, 2)


def sha256(database: Database, row: Row[Any]) -> str:
    with database.reading() as sql:
        return str(datasets.find(sql, row.tenant, row.id).sha256)


class Beside:
    """A transaction in a thread of its own."""

    def __init__(self, database: Database, work: Callable[[Connection], object]) -> None:
        self.failed: Exception | None = None
        self._database, self._work = database, work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._database.transaction() as sql:
                self._work(sql)
        except TryAgain as failed:
            self.failed = failed

    def join(self) -> Exception | None:
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), "it did not end in time"
        return self.failed


def test_all_changes_are_made_at_once(database: Database, tenant: str) -> None:
    first, second = make(database, tenant), make(database, tenant, version=2)

    with database.transaction() as sql:
        erasing.publish(sql, tenant, "plays", [first, second], [change(first)])

    with database.reading() as sql:
        found = datasets.find(sql, tenant, first.id)
    assert (found.sha256, found.rows, found.size_bytes, found.profile) == ("f" * 64, 1, 7, PROFILE)
    assert sha256(database, second) == second.sha256


@pytest.mark.parametrize("what", [{"sha256": "9" * 64}, {"state": "erased"}])
def test_what_was_changed_since_it_was_read_refuses_all(database: Database, tenant: str, what: Any) -> None:
    first, second = make(database, tenant), make(database, tenant, version=2)
    with database.transaction() as sql:
        sql.execute(update(table).where(table.c.id == second.id).values(what))

    with pytest.raises(TryAgain) as refused, database.transaction() as sql:
        erasing.publish(sql, tenant, "plays", [first, second], [change(first), change(second)])

    assert refused.value.code == "dataset_changed"
    assert sha256(database, first) == first.sha256


def test_a_version_that_nobody_has_looked_at_refuses_all(database: Database, tenant: str) -> None:
    first = make(database, tenant)
    make(database, tenant, version=2)

    with pytest.raises(TryAgain), database.transaction() as sql:
        erasing.publish(sql, tenant, "plays", [first], [change(first)])


def test_an_erasure_waits_for_an_ingest_that_ends_and_then_sees_its_version(database: Database, tenant: str) -> None:
    base, newer = make(database, tenant), make(database, tenant, version=2, state="ingesting")

    with database.transaction() as sql:
        datasets.demand_unchanged(sql, base)
        erasure = Beside(
            database, lambda beside: erasing.publish(beside, tenant, "plays", [base], [change(base)])
        )  # fmt: skip
        sql.execute(update(table).where(table.c.id == newer.id).values(state="ready"))

    assert isinstance(erasure.join(), TryAgain)
    assert sha256(database, base) == base.sha256


def test_an_ingest_waits_for_an_erasure_that_ends_and_then_reads_again(database: Database, tenant: str) -> None:
    base = make(database, tenant)

    with database.transaction() as sql:
        erasing.publish(sql, tenant, "plays", [base], [change(base)])
        ingest = Beside(database, lambda beside: datasets.demand_unchanged(beside, base))

    assert isinstance(ingest.join(), TryAgain)


def test_versions_under_way_are_told_of_this_name_and_format_alone(database: Database, tenant: str) -> None:
    make(database, tenant)
    make(database, tenant, version=2, state="open")
    make(database, tenant, version=3, state="ingesting")
    make(database, tenant, version=4, state="rejected")
    rejected = make(database, tenant, version=6, state="rejected")
    with database.transaction() as sql:
        factories.make_dataset(sql, tenant, name="plays", version=5, state="open")
        factories.make_dataset(sql, tenant, name="other", format="interactions", state="open")
        upload = {"name": "a.csv", "key": "k", "size_bytes": 1, "sha256": "0" * 64}
        sql.execute(insert(dataset_files).values(tenant=tenant, dataset=rejected.id, uploaded_at=now(), **upload))

    with database.reading() as sql:
        # The uploads of the fourth are gone.
        assert erasing.pending(sql, tenant, "plays") == ["plays@2", "plays@3", "plays@6"]
        assert [row.version for row in erasing.versions(sql, tenant, "plays", "ready")] == [1]
