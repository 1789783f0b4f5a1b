"""Which files are sent, and under which names: those that are named, and of a folder those that make a dataset."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etude.errors import EtudeError

Format = Literal["audio", "table", "symbolic", "interactions"]
Paths = str | Path | Sequence[str | Path]

RECORDINGS = (".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus")
MANIFESTS = (".csv", ".tsv")
REFERENCES = (".mid", ".midi")
SCORES = (*REFERENCES, ".musicxml", ".xml", ".mxl")
# What holds pieces or something else: taken as pieces only where that is said.
ARCHIVES = (".zip", ".npz")
PLAYS = (*MANIFESTS, ".txt", ".parquet", ".pq")
TABLES = (*PLAYS, ".npz")
SENT = {"audio": (*RECORDINGS, *MANIFESTS, *REFERENCES), "table": TABLES, "symbolic": SCORES, "interactions": PLAYS}
WANTED = {"audio": RECORDINGS, "table": TABLES, "symbolic": (*SCORES, *ARCHIVES), "interactions": PLAYS}
# What is learned from one format alone says of files what they are.
FORMAT_OF: dict[str, Format] = {"recommendation": "interactions"}
# The service takes files whose names begin so for the table of items, all others for plays.
ITEMS = "items"

HIDDEN, LINK, EMPTY = "hidden", "a link out of the folder", "empty"
OTHER = {
    "audio": "neither a recording nor a manifest", "table": "no table", "symbolic": "no score",
    "interactions": "neither CSV nor Parquet",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One file and the name that it gets in the dataset."""

    name: str
    path: Path
    size_bytes: int


@dataclass(frozen=True)
class Choice:
    """What makes a dataset; `left_out` names what lies in the folders and is not sent, with the reason."""

    name: str
    format: Format
    sources: tuple[Source, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def has_manifest(self) -> bool:
        return any(source.path.suffix.lower() in MANIFESTS for source in self.sources)


def choose(paths: Paths, *, format: Format | None = None, items: str | Path | None = None) -> Choice:
    """Look at files and folders, and take them as what they hold unless `format` says else.

    Any recording makes it audio, then any score makes it symbolic; files of neither are tables. Only where `format`
    says that they are scores a ZIP or an NPZ is taken as pieces. With a table of `items` they are plays.
    Names in one folder begin inside it; of several paths each folder's name stands before those of its files.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    for path in (*given, *([Path(items)] if items is not None else [])):
        if not (path.is_file() or path.is_dir()):
            raise EtudeError(f"{path} is not a file or a folder that can be read.")
    chosen = format or ("interactions" if items is not None else _format_of(given))
    sent = (*SENT[chosen], *ARCHIVES) if format == "symbolic" else SENT[chosen]
    left_out: list[tuple[str, str]] = []
    sources: list[Source] = []
    for path in given:
        if path.is_dir():
            before = "" if len(given) == 1 else f"{path.resolve().name}/"
            sources += _in_folder(path, before, sent, OTHER[chosen], left_out)
        else:
            sources.append(Source(_name(path.name, path), path, path.stat().st_size))
    if items is not None:
        sources.append(_item_table(Path(items), chosen))
    _refuse(given, sources, chosen)
    name = given[0].resolve().name if given[0].is_dir() else given[0].stem
    return Choice(name, chosen, tuple(sorted(sources, key=lambda each: each.name)), tuple(left_out))


def is_item_table(source: Source) -> bool:
    """Whether the service takes a file for the table of items: by its name without folders."""
    return source.name.rpartition("/")[2].lower().startswith(ITEMS)


def _item_table(path: Path, format: Format) -> Source:
    """The table of items under a name by which it is known as such."""
    if format != "interactions":
        raise EtudeError(f"{path} is a table of items, which only plays have.")
    if not path.is_file():
        raise EtudeError(f"{path} is a folder: expected one table of items.")
    named = path.name if path.name.lower().startswith(ITEMS) else f"{ITEMS}-{path.name}"
    return Source(_name(named, path), path, path.stat().st_size)


def _format_of(given: Sequence[Path]) -> Format:
    found = {suffix for path in given for suffix in (_suffixes(path) if path.is_dir() else [path.suffix.lower()])}
    if not found.intersection(RECORDINGS) and found.intersection(SCORES):
        return "symbolic"
    is_audio = bool(found.intersection(RECORDINGS)) or any(path.is_dir() for path in given)
    return "audio" if is_audio else "table"


def _suffixes(folder: Path) -> Iterator[str]:
    """What the names in a folder end in, hidden ones aside."""
    for _, below, files in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        yield from (Path(name).suffix.lower() for name in files if not name.startswith("."))


def _in_folder(
    folder: Path, before: str, sent: Sequence[str], other: str, left_out: list[tuple[str, str]]
) -> Iterator[Source]:
    inside = folder.resolve()
    for place, below, files in os.walk(folder):
        at = Path(place)
        left_out += [(f"{at / name}/", HIDDEN) for name in below if name.startswith(".")]
        # Walked in order, and never into what is hidden; os.walk does not enter a folder that is a link.
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(files):
            path = at / name
            reason = _reason(path, inside, sent, other)
            if reason is not None:
                left_out.append((str(path), reason))
                continue
            yield Source(_name(before + path.relative_to(folder).as_posix(), path), path, path.stat().st_size)


def _reason(path: Path, inside: Path, sent: Sequence[str], other: str) -> str | None:
    """Why a file in a folder is not sent; None if it is."""
    if path.name.startswith("."):
        return HIDDEN
    if not path.resolve().is_relative_to(inside):
        return LINK
    if path.suffix.lower() not in sent or not path.is_file():
        return other
    return EMPTY if path.stat().st_size == 0 else None


def _name(name: str, path: Path) -> str:
    """The name as the service takes it: macOS stores letters and their accents apart."""
    try:
        name.encode()
    except UnicodeEncodeError as cause:
        raise EtudeError(f"{os.fsencode(path)!r} is not a name in UTF-8: rename the file.") from cause
    return unicodedata.normalize("NFC", name)


def _refuse(given: Sequence[Path], sources: Sequence[Source], format: Format) -> None:
    folders = [str(path) for path in given if path.is_dir()]
    wanted = WANTED[format]
    if folders and not any(source.path.suffix.lower() in wanted for source in sources):
        known = (*wanted, *SCORES) if format == "audio" else wanted
        other = " --table sends the tables in it." if format == "audio" and sources else ""
        raise EtudeError(f"{', '.join(folders)} holds nothing to send: expected {', '.join(known)}.{other}")
    zipped = [str(path) for path in given if path.suffix.lower() == ".zip" and path.is_file()]
    if zipped and format != "symbolic":
        raise EtudeError(f"{', '.join(zipped)}: --scores takes the pieces in a ZIP; unpack what else it holds.")
    name, count = Counter(source.name for source in sources).most_common(1)[0]
    if count > 1:
        raise EtudeError(f"{count} files would be called {name}: upload the folder above them, or rename one.")
