"""How well a model foretells pieces, and what its music is like beside theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.composition.voice_coding import HOLD
from worker.kinds.generation.data import Coding, Item, Work
from worker.sequences import learner, streams
from worker.sequences.spec import SequenceSpec
from worker.sequences.streams import JUDGED_ROWS, Steps
from worker.symbolic import ratios, statistics
from worker.symbolic.copies import Corpus, Passage
from worker.symbolic.grid import Grid
from worker.symbolic.piece import Piece
from worker.symbolic.ratios import Ratio

Json = dict[str, Any]

LISTED_COPIES = 5


@dataclass(frozen=True)
class Foretold:
    """Of one piece: the loss of each token in nats and whether it was the likeliest, (steps, fields)."""

    losses: np.ndarray
    hits: np.ndarray


def foretell(
    spec: SequenceSpec, weights: Mapping[str, np.ndarray], pieces: Sequence[Steps], *, window: int = 128
) -> list[Foretold]:
    """What a network comes to on whole pieces, each from an empty start; `window` steps are looked at together."""
    layout = streams.whole(pieces, spec, rows=JUDGED_ROWS, window=window)
    losses, hits = learner.measure(spec, weights, layout)
    owners = np.moveaxis(layout.pieces, 0, 1).reshape(layout.pieces.shape[1], -1)
    flat = [np.moveaxis(each, 0, 1).reshape(*owners.shape, spec.fields) for each in (losses, hits)]
    return [Foretold(*(each[owners == number] for each in flat)) for number in range(len(pieces))]


def evaluate(coding: Coding, plain: Sequence[Foretold], told: Sequence[Foretold]) -> Json:
    """Metrics with intervals over the pieces: nothing told of them, and told their key and how long they are."""
    figures = [_figures(each, also) for each, also in zip(plain, told, strict=True)]
    gathered = ratios.gather(figures)
    if coding.form == "voices":
        return {name: value for name, value in gathered.items() if name != "nll_per_note"}
    return {name: value for name, value in gathered.items() if name != "nll_per_frame"}


def _figures(plain: Foretold, told: Foretold) -> dict[str, Ratio]:
    tokens, steps, loss = plain.losses.size, len(plain.losses), float(plain.losses.sum(dtype=np.float64))
    return {
        "nll_per_token": Ratio(loss, tokens),
        "nll_per_frame": Ratio(loss, steps),
        "nll_per_note": Ratio(loss, steps),
        "token_accuracy": Ratio(float(plain.hits.sum()), tokens),
        "nll_per_token_told": Ratio(float(told.losses.sum(dtype=np.float64)), tokens),
    }


def baselines(coding: Coding, train: Sequence[Steps], held_out: Sequence[Steps]) -> Json:
    """The same of two that know nothing of music: how often each token comes, and whether the last frame goes on."""
    said = {"token_frequencies": _judge(held_out, [_frequencies(coding, train)] * len(held_out))}
    if coding.form == "voices":
        said["hold_or_uniform"] = _judge(held_out, [_holding(coding, train)] * len(held_out))
    return said


def _frequencies(coding: Coding, train: Sequence[Steps]) -> np.ndarray:
    """Likelihoods (fields, tokens) by counts of the training pieces, each one more."""
    likelihoods = np.zeros((len(coding.tokens), max(coding.tokens)))
    for field, size in enumerate(coding.tokens):
        counts = np.sum([np.bincount(steps.tokens[:, field], minlength=size) for steps in train], axis=0) + 1
        likelihoods[field, :size] = counts / counts.sum()
    return likelihoods


def _holding(coding: Coding, train: Sequence[Steps]) -> np.ndarray:
    held = np.mean(np.concatenate([(steps.tokens == HOLD).ravel() for steps in train]))
    likelihoods = np.zeros((len(coding.tokens), max(coding.tokens)))
    for field, size in enumerate(coding.tokens):
        likelihoods[field, :size] = (1 - held) / (size - 1)
        likelihoods[field, HOLD] = held
    return likelihoods


def _judge(held_out: Sequence[Steps], likelihoods: Sequence[np.ndarray]) -> Json:
    figures = []
    for steps, likelihood in zip(held_out, likelihoods, strict=True):
        fields = np.arange(likelihood.shape[0])
        losses = -np.log(likelihood[fields, steps.tokens])
        hits = likelihood.argmax(axis=1) == steps.tokens
        loss, size = float(losses.sum()), losses.size
        figures.append({"nll_per_token": Ratio(loss, size), "token_accuracy": Ratio(float(hits.sum()), size)})
    return ratios.gather(figures)


def describe(works: Sequence[Work], pieces: Sequence[Piece]) -> Json:
    """Musical statistics of pieces in the form that a model sees."""
    grids = [work for work in works if isinstance(work, Grid)]
    return statistics.of_grids(grids) if grids or not works else statistics.of_pieces(pieces)


def corpus(items: Sequence[Item]) -> Corpus:
    """What was learned from, ready to be searched for what was copied."""
    return Corpus.build({item.name: _searched(item.work, item.piece) for item in items})  # type: ignore[arg-type]


def _searched(work: Work, piece: Piece) -> Grid | Piece:
    return work if isinstance(work, Grid) else piece


def copied(known: Corpus, works: Sequence[Work], pieces: Sequence[Piece]) -> Json:
    """The longest passage of each piece that stands in the training set, in any key: how long they are, and the worst.

    Lengths are in notes of all voices together, and of the melody alone.
    """
    found = [known.longest(_searched(work, piece)) for work, piece in zip(works, pieces, strict=True)]
    together = [each.together for each in found]
    worst = sorted((each for each in together if each), key=lambda passage: -passage.notes)[:LISTED_COPIES]
    return {
        "pieces": len(found),
        "notes": _spread([each.notes if each else 0 for each in together]),
        "bars": _spread([each.bars if each else 0.0 for each in together]),
        "melody_notes": _spread([each.melody.notes if each.melody else 0 for each in found]),
        "longest": [_passage(each) for each in worst],
    }


def _passage(passage: Passage) -> Json:
    return dict(passage._asdict())


def _spread(values: Sequence[float]) -> Json:
    if not values:
        return {"median": None, "longest": None}
    return {"median": float(np.median(values)), "longest": float(max(values))}


def compare(described: Mapping[str, Json]) -> Json:
    """Generated, training and held-out pieces side by side, figure by figure; without a training set the other two."""
    if not described["training"]:
        beside = statistics.compare(described["generated"], described["held_out"], described["held_out"])
        return {name: {"generated": each["generated"], "held_out": each["held_out"]} for name, each in beside.items()}
    return statistics.compare(described["generated"], described["training"], described["held_out"])
