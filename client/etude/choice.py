"""Which files are sent, and under which names: those that are named, and of a folder those that make a dataset."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etude.errors import EtudeError

Format = Literal["audio", "table"]
Paths = str | Path | Sequence[str | Path]

RECORDINGS = (".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus")
MANIFESTS = (".csv", ".tsv")
REFERENCES = (".mid", ".midi")
TABLES = (*MANIFESTS, ".txt", ".parquet", ".pq", ".npz")
SENT = {"audio": (*RECORDINGS, *MANIFESTS, *REFERENCES), "table": TABLES}

HIDDEN, LINK, EMPTY, OTHER = "hidden", "a link out of the folder", "empty", "neither a recording nor a manifest"


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


def choose(paths: Paths, *, format: Format | None = None) -> Choice:
    """Look at files and folders; a folder, or any recording among them, makes it audio unless `format` says else.

    Names in one folder begin inside it; of several paths each folder's name stands before those of its files.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    for path in given:
        if not (path.is_file() or path.is_dir()):
            raise EtudeError(f"{path} is not a file or a folder that can be read.")
    chosen = format or _format_of(given)
    left_out: list[tuple[str, str]] = []
    sources: list[Source] = []
    for path in given:
        if path.is_dir():
            before = "" if len(given) == 1 else f"{path.resolve().name}/"
            sources += _in_folder(path, before, chosen, left_out)
        else:
            sources.append(Source(_name(path.name, path), path, path.stat().st_size))
    _refuse(given, sources, chosen)
    name = given[0].resolve().name if given[0].is_dir() else given[0].stem
    return Choice(name, chosen, tuple(sorted(sources, key=lambda each: each.name)), tuple(left_out))


def _format_of(given: Sequence[Path]) -> Format:
    is_audio = any(path.is_dir() or path.suffix.lower() in RECORDINGS for path in given)
    return "audio" if is_audio else "table"


def _in_folder(folder: Path, before: str, format: Format, left_out: list[tuple[str, str]]) -> Iterator[Source]:
    inside = folder.resolve()
    for place, below, files in os.walk(folder):
        at = Path(place)
        left_out += [(f"{at / name}/", HIDDEN) for name in below if name.startswith(".")]
        # Walked in order, and never into what is hidden; os.walk does not enter a folder that is a link.
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(files):
            path = at / name
            reason = _reason(path, inside, format)
            if reason is not None:
                left_out.append((str(path), reason))
                continue
            yield Source(_name(before + path.relative_to(folder).as_posix(), path), path, path.stat().st_size)


def _reason(path: Path, inside: Path, format: Format) -> str | None:
    """Why a file in a folder is not sent; None if it is."""
    if path.name.startswith("."):
        return HIDDEN
    if not path.resolve().is_relative_to(inside):
        return LINK
    if path.suffix.lower() not in SENT[format] or not path.is_file():
        return OTHER
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
    wanted = RECORDINGS if format == "audio" else TABLES
    if folders and not any(source.path.suffix.lower() in wanted for source in sources):
        other = " --table sends the tables in it." if format == "audio" and sources else ""
        raise EtudeError(f"{', '.join(folders)} holds nothing to send: expected {', '.join(wanted)}.{other}")
    name, count = Counter(source.name for source in sources).most_common(1)[0]
    if count > 1:
        raise EtudeError(f"{count} files would be called {name}: upload the folder above them, or rename one.")
