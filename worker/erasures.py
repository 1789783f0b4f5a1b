"""Carries an erasure out, in steps that do no harm when they are done again, and signs what was done.

First what is left of the datasets of a listener or a row takes the place of what was, and what still reads the old
content begins anew; of a dataset it is told to end. Then, once nothing reads it any more, the rows go that name what
was made of it, and what they named is noted with the erasure. Then keys and files are destroyed. Last come the
trainings anew, and the receipt.
"""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from shared import (
    claims,
    derived,
    erasing,
    erasures,
    features,
    pseudonyms,
    receipts,
    restarts,
    rights,
)
from shared.database import now
from shared.datasets import READY, jobs_naming
from shared.errors import TryAgain
from shared.jobs import RUNNING
from shared.tables import audit_heads
from shared.tables import datasets as dataset_table
from worker import destroying, erasure_receipts, retraining, versions_left
from worker.desk import Desk
from worker.ending import Ending

Json = dict[str, Any]

# What was told to end does so at its next beat; what does not is waited for by another attempt.
ENDING_S = 60.0
LOOK_S = 0.25


def carry_out(desk: Desk) -> Ending:
    """Bring the erasure of the job to its end."""
    with desk.database.reading() as sql:
        row = erasures.find(sql, desk.claim.tenant, desk.claim.params["erasure"])
    row = _end_jobs(desk, row) if row.kind == erasures.DATASET else _begin_anew(desk, _replace(desk, row))
    _wait(desk, row)
    row = _take(desk, row)
    desk.enter("destroying")
    leftover = destroying.destroy(desk, row)
    store = desk.storage.open_keys().store

    def record(sql: Connection) -> Json:
        trained = retraining.NOTHING
        if row.models == erasures.RETRAIN:
            trained = retraining.submit(sql, desk, _newest(sql, row))
        erasures.tell(sql, row, "done", row.id)
        head = sql.execute(select(audit_heads).where(audit_heads.c.tenant == row.tenant)).one()
        at = float(sql.execute(select(now())).scalar_one())
        found = {**row.found, "leftover": leftover, **trained}
        receipt = erasure_receipts.write(row, found, head=head, done_at=at)
        erasures.finish(sql, row, receipt, receipts.sign(store, receipt))
        return {"erasure": row.id, **trained}

    return Ending(record)


def _end_jobs(desk: Desk, row: Row[Any]) -> Row[Any]:
    """Once more, for one may have been accepted in the very moment of the decision."""
    with desk.database.transaction() as sql:
        claims.hold(sql, desk.claim)
        ended = erasures.cancel_open(sql, row.tenant, _dataset_ids(row))
        return erasures.note(sql, row, _with_cancelled(row.found, ended))


def _with_cancelled(found: Json, more: list[str]) -> Json:
    return {**found, "cancelled": sorted({*found.get("cancelled", ()), *more})}


def _dataset_ids(row: Row[Any]) -> list[str]:
    return [each["id"] for each in row.found["datasets"]]


def _replace(desk: Desk, row: Row[Any]) -> Row[Any]:
    """Put the datasets without what is to go in the place of those with, all at once, and have their readers end."""
    desk.enter("erasing")
    formats = versions_left.formats(row)
    with desk.database.reading() as sql:
        read = erasing.versions(sql, row.tenant, row.dataset, READY, formats=formats)
    changes = versions_left.find(desk, row, read)
    told = {each["id"]: each for each in row.found.get("datasets", ())}
    with desk.database.transaction() as sql:
        claims.hold(sql, desk.claim)
        changed = [change.was.id for change in changes]
        begun = restarts.hold(sql, row.tenant, changed)
        erasing.publish(sql, row.tenant, row.dataset, read, changes, formats=formats)
        for change in changes:
            told[change.was.id] = versions_left.told(row, told.get(change.was.id), change)
        files = [file for change in changes for file in versions_left.replaced(change)]
        # What is left is clean, too: a job that has begun on it already has learned from nothing that was erased.
        clean = {each.sha256 for each in read if each.id not in changed} | {change.sha256 for change in changes}
        found = _with_restarts(row.found, restarts.begin_anew(sql, begun))
        found |= {
            "datasets": list(told.values()),
            "files": [*row.found.get("files", ()), *files],
            "clean": sorted({*row.found.get("clean", ()), *clean}),
            "is_settled": not changes and row.found.get("is_settled", False),
        }
        if row.kind == erasures.TRACK:
            found |= _of_rows(sql, desk, row, [change.uploads for change in changes if change.uploads is not None])
        noted = erasures.note(sql, row, found)
        for change in changes:
            erasures.tell(sql, row, "rewrite", change.was.id)
    return noted


def _begin_anew(desk: Desk, row: Row[Any]) -> Row[Any]:
    """Look once more, now that all see what is left: one may have come, and have read, in that very moment."""
    if row.found["is_settled"]:
        return row
    with desk.database.transaction() as sql:
        claims.hold(sql, desk.claim)
        before = {each["job"] for each in row.found["restarted"]}
        begun = restarts.hold(sql, row.tenant, _dataset_ids(row))
        found = _with_restarts(row.found, restarts.begin_anew(sql, begun, before=before))
        return erasures.note(sql, row, {**found, "is_settled": True})


def _with_restarts(found: Json, more: restarts.Restarts) -> Json:
    told = {each["job"]: each for each in [*found.get("restarted", ()), *more.had_read]}
    return _with_cancelled({**found, "restarted": list(told.values())}, more.ended)


def _of_rows(sql: Connection, desk: Desk, row: Row[Any], uploads: Sequence[erasing.Uploads]) -> Json:
    """What was heard in the rows that are gone, by what the ledger of rights names them, and whether in the open."""
    keys = {key for each in uploads for key in each.keys}
    return {
        "contents": sorted(
            {*row.found.get("contents", ()), *(content for each in uploads for content in each.forgotten)}
        ),
        "named": sorted({*row.found.get("named", ()), *(_pseudonym(desk, row, key) for key in keys)}),
        "in_ledger": row.found.get("in_ledger", False) or rights.names_rows(sql, _ids_of_name(sql, row), keys),
    }


def _pseudonym(desk: Desk, row: Row[Any], key: str) -> str:
    return pseudonyms.of_row(desk.settings.pepper, row.tenant, row.dataset, key)


def _wait(desk: Desk, row: Row[Any]) -> None:
    """Until nothing is at what was there before. Raises TryAgain when that takes too long."""
    desk.enter("waiting")
    until = time.monotonic() + ENDING_S
    while _running(desk, row):
        if time.monotonic() > until:
            raise TryAgain("Jobs on the erased data have not ended yet.", code="erasure_waits")
        desk.check()
        time.sleep(LOOK_S)


def _running(desk: Desk, row: Row[Any]) -> bool:
    told = set(row.found.get("cancelled", ()))
    with desk.database.transaction() as sql:
        if restarts.is_read(sql, row.found.get("restarted", ()), lease_s=desk.settings.lease_s):
            return True
        return any(job.state == RUNNING and job.id in told for job in jobs_naming(sql, row.tenant, _dataset_ids(row)))


def _take(desk: Desk, row: Row[Any]) -> Row[Any]:
    """Take the rows away that name what was made, and keep the names of the files with the erasure."""
    whole, formats = row.kind == erasures.DATASET, versions_left.formats(row)
    with desk.database.transaction() as sql:
        claims.hold(sql, desk.claim)
        ids = _dataset_ids(row) if whole else _ids_of_name(sql, row)
        anew = {each["job"] for each in row.found.get("restarted", ())}
        made_by = [job for job in derived.ended_on(sql, row.tenant, ids) if job not in anew]
        clean = set() if whole else set(row.found["clean"])
        marked = derived.learned(sql, made_by, clean=clean)
        mark = {"erasure": row.id, "kind": row.kind}
        files = derived.take_datasets(sql, row.tenant, ids) if whole else []
        files += derived.take_recordings(sql, row.tenant, row.id, row.found.get("contents", ()))
        taken = derived.take_made(sql, made_by, marked, mark=mark, policy=row.models)
        told = {each["id"]: each for each in [*row.found.get("models", ()), *taken.models]}
        found = {
            **row.found,
            "files": _once([*row.found.get("files", ()), *files, *taken.files]),
            "outputs": sorted({*row.found.get("outputs", ()), *taken.outputs}),
            "models": list(told.values()),
            "aliases": sorted({*row.found.get("aliases", ()), *taken.aliases}),
            "jobs": sorted({*row.found.get("jobs", ()), *made_by}),
            "pending": [] if whole else erasing.pending(sql, row.tenant, row.dataset, formats=formats),
            "descendants": derived.descendants(sql, row.tenant, ids) if whole else [],
            "elsewhere": _elsewhere(sql, row) if row.kind == erasures.TRACK else [],
        }
        noted = erasures.note(sql, row, found)
        new = {each["id"] for each in row.found.get("models", ())}
        for dataset in ids if whole and "jobs" not in row.found else ():
            erasures.tell(sql, row, "erase_dataset", dataset)
        for job in taken.outputs:
            erasures.tell(sql, row, "delete_outputs", job)
        for model in taken.models:
            if model["id"] not in new:
                erasures.tell(sql, row, "delete_model" if model["done"] == "deleted" else "mark_model", model["id"])
    return noted


def _ids_of_name(sql: Connection, row: Row[Any]) -> list[str]:
    """Those that are deleted too: models may have learned from them."""
    mine = (dataset_table.c.tenant == row.tenant) & (dataset_table.c.name == row.dataset)
    return list(sql.execute(select(dataset_table.c.id).where(mine)).scalars())


def _elsewhere(sql: Connection, row: Row[Any]) -> list[str]:
    """The datasets of other names that may hold the same row, or do hold the same recording."""
    changed = _dataset_ids(row)
    found = derived.descendants(sql, row.tenant, changed) + derived.sources(sql, changed, row.dataset)
    found += features.holders(sql, row.tenant, row.found["contents"])
    return sorted({each for each in found if each.rpartition("@")[0] != row.dataset})


def _once(files: list[Json]) -> list[Json]:
    return list({file["place"]: file for file in files}.values())


def _newest(sql: Connection, row: Row[Any]) -> list[Row[Any]]:
    """Of each marked model the newest version, if it is a marked one."""
    marked = {each["id"] for each in row.found["models"]}
    rows = derived.learned(sql, row.found["jobs"], clean=set())
    newest = {each.name: each for each in sorted(rows, key=lambda each: each.number)}
    return [each for each in newest.values() if each.id in marked]
