"""Comparisons of scorings that clients ask for, kept in memory while pages of them are asked for."""

import hashlib
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from shared import job_list
from shared.errors import EtudeError, NotAllowedNow, NotFound
from shared.jobs import ENDED
from shared.storage import Storage
from worker import differences
from worker.differences import Difference

FILE = "predictions.parquet"
# A comparison takes some 300 bytes a row while it is made; ten seconds' worth of a core.
MOST_ROWS = 2_000_000
KEPT = 4


class Comparisons:
    """Those that were asked for last."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage, self._folder = storage, folder
        self._held: OrderedDict[tuple[str, str], Difference] = OrderedDict()

    def find(self, here: Row[Any], there: Row[Any]) -> Difference:
        """What differs between two files of predictions, which never change."""
        pair = (here.key, there.key)
        if pair not in self._held:
            self._held[pair] = self._compare(here, there)
        self._held.move_to_end(pair)
        while len(self._held) > KEPT:
            self._held.popitem(last=False)
        return self._held[pair]

    def _compare(self, here: Row[Any], there: Row[Any]) -> Difference:
        with tempfile.TemporaryDirectory(prefix="diff-", dir=self._folder) as folder:
            ours, theirs = (self._fetch(file, Path(folder, file.job)) for file in (here, there))
            try:
                return differences.compare(ours, theirs)
            except ValueError as cause:
                said = "These scorings have nothing in common: compare two by models of one kind."
                raise NotAllowedNow(said, code="not_comparable") from cause

    def _fetch(self, file: Row[Any], path: Path) -> Path:
        digest = hashlib.sha256()
        with path.open("wb") as out:
            for block in self._storage.stream(file.key):
                digest.update(block)
                out.write(block)
        if digest.hexdigest() != file.sha256:
            raise EtudeError(f"The stored file {FILE} is not what was written: restore it.", code="integrity")
        return path


def find_file(sql: Connection, tenant: str, job_id: str) -> Row[Any]:
    """The predictions of a scoring that has ended. Raises NotFound and NotAllowedNow."""
    job = job_list.find(sql, tenant, job_id)
    if job.action != "score":
        raise NotAllowedNow(f"A {job.action} job has no predictions to compare.", code="not_comparable")
    file = job_list.find_output(sql, job_id, FILE)
    if file is None and job.state not in ENDED:
        raise NotAllowedNow(f"The job {job_id} is {job.state}: it has no predictions yet.", code="no_predictions_yet")
    if file is None:
        job_list.demand_outputs(sql, job)
        raise NotFound(f"The job {job_id} has no {FILE}: name parquet in params.formats.")
    if file.rows > MOST_ROWS:
        said = f"The job {job_id} has {file.rows:,} rows; up to {MOST_ROWS:,} are compared at once: compare its files."
        raise NotAllowedNow(said, code="not_comparable")
    return file
