"""Which scores of music21's corpus are read, and how one becomes plain numbers: notes, voice by voice."""

import random
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from music21 import common, converter, note, stream

# Of the large collections a seeded choice, so that no tradition has more than a quarter of the table.
CHOSEN = {"bach": 250, "ryansMammoth": 200, "oneills1850": 200, "airdsAirs": 180}
SEED = 20
# Left out for their licence notes: essenFolksong (non-commercial use only), palestrina (derived formats reserved).
FOLDERS = {
    "bach": "Bach",
    "monteverdi": "Monteverdi",
    "trecento": "Trecento",
    "ryansMammoth": "American fiddle tunes",
    "oneills1850": "Irish tunes",
    "airdsAirs": "Scottish airs",
    "haydn": "Viennese quartets",
    "mozart": "Viennese quartets",
    "beethoven": "Viennese quartets",
}
# What a single encoding may say to reserve its rights.
RESERVED = re.compile(r"^!!!YEM:|<rights[^>]*>[^<]*(?:©|copyright|edizion)", re.I | re.M)
# In every third title of a collection, and not in the same tune's title in another.
COMMON_WORDS = {"the", "a", "reel", "jig", "hornpipe", "strathspey"}
SUFFIXES = (".mxl", ".xml", ".krn", ".abc", ".musicxml")


@dataclass(frozen=True)
class Source:
    """One file of the corpus, and one tune of it where a file holds many."""

    folder: str
    path: Path
    number: int | None = None


@dataclass(frozen=True)
class Score:
    """Notes (onset, duration in quarters, MIDI pitch) for each voice, and how many beats a bar has."""

    piece: str
    work: str  # the name that it shares with others of its work
    composer: str
    voices: list[np.ndarray]  # (notes, 3), by onset
    beats: int
    is_compound: bool


def choose() -> list[Source]:
    """The sources, in a fixed order."""
    chosen: list[Source] = []
    for folder in FOLDERS:
        found = sorted(_sources(folder), key=lambda source: (str(source.path), source.number or 0))
        chance = random.Random(SEED)
        limit = CHOSEN.get(folder)
        chosen += sorted(chance.sample(found, limit), key=str) if limit and limit < len(found) else found
    return chosen


def _sources(folder: str) -> Iterator[Source]:
    seen: set[Path] = set()
    for path in sorted((corpus() / folder).rglob("*")):
        # Some are there in two notations; one of them is enough.
        if path.suffix not in SUFFIXES or path.with_suffix("") in seen or RESERVED.search(text_of(path)):
            continue
        seen.add(path.with_suffix(""))
        if folder in ("oneills1850", "airdsAirs"):
            numbers = re.findall(r"^X:\s*(\d+)", text_of(path), re.MULTILINE)
            yield from (Source(folder, path, int(number)) for number in numbers)
        else:
            yield Source(folder, path)


def corpus() -> Path:
    return Path(str(common.getCorpusFilePath()))


def text_of(path: Path) -> str:
    """The encoding as text; an .mxl file is an archive around it."""
    if not zipfile.is_zipfile(path):
        return path.read_text(errors="replace")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith((".xml", ".musicxml")) and "META-INF" not in name]
        return archive.read(names[0]).decode(errors="replace") if names else ""


def read(source: Source) -> Score | None:
    """Parse one score; None for one that is no piece: too short, without notes, or for other instruments."""
    parsed: Any = converter.parse(source.path, number=source.number)
    if isinstance(parsed, stream.Opus):
        parsed = parsed.scores[0]
    voices = [notes for part in _parts(parsed) if len(notes := notes_of(part)) >= 8]
    is_quartet = FOLDERS[source.folder] == "Viennese quartets"
    if not voices or sum(map(len, voices)) < 24 or (is_quartet and len(voices) != 4):
        return None
    beats, is_compound = meter_of(parsed)
    piece, work = _names(source, parsed)
    return Score(piece, work, FOLDERS[source.folder], voices, beats, is_compound)


def _parts(parsed: Any) -> list[Any]:
    return list(parsed.parts) or [parsed]


def notes_of(part: Any) -> np.ndarray:
    """Sounding notes with ties joined; of a chord the highest, of a grace note nothing."""
    rows: list[tuple[float, float, int]] = []
    for element in part.flatten().notes:
        if element.quarterLength == 0 or not getattr(element, "pitches", ()):
            continue
        pitch = max(int(each.midi) for each in element.pitches)
        onset, length = float(Fraction(element.offset)), float(Fraction(element.quarterLength))
        tie = element.tie.type if isinstance(element, note.Note) and element.tie else None
        if tie in ("stop", "continue") and rows and rows[-1][2] == pitch:
            rows[-1] = (rows[-1][0], rows[-1][1] + length, pitch)
        else:
            rows.append((onset, length, pitch))
    return np.array(sorted(rows), float).reshape(-1, 3)


def meter_of(parsed: Any) -> tuple[int, bool]:
    """Beats in a bar, and whether they are divided by three; (0, False) without a time signature."""
    found = next(iter(parsed.recurse().getElementsByClass("TimeSignature")), None)
    if found is None:
        return 0, False
    is_compound = found.numerator in (6, 9, 12)
    return found.numerator // 3 if is_compound else found.numerator, is_compound


def _names(source: Source, parsed: Any) -> tuple[str, str]:
    """The piece's id, and the name of its work: a tune's title, a BWV number, a quartet."""
    address = str(source.path.relative_to(corpus()).with_suffix(""))
    piece = address if source.number is None else f"{address}-{source.number}"
    if source.folder in ("ryansMammoth", "oneills1850", "airdsAirs"):
        # The same tune is found in more than one collection.
        words = re.findall(r"[a-z]+", str(parsed.metadata.title if parsed.metadata else "").lower().replace("'", ""))
        title = " ".join(word for word in words if word not in COMMON_WORDS)
        return piece, f"tune {title or piece}"
    if source.folder == "bach":
        return piece, f"bwv {re.sub(r'[^0-9].*', '', source.path.stem.removeprefix('bwv'))}"
    # A quartet is a folder of movements, or one file.
    return piece, address.partition("/movement")[0]
