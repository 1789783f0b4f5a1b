"""The ingest of a dataset of interactions: rows judged, joined with those of its base, and stored as three tables.

Its uploads are let go of in the end: what is stored is all there is, so that erasing a listener erases.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import Row as SqlRow

from shared import datasets, pseudonyms
from shared.database import now
from shared.errors import FAULTS_SHOWN, Fault, JobFailed
from worker import quarantine
from worker.desk import Desk, erased
from worker.ending import Ending
from worker.ingest import UploadedFile
from worker.interactions import catalogue, joining, profile, reading, rows, stored
from worker.interactions.catalogue import ItemTable
from worker.interactions.joining import Rename
from worker.interactions.roles import ROLES, USER
from worker.interactions.rows import Events, LeftOut
from worker.interactions.stored import Interactions

# Beyond, what is left says little of what was meant.
LEFT_OUT_AT_MOST = 0.5

Json = dict[str, Any]  # Any: JSON


@dataclass
class Base:
    """The version that is added to: its row and what it holds; or nothing."""

    row: SqlRow[Any] | None = None
    holds: Interactions | None = None

    @property
    def profile(self) -> Json:
        return self.row.profile if self.row is not None else {"roles": dict.fromkeys(ROLES), "interactions": {}}


@dataclass
class Read:
    """What the uploads came to."""

    roles: dict[str, str | None]
    events: Events | None = None
    items: ItemTable | None = None
    rows: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)
    items_left_out: LeftOut = field(default_factory=LeftOut)
    warnings: list[Json] = field(default_factory=list)


def run(desk: Desk, row: SqlRow[Any]) -> Ending:
    """Read the uploads of a dataset of interactions and make its three tables and its profile."""
    desk.enter("fetching")
    base = _base(desk, row)
    uploads = _uploads(desk, row)
    with quarantine.watching(desk, uploads):
        files = [UploadedFile(file.name, desk.fetch_upload(file)) for file in uploads]
        desk.enter("reading")
        read = _read(desk, row, files, base)
    # Those of CSV have pseudonyms since the door, which stay; others, and those of older versions, get them here.
    rename = functools.partial(pseudonyms.of, desk.settings.pepper, row.tenant, row.name)
    interactions, duplicates = _join(base, read, rename)
    said = _profile(interactions, read, duplicates)
    desk.enter("storing")
    parts = desk.put_parts(row, stored.write(desk.scratch, interactions))

    def record(sql: Connection) -> Json:
        if base.row is not None:
            datasets.demand_unchanged(sql, base.row)
        datasets.mark_ready(sql, row.id, parts=parts, profile=said)
        datasets.let_go(sql, row.id)
        # No names of users: nobody is erased from a job.
        counts = {"users": len(interactions.users), "items": len(interactions.items)}
        return {"dataset": row.id, "rows": said["rows"], **counts, "warnings": said["warnings"]}

    return Ending(record)


def _base(desk: Desk, row: SqlRow[Any]) -> Base:
    if row.base is None:
        return Base()
    with desk.database.reading() as sql:
        if datasets.is_erased(sql, row.base):
            raise erased()
        found = datasets.find(sql, row.tenant, row.base)
    return Base(found, stored.load(desk.fetch_parts(found)))


def _uploads(desk: Desk, row: SqlRow[Any]) -> list[SqlRow[Any]]:
    """The files of this version alone: what those before it had is in the base's tables."""
    with desk.database.reading() as sql:
        return datasets.files(sql, row.id)


def _read(desk: Desk, row: SqlRow[Any], files: Sequence[UploadedFile], base: Base) -> Read:
    of_items = [file for file in files if reading.is_item_file(file.name)]
    of_events = [file for file in files if not reading.is_item_file(file.name)]
    if not of_events and base.row is None:
        said = "expected a file of interactions beside those whose names begin with items"
        raise JobFailed(f"The dataset has no interactions: {said}.", code="dataset_rejected", faults=[Fault(said)])
    read = Read(dict(base.profile["roles"]))
    if of_events:
        _read_events(desk, row, of_events, read)
    if of_items:
        decoded = reading.decode_items(of_items, read.roles["item"], read.roles["user"], desk.scratch, desk.report_rows)
        read.items, read.items_left_out = catalogue.read(decoded.path, decoded.said["key"], decoded.files)
        read.warnings += _on_items(read.items)
    _refuse_useless(read)
    return read


def _read_events(desk: Desk, row: SqlRow[Any], files: Sequence[UploadedFile], read: Read) -> None:
    decoded = reading.decode_interactions(files, row.columns, desk.scratch, desk.report_rows)
    read.roles = {role: decoded.said["roles"].get(role) for role in ROLES}
    named = {role: name for role, name in read.roles.items() if name is not None}
    with desk.database.reading() as sql:
        now_s = float(sql.execute(select(now())).scalar_one())
    read.events, read.left_out = rows.read(
        decoded.path, named, decoded.files, now_s=now_s, progress=desk.report_rows
    )  # fmt: skip
    read.rows = sum(count for _, count in decoded.files)
    read.warnings += _on_roles(decoded.said, read.roles)


def _refuse_useless(read: Read) -> None:
    """Raise JobFailed when most rows, or all, had to be left out; without their cells, for a job keeps its error."""
    lost = read.left_out.counts.total()
    if lost <= LEFT_OUT_AT_MOST * read.rows and (read.events is None or lost < read.rows):
        return
    counts = ", ".join(f"{count:,} {code}" for code, count in read.left_out.counts.most_common())
    first = read.left_out.faults[0]
    said = f"{lost:,} of {read.rows:,} rows cannot be used ({counts}). {first.file}, row {first.row}: {first.message}."
    raise JobFailed(said, code="dataset_rejected", faults=read.left_out.faults, faults_total=lost)


def _join(base: Base, read: Read, rename: Rename) -> tuple[Interactions, int]:
    parts = [] if base.holds is None else [joining.as_events(base.holds)]
    if read.events is not None:
        parts.append(read.events)
    if len({part.time is None for part in parts}) > 1:
        assert base.row is not None
        has = "a" if base.profile["roles"]["time"] is not None else "no"
        said = f"expected {has} column of times, as {base.row.name}@{base.row.version} has"
        fault = Fault(said, column=read.roles["time"], code="columns_differ")
        raise JobFailed(f"The base cannot be added to: {said}.", code="dataset_rejected", faults=[fault])
    earlier = None if base.holds is None else catalogue.of(base.holds)
    return joining.join(parts, catalogue.join(earlier, read.items), rename=rename)


def _profile(interactions: Interactions, read: Read, duplicates: int) -> Json:
    figures = profile.figures(interactions)
    counts = read.left_out.counts + read.items_left_out.counts
    parts = (read.left_out, read.items_left_out)
    faults = [fault for part in parts for fault in part.faults][:FAULTS_SHOWN]
    said = {
        **figures, "duplicates": duplicates, "left_out": dict(counts),
        "faults": [fault.as_json() for fault in faults], "faults_total": counts.total(),
        "pseudonyms": True,
    }  # fmt: skip
    warnings = [*read.warnings, *_on_rows(read, duplicates), *profile.warnings(interactions, figures)]
    return {
        "rows": figures["events"], "columns": [], "roles": read.roles, "duplicates": duplicates,
        "warnings": warnings, "interactions": said,
    }  # fmt: skip


def _on_roles(said: Json, roles: dict[str, str | None]) -> Iterator[Json]:
    inferred = [f"{name} for the {role}" for role, name in said["inferred"].items() if name.lower() != role]
    if inferred:
        yield _warning("columns_inferred", f"Columns taken by their names: {', '.join(inferred)}.")
    for role in said["guessed"]:
        place = "first" if role == USER else "next"
        told = f"No name tells which column is the {role}: the {place}, {roles[role]}, was taken."
        yield _warning("column_guessed", told)


def _on_items(items: ItemTable) -> Iterator[Json]:
    if items.repeated:
        yield _warning(
            "items_repeated", f"Items with several rows in the item table, the last counts: {items.repeated:,}."
        )


def _on_rows(read: Read, duplicates: int) -> Iterator[Json]:
    for left_out, what in ((read.left_out, "Rows"), (read.items_left_out, "Rows of the item table")):
        if left_out.counts:
            counts = ", ".join(f"{count:,} {code}" for code, count in left_out.counts.most_common())
            first = left_out.faults[0]
            told = f"{what} that cannot be used: {counts}. {first.file}, row {first.row}: {first.message}."
            yield _warning("rows_left_out", told)
    if duplicates:
        yield _warning("duplicates", f"Events that repeat another exactly, and were counted once: {duplicates:,}.")


def _warning(code: str, detail: str) -> Json:
    return {"code": code, "detail": detail}
