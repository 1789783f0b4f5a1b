"""Composes by a brief: pieces, and what is to be said of each."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shared.kinds.generation import GenerateParams
from worker.composition import events, voices
from worker.composition.event_coding import EventCoding, Line
from worker.composition.events import EventPlan
from worker.kinds.generation import briefs, data
from worker.kinds.generation import given as given_scores
from worker.kinds.generation.briefs import Brief, Usual
from worker.kinds.generation.data import Coding, Item, Work
from worker.kinds.generation.given import Given
from worker.sequences.artifacts import SequenceModel
from worker.sequences.stepping import Stepper
from worker.symbolic import gridding, spelling, tonality, voice_leading
from worker.symbolic.copies import Corpus, Passage
from worker.symbolic.grid import REST, Grid
from worker.symbolic.piece import HIGHEST, LOWEST, TICKS, Meter, Piece, Voice

Json = dict[str, Any]
# Semitones beyond what a voice had in training that one which is given may go: other keys are learned as well.
ROOM = 4
HALF_OCTAVE = 6
UNNAMED = "Track "
# Of a trial: 256 bars of 4/4 in sixteenths, however long the bars of a collection are.
TRIAL_FRAMES = 4096


@dataclass(frozen=True)
class Made:
    """A piece that was composed: as notes and as the model sees it, and what the network held of it."""

    piece: Piece
    work: Work
    likelihoods: np.ndarray
    # Ticks from and to between which rules were given up, and which.
    relaxed: tuple[tuple[int, int, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Composer:
    """A model ready to compose."""

    coding: Coding
    usual: Usual
    stepper: Stepper

    @classmethod
    def of(cls, model: SequenceModel) -> "Composer":
        """Raises ValueError for a target that is not ours."""
        coding = data.read_coding(model.target["coding"])
        return cls(coding, Usual.model_validate(model.target["usual"]), Stepper(model.network, model.weights))

    def brief(self, params: GenerateParams, given: Piece | None) -> Brief:
        """What is to be written. Raises JobFailed when it cannot be."""
        return briefs.brief(self.coding, self.usual, params, given)

    def compose(
        self, brief: Brief, params: GenerateParams, *, seeds: Sequence[Sequence[int]], check: Callable[[], None]
    ) -> list[Made]:
        """A piece for each seed."""
        if isinstance(brief.plan, EventPlan):
            assert isinstance(self.coding, EventCoding)
            made = events.compose(self.stepper, self.coding, brief.plan, seeds=seeds, check=check)
            return [self._of_events(brief, each) for each in made]
        assert not isinstance(self.coding, EventCoding)
        found = voices.compose(self.stepper, self.coding, brief.plan, seeds=seeds, check=check)
        return [self._of_voices(brief, params, each) for each in found]

    def bars_at_most(self, bars: int) -> int:
        """As many bars as that, and no more than a trial may have where bars are long."""
        bar = max(1, Meter(0, self.usual.beats, self.usual.unit).bar_ticks * self.coding.resolution // TICKS)
        return max(1, min(bars, TRIAL_FRAMES // bar))

    def _of_events(self, brief: Brief, made: events.EventPiece) -> Made:
        assert isinstance(self.coding, EventCoding) and isinstance(brief.plan, EventPlan)
        piece = self.coding.piece(made.tokens, name="", meter=brief.meters[0], units=brief.plan.units)
        piece = replace(piece, pickup=brief.pickup, tempi=brief.tempi)
        return Made(piece, Line.of(piece, resolution=self.coding.resolution), made.likelihoods)

    def _of_voices(self, brief: Brief, params: GenerateParams, made: voices.Composed) -> Made:
        assert not isinstance(self.coding, EventCoding) and brief.position is not None and brief.bar is not None
        grid = self.coding.grid(made.codes, brief.position, brief.bar)
        programs = [*(params.programs or ()), *self.usual.programs[len(params.programs or ()) :]]
        piece = gridding.to_piece(grid, name="", programs=programs, meter=brief.meters[0])
        piece = replace(piece, meters=brief.meters, pickup=brief.pickup, tempi=brief.tempi)
        if brief.given is not None:
            piece = _as_given(piece, brief.given, has_programs=params.programs is not None)
        piece = replace(piece, keys=brief.keys or (spelling.find_key(piece),))
        relaxed = tuple((self._tick(at), self._tick(at + 1), rules) for at, rules in made.relaxed)
        return Made(piece, grid, made.likelihoods, relaxed)

    def _tick(self, frame: int) -> int:
        return -(-frame * TICKS // self.coding.resolution)


def _as_given(piece: Piece, given: Given, *, has_programs: bool) -> Piece:
    """With the names and instruments of the voices of a score that is given, and as loud where its notes stand."""
    both = zip(piece.voices, given.voices, strict=True)
    named = [own if known is None else _named(own, known, has_programs=has_programs) for own, known in both]
    loud = {(int(note["onset"]), int(note["pitch"])): int(note["velocity"]) for note in given.piece.notes}
    notes = piece.notes.copy()
    notes["velocity"] = [loud.get((int(note["onset"]), int(note["pitch"])), note["velocity"]) for note in notes]
    return replace(piece, notes=notes, voices=tuple(named))


def _named(own: Voice, known: Voice, *, has_programs: bool) -> Voice:
    # Its reader has numbered a track that has no name.
    name = own.name if known.name.startswith(UNNAMED) else known.name
    return Voice(name, own.program if has_programs else known.program)


def into_key(made: Made, key: int, ranges: Sequence[Sequence[int] | None] | None) -> Made:
    """A piece in the key that was asked for, if it is in the same mode: transposed by as little as that takes.

    One that would leave the ranges asked for stays as it is.
    """
    found = data.key_of(made.piece)
    if found is None or found // 12 != key // 12 or found == key:
        return made
    steps = (key - found + HALF_OCTAVE) % 12 - HALF_OCTAVE
    moved = _transposed(made, steps)
    pitches = moved.piece.notes["pitch"]
    if pitches.min() < LOWEST or pitches.max() > HIGHEST:
        return made
    for voice, asked in enumerate(ranges or ()):
        own = pitches[moved.piece.notes["voice"] == voice]
        if asked is not None and len(own) and not asked[0] <= own.min() <= own.max() <= asked[1]:
            return made
    return moved


def _transposed(made: Made, steps: int) -> Made:
    notes = made.piece.notes.copy()
    is_drum = np.array([voice.is_drum for voice in made.piece.voices], bool)
    notes["pitch"] += np.where(is_drum[notes["voice"]], 0, steps).astype(notes["pitch"].dtype)
    piece = replace(made.piece, notes=notes)
    if isinstance(made.work, Grid):
        pitches = np.where(made.work.pitches == REST, REST, made.work.pitches + steps).astype(np.int16)
        return replace(
            made, piece=replace(piece, keys=(spelling.find_key(piece),)), work=replace(made.work, pitches=pitches)
        )
    return replace(made, piece=piece, work=Line.of(piece, resolution=made.work.resolution))


def usual(items: Sequence[Item], coding: Coding) -> Usual:
    """What a training's pieces are like."""
    meters = Counter((each.beats, each.unit) for item in items for each in item.piece.meters[:1])
    (beats, unit), _ = max(meters.items(), key=lambda each: (each[1], each[0]), default=((4, 4), 0))
    tempi = [item.piece.tempi[0].bpm for item in items if item.piece.tempi]
    said = Usual(beats=beats, unit=unit, bpm=round(float(np.median(tempi)), 1) if tempi else 100.0)
    if isinstance(coding, EventCoding):
        return said
    grids = [item.work for item in items if isinstance(item.work, Grid)]
    ranges = []
    for voice in range(coding.voices):
        sounding = np.concatenate([grid.pitches[grid.pitches[:, voice] >= 0, voice] for grid in grids])
        low, high = (int(sounding.min()), int(sounding.max())) if len(sounding) else (coding.low, coding.high)
        ranges.append((max(coding.low, low - ROOM), min(coding.high, high + ROOM)))
    return said.model_copy(update={"ranges": tuple(ranges), "programs": _programs(items, coding.voices)})


def _programs(items: Sequence[Item], voices: int) -> tuple[int, ...]:
    """The commonest instrument of all voices, for each: which voice is which is not the same in every file."""
    counts = Counter(voice.program for item in items for voice in item.piece.voices if not voice.is_drum)
    program = counts.most_common(1)[0][0] if counts else 0
    return (program,) * voices


def tell(work: Made, known: Corpus | None) -> Json:
    """What is said of a piece: length, likelihood, voice leading, what of it was copied, where rules were given up."""
    piece = work.piece
    said: Json = {
        "bars": count_bars(work),
        "notes": len(piece.notes),
        "key_name": _key_name(piece),
        "nll_per_token": round(float(-work.likelihoods.mean()), 4) if work.likelihoods.size else None,
    }
    if isinstance(work.work, Grid):
        fifths, octaves, moves = voice_leading.parallels(work.work.pitches)
        crossed, _ = voice_leading.crossings(work.work.pitches)
        said |= {"parallels": fifths + octaves, "moves": moves, "crossed_frames": crossed}
    said["relaxed"] = relaxed_bars(work)
    together, melody = copied(work, known)
    said["copied"] = None if together is None else dict(together._asdict())
    said["copied_melody"] = None if melody is None else dict(melody._asdict())
    return said


def count_bars(work: Made) -> int:
    """Whole bars, silent ones too; a pickup is none."""
    if isinstance(work.work, Grid):
        return int(np.count_nonzero(work.work.position == 0))
    bar = (work.piece.meters or (Meter(0, 4, 4),))[0].bar_ticks
    return -(-(work.piece.length - work.piece.pickup) // bar) if len(work.piece.notes) else 0


def copied(work: Made, known: Corpus | None) -> tuple[Passage | None, Passage | None]:
    """The longest passages that stand in the training set: of all voices, and of the melody."""
    if known is None or not len(work.piece.notes):
        return None, None
    found = known.longest(work.work if isinstance(work.work, Grid) else work.piece)
    return found.together, found.melody


def relaxed_bars(work: Made) -> list[Json]:
    """The bars in which rules were given up, each with all that were."""
    bars: dict[int, set[str]] = {}
    for first, _, rules in work.relaxed:
        bars.setdefault(given_scores.bar_number(work.piece, first), set()).update(rules)
    return [{"bar": bar, "rules": sorted(rules)} for bar, rules in sorted(bars.items())]


def _key_name(piece: Piece) -> str | None:
    key = data.key_of(piece)
    if key is None:
        return None
    mode, tonic = tonality.KEYS[key]
    return f"{tonality.TONICS[tonic]} {mode}"
