"""Transcription of piano pieces on one core, from a file to its notes, against Basic Pitch as its authors ship it."""

import os
import tempfile
import time
from pathlib import Path
from statistics import mean

import mir_eval
import numpy as np
import soundfile

from bench import cache, catalogue, scores
from bench.asking import Asked
from bench.measurement import Measurement, compare
from bench.scores import Played
from shared.kinds.analysis import Transcribing
from worker import device
from worker.pretrained import basic_pitch, notes
from worker.pretrained.notes import AUTHORS, Thresholds

X_REAL_TIME, F = 45.0, 0.84
# What the authors' package imports and the service has no use for.
PEER_NEEDS = ("flatbuffers==25.12.19", "importlib_resources==7.0.0", "mido==1.3.3", "onnxruntime==1.32.0",
              "pretty_midi==0.2.11.post0", "resampy==0.4.3")  # fmt: skip
ONSET_S = 0.05
CONCERT_A, A_HZ = 69, 440.0


def measure(rounds: int) -> list[Measurement]:
    # Before TensorFlow counts the cores.
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    device.prepare()
    truth = [scores.read(piece) for piece in scores.PIECES]
    chosen = Thresholds(**Transcribing().model_dump())
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder, _authors() as peer:
        paths = [_write(Path(folder, f"{place}.wav"), each) for place, each in enumerate(truth)]
        listed = Path(folder, "listed")
        listed.write_text("\n".join(map(str, paths)))
        transcribe(paths, AUTHORS)
        peer.ask(str(listed))
        pairs = [(_x_real_time(paths), peer.ask(str(listed))) for _ in range(rounds)]
        ours, plain = (mean(_scored(truth, transcribe(paths, each))) for each in (chosen, AUTHORS))
        theirs = mean(_scored(truth, [_read(path.with_suffix(".csv")) for path in paths]))
        lasting = catalogue.seconds_of(paths)
    goal = [(mine, X_REAL_TIME) for mine, _ in pairs]
    speed = (
        f"{lasting:.0f} s of WAV at 22,050 Hz, from the file to the notes, in CPU seconds, with the authors' thresholds"
    )
    set_ = f"{len(truth)} rendered piano scores, mean F of onsets within 50 ms"
    kept = f"{set_}; with the authors' thresholds ours has {plain:.3f}"
    return [
        compare("transcription, a core, against its goal", goal, unit="× real time", bar="≥ 1", note=speed),
        compare("transcription, a core, against Basic Pitch's predict", pairs, unit="× real time", bar="≥ 1",
                note="its ONNX model on one thread, and its note creation"),
        compare("notes found, against their goal", [(ours, F)], unit="F", bar="≥ 1", note=set_),
        compare("notes found, against Basic Pitch's predict", [(ours, theirs)], unit="F", bar="≥ 1", note=kept),
    ]  # fmt: skip


def _authors() -> Asked:
    return Asked("bench.peers.basic_pitch_predict", PYTHONPATH=str(cache.site(*PEER_NEEDS)))


def _write(path: Path, piece: list[Played]) -> Path:
    soundfile.write(path, scores.play(piece), notes.RATE, subtype="PCM_16")
    return path


def transcribe(paths: list[Path], thresholds: Thresholds) -> list[list[Played]]:
    """The notes of each recording, as the worker finds them."""
    found = []
    for path in paths:
        sound, _ = soundfile.read(path, dtype="float32")
        posteriors = basic_pitch.load().run(sound)
        found.append([Played(*note[:3]) for note in notes.create(posteriors, thresholds)])
    return found


def _x_real_time(paths: list[Path]) -> float:
    began = time.process_time()
    transcribe(paths, AUTHORS)
    return catalogue.seconds_of(paths) / (time.process_time() - began)


def _scored(truth: list[list[Played]], found: list[list[Played]]) -> list[float]:
    return [onset_f(*each) for each in zip(truth, found, strict=True)]


def onset_f(truth: list[Played], found: list[Played]) -> float:
    """F of the notes whose onset is within 50 ms and whose pitch is right, whenever they end."""
    (spans, hz), (other_spans, other_hz) = _arrays(truth), _arrays(found)
    scored = mir_eval.transcription.precision_recall_f1_overlap(
        spans, hz, other_spans, other_hz, onset_tolerance=ONSET_S, offset_ratio=None
    )
    return float(scored[2])


def _arrays(piece: list[Played]) -> tuple[np.ndarray, np.ndarray]:
    spans = np.array([(note.onset_s, note.offset_s) for note in piece]).reshape(-1, 2)
    return spans, A_HZ * 2 ** ((np.array([note.pitch for note in piece]) - CONCERT_A) / 12)


def _read(path: Path) -> list[Played]:
    rows = (line.split(",") for line in path.read_text().splitlines())
    return [Played(float(onset), float(offset), int(pitch)) for onset, offset, pitch in rows]
