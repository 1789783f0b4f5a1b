"""The decoder child's work: one request on standard input, progress and the outcome on standard output, as JSON lines.

It opens what clients upload, so it has no TensorFlow, no database, no key and little memory (rule R23).
"""

import errno
import functools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from shared.errors import FAULTS_SHOWN, Fault, JobFailed
from worker import roles
from worker.formats import canonical
from worker.formats.csv import CsvSource
from worker.formats.limits import Limits
from worker.formats.npz import NpzSource
from worker.formats.parquet import ParquetSource
from worker.formats.scratch import Scratch
from worker.formats.sniff import sniff
from worker.formats.source import NUMBER, UNKNOWN, Reading, Source, check_rows, rejection, widest
from worker.profile import TableProfile

Json = dict[str, Any]  # Any: JSON

SOURCES: dict[str, type[CsvSource | ParquetSource | NpzSource]] = {
    "csv": CsvSource,
    "parquet": ParquetSource,
    "npz": NpzSource,
}


def main() -> None:
    answer(decode)


def answer(work: Callable[[Json], Json]) -> None:
    """Do the work that standard input asks for, and say how it went."""
    request = json.load(sys.stdin)
    try:
        say({"done": work(request)})
    except JobFailed as failed:
        faults = [asdict(fault) for fault in failed.faults]
        say({"failed": {"code": failed.code, "detail": failed.detail, "faults": faults, "total": failed.faults_total}})
    except MemoryError:
        say({"failed": {"code": "decoder_memory"}})
    except OSError as cause:
        if cause.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        say({"failed": {"code": "disk_full"}})


def say(message: Json) -> None:
    print(json.dumps(message, allow_nan=False), flush=True)  # noqa: T201 — the pipe to the parent


def decode(request: Json) -> Json:
    """Turn the files into one canonical Parquet file; returns its profile."""
    limits, out, columns = Limits(**request["limits"]), Path(request["out"]), request["columns"]
    with Scratch(out.parent) as scratch:
        reading = Reading(limits, scratch, is_key=functools.partial(roles.is_key, columns=columns), seen=say_seen)
        sources = open_all(request["files"], reading)
        types = agree(sources, limits)
        assigned = roles.assign(list(types), columns)
        kept = {name: kind for name, kind in types.items() if name not in assigned.drop}
        profile = TableProfile(kept, assigned, scratch)
        write(out, sources, profile, limits)
        refuse([(source.faults.kept, source.faults.total) for source in sources])
        return profile.as_json()


def say_at(file: int | None) -> None:
    """Which file is being read, in the order of the request: whatever ends this process, it is known where it was."""
    say({"at": file})


def say_seen(rows: int) -> None:
    """Rows read before it is known how many there are."""
    say({"progress": rows, "total": None})


def open_all(files: Sequence[Json], reading: Reading) -> list[Source]:
    """Open every file; raises JobFailed with the faults of all when one of them cannot be opened."""
    opened: list[Source] = []
    found: list[tuple[Sequence[Fault], int]] = []
    for number, file in enumerate(files):
        say_at(number)
        try:
            source = SOURCES[sniff(Path(file["path"]), file["name"])](Path(file["path"]), file["name"], reading)
            opened.append(source)
            found.append((source.faults.kept, source.faults.total))
        except JobFailed as failed:
            found.append((failed.faults, failed.faults_total))
    say_at(None)
    if len(opened) < len(files):
        refuse(found)
    return opened


def batches(sources: Sequence[Source], types: dict[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    """The rows of all files, one file after the other."""
    for number, source in enumerate(sources):
        say_at(number)
        yield from source.batches(types)
    say_at(None)


def refuse(found: Sequence[tuple[Sequence[Fault], int]]) -> None:
    """Raise JobFailed with the faults of every file, if there is any."""
    total = sum(count for _, count in found)
    if total > 0:
        raise rejection([fault for faults, _ in found for fault in faults][:FAULTS_SHOWN], total)


def agree(sources: Sequence[Source], limits: Limits) -> dict[str, pa.DataType]:
    """The columns that all files share, each with a type that fits all; raises JobFailed where they differ."""
    first = sources[0]
    faults = [fault for other in sources[1:] for fault in differences(first, other)]
    refuse([(faults, len(faults))])
    check_rows(sum(source.rows for source in sources), len(first.types), limits, sources[-1].faults)
    found = {name: widest(source.types[name] for source in sources) for name in first.types}
    # Without a single cell, any type would do; numbers are the one that a model can leave out.
    return {name: NUMBER if kind == UNKNOWN else kind for name, kind in found.items()}


def differences(first: Source, other: Source) -> Iterator[Fault]:
    missing, extra = ([*a.types.keys() - b.types.keys()] for a, b in ((first, other), (other, first)))
    if missing or extra:
        said = f"expected the columns of {first.name!r}; missing: {sorted(missing)}, not there: {sorted(extra)}"
        yield Fault(said, file=other.name, code="columns_differ")


def write(out: Path, sources: Sequence[Source], profile: TableProfile, limits: Limits) -> None:
    """Write the canonical file and learn the profile from what is written."""
    types = {name: column.kind for name, column in profile.columns.items()}
    total, size = sum(source.rows for source in sources), 0
    for group in canonical.write(out, pa.schema(list(types.items())), batches(sources, types)):
        size += group.nbytes
        if size > limits.table_bytes:
            said = f"expected a table of at most {limits.table_bytes:,} bytes, received more"
            raise sources[-1].faults.refuse("table_too_large", said)
        profile.take(group)
        say({"progress": profile.rows, "total": total})
