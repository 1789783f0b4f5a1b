"""Files that mean harm, or are only broken: each made when a test asks, with what must be said of it."""

import os
import pickle  # noqa: TID251 — what clients send, never what is read here
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests import hostile_archives as zips

MiB = 1024 * 1024


@dataclass(frozen=True)
class Case:
    """A file under the name that it is sent with, and the fault that must be found: its code and its place."""

    name: str
    file: str
    make: Callable[[Path], object]
    code: str
    row: int | None = None
    column: str | None = None
    says: str = ""
    limits: dict[str, int] = field(default_factory=dict)


class Marker:
    """Unpickled, it makes a file: so a test sees whether a pickle has run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Marker(path.with_name("unpickled"))))


def _zip(*names: str) -> Callable[[Path], object]:
    return lambda path: zips.write(path, [zips.stored(name, b"{}") for name in names])


def _npz(*entries: zips.Entry) -> Callable[[Path], object]:
    return lambda path: zips.write(path, list(entries))


def _arrays(**arrays: Any) -> Callable[[Path], object]:
    return lambda path: np.savez(path, **arrays)


def _header(header: str, **rest: Any) -> Callable[[Path], object]:
    return _npz(zips.stored("X.npy", zips.array_with_header(header, **rest)))


def _objects(path: Path) -> None:
    np.savez(path, X=np.array([Marker(path.with_name("unpickled"))], dtype=object))


def _parquet(table: Callable[[], pa.Table], **settings: Any) -> Callable[[Path], object]:
    return lambda path: pq.write_table(table(), path, **settings)


def _extension() -> pa.Table:
    label = {b"ARROW:extension:name": b"evil.type", b"ARROW:extension:metadata": b"os.system"}
    return pa.table([pa.array([1])], schema=pa.schema([pa.field("a", pa.int64(), metadata=label)]))


def _repeated(word: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([word]))


def _text(content: bytes) -> pa.Array:
    """A column of text that nobody has looked at."""
    buffers = [None, pa.py_buffer(np.array([0, 1, 1 + len(content)], np.int32)), pa.py_buffer(b"a" + content)]
    return pa.Array.from_buffers(pa.string(), 2, buffers)


def _cut(path: Path) -> None:
    pq.write_table(pa.table({"a": range(1000)}), path)
    path.write_bytes(path.read_bytes()[:-200])


def _renamed(path: Path) -> None:
    pq.write_table(pa.table({"name": [1]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"name", b"\xff\xfe\xfd\xfc"))


def _damaged(path: Path) -> None:
    pq.write_table(pa.table({"a": np.random.default_rng(0).normal(size=1000)}), path, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[40:400] = os.urandom(360)
    path.write_bytes(content)


def _lines(header: str, *rows: str) -> Callable[[Path], object]:
    return _bytes("\n".join([header, *rows, ""]).encode())


def _deep(path: Path) -> None:
    """634 bytes that become 160 MB as soon as a single row of them is decoded."""
    values = pa.array(np.zeros(20_000_000))
    pq.write_table(pa.table({"a": pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)}), path)


FOREIGN = [
    Case("a Keras archive", "model.keras", _zip("config.json", "model.weights.h5"), "unsupported_format"),
    Case("HDF5", "model.h5", _bytes(b"\x89HDF\r\n\x1a\n" + bytes(64)), "unsupported_format"),
    Case("HDF5 named as CSV", "t.csv", _bytes(b"\x89HDF\r\n\x1a\n" + bytes(64)), "unsupported_format", says="HDF5"),
    Case("a pickle", "model.pkl", _pickle, "unsupported_format"),
    Case("a pickle named as NPZ", "t.npz", _pickle, "pickle_refused"),
    Case("a pickle named as CSV", "t.csv", _pickle, "pickle_refused"),
    Case("a PyTorch archive", "model.pt", _zip("archive/data.pkl"), "unsupported_format"),
    Case("ONNX", "model.onnx", _bytes(b"\x08\x07\x12\x07pytorch" + bytes(64)), "unsupported_format"),
    Case("ONNX named as Parquet", "t.parquet", _bytes(b"\x08\x07\x12\x07pytorch"), "unsupported_format"),
    Case("a SavedModel zip", "saved.zip", _zip("saved_model.pb"), "unsupported_format"),
    Case("a zip of other things named as NPZ", "t.npz", _zip("config.json"), "unsupported_format", says="config.json"),
    Case("NPY named as NPZ", "t.npz", _bytes(zips.npy([1.0])), "unsupported_format", says="np.savez"),
    Case("Parquet named as CSV", "t.csv", _parquet(lambda: pa.table({"a": [1]})), "unsupported_format", says="Parquet"),
    Case("CSV named as Parquet", "t.parquet", _bytes(b"a,b\n1,2\n"), "unsupported_format"),
    Case("no suffix", "table", _bytes(b"a,b\n1,2\n"), "unsupported_format", says=".csv"),
    Case("nothing at all", "t.parquet", _bytes(b""), "dataset_empty"),
]

WIDE = str({"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
ONE = zips.stored("X.npy", zips.npy([1.0, 2.0]))
BIDI = "\N{RIGHT-TO-LEFT OVERRIDE}yhp.npy"
NPZ = [
    Case("pickled objects", "t.npz", _objects, "pickle_refused"),
    Case("10^12 elements", "t.npz", _header(WIDE), "array_header_invalid", says="'X'"),
    Case("an element of 2 GiB", "t.npz", _header(WIDE.replace("<f8", "V2147483647")), "array_header_invalid"),
    Case("a negative side", "t.npz", _header(WIDE.replace("1000000000000", "-5")), "array_header_invalid"),
    Case("a header of 60 KB", "t.npz", _header(" " * 60_000 + WIDE), "array_header_invalid"),
    Case("a header of calls", "t.npz", _header("__import__('os').mkdir('unpickled')"), "array_header_invalid"),
    Case("an unknown version", "t.npz", _header(WIDE, version=(9, 0)), "array_header_invalid"),
    Case("less data than declared", "t.npz", _header(WIDE.replace("1000000000000", "9"), data=b"123"),
         "array_header_invalid"),
    Case("three dimensions", "t.npz", _arrays(X=np.zeros((2, 2, 2))), "array_header_invalid"),
    Case("complex numbers", "t.npz", _arrays(X=np.zeros(3, np.complex128)), "schema_not_flat", column="X"),
    Case("records", "t.npz", _arrays(X=np.zeros(3, [("a", "f8")])), "schema_not_flat", column="X"),
    Case("arrays of two lengths", "t.npz", _arrays(X=np.zeros((3, 2)), y=np.zeros(4)), "array_shape", column="y"),
    Case("names that do not fit", "t.npz", _arrays(X=np.zeros((3, 2)), feature_names=np.array(["a"])), "array_shape",
         column="feature_names"),
    Case("two columns of a name", "t.npz", _arrays(X=np.zeros((3, 1)), feature_names=np.array(["y"]), y=np.zeros(3)),
         "duplicate_column", column="y"),
    Case("no rows", "t.npz", _arrays(X=np.zeros((0, 2))), "dataset_empty"),
    Case("no arrays", "t.npz", _npz(), "dataset_empty"),
    Case("infinity", "t.npz", _arrays(X=np.array([[1.0, 2.0], [3.0, np.inf]])),
         "value_not_finite", 1, "X1", "an infinite number"),
    Case("text that is no Unicode", "t.npz",
         _npz(zips.stored("a.npy", zips.npy(np.array([0x110000, 0xD800], np.uint32)).replace(b"<u4", b"<U1"))),
         "text_encoding", column="a"),
    Case("a NUL in a text", "t.npz", _arrays(a=np.array(["x", "y\0z"])), "text_encoding", 1, "a"),
    Case("bytes that are no UTF-8", "t.npz", _arrays(a=np.array([b"\xff\xfe"])), "text_encoding", column="a"),
    Case("a bomb of 3.2 GB in 3.1 MB", "t.npz", _npz(zips.bomb(3_200 * MiB)), "decompression_limit"),
    Case("a bomb that says it is small", "t.npz", _npz(replace(zips.bomb(64 * MiB), size=1000)), "archive_corrupt"),
    Case("a climbing name", "t.npz", _npz(replace(ONE, name="../../evil.npy")), "archive_entry_name"),
    Case("an absolute name", "t.npz", _npz(replace(ONE, name="/etc/evil.npy")), "archive_entry_name"),
    Case("a drive", "t.npz", _npz(replace(ONE, name="C:\\evil.npy")), "archive_entry_name"),
    Case("a backslash", "t.npz", _npz(replace(ONE, name="..\\evil.npy")), "archive_entry_name"),
    Case("a turned name", "t.npz", _npz(replace(ONE, name=BIDI, flags=0x800)), "archive_entry_name"),
    Case("a name of 60 KB", "t.npz", _npz(replace(ONE, name="a" * 60_000)), "archive_entry_name"),
    Case("a name twice", "t.npz", _npz(ONE, ONE), "archive_entry_name", says="once"),
    Case("names that are composed otherwise", "t.npz",
         _npz(*(replace(ONE, name=name, flags=0x800) for name in ("caf\u00e9.npy", "cafe\u0301.npy"))),
         "archive_entry_name"),
    Case("a symbolic link", "t.npz", _npz(replace(ONE, mode=0o120777)), "archive_entry_type"),
    Case("a device", "t.npz", _npz(replace(ONE, mode=0o020666)), "archive_entry_type"),
    Case("encryption", "t.npz", _npz(replace(ONE, flags=1)), "archive_entry_type"),
    Case("another packing", "t.npz", _npz(replace(ONE, method=zipfile.ZIP_LZMA)), "archive_entry_type"),
    Case("an archive in the archive", "t.npz", _npz(zips.stored("in.zip", zips.archive([ONE]))), "unsupported_format"),
    Case("one array under 1,000 names", "t.npz", _npz(*zips.overlapping(1000, 4 * MiB)), "archive_overlap"),
    Case("20,000 arrays", "t.npz", _npz(*(replace(ONE, name=f"{i}.npy") for i in range(20_000))),
         "archive_too_many_entries"),
    Case("two names for one entry", "t.npz", _npz(replace(ONE, local_name="Y.npy")), "archive_corrupt"),
    Case("a wrong checksum", "t.npz", _npz(replace(ONE, crc=1)), "archive_corrupt"),
    Case("a cut archive", "t.npz", _bytes(zips.archive([ONE])[:80]), "archive_corrupt"),
    Case("deflated garbage", "t.npz", _npz(replace(ONE, method=8)), "archive_corrupt"),
]  # fmt: skip

PARQUET = [
    Case("634 bytes that want gigabytes", "t.parquet", _deep, "schema_not_flat", column="a", says="list"),
    Case("60 million rows of one value", "t.parquet",
         _parquet(lambda: pa.table({"a": np.zeros(60_000_000, np.int8)})), "table_too_large", says="60,000,000"),
    Case("20,000 columns", "t.parquet", _parquet(lambda: pa.table({f"c{i}": [1] for i in range(20_000)})),
         "table_too_many_columns", says="row groups"),
    Case("513 columns", "t.parquet", _parquet(lambda: pa.table({f"c{i}": [1] for i in range(513)})),
         "table_too_many_columns", says="513"),
    Case("a long word in every row", "t.parquet",
         _parquet(lambda: pa.table({"a": _repeated("x" * 60_000, 20_000)}), store_schema=False),
         "table_too_large", limits={"table_bytes": 256 * MiB}),
    Case("a word too long", "t.parquet", _parquet(lambda: pa.table({"a": ["x", "y" * 70_000]})),
         "field_too_long", row=1, column="a"),
    Case("text that is no UTF-8", "t.parquet", _parquet(lambda: pa.table({"a": _text(b"\xff\xfe")})),
         "text_encoding", 1, "a"),
    Case("a NUL in a text", "t.parquet", _parquet(lambda: pa.table({"a": _text(b"x\0y")})), "text_encoding", 1, "a"),
    Case("a name that is no UTF-8", "t.parquet", _renamed, "parquet_corrupt"),
    Case("a struct", "t.parquet", _parquet(lambda: pa.table({"a": [{"b": 1}]})), "schema_not_flat", column="a"),
    Case("a map", "t.parquet", _parquet(lambda: pa.table({"a": pa.array([[("k", 1)]], pa.map_("str", "i8"))})),
         "schema_not_flat", column="a"),
    Case("a decimal of 256 bits", "t.parquet", _parquet(lambda: pa.table({"a": pa.array([1], pa.decimal256(60, 2))})),
         "schema_not_flat", column="a"),
    Case("bytes", "t.parquet", _parquet(lambda: pa.table({"a": [b"\x00"]})), "schema_not_flat", column="a"),
    Case("an unknown extension", "t.parquet", _parquet(_extension), "schema_not_flat", column="a"),
    Case("garbage between the magic", "t.parquet", _bytes(b"PAR1" + bytes(200) + b"PAR1"), "parquet_corrupt"),
    Case("a footer longer than the file", "t.parquet",
         _bytes(b"PAR1\x15\x04" + bytes(20) + struct.pack("<I", 2**31 - 1) + b"PAR1"), "parquet_corrupt"),
    Case("a cut file", "t.parquet", _cut, "parquet_corrupt"),
    Case("damaged pages", "t.parquet", _damaged, "parquet_corrupt"),
    Case("encryption", "t.parquet", _bytes(b"PARE\x15\x04" + bytes(50) + b"PARE"), "unsupported_format",
         says="encrypted"),
    Case("infinity", "t.parquet", _parquet(lambda: pa.table({"a": [1.0, None, float("nan"), float("-inf")]})),
         "value_not_finite", 3, "a", "an infinite number"),
    Case("no rows", "t.parquet", _parquet(lambda: pa.table({"a": pa.array([], pa.int64())})), "dataset_empty"),
    Case("no columns", "t.parquet", _parquet(lambda: pa.table({})), "dataset_empty"),
    Case("a column twice", "t.parquet",
         _parquet(lambda: pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])), "duplicate_column",
         column="a"),
]  # fmt: skip

CSV = [
    Case("a NUL", "t.csv", _lines("a,b", "1,2", "3\0,4"), "csv_encoding", says="line 3"),
    Case("Latin-1", "t.csv", _bytes("name,b\nDvořák,1\n".encode() + "Fauré,2\n".encode("latin-1")), "csv_encoding",
         says="line 3"),
    Case("a character cut at the end", "t.csv", _bytes(b"a\n1\nx\xe2\x82"), "csv_encoding", says="line 3"),
    Case("bad UTF-8 after a megabyte", "t.csv", _bytes(b"a\n" + b"1\n" * (MiB // 2) + b"\xff\n"), "csv_encoding",
         says=f"line {MiB // 2 + 2:,}"),
    Case("UTF-16", "t.csv", _bytes("a,b\n1,2\n".encode("utf-16")), "csv_encoding", says="UTF-16"),
    Case("UTF-16 without a mark", "t.csv", _bytes("a,b\n1,2\n".encode("utf-16-le")), "csv_encoding", says="line 1"),
    Case("a field of 64 MB", "t.csv", _bytes(b"a,b\n1," + b"x" * (64 * MiB)), "field_too_long"),
    Case("a field of 70 KB", "t.csv", _lines("a,b", "1,2", f"3,{'x' * 70_000}"), "field_too_long", 1, "b"),
    Case("a quotation mark open for 4 MB", "t.csv", _lines("a,b", "1,2", '3,"4', *["5,6"] * 1_000_000),
         "field_too_long", 1, "b"),
    Case("a quotation mark open for 12 MB", "t.csv", _lines("a,b", "1,2", '3,"4', *["5,6"] * 3_000_000),
         "field_too_long", says="never closed"),
    Case("an open quotation mark near the end", "t.csv", _lines("a,b", "1,2", '3,"4', "5,6"), "csv_shape", row=1,
         says="never closed"),
    Case("two million columns", "t.csv", _bytes(b",".join([b"c%d" % i for i in range(2_000_000)]) + b"\n1\n"),
         "table_too_many_columns"),
    Case("513 columns", "t.csv", _lines(",".join(f"c{i}" for i in range(513)), "1"), "table_too_many_columns"),
    Case("50 million empty lines", "t.csv", _bytes(b"\n" * 50_000_000), "dataset_empty"),
    Case("a header and 50 million empty lines", "t.csv", _bytes(b"a,b\n" + b"\n" * 50_000_000), "dataset_empty"),
    Case("a short row", "t.csv", _lines("a,b", "1,2", "3", "4,5"), "csv_shape", row=1,
         says="expected 2 cells, received 1"),
    Case("a long row", "t.csv", _lines("a,b", "1,2", "3,4", "5,6,7"), "csv_shape", row=2, says="received 3"),
    Case("a name twice", "t.csv", _lines("a,b,a", "1,2,3"), "duplicate_column", column="a", says="columns 1 and 3"),
    Case("a column without a name", "t.csv", _lines("a,,c", "1,2,3"), "column_name", says="column 2"),
    Case("a name of 300 characters", "t.csv", _lines("a" * 300, "1"), "column_name"),
    Case("a name of 200 KB", "t.csv", _lines("a" * 200_000, "1"), "column_name"),
    Case("a name over two lines", "t.csv", _lines('a,"b', 'c"', "1,2"), "column_name"),
    Case("a name that turns the text", "t.csv", _lines("a,\N{RIGHT-TO-LEFT OVERRIDE}b", "1,2"), "column_name"),
    Case("a header alone", "t.csv", _bytes(b"a,b\n"), "dataset_empty"),
    Case("nothing at all", "t.csv", _bytes(b""), "dataset_empty"),
    Case("a byte-order mark alone", "t.csv", _bytes(b"\xef\xbb\xbf"), "dataset_empty"),
    Case("1e999", "t.csv", _lines("a,b", "1,2", "3,1e999"), "value_not_finite", 1, "b", "an infinite number"),
    Case("infinity", "t.csv", _lines("a,b", "-inf,2", "3,4"), "value_not_finite", 0, "a", "an infinite number"),
    Case("nan spelled otherwise", "t.csv", _lines("a", "1", "-NaN"), "value_not_finite", 1, "a"),
    Case("a number of 5,000 digits", "t.csv", _lines("a", "1", "2", "9" * 5000), "value_not_finite", 2, "a"),
    Case("infinity after a short row", "t.csv", _lines("a,b", "1", "2,3", "4,inf"), "value_not_finite", 2, "b"),
]  # fmt: skip

CASES = {
    f"{kind}: {case.name}": case
    for kind, cases in (("foreign", FOREIGN), ("npz", NPZ), ("parquet", PARQUET), ("csv", CSV))
    for case in cases
}
