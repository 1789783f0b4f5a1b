"""NPZ: arrays X (n, d) with optional y, groups, ids and feature_names, or one 1-d array a column."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from worker.formats.source import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    ROWS_A_BATCH,
    TEXT,
    Faults,
    Limits,
    Mixed,
    check_names,
    check_rows,
)

MEMBERS_AT_MOST = 600
# Real arrays rarely shrink tenfold; zeros shrink a thousandfold, which is what a bomb is made of.
RATIO_AT_MOST = 200
FREE_BYTES = 1024 * 1024
ROLES = {"y": "target", "groups": "group", "ids": "id"}


class NpzSource:
    """Arrays of one length, as columns."""

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        self.name, self._limits = name, limits
        self.faults = Faults(name)
        self.mixed: dict[str, Mixed] = {}
        self._check_archive(path)
        self._columns = self._read(path)
        check_names(list(self._columns), limits, self.faults)
        self.rows = len(next(iter(self._columns.values()), ()))
        if self.rows == 0:
            raise self.faults.refuse("dataset_empty", "expected arrays with rows, received none")
        self._check_lengths()
        self.types: dict[str, pa.DataType] = {column: _type(values) for column, values in self._columns.items()}

    def batches(self) -> Iterator[pa.RecordBatch]:
        schema = pa.schema(list(self.types.items()))
        for column, values in self._columns.items():
            if values.dtype.kind == "f":
                for row in np.flatnonzero(np.isinf(values))[: Faults.KEPT]:
                    self.faults.add("expected a finite number", row=int(row), column=column)
        for start in range(0, self.rows, ROWS_A_BATCH):
            part = slice(start, start + ROWS_A_BATCH)
            arrays = [_arrow(self._columns[name][part], kind) for name, kind in self.types.items()]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _check_archive(self, path: Path) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError) as cause:
            raise self.faults.refuse("archive_corrupt", "the file is no readable NPZ archive") from cause
        if len(members) > MEMBERS_AT_MOST:
            said = f"expected at most {MEMBERS_AT_MOST} arrays, received {len(members)}"
            raise self.faults.refuse("archive_too_many_entries", said)
        self._check_members(members)

    def _check_members(self, members: list[zipfile.ZipInfo]) -> None:
        if len({member.filename for member in members}) != len(members):
            raise self.faults.refuse("archive_entry_name", "an array is there twice")
        end = 0
        for member in sorted(members, key=lambda entry: entry.header_offset):
            if not member.filename.endswith(".npy") or "/" in member.filename or "\\" in member.filename:
                said = f"expected arrays only (name.npy), received {member.filename!r}"
                raise self.faults.refuse("unsupported_format", said)
            if member.flag_bits & 1 or stat.S_ISLNK(member.external_attr >> 16):
                raise self.faults.refuse("archive_entry_type", f"{member.filename} is encrypted or a link")
            if member.header_offset < end:
                raise self.faults.refuse("archive_overlap", f"{member.filename} overlaps another array")
            end = member.header_offset + member.compress_size
        inflated, packed = (sum(getattr(m, size) for m in members) for size in ("file_size", "compress_size"))
        if inflated > self._limits.table_bytes or inflated > FREE_BYTES + RATIO_AT_MOST * packed:
            said = f"{packed:,} bytes would become {inflated:,}: save it uncompressed if it is real"
            raise self.faults.refuse("decompression_limit", said)

    def _read(self, path: Path) -> dict[str, np.ndarray]:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                self._check_header(archive, member)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                loaded = {name: arrays[name] for name in arrays.files}
        except (ValueError, EOFError, zipfile.BadZipFile, OSError) as cause:
            raise self.faults.refuse("archive_corrupt", f"an array cannot be read: {str(cause)[:200]}") from cause
        return self._as_columns(loaded)

    def _check_header(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        """Compare what an array's header declares with what its member holds, before anything is allocated."""
        try:
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                reader = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = reader(file)
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as cause:
            raise self.faults.refuse("array_header_invalid", f"{member.filename} has no valid header") from cause
        if dtype.hasobject:
            said = f"{member.filename} holds Python objects: save numbers or text with a fixed dtype"
            raise self.faults.refuse("pickle_refused", said)
        declared = (
            int(np.prod([int(side) for side in shape], dtype=object)) * dtype.itemsize if shape else dtype.itemsize
        )
        if declared > member.file_size or any(side < 0 for side in shape) or len(shape) > 2:
            said = f"{member.filename} declares {tuple(shape)} of {dtype}, which it does not hold"
            raise self.faults.refuse("array_header_invalid", said)

    def _as_columns(self, loaded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = loaded.pop("feature_names", None)
        columns: dict[str, np.ndarray] = {}
        for name, values in loaded.items():
            if values.ndim == 2:
                titles = [f"{name}{i}" for i in range(values.shape[1])] if names is None else [str(n) for n in names]
                if len(titles) != values.shape[1]:
                    said = f"expected {values.shape[1]} feature_names, received {len(titles)}"
                    raise self.faults.refuse("csv_shape", said)
                columns |= {title: values[:, i] for i, title in enumerate(titles)}
            elif values.ndim == 1:
                columns[ROLES.get(name, name)] = values
            else:
                raise self.faults.refuse("csv_shape", f"expected arrays of one or two dimensions, {name} has 0")
        return columns

    def _check_lengths(self) -> None:
        check_rows(self.rows, len(self._columns), self._limits, self.faults)
        for name, values in self._columns.items():
            if len(values) != self.rows:
                said = f"expected {self.rows} rows as in the first array, received {len(values)}"
                raise self.faults.refuse("csv_shape", said, column=name)


def _type(values: np.ndarray) -> pa.DataType:
    kinds = {"b": BOOLEAN, "i": INTEGER, "u": INTEGER, "f": NUMBER, "U": TEXT, "S": TEXT}
    return kinds.get(values.dtype.kind, TEXT)


def _arrow(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    # NaN is how NumPy says that a number is missing.
    return pa.array(values, type=kind, from_pandas=True)
