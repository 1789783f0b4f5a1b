"""Piano pieces whose notes are known: scores of music21's corpus, played by a soundfont.

The sound is synthetic and the truth exact: figures compare one transcriber with another, and not with published sets.
"""

import importlib
import math
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from music21 import corpus
from music21.note import NotRest

from bench import cache, recordings
from worker.pretrained.notes import RATE

# None of them is among the scores on which the service's thresholds were chosen (docs/analysis.md).
PIECES = (
    "bach/bwv66.6", "bach/bwv846", "bach/bwv57.8", "haydn/opus74no1/movement1", "mozart/k545/movement1_exposition",
    "schoenberg/opus19/movement2",
)  # fmt: skip
SECONDS = 40.0
# So that the first onset is not the first sample, and the last note may fade.
BEFORE_S, AFTER_S = 0.2, 1.0
# A key is up before it is struck again.
LIFT_S, SHORTEST_S = 0.005, 0.02
VELOCITY, GAIN_DB, PIANO = 80, -6, 0
SYNTHESISER = "tinysoundfont==0.3.7"


class Played(NamedTuple):
    """One note that was played, in seconds and as MIDI numbers it."""

    onset_s: float
    offset_s: float
    pitch: int


def read(piece: str) -> list[Played]:
    """The notes of a score's first seconds, by onset."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        placed = corpus.parse(piece).stripTies().flatten().secondsMap
    return sorted(_on_one_piano(note for each in placed for note in _notes(each)))


def _notes(placed: dict[str, Any]) -> Iterator[Played]:  # Any: music21 ships no types
    """The notes of one element of a score; none of what is no note, or has no time of its own."""
    element, onset, length = placed["element"], placed["offsetSeconds"], placed["durationSeconds"]
    if not isinstance(element, NotRest) or element.duration.isGrace:
        return
    # What the score gives no tempo for has no length in seconds.
    if not length or math.isnan(onset + length) or onset >= SECONDS:
        return
    offset = min(onset + length, SECONDS + AFTER_S)
    for pitch in element.pitches:
        yield Played(BEFORE_S + float(onset), BEFORE_S + float(offset), int(pitch.midi))


def _on_one_piano(notes: Iterator[Played]) -> Iterator[Played]:
    """As one keyboard can play it: voices that meet strike a key once, and a key is lifted before the next stroke."""
    by_key: dict[int, dict[float, Played]] = defaultdict(dict)
    for note in notes:
        struck, onset = by_key[note.pitch], round(note.onset_s, 3)
        if onset not in struck or struck[onset].offset_s < note.offset_s:
            struck[onset] = note
    for struck in by_key.values():
        strokes = [struck[onset] for onset in sorted(struck)]
        for note, following in zip(strokes, [*strokes[1:], None], strict=True):
            offset = note.offset_s if following is None else min(note.offset_s, following.onset_s)
            if offset - note.onset_s > SHORTEST_S:
                yield note._replace(offset_s=offset)


def play(notes: list[Played]) -> np.ndarray:
    """Mono float32 at 22,050 Hz."""
    synthesiser = _synthesiser()
    at, sound = 0, []
    strokes = [(note.onset_s, True, note.pitch) for note in notes]
    lifts = [(note.offset_s - LIFT_S, False, note.pitch) for note in notes]
    end = max(note.offset_s for note in notes) + AFTER_S
    for second, is_stroke, pitch in [*sorted(strokes + lifts), (end, False, 0)]:
        count = round(second * RATE) - at
        if count > 0:
            stereo = np.frombuffer(bytes(synthesiser.generate(count)), np.float32).reshape(-1, 2)
            sound.append(stereo.mean(axis=1))
            at += count
        if is_stroke:
            synthesiser.noteon(0, pitch, VELOCITY)
        else:
            synthesiser.noteoff(0, pitch)
    return np.concatenate(sound)


def _synthesiser() -> Any:  # Any: of a package without types
    """A piano."""
    place = str(cache.site(SYNTHESISER))
    if place not in sys.path:
        sys.path.append(place)
    made = importlib.import_module("tinysoundfont").Synth(gain=GAIN_DB, samplerate=RATE)
    made.program_select(0, made.sfload(str(soundfont())), 0, PIANO)
    return made


def soundfont() -> Path:
    return recordings.fetch(recordings.SOUNDFONT) / "usr/share/sounds/sf2/TimGM6mb.sf2"
