"""A version of a table without the rows of one key: read anew from an upload of what is left, which stands alone.

The upload has the columns that are left out of the table, too, so that files with the same columns can be added to it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Row

from shared import datasets
from shared.erasing import Change, Uploads
from shared.errors import JobFailed
from worker import ingest, rewriting, tables
from worker.desk import Desk
from worker.formats import canonical

# The one upload of a table that has lost rows.
UPLOAD = "remaining.parquet"

Json = dict[str, Any]


def without(desk: Desk, row: Row[Any], wanted: str) -> Change | None:
    """The version without the rows whose key has this pseudonym; None when it has none. Raises JobFailed."""
    desk.check()
    paths = desk.fetch_parts(row)
    key, is_wanted = row.profile["roles"]["id"], rewriting.is_wanted(desk, row.name, wanted)
    keys = _keys(desk, paths, key, is_wanted)
    if not keys:
        return None
    folder = desk.scratch / row.id
    folder.mkdir()
    whole, columns = _read_whole(desk, row, paths, folder)
    left = _write(desk, folder / UPLOAD, whole, key, keys)
    lost = tables.count_rows(whole) - left
    if left == 0:
        raise rewriting.nothing_left(row)
    upload = ingest.UploadedFile(UPLOAD, folder / UPLOAD)
    read = ingest.run(
        [upload], columns={**columns, "id": key}, out_dir=_made(folder / "left"), progress=desk.report_rows
    )
    parts = rewriting.put(desk, row, read.paths)
    with desk.database.reading() as sql:
        gone = datasets.files(sql, row.id)
    new = [rewriting.put_upload(desk, row, upload.path)]
    uploads = Uploads(gone, new, is_whole=True, contents=[], forgotten=set(), keys=keys)
    return Change(row, parts, rewriting.profile(row, read.profile), rewriting.identify(row, parts), lost, uploads)


def _keys(desk: Desk, paths: Sequence[Path], key: str, is_wanted: Callable[[str], bool]) -> set[str]:
    """The one key that is looked for, if it is there."""
    for cells in _batches(desk, paths, [key]):
        found = {each for each in pc.unique(_texts(cells, key)).to_pylist() if each is not None and is_wanted(each)}
        if found:
            return found
    return set()


def _read_whole(desk: Desk, row: Row[Any], paths: list[Path], folder: Path) -> tuple[list[Path], Json]:
    """The table with all columns of its uploads, and what plays which part in it."""
    left_out = row.profile["roles"]["drop"]
    files = [file for _, files in rewriting.chain(desk, row) for file in files]
    # With nothing left out the table has all; and from a base that is deleted nothing is made any more.
    if not left_out or not files:
        return paths, _without_drop(row.columns)
    uploaded = [ingest.UploadedFile(file.name, desk.fetch_upload(file)) for file in files]
    try:
        read = ingest.run(
            uploaded, columns=_without_drop(row.columns), out_dir=_made(folder / "whole"), progress=desk.report_rows
        )
    except JobFailed as refused:
        if refused.code != "dataset_rejected":
            raise
        # Of columns that are left out, Parquet's cells were never read: such as nobody can read are no reason to stay.
        return paths, _without_drop(row.columns)
    return read.paths, dict(row.columns)


def _without_drop(columns: Json) -> Json:
    return {role: name for role, name in columns.items() if role != "drop"}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _write(desk: Desk, path: Path, whole: Sequence[Path], key: str, keys: set[str]) -> int:
    """Write the rows of all other keys; returns how many."""
    gone, rows = pa.array(sorted(keys), pa.string()), 0

    def left() -> Iterator[pa.RecordBatch]:
        for batch in _batches(desk, whole, list(tables.schema(whole))):
            yield batch.filter(pc.invert(pc.is_in(_texts(batch, key), value_set=gone)))

    schema = pa.schema(list(tables.schema(whole).items()))
    for group in canonical.write(path, schema, left()):
        rows += group.num_rows
    return rows


def _texts(batch: pa.RecordBatch, key: str) -> pa.Array:
    return pc.cast(batch.column(key), pa.string())


def _batches(desk: Desk, paths: Sequence[Path], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for batch in tables.batches(paths, columns):
        desk.check()
        yield batch
