"""The recordings of the demo as files: twelve bands of four styles, some faults that real folders have, and a piano."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from examples.sounds import styles
from examples.sounds.composer import Note
from examples.sounds.instruments import RATE_HZ
from examples.sounds.styles import STYLES, Manner

SEED = 20_261_126
BANDS = {
    "folk": ("The Barley Mow", "Hollow Reed", "Juniper Lane"),
    "chamber": ("Quartet Lindqvist", "Ensemble Aurelia", "The Fenwick Consort"),
    "dance": ("Night Tariff", "Voltage Garden", "Kilowatt"),
    "hymn": ("St Alban's", "The Old Nave", "Kapelle Nord"),
}
# Nothing of these two is among what is learned from.
UNHEARD = ("Juniper Lane", "Kilowatt")
TITLES = ("Morning", "The Crossing", "Letters", "Homeward")
FORMATS = (("wav", 44_100), ("flac", 44_100), ("mp3", 44_100), ("ogg", 22_050))
CLIPPED, CUT_SHORT, AGAIN, SILENT = ("Night Tariff", 2), ("Hollow Reed", 1), ("St Alban's", 1), "Intermission"


@dataclass(frozen=True)
class Recording:
    """One file of the collection."""

    file: str  # its name in the folder
    band: str
    style: str
    title: str


def make(learned: Path, unheard: Path) -> dict[str, str]:
    """Write two folders of recordings, the first with a manifest; returns the style of each file of the second."""
    truth: dict[str, str] = {}
    rows: list[Recording] = []
    for number, (band, style) in enumerate((band, style) for style, bands in BANDS.items() for band in bands):
        folder = unheard if band in UNHEARD else learned
        made = list(_album(folder, style, band, number))
        if band in UNHEARD:
            truth.update({each.file: style for each in made})
        else:
            rows += made
    rows += _odd(learned)
    _list(learned / "manifest.csv", rows)
    return truth


def _album(folder: Path, style: str, band: str, number: int) -> Iterator[Recording]:
    manner = _manner(number)
    for place, title in enumerate(TITLES):
        chance = np.random.default_rng((SEED, number, place))
        sound = styles.perform(STYLES[style](manner, chance, chance.uniform(12, 15)), manner, chance)
        if (band, place) == CLIPPED:
            sound = np.clip(sound * 4, -1, 1)
        # Every band in every format, so that a format tells nothing about a style.
        suffix, rate_hz = FORMATS[(place + number) % len(FORMATS)]
        path = folder / band / f"{title}.{suffix}"
        write(path, sound, rate_hz)
        if (band, place) == CUT_SHORT:
            _cut(path)
        yield Recording(path.relative_to(folder).as_posix(), band, style, title)


def _manner(number: int) -> Manner:
    chance = np.random.default_rng((SEED, number))
    return Manner(*chance.uniform(0, 1, 2), echo=float(chance.uniform(0.2, 0.9)))


def _odd(folder: Path) -> Iterator[Recording]:
    """The same piece once more, a little quieter and in another format; and a file with nothing in it."""
    band, place = AGAIN
    (found,) = (folder / band).glob(f"{TITLES[place]}.*")
    sound, rate_hz = soundfile.read(found, dtype="float32")
    again = folder / band / f"{TITLES[place]} (again).{'mp3' if found.suffix != '.mp3' else 'flac'}"
    write(again, sound * 0.8, rate_hz, from_hz=rate_hz)
    yield Recording(again.relative_to(folder).as_posix(), band, "hymn", again.stem)
    silent = folder / band / f"{SILENT}.wav"
    write(silent, np.zeros((12 * RATE_HZ, 2), np.float32), RATE_HZ)
    yield Recording(silent.relative_to(folder).as_posix(), band, "hymn", SILENT)


def _cut(path: Path) -> None:
    """Leave too little of a file for anything to be heard, as a broken download does."""
    path.write_bytes(path.read_bytes()[:900])


def _list(path: Path, rows: Sequence[Recording]) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "style", "band", "title"])
        table.writerows((row.file, row.style, row.band, row.title) for row in rows)


def make_piano(path: Path) -> list[Note]:
    """Write a piano piece, and return its notes."""
    chance = np.random.default_rng((SEED, 99))
    manner = Manner(0.5, 0.5, 0.1)
    parts = styles.piano(manner, chance, 14)
    write(path, styles.perform(parts, manner, chance), RATE_HZ)
    return sorted((note for _, notes in parts for note in notes), key=lambda note: (note.onset_s, note.pitch))


def write(path: Path, sound: np.ndarray, rate_hz: int, *, from_hz: int = RATE_HZ) -> None:
    """A recording in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    played = sound if rate_hz == from_hz else soxr.resample(sound, from_hz, rate_hz)
    soundfile.write(path, played, rate_hz)
