"""The decoder child: `python -m worker.decode` reads one request on standard input, says progress, then the outcome.

It opens what clients upload, so it has no TensorFlow, no database, no key and little memory (rule R23).
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import Fault, JobFailed
from worker import roles as role_names
from worker.formats.csv import CsvSource
from worker.formats.npz import NpzSource
from worker.formats.parquet import ParquetSource
from worker.formats.sniff import sniff
from worker.formats.source import ROWS_A_BATCH, Faults, Limits, Mixed
from worker.profile import TableProfile

Json = dict[str, Any]
AnySource = CsvSource | ParquetSource | NpzSource

SOURCES: dict[str, type[AnySource]] = {"csv": CsvSource, "parquet": ParquetSource, "npz": NpzSource}


def main() -> None:
    request = json.load(sys.stdin)
    try:
        say({"done": decode(request)})
    except JobFailed as failed:
        faults = [asdict(fault) for fault in failed.faults]
        say({"failed": {"code": failed.code, "detail": failed.detail, "faults": faults, "total": failed.faults_total}})
    except MemoryError:
        say({"failed": {"code": "decoder_memory", "detail": "The file needs more memory than a decoder may use."}})


def say(message: Json) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201 — the pipe to the parent


def decode(request: Json) -> Json:
    """Turn the files into one canonical Parquet file and its profile."""
    limits = Limits(**request["limits"])
    sources = [open_source(Path(file["path"]), file["name"], limits) for file in request["files"]]
    types = agree(sources)
    roles = role_names.assign(types, request["columns"])
    kept = {name: kind for name, kind in types.items() if name not in roles["drop"]}
    roles["drop"] = []
    profile = TableProfile(kept, roles)
    path = Path(request["out_dir"]) / "part-00000.parquet"
    write(path, sources, kept, profile)
    refuse_faulty(sources)
    return {"paths": [str(path)], "profile": profile.as_json(join_mixed(sources))}


def open_source(path: Path, name: str, limits: Limits) -> AnySource:
    return SOURCES[sniff(path, name)](path, name, limits)


def agree(sources: list[AnySource]) -> dict[str, pa.DataType]:
    """The columns that all files share, each with a type that fits all; raises JobFailed where they differ."""
    first = sources[0]
    for other in sources[1:]:
        missing, extra = first.types.keys() - other.types.keys(), other.types.keys() - first.types.keys()
        if missing or extra:
            said = f"expected the columns of {first.name}; missing: {sorted(missing)}, extra: {sorted(extra)}"
            raise JobFailed(f"{other.name}: {said}", code="columns_differ", faults=[Fault(said, file=other.name)])
    return {name: widest([source.types[name] for source in sources]) for name in first.types}


def widest(kinds: list[pa.DataType]) -> pa.DataType:
    found = set(kinds)
    if len(found) == 1:
        return kinds[0]
    return pa.float64() if found == {pa.int64(), pa.float64()} else pa.string()


def write(path: Path, sources: list[AnySource], kept: dict[str, pa.DataType], profile: TableProfile) -> None:
    schema = pa.schema(list(kept.items()))
    total = sum(source.rows for source in sources)
    with pq.ParquetWriter(path, schema, compression="snappy") as writer:
        for batch in regular(sources, schema):
            writer.write_batch(batch, row_group_size=ROWS_A_BATCH)
            profile.take(batch)
            say({"progress": profile.rows, "total": total})


def regular(sources: list[AnySource], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Batches of ROWS_A_BATCH rows, whatever the readers give: the row groups of the canonical file."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for source in sources:
        for batch in source.batches():
            held.append(cast(batch, schema))
            rows += batch.num_rows
            while rows >= ROWS_A_BATCH:
                table = pa.Table.from_batches(held).combine_chunks()
                yield table.slice(0, ROWS_A_BATCH).to_batches()[0]
                held, rows = table.slice(ROWS_A_BATCH).to_batches(), rows - ROWS_A_BATCH
    if rows:
        yield pa.Table.from_batches(held).combine_chunks().to_batches()[0]


def cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [batch.column(field.name).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def refuse_faulty(sources: list[AnySource]) -> None:
    """Raise with every fault of every file, if there is any."""
    total = sum(source.faults.total for source in sources)
    if total == 0:
        return
    kept = [fault for source in sources for fault in source.faults.kept][: Faults.KEPT]
    said = (
        f"{total} {'rows or cells' if total > 1 else 'row or cell'} cannot be used; correct the files and upload again."
    )
    raise JobFailed(said, code="dataset_rejected", faults=kept, faults_total=total)


def join_mixed(sources: list[AnySource]) -> dict[str, Mixed]:
    joined: dict[str, Mixed] = {}
    first_row = 0
    for source in sources:
        for name, mixed in source.mixed.items():
            whole = joined.setdefault(name, Mixed())
            whole.count += mixed.count
            whole.rows += [first_row + row for row in mixed.rows]
        first_row += source.rows
    return joined


if __name__ == "__main__":
    main()
