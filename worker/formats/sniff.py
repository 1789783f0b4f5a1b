"""What a file is, by its leading bytes; its name must agree."""

from pathlib import Path

from shared.errors import Fault, JobFailed

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet", ".npz": "npz"}
# Models, archives and pickles: named, so that the client reads why and not "column 1 has no name".
FOREIGN = {
    b"\x89HDF": "an HDF5 file", b"\x80\x02": "a pickle", b"\x80\x03": "a pickle", b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle", b"\x1f\x8b": "a gzip file", b"\xfd7zXZ": "an xz file", b"BZh": "a bzip2 file",
    b"\x93NUMPY": "a single NumPy array", b"%PDF": "a PDF", b"fLaC": "audio", b"OggS": "audio", b"RIFF": "audio",
    b"ID3": "audio", b"MThd": "a MIDI file", b"SQLite": "an SQLite file", b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\xff\xfe": "UTF-16 text", b"\xfe\xff": "UTF-16 text",
}  # fmt: skip


def sniff(path: Path, name: str) -> str:
    """The format of a file: csv, parquet or npz. Raises JobFailed (unsupported_format, csv_encoding)."""
    with path.open("rb") as file:
        head = file.read(16)
    found = _by_bytes(head)
    declared = SUFFIXES.get(Path(name).suffix.lower())
    if found is not None and found == declared:
        return found
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") and declared == "csv":
        raise _refuse(name, "expected UTF-8, received UTF-16: save it as UTF-8", code="csv_encoding")
    received = _say(head, found, name)
    raise _refuse(name, f"expected a CSV, Parquet or NPZ file under its own suffix, received {received}")


def _by_bytes(head: bytes) -> str | None:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK"):
        return "npz"
    return None if any(head.startswith(start) for start in FOREIGN) else "csv"


def _say(head: bytes, found: str | None, name: str) -> str:
    for start, what in FOREIGN.items():
        if head.startswith(start):
            return f"{what} named {name!r}"
    return f"what looks like {'a zip archive' if found == 'npz' else found} named {name!r}"


def _refuse(name: str, message: str, code: str = "unsupported_format") -> JobFailed:
    return JobFailed(f"{name}: {message}", code=code, faults=[Fault(message, file=name)])
