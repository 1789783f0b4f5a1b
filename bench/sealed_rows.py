"""What sealed cells cost: jobs listed, read and submitted, epochs recorded and read, against cells only marked."""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert

from bench.measurement import Measurement, compare
from migrations.upgrade import upgrade
from shared import ids, job_list, jobs, sealed_columns, settings
from shared.database import Database, now
from shared.sealing.cells import NAME, TEXT, Cells
from shared.settings import Settings
from shared.tables import epochs, tenants
from shared.tenancy import EVERYONE

JOBS, EPOCHS, AT_ONCE = 400, 1000, 100
PARAMS = {
    "hidden": [{"units": 64, "activation": "relu"}] * 3, "loss": "categorical_crossentropy", "epochs": 50,
    "optimizer": {"name": "adam", "learning_rate": 0.001}, "features": [f"feature_{number}" for number in range(40)],
}  # fmt: skip


class Marked(Cells):
    """The same rows and marks, and nothing hidden: what the tables' types and the longer cells cost stays in it."""

    def seal(self, tenant: str, what: str, text: str) -> str:
        return f"{TEXT}.{tenant}.{text}"

    def seal_name(self, tenant: str, what: str, name: str) -> str:
        return f"{NAME}.{tenant}.{name}"

    def open(self, what: str, cell: str) -> str:
        return cell.split(".", 2)[2]


def measure(rounds: int) -> list[Measurement]:
    with tempfile.TemporaryDirectory() as folder:
        sides = [_Side(Path(folder) / "sealed"), _Side(Path(folder) / "marked", Marked(_no_keys))]
        pairs = {name: [] for name in _Side.TASKS}  # type: dict[str, list[tuple[float, float]]]
        for _ in range(rounds):
            for name in _Side.TASKS:
                ours, peers = (side.take(name) for side in sides)
                pairs[name].append((ours, peers))
        for side in sides:
            side.database.close()
    said = "SQLite, CPU time of one process; the peer has the same rows, marked and not sealed"
    return [compare(name, pairs[name], unit="s", bar="≤ 2", note=said) for name in _Side.TASKS]


def _no_keys() -> Any:
    raise AssertionError("what is only marked needs no key")


class _Side:
    TASKS = (
        f"a page of {AT_ONCE} jobs", f"{AT_ONCE} jobs, one by one", f"{AT_ONCE} jobs submitted",
        f"{EPOCHS} epochs recorded", f"{EPOCHS} epochs read",
    )  # fmt: skip

    def __init__(self, home: Path, cells: Cells | None = None) -> None:
        home.mkdir()
        chosen = _settings(home)
        upgrade(chosen.database_url)
        self.database = Database(chosen, whose=EVERYONE)
        if cells is not None:
            for engine in (self.database._writing, self.database._reading):
                setattr(engine.dialect, sealed_columns.CELLS, cells)
        self.tenant = ids.new("ten")
        with self.database.transaction() as sql:
            sql.execute(insert(tenants).values(id=self.tenant, name="bench", created_at=now()))
        self.mine = self.database.of(self.tenant)
        self.known = [self._submit() for _ in range(JOBS)]
        self._record()

    def take(self, task: str) -> float:
        tasks: list[Callable[[], object]] = [self._page, self._find, self._submit_many, self._record, self._read]
        wanted = dict(zip(self.TASKS, tasks, strict=True))[task]
        began = time.process_time()
        wanted()
        return time.process_time() - began

    def _submit(self) -> str:
        new = jobs.NewJob(
            tenant=self.tenant, action="train", queue="train", kind="classification", model="night-songs",
            params=PARAMS, labels={"team": "night"},
        )  # fmt: skip
        with self.mine.transaction() as sql:
            return str(jobs.submit(sql, new).id)

    def _submit_many(self) -> None:
        for _ in range(AT_ONCE):
            self._submit()

    def _page(self) -> None:
        with self.mine.reading() as sql:
            job_list.page(sql, self.tenant, limit=AT_ONCE, before=None, equal={"model": "night-songs"}, labels={})

    def _find(self) -> None:
        with self.mine.reading() as sql:
            for job in self.known[:AT_ONCE]:
                job_list.whole(sql, job_list.find(sql, self.tenant, job))

    def _record(self) -> None:
        rows = [
            {"job": self.known[0], "epoch": number, "metrics": {"loss": 0.5, "val_loss": 0.6, "accuracy": 0.7}}
            for number in range(EPOCHS)
        ]
        with self.mine.transaction() as sql:
            sql.execute(delete(epochs))
            sql.execute(insert(epochs), rows)

    def _read(self) -> None:
        with self.mine.reading() as sql:
            assert len(job_list.list_epochs(sql, self.known[0])) == EPOCHS


def _settings(home: Path) -> Settings:
    chosen = settings.read({"ETUDE_HOME": str(home), "ETUDE_PEPPER": "5e" * 32, "ETUDE_ROOT_KEY": "5e" * 32})
    return dataclasses.replace(chosen, sqlite_synchronous="OFF")
