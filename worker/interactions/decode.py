"""What the confined child does with interactions: the columns that play a part, cell by cell as text, in one file.

What a cell means is judged outside, row by row: here no cell is wrong yet. Of an item table only the key is such text.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from shared.errors import JobFailed
from worker import decode
from worker.formats import canonical
from worker.formats.limits import Limits
from worker.formats.scratch import Scratch
from worker.formats.sniff import sniff
from worker.formats.source import TEXT, Faults, Reading, Source
from worker.interactions import roles

Json = dict[str, Any]  # Any: JSON


def main() -> None:
    decode.answer(run)


def run(request: Json) -> Json:
    """Read the files of one set, `interactions` or `items`; returns the names, the roles, and rows by file."""
    limits, out = Limits(**request["limits"]), Path(request["out"])
    refuse_arrays(request["files"])

    def texts(names: Sequence[str]) -> Collection[str]:
        return names if request["of"] == "interactions" else [roles.item_key(names, request["item"])]

    with Scratch(out.parent) as scratch:
        reading = Reading(limits, scratch, is_key=lambda name: False, seen=decode.say_seen, texts=texts)
        sources = decode.open_all(request["files"], reading)
        types = decode.agree(sources, limits)
        assigned = roles.assign(list(types), request["columns"]) if request["of"] == "interactions" else None
        kept = types if assigned is None else dict.fromkeys(assigned.named().values(), TEXT)
        write(out, sources, kept, limits)
        decode.refuse([(source.faults.kept, source.faults.total) for source in sources])
        said: Json = {"files": [{"name": source.name, "rows": source.rows} for source in sources]}
        if assigned is None:
            return {**said, "key": roles.item_key(list(types), request["item"])}
        return {**said, "roles": assigned.columns, "inferred": assigned.inferred, "guessed": assigned.guessed}


def refuse_arrays(files: Sequence[Json]) -> None:
    """Refuse arrays, which have no rows of who and what."""
    found: list[tuple[Any, int]] = []
    for file in files:
        try:
            if sniff(Path(file["path"]), file["name"]) == "npz":
                raise Faults(file["name"]).refuse("unsupported_format", "expected CSV or Parquet, received NPZ")
        except JobFailed as failed:
            found.append((failed.faults, failed.faults_total))
    decode.refuse(found)


def write(out: Path, sources: Sequence[Source], types: dict[str, pa.DataType], limits: Limits) -> None:
    """Write the rows of all files, one file after the other."""
    total, rows, size = sum(source.rows for source in sources), 0, 0
    for group in canonical.write(out, pa.schema(list(types.items())), decode.batches(sources, types)):
        rows, size = rows + group.num_rows, size + group.nbytes
        if size > limits.table_bytes:
            said = f"expected a table of at most {limits.table_bytes:,} bytes, received more"
            raise sources[-1].faults.refuse("table_too_large", said)
        decode.say({"progress": rows, "total": total})
