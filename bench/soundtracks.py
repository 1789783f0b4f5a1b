"""Which game a segment of nine seconds is from, learned with the defaults of a training on recordings; and how soon.

Seven soundtracks of some two hundred tracks, divided by track: a segment is judged by a network that has heard no other
segment of its track. One soundtrack is one encoder and one mastering too, which helps all who are compared.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold

from bench import heads, segments
from bench.asking import Asked
from bench.measurement import Measurement, compare
from bench.peers import logistic
from bench.segments import Piece
from shared.audio_params import Listening
from shared.kinds.classification import TrainParams
from worker import device
from worker.kinds.protocol import Prepared

FOLDS = 5
GOAL, FIT_S = 0.70, 1.0
# What a training is if nothing is said.
PARAMS = TrainParams(baselines=False).of_recordings()
# Four of a track are the 640 that the limit is of.
FEW = TrainParams(baselines=False, listening=Listening(segments_per_track=segments.ASKED)).of_recordings()
# The defaults were chosen on divisions of the seeds below these.
FIRST_SEED = 100

# The probabilities that something trained on the first pieces gives the segments of each of the second.
Judge = Callable[[Sequence[Piece], Sequence[Piece]], list[np.ndarray]]
# Shares of segments, and of tracks by the mean of their segments, that are right.
Accuracy = tuple[float, float]


def measure(rounds: int) -> list[Measurement]:
    device.prepare()
    pieces = segments.hear_all()
    judged = [
        [accuracy(pieces, judge, seed=seed) for judge in (by_head, by_embedding, by_statistics)]
        for seed in range(FIRST_SEED, FIRST_SEED + rounds)
    ]
    count = sum(len(piece.asked.embedding) for piece in pieces)
    note = (
        f"{count} segments of {len(pieces)} tracks, {FOLDS} folds by track, learned from up to {segments.MOST} a track"
    )
    same = f"it learns from the same segments, and from the fifth too that ours holds out; {note}"
    rows = [
        _row("segments, against their goal", [(ours[0], GOAL) for ours, _, _ in judged], note),
        _row("segments, against logistic regression on the same embedding", _pairs(judged, 1, of=0), same),
        _row("segments, against logistic regression on log-mel statistics", _pairs(judged, 2, of=0), same),
        _row("tracks, against logistic regression on the same embedding", _pairs(judged, 1, of=1), same),
    ]
    return [*rows, *_speeds(pieces, rounds)]


def _pairs(judged: list[list[Accuracy]], peer: int, *, of: int) -> list[tuple[float, float]]:
    return [(each[0][of], each[peer][of]) for each in judged]


def _row(name: str, pairs: list[tuple[float, float]], note: str) -> Measurement:
    return compare(f"soundtracks told apart: {name}", pairs, unit="accuracy", bar="≥ 1", note=note)


def accuracy(pieces: Sequence[Piece], judge: Judge, *, seed: int) -> Accuracy:
    """What a judge gets right over all folds, of the segments that are asked about."""
    games = np.array([piece.game for piece in pieces])
    names = np.unique(games)
    segments_right, tracks_right = [], []
    for train, test in _folds(games, seed):
        asked = [pieces[place].asked for place in test]
        for piece, said in zip(asked, judge([pieces[place] for place in train], asked), strict=True):
            segments_right += (names[said.argmax(axis=1)] == piece.game).tolist()
            tracks_right.append(names[said.mean(axis=0).argmax()] == piece.game)
    return float(np.mean(segments_right)), float(np.mean(tracks_right))


def _folds(games: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield from StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(games, games)


def by_head(train: Sequence[Piece], asked: Sequence[Piece]) -> list[np.ndarray]:
    """The service's own training; of its tracks a fifth are held out, to know when to stop."""
    taught = heads.teach(train, PARAMS)
    return [heads.answer(taught, piece) for piece in asked]


def by_embedding(train: Sequence[Piece], asked: Sequence[Piece]) -> list[np.ndarray]:
    """Logistic regression on the mean of a segment's windows."""
    return _by_logistic(train, asked, lambda piece: piece.embedding.mean(axis=1))


def by_statistics(train: Sequence[Piece], asked: Sequence[Piece]) -> list[np.ndarray]:
    return _by_logistic(train, asked, lambda piece: piece.statistics)


def _by_logistic(
    train: Sequence[Piece], asked: Sequence[Piece], look: Callable[[Piece], np.ndarray]
) -> list[np.ndarray]:
    labels = np.repeat([piece.game for piece in train], [len(piece.embedding) for piece in train])
    x, other = (np.concatenate([look(piece) for piece in some]) for some in (train, asked))
    said = logistic.answer(x, labels, other)
    return np.split(said, np.cumsum([len(piece.embedding) for piece in asked])[:-1])


def _speeds(pieces: Sequence[Piece], rounds: int) -> list[Measurement]:
    """How long the training of a head takes in a process that has trained one of this shape."""
    train, _ = next(_folds(np.array([piece.game for piece in pieces]), 0))
    prepared = heads.prepare([pieces[place] for place in train], FEW)
    assert prepared.validation is not None and prepared.train.weight is not None
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder:
        file = Path(folder, "matrices.npz")
        np.savez(file, x=prepared.train.x, y=prepared.train.y, weight=prepared.train.weight,
                 held_x=prepared.validation.x, held_y=prepared.validation.y)  # fmt: skip
        fresh_s = _seconds(prepared)
        with Asked("bench.peers.keras_head", str(file)) as keras:
            keras.ask()
            pairs = [(_seconds(prepared), keras.ask()) for _ in range(rounds)]
    count = len(prepared.train.x) + len(prepared.validation.x)
    note = f"{count} examples of {prepared.train.x.shape[1]} numbers, a fifth held out; the first one {fresh_s:.1f} s"
    limit = [(ours, FIT_S) for ours, _ in pairs]
    same = "the same network, optimiser, batches and early stopping"
    return [
        compare("a head trained, warm, against its limit", limit, unit="s", bar="≤ 1", note=note),
        compare("a head trained, warm, against Keras's fit", pairs, unit="s", bar="≥ 1", is_speedup=True, note=same),
    ]


def _seconds(prepared: Prepared) -> float:
    began = time.perf_counter()
    heads.fit(prepared, FEW)
    return time.perf_counter() - began
