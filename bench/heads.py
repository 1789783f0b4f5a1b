"""The worker's own training of a small network on embeddings, without the service around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.segments import Piece
from bench.training import Silence
from shared.audio_params import EMBEDDING_NETWORKS
from shared.kinds.classification import TrainParams
from worker import artifacts, audio_heads, audio_training, kinds, training
from worker.audio_heads import Head
from worker.features import as_json
from worker.fitted import Fitted
from worker.heard import Heard, Windows
from worker.kinds.protocol import Prepared
from worker.preparation import Examples
from worker.recordings import Track
from worker.tables import Column, Texts

KIND = "classification"
TAGS, EACH = 50, 200


@dataclass(frozen=True)
class Taught:
    """A trained head, its classes in the order of its outputs, and what it was trained on."""

    head: Head
    games: Sequence[str]
    prepared: Prepared


def teach(pieces: Sequence[Piece], params: TrainParams) -> Taught:
    """Learn the game of a segment, with the worker's own split, preprocessing and early stopping."""
    prepared = prepare(pieces, params)
    network, _ = kinds.find(KIND).model.describe(prepared, params)
    weights, said = fit(prepared, params).weights, audio_heads.describe(params)
    model = artifacts.Model(KIND, network, weights, as_json(prepared.features), prepared.target, said)
    head = audio_heads.open(model, kinds.find(KIND).predict.open(model), precision="float32")
    return Taught(head, prepared.target["labels"], prepared)


def prepare(pieces: Sequence[Piece], params: TrainParams) -> Prepared:
    """Matrices of segments, as a training job makes them of what it has heard."""
    games, codes = np.unique([piece.game for piece in pieces], return_inverse=True)
    tracks = [_track(place) for place in range(len(pieces))]
    target: dict[str, Column] = {"game": Texts(games.tolist(), codes.astype(np.int32))}
    examples = Examples(target, [], ["game"], None, None, np.arange(len(tracks)), has_duplicates=False)
    found = audio_training.gather([heard(piece, place) for place, piece in enumerate(pieces)], params)
    return audio_training.prepare(kinds.find(KIND), examples, tracks, found, params)


def fit(prepared: Prepared, params: TrainParams) -> Fitted:
    network, objective = kinds.find(KIND).model.describe(prepared, params)
    return training.fit(
        network,
        objective,
        params,
        train=prepared.train,
        validation=prepared.validation,
        watch=Silence(),
        checkpoint=None,
    )


def answer(taught: Taught, piece: Piece) -> np.ndarray:
    """The probability of each game for each segment of a track, (segments, games).

    What the head says of shorter parts is averaged, as a job averages it over a track.
    """
    outputs = taught.head.outputs(heard(piece, 0))
    return np.asarray(outputs.reshape(len(piece.embedding), -1, outputs.shape[1]).mean(axis=1))


def heard(piece: Piece, number: int) -> Heard:
    """A track that lasts as long as its segments do."""
    flat = piece.embedding.reshape(-1, piece.embedding.shape[2])
    tags = np.zeros((len(flat), TAGS), np.float32)
    said = {name: Windows(tags, flat[:, EACH * place :][:, :EACH]) for place, name in enumerate(EMBEDDING_NETWORKS)}
    return Heard(_track(number), windows=said)


def _track(number: int) -> Track:
    content = f"{number:064x}"
    return Track(number, content, content, content, content, None, None, None, None, None, None)
