"""Pieces as a network of sequences learns them: in which form, which of them are held out, in which keys."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter

from shared.errors import Fault, JobFailed
from shared.kinds.generation import Events, TrainParams, Voices
from worker import batches
from worker.cautions import Caution
from worker.composition.event_coding import EventCoding, Line
from worker.composition.voice_coding import VoiceCoding
from worker.sequences.streams import Steps
from worker.symbolic import gridding, stored, tonality
from worker.symbolic.grid import REST, Grid
from worker.symbolic.piece import HIGHEST, LOWEST, Piece
from worker.symbolic.stored import Stored

Json = dict[str, Any]
Coding = VoiceCoding | EventCoding
Work = Grid | Line

# With so many of the pieces in the same number of voices, those are learned and the others left out.
MOSTLY = 0.7
# In so many of the times that a piece is met, its key is told, and its end: asked for or not, a model knows what to do.
TOLD = 0.5
# Of a training: with less there is nothing to learn from.
LEAST_STEPS = 16
# Of a piece: 4,096 bars of 4/4 in sixteenths. Pieces are judged whole, side by side.
MOST_STEPS = 65_536

_CODING: TypeAdapter[Coding] = TypeAdapter(Annotated[Coding, Field(discriminator="form")])


@dataclass(frozen=True)
class Item:
    """A piece to be learned from: `work` as the model sees it, `key` as of tonality.KEYS, None where it has none.

    `family` is the row of the first piece that is the same music, be it in another key.
    """

    name: str
    row: int
    piece: Piece
    work: Work
    key: int | None
    part: str | None
    family: int


@dataclass(frozen=True)
class Prepared:
    """All that a training needs."""

    coding: Coding
    train: list[Item]
    validation: list[Item]
    split: Json
    cautions: list[Caution]
    transpose: int
    seed: int

    def epoch(self, number: int) -> list[Steps]:
        """The pieces as an epoch (from 0) meets them: in an order of its own, each in a key that it draws."""
        random = np.random.Generator(np.random.PCG64([self.seed, number]))
        return [self._met(self.train[place], random) for place in random.permutation(len(self.train))]

    def _met(self, item: Item, random: np.random.Generator) -> Steps:
        low, high = _room(item.work, self.coding, self.transpose)
        shift = int(random.integers(low, high + 1))
        tells_key, tells_end = random.random(2) < TOLD
        key = item.key if tells_key else None
        return self.coding.steps(item.work, shift=shift, key=key, is_ending=bool(tells_end))  # type: ignore[arg-type]

    @property
    def steps(self) -> int:
        """How many steps the training pieces have in all."""
        return sum(len(item.work) for item in self.train)


def read_coding(said: Json) -> Coding:
    """The coding of a stored model."""
    return _CODING.validate_python(said)


def steps_of(coding: Coding, items: Sequence[Item], *, is_told: bool) -> list[Steps]:
    """Pieces as they are, for judging: nothing told of them, or their key and their end."""
    return [
        coding.steps(item.work, key=item.key if is_told else None, is_ending=is_told)  # type: ignore[arg-type]
        for item in items
    ]


def load(paths: Sequence[Path]) -> list[Stored]:
    """The pieces of a dataset that can be used. Raises JobFailed when there is none."""
    found = [each for each in stored.load(paths) if each.piece is not None]
    if not found:
        raise JobFailed("No piece of the dataset has notes: add pieces.", code="too_few_pieces")
    return found


def prepare(pieces: Sequence[Stored], params: TrainParams) -> Prepared:
    """Choose the form, hold pieces out, and code what is learned from. Raises JobFailed (too_few_pieces, …)."""
    chosen = _choose_form([each.piece for each in pieces if each.piece is not None], params)
    items, left_out = items_of(pieces, chosen)
    cautions = _tell_left_out(left_out, chosen)
    train, validation, by = _divide(items, params)
    train, repeated = _once_each(train)
    if sum(len(item.work) for item in train) < LEAST_STEPS:
        said = f"{len(items)} pieces fit, with too little music to learn from: add pieces, or choose events."
        raise JobFailed(said, code="too_few_pieces")
    if repeated:
        cautions.append(Caution("duplicates_dropped", f"Left out of training, as the same music: {repeated:,} pieces."))
    if not validation and params.validation != "none":
        said = (
            "There is one piece, or one in several copies: nothing is held out, so how good the model is, nobody knows."
        )
        cautions.append(Caution("nothing_held_out", said))
    coding = _coding(chosen, [*train, *validation], params)
    split = {"by": by, "train": len(train), "validation": len(validation), "duplicates_dropped": repeated,
             "held_out": [item.name for item in validation]}  # fmt: skip
    return Prepared(coding, train, validation, split, cautions, params.transpose, params.seed)


def _choose_form(pieces: Sequence[Piece], params: TrainParams) -> Voices | Events:
    """The form that is asked for, with all that was left open."""
    asked = params.representation
    counts = Counter(count for piece in pieces if (count := gridding.count_voices(piece)) is not None)
    voices, many = max(counts.items(), key=lambda each: (each[1], each[0]), default=(0, 0))
    if isinstance(asked, Events) or (asked == "auto" and many < MOSTLY * len(pieces)):
        return asked if isinstance(asked, Events) else Events(form="events")
    wanted = asked if isinstance(asked, Voices) else Voices(form="voices")
    if wanted.voices is None and not voices:
        said = "No piece is of voices that sing one note at a time: name `voices`, or choose events."
        fault = Fault("expected events, or a number of voices", pointer="/params/representation")
        raise JobFailed(said, code="invalid_params", faults=[fault])
    return Voices(
        form="voices",
        voices=wanted.voices or voices,
        resolution=wanted.resolution or gridding.resolution_of(pieces),
    )


def items_of(pieces: Sequence[Stored], form: Voices | Events) -> tuple[list[Item], list[Stored]]:
    """Pieces in a form, and those that do not fit it."""
    items, left_out = [], []
    for each in pieces:
        assert each.piece is not None
        work = _work(each.piece, form)
        if work is None or len(work) > MOST_STEPS:
            left_out.append(each)
            continue
        # A copy of a transposition is of the family of what was transposed.
        first = next(row for row in (each.transposed_of, each.same_as, each.row) if row is not None)
        items.append(Item(each.key, each.row, each.piece, work, key_of(each.piece), each.part, first))
    return items, left_out


def _work(piece: Piece, form: Voices | Events) -> Work | None:
    if isinstance(form, Events):
        return Line.of(piece, resolution=form.resolution)
    assert form.voices is not None and form.resolution is not None
    count = gridding.count_voices(piece)
    if count is not None and count < form.voices:
        # Its lowest voice is no bass, and what rests is no part of the music.
        return None
    return gridding.to_grid(piece, voices=form.voices, resolution=form.resolution)


def key_of(piece: Piece) -> int | None:
    """The place of a piece's key in tonality.KEYS."""
    found = tonality.estimate(piece)
    return None if found is None else tonality.KEYS.index((found.mode, tonality.TONICS.index(found.tonic)))


def _tell_left_out(left_out: Sequence[Stored], form: Voices | Events) -> list[Caution]:
    if not left_out:
        return []
    why = "too long" if isinstance(form, Events) else f"not of {form.voices} voices, or too long"
    return [Caution("pieces_left_out", f"Pieces that are {why}: {len(left_out):,}.")]


def _divide(items: list[Item], params: TrainParams) -> tuple[list[Item], list[Item], str]:
    """What trains and what is held out: as the dataset says, or by families of the same music."""
    if any(item.part for item in items):
        train = [item for item in items if item.part in (None, "train")]
        held_out = [item for item in items if item.part == "validation"]
        if params.validation == "none" or held_out:
            return train, [] if params.validation == "none" else held_out, "part"
        items = train
    if params.validation == "none":
        return items, [], "none"
    families = np.unique([item.family for item in items], return_inverse=True)[1]
    strata = np.zeros(len(items), np.int64)
    if len(np.unique(families)) < 2:
        return items, [], "none"
    split = batches.grouped(families, params.validation.fraction, seed=params.seed, strata=strata)
    return [items[place] for place in split.train], [items[place] for place in split.validation], "family"


def _once_each(train: list[Item]) -> tuple[list[Item], int]:
    """The first of each family: a piece that comes twice would be learned by heart twice as soon."""
    first: dict[int, Item] = {}
    for item in train:
        first.setdefault(item.family, item)
    return list(first.values()), len(train) - len(first)


def _coding(form: Voices | Events, items: Sequence[Item], params: TrainParams) -> Coding:
    if isinstance(form, Events):
        return EventCoding.of([item.work for item in items if isinstance(item.work, Line)], form.resolution)
    grids = [item.work for item in items if isinstance(item.work, Grid)]
    sounding = np.concatenate([grid.pitches[grid.pitches != REST] for grid in grids])
    low, high = int(sounding.min()) - params.transpose, int(sounding.max()) + params.transpose
    assert form.voices is not None and form.resolution is not None
    return VoiceCoding(voices=form.voices, resolution=form.resolution, low=max(LOWEST, low), high=min(HIGHEST, high))


def _room(work: Work, coding: Coding, most: int) -> tuple[int, int]:
    """From how far down to how far up a piece may be moved."""
    if isinstance(work, Grid):
        pitches = work.pitches[work.pitches != REST]
        low, high = (coding.low, coding.high) if isinstance(coding, VoiceCoding) else (LOWEST, HIGHEST)
    else:
        pitches, low, high = work.pitched, LOWEST, HIGHEST
    if not len(pitches):
        return 0, 0
    return max(-most, low - int(pitches.min())), max(0, min(most, high - int(pitches.max())))


def items_known(pieces: Sequence[Stored], coding: Coding) -> tuple[list[Item], list[Stored]]:
    """Pieces as a trained model sees them, and those that it cannot. Raises JobFailed when there is none."""
    items, left_out = items_of(pieces, form_of(coding))
    for item in items:
        is_known = coding.fits(item.work) if isinstance(coding, VoiceCoding) else coding.knows(item.work)  # type: ignore[arg-type]
        if not is_known:
            left_out.append(next(each for each in pieces if each.row == item.row))
    unfit = {each.row for each in left_out}
    items = [item for item in items if item.row not in unfit]
    if not items:
        said = "No piece fits the model: it has other voices, or pitches that the model does not know."
        raise JobFailed(said, code="too_few_pieces")
    return items, left_out


def form_of(coding: Coding) -> Voices | Events:
    """The form that a coding is of."""
    if isinstance(coding, EventCoding):
        return Events(form="events", resolution=coding.resolution)
    return Voices(form="voices", voices=coding.voices, resolution=coding.resolution)
