"""How near an analysis comes to what the manifest says is true, by mir_eval's measures (Raffel et al., ISMIR 2014)."""

from collections.abc import Sequence

import mir_eval
import numpy as np

from worker.heard import Heard, Truth

# Gouyon et al., "An experimental comparison of audio tempo induction algorithms", 2006.
TEMPO_TOLERANCE = 0.04
OCTAVES = (1 / 3, 1 / 2, 1, 2, 3)


def compare(heard: Heard, truth: Truth) -> dict[str, float]:
    """The metrics of one track, of what was both asked for and known."""
    music = heard.music or {}
    return {
        **(_tempo(truth.tempo_bpm, music["rhythm"]["bpm"]) if truth.tempo_bpm and "rhythm" in music else {}),
        **(_key(truth.key, music["tonality"]) if truth.key and "tonality" in music else {}),
        **(_notes(truth.notes, heard) if truth.notes is not None and heard.notes is not None else {}),
    }


def _tempo(true_bpm: float, bpm: float | None) -> dict[str, float]:
    ratio = (bpm or 0.0) / true_bpm
    return {
        "tempo_accuracy": float(abs(ratio - 1) <= TEMPO_TOLERANCE),
        "tempo_accuracy_octave": float(any(abs(ratio / octave - 1) <= TEMPO_TOLERANCE for octave in OCTAVES)),
    }


def _key(true_key: str, said: dict[str, str | None]) -> dict[str, float]:
    reference = _spelt(true_key)
    if reference is None:
        return {}
    estimated = f"{said['key']} {said['mode']}" if said["key"] else "X"
    score = mir_eval.key.weighted_score(reference, estimated)
    return {"key_score": float(score), "key_accuracy": float(score == 1.0)}


def _spelt(text: str) -> str | None:
    """A key as mir_eval reads it, from `A minor`, `Am`, `a`, `F# major`, `Bb`; None for what is none."""
    words = text.replace("♯", "#").replace("♭", "b").split()
    if not words:
        return None
    tonic, rest = words[0], " ".join(words[1:]).lower()
    if rest == "" and len(tonic) > 1 and tonic.endswith("m"):
        tonic, rest = tonic[:-1], "minor"
    mode = "minor" if rest.startswith("min") or (rest == "" and tonic[:1].islower()) else "major"
    spelt = f"{tonic[:1].upper()}{tonic[1:].lower()} {mode}"
    try:
        mir_eval.key.validate_key(spelt)
    except ValueError:
        return None
    return spelt


def _notes(truth: Sequence[tuple[float, float, float]], heard: Heard) -> dict[str, float]:
    said = [(note.onset_s, note.offset_s, float(note.pitch)) for note in heard.notes or []]
    if not truth or not said:
        both_empty = float(not truth and not said)
        names = ("note_onset_precision", "note_onset_recall", "note_onset_f1", "note_f1")
        return dict.fromkeys(names, both_empty)
    (true_times, true_pitches), (times, pitches) = _arrays(truth), _arrays(said)
    both = mir_eval.transcription.precision_recall_f1_overlap
    onset = both(true_times, true_pitches, times, pitches, offset_ratio=None)
    whole = both(true_times, true_pitches, times, pitches)
    return {
        "note_onset_precision": float(onset[0]),
        "note_onset_recall": float(onset[1]),
        "note_onset_f1": float(onset[2]),
        "note_f1": float(whole[2]),
    }


def _arrays(notes: Sequence[tuple[float, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Intervals in seconds (notes, 2) and pitches in hertz (notes,)."""
    table = np.array(notes, float)
    return table[:, :2], 440.0 * 2 ** ((table[:, 2] - 69) / 12)
