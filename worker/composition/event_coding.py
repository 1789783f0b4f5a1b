"""Notes one after the other as steps of a sequence: how far on, on which instrument, which pitch, how long, how loud.

Every piece can be written so: what is silent for longer than the longest advance takes steps that only wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from shared.schema import Closed
from worker.composition import context
from worker.sequences.streams import Steps
from worker.symbolic import instruments
from worker.symbolic.piece import HIGHEST, LOWEST, NOTE, TICKS, Bars, Meter, Piece, Voice

ADVANCE, INSTRUMENT, PITCH, DURATION, VELOCITY = range(5)
FIELDS = 5
# The longest advance, in quarters; and where the durations that are told apart become coarser.
LONGEST_ADVANCE, FINE_UNTIL, LONGEST = 4, 2, 16
DRUMS = 128
# Of MIDI's 127 velocities.
LOUDNESSES = 8
# In the place of everything else of a step that waits.
NONE = 0


@dataclass(frozen=True)
class Line:
    """A piece as steps, in units of 1/`resolution` quarter; `instrument` is a program, DRUMS, or -1 for a wait.

    `advance` is since the onset before; `position`, `bar` and `left` say of that onset where in its bar of how many
    units it is, and how many units are left to the end of the piece.
    """

    advance: np.ndarray
    instrument: np.ndarray
    pitch: np.ndarray
    duration: np.ndarray
    velocity: np.ndarray
    position: np.ndarray
    bar: np.ndarray
    left: np.ndarray
    resolution: int

    def __len__(self) -> int:
        return len(self.advance)

    @property
    def pitched(self) -> np.ndarray:
        """The pitches of everything but drums."""
        return self.pitch[(self.instrument >= 0) & (self.instrument != DRUMS)]

    @classmethod
    def of(cls, piece: Piece, *, resolution: int) -> "Line":
        """The notes of a piece in the order of their onsets, instruments and pitches."""
        notes = piece.notes
        units = (notes["onset"] * resolution + TICKS // 2) // TICKS
        instruments = np.array([DRUMS if voice.is_drum else voice.program for voice in piece.voices], np.int64)
        played = instruments[notes["voice"]]
        order = np.lexsort((notes["pitch"], played, units))
        onsets = units[order]
        advance = np.diff(onsets, prepend=0)
        longest = LONGEST_ADVANCE * resolution
        # Each step that waits takes one longest advance off the next note's.
        waits = np.maximum(-(-advance // longest) - 1, 0)
        place = np.repeat(np.arange(len(order)), waits + 1)
        is_last = np.append(place[1:] != place[:-1], True)[: len(place)]
        taken = np.where(is_last, (advance - waits * longest)[place], longest)
        at = np.concatenate([[0], np.cumsum(taken)[:-1]]) if len(taken) else taken
        lengths = np.maximum((notes["duration"][order] * resolution + TICKS // 2) // TICKS, 1)
        bars = Bars(piece)
        number, into = bars.at(-(-at * TICKS // resolution))
        end = -(-piece.length * resolution // TICKS)
        return cls(
            advance=taken,
            instrument=np.where(is_last, played[order][place], -1),
            pitch=notes["pitch"][order][place].astype(np.int64),
            duration=lengths[place],
            velocity=notes["velocity"][order][place].astype(np.int64),
            position=into * resolution // TICKS,
            bar=bars.lengths[number] * resolution // TICKS,
            left=np.maximum(end - at, 0),
            resolution=resolution,
        )


class EventCoding(Closed):
    """How lines become steps; stored with the model. `instruments` are those that were learned, the commonest first."""

    form: Literal["events"] = "events"
    resolution: int
    instruments: tuple[int, ...]

    @classmethod
    def of(cls, lines: Sequence[Line], resolution: int) -> "EventCoding":
        """A coding for what stands in these lines."""
        played = np.concatenate([line.instrument[line.instrument >= 0] for line in lines])
        values, counts = np.unique(played, return_counts=True)
        return cls(resolution=resolution, instruments=tuple(values[np.argsort(-counts, kind="stable")].tolist()))

    @property
    def wait(self) -> int:
        """The token of a longest advance without a note."""
        return LONGEST_ADVANCE * self.resolution + 1

    @property
    def durations(self) -> np.ndarray:
        """The durations that are told apart, in units."""
        fine = np.arange(1, FINE_UNTIL * self.resolution + 1)
        coarse = np.arange(2 * FINE_UNTIL + 1, 2 * LONGEST + 1) * self.resolution // 2
        return np.unique(np.concatenate([fine, coarse]))

    @property
    def tokens(self) -> tuple[int, ...]:
        return (self.wait + 1, 1 + len(self.instruments), 2 + HIGHEST, 1 + len(self.durations), 1 + LOUDNESSES)

    @property
    def codes(self) -> tuple[int, ...]:
        """What is known of a step is what was chosen."""
        return self.tokens

    @property
    def context(self) -> int:
        return context.size(self.resolution)

    def steps(self, line: Line, *, shift: int = 0, key: int | None = None, is_ending: bool = False) -> Steps:
        """A line moved by `shift` semitones, but for drums; its key and its end are told where they are given."""
        told = None if key is None else context.moved(key, shift)
        known = self.describe(line.position, line.bar, key=told, left=line.left if is_ending else None)
        tokens = self._tokens(line, shift)
        return Steps(tokens, tokens, known)

    def _tokens(self, line: Line, shift: int) -> np.ndarray:
        is_note = line.instrument >= 0
        pitch = np.where(line.instrument == DRUMS, line.pitch, np.clip(line.pitch + shift, LOWEST, HIGHEST))
        tokens = np.zeros((len(line), FIELDS), np.int32)
        tokens[:, ADVANCE] = np.where(is_note, line.advance, self.wait)
        tokens[:, INSTRUMENT] = 1 + self._places(line.instrument)
        tokens[:, PITCH] = 1 + pitch
        tokens[:, DURATION] = 1 + _nearest(self.durations, line.duration)
        tokens[:, VELOCITY] = 1 + np.clip(line.velocity, 0, 127) * LOUDNESSES // 128
        tokens[~is_note, ADVANCE + 1 :] = NONE
        return tokens

    def knows(self, line: Line) -> bool:
        """Whether all its instruments were learned."""
        return bool(np.isin(line.instrument[line.instrument >= 0], self.instruments).all())

    def _places(self, instruments: np.ndarray) -> np.ndarray:
        """Where each instrument is in the list."""
        return (np.array(self.instruments)[None] == instruments[:, None]).argmax(axis=1)

    def describe(
        self, position: np.ndarray, bar: np.ndarray, *, key: int | None = None, left: np.ndarray | None = None
    ) -> np.ndarray:
        """What is known of steps beforehand, (steps, context): where the onset before is, and what is told."""
        return context.describe(position, bar, self.resolution, key=key, left=left)

    def piece(self, tokens: np.ndarray, *, name: str, meter: Meter, units: int) -> Piece:
        """Tokens (steps, fields) as notes that end after so many units."""
        advance = np.where(tokens[:, ADVANCE] == self.wait, LONGEST_ADVANCE * self.resolution, tokens[:, ADVANCE])
        onsets = np.cumsum(advance)
        is_note = (tokens[:, INSTRUMENT] != NONE) & (onsets < units)
        tokens, onsets = tokens[is_note], onsets[is_note]
        used = np.unique(tokens[:, INSTRUMENT]) - 1
        notes = np.zeros(len(tokens), NOTE)
        lengths = self.durations[tokens[:, DURATION] - 1]
        notes["onset"] = onsets * TICKS // self.resolution
        notes["duration"] = np.minimum(lengths, units - onsets) * TICKS // self.resolution
        notes["pitch"] = tokens[:, PITCH] - 1
        notes["velocity"] = np.clip((2 * tokens[:, VELOCITY] - 1) * 64 // LOUDNESSES, 1, 127)
        notes["voice"] = np.searchsorted(used, tokens[:, INSTRUMENT] - 1)
        voices = tuple(_voice(self.instruments[place]) for place in used)
        return Piece(name, notes, voices, meters=(meter,)).sorted()


def _nearest(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The place of what is nearest in a rising table."""
    return np.searchsorted((table[1:] + table[:-1]) / 2, values)


def _voice(instrument: int) -> Voice:
    if instrument == DRUMS:
        return Voice("Drums", 0, is_drum=True)
    return Voice(instruments.NAMES[instrument], instrument)
