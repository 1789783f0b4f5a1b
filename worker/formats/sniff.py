"""What a file is, by its leading bytes; its name must agree."""

from pathlib import Path

from shared.errors import JobFailed
from worker.formats.source import Faults

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet", ".npz": "npz"}
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# Models, archives and media are named, so that the client reads why and not "column 1 has no name".
FOREIGN = {
    b"\x89HDF": "an HDF5 file", b"\x1f\x8b": "a gzip file", b"\xfd7zXZ": "an xz file", b"BZh": "a bzip2 file",
    b"7z\xbc\xaf": "a 7z archive", b"\x93NUMPY": "a single NumPy array: save it with np.savez", b"%PDF": "a PDF",
    b"PARE": "an encrypted Parquet file", b"ARROW1": "an Arrow file", b"Obj\x01": "an Avro file", b"ORC": "an ORC file",
    b"fLaC": "audio", b"OggS": "audio", b"RIFF": "audio", b"ID3": "audio", b"MThd": "a MIDI file",
    b"SQLite": "an SQLite file", b"\xd0\xcf\x11\xe0": "an old Excel file",
}  # fmt: skip
MAGIC = {
    b"PAR1": ("parquet", "a Parquet file"),
    b"PK\x03\x04": ("npz", "a zip archive"),
    b"PK\x05\x06": ("npz", "a zip archive"),
    **{magic: ("foreign", what) for magic, what in FOREIGN.items()},
}
# Protocols 2 to 5; the older ones are text, and refused as such.
PICKLES = tuple(bytes([0x80, protocol]) for protocol in (2, 3, 4, 5))


def sniff(path: Path, name: str) -> str:
    """The format of a file: csv, parquet or npz. Raises JobFailed when its name says something else."""
    with path.open("rb") as file:
        head = file.read(16)
    declared = SUFFIXES.get(Path(name).suffix.lower())
    if declared is None:
        raise _refuse(name, "expected a name that ends in .csv, .tsv, .txt, .parquet, .pq or .npz")
    if not head:
        raise _refuse(name, "expected columns and rows, received an empty file", code="dataset_empty")
    if head.startswith(PICKLES):
        raise _refuse(name, f"expected {declared}, received a pickle, which is a program", code="pickle_refused")
    if head.startswith(UTF_16) and declared == "csv":
        raise _refuse(name, "expected UTF-8, received UTF-16 from line 1 on", code="csv_encoding")
    found, received = _found(head)
    if found != declared:
        raise _refuse(name, f"expected {declared} as its name says, received {received}")
    return declared


def _found(head: bytes) -> tuple[str, str]:
    # A CSV may well begin with a column named ID3 or PAR1; the formats that do go on with control characters.
    if all(sign >= 32 or sign in b"\t\r\n" for sign in head):
        return "csv", "text"
    kinds = [(kind, what) for magic, (kind, what) in MAGIC.items() if head.startswith(magic)]
    return kinds[0] if kinds else ("csv", "bytes of another sort")


def _refuse(name: str, message: str, *, code: str = "unsupported_format") -> JobFailed:
    return Faults(name).refuse(code, message)
