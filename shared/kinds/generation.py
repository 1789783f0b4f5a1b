"""Music itself: networks learn from scores, then compose, continue, harmonise and fill in, and say what they copied."""

import binascii
import re
from base64 import b64decode
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from shared.schema import Closed, Float, Int
from shared.sequence_params import SequenceTraining

FORMATS = ("symbolic",)
# The first is the one by which versions are compared. In nats; of a piece nothing is told beforehand.
METRICS = {
    "nll_per_token": "lower", "nll_per_frame": "lower", "nll_per_note": "lower", "token_accuracy": "higher",
    "nll_per_token_told": "lower",
}  # fmt: skip
# In which a search looks when it is told no other space.
SPACE = {
    "network": {
        "type": "choice",
        "values": [
            {"type": "gru", "units": [128]},
            {"type": "gru", "units": [256]},
            {"type": "gru", "units": [256, 256]},
            {"type": "gru", "units": [384, 384]},
            {"type": "decoder", "layers": 2, "width": 96, "heads": 4},
            {"type": "decoder", "layers": 4, "width": 192, "heads": 6},
        ],
    },
    "learning_rate": {
        "type": "choice",
        "values": [
            {"schedule": "cosine", "initial": rate, "warmup_epochs": 1.0} for rate in (0.001, 0.002, 0.003, 0.006)
        ],
    },
    "weight_decay": {"type": "float", "low": 0.001, "high": 0.3, "log": True},
    "batch_size": {"type": "choice", "values": [8, 16, 32]},
}
# Made by `generate`, one or several of each piece.
FileFormat = Literal["midi", "musicxml", "json", "png", "wav"]

TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MODES = ("major", "minor")
_OTHER_NAMES = {"Db": "C#", "D#": "Eb", "Gb": "F#", "G#": "Ab", "A#": "Bb", "Cb": "B", "B#": "C", "E#": "F", "Fb": "E"}
_KEY = re.compile(r"^([A-Ga-g])([#b]?) (major|minor)$")
_METER = re.compile(r"^(\d{1,2})/(2|4|8|16)$")
# Of base64; 48 KiB of MIDI hold some ten thousand notes.
SCORE_CHARACTERS = 262_144

Pitch = Annotated[Int, Field(ge=0, le=127)]


def read_key(text: str) -> int:
    """0 to 11 for C major to B major, 12 to 23 for the minor keys. Raises ValueError."""
    found = _KEY.match(text)
    if found is None:
        raise ValueError(f"expected a key such as C major, F# minor or Bb major, received {text!r}")
    name = found[1].upper() + found[2]
    return TONICS.index(_OTHER_NAMES.get(name, name)) + 12 * MODES.index(found[3])


def name_of_key(text: str) -> str:
    """A key by the name that is used for it here: Db major is C# major."""
    key = read_key(text)
    return f"{TONICS[key % 12]} {MODES[key // 12]}"


def read_meter(text: str) -> tuple[int, int]:
    """Beats of a bar and what each is. Raises ValueError."""
    found = _METER.match(text)
    if found is None or not 1 <= int(found[1]) <= 32:
        raise ValueError(f"expected a meter such as 4/4, 3/4 or 6/8, received {text!r}")
    return int(found[1]), int(found[2])


def _is_key(text: str) -> str:
    read_key(text)
    return text


def _is_meter(text: str) -> str:
    read_meter(text)
    return text


KeyName = Annotated[str, StringConstraints(max_length=16), AfterValidator(_is_key)]
MeterName = Annotated[str, StringConstraints(max_length=8), AfterValidator(_is_meter)]


class Voices(Closed):
    """A grid of voices that sing one note at a time: for chorales, songs, part-writing."""

    form: Literal["voices"]
    # Left out, as most pieces have them.
    voices: Annotated[Int, Field(ge=1, le=8)] | None = None
    # Frames of a quarter: 4 are sixteenths, 12 hold triplets too.
    resolution: Annotated[Int, Field(ge=1, le=24)] | None = None


class Events(Closed):
    """Notes one after the other with duration, velocity and instrument: for everything else."""

    form: Literal["events"]
    resolution: Annotated[Int, Field(ge=4, le=24)] = 12


Representation = Annotated[Voices | Events, Field(discriminator="form")]


class Trial(Closed):
    """What a training composes to be judged by, beside what it has learned from and what was held out."""

    pieces: Annotated[Int, Field(ge=0, le=64)] = 16
    bars: Annotated[Int, Field(ge=2, le=32)] = 12


class TrainParams(SequenceTraining):
    """A training; every field has a default that works."""

    # auto: voices where most pieces have the same number of them, else events.
    representation: Literal["auto"] | Representation = "auto"
    # Each piece is learned in other keys as well, up to so many semitones away, a new one each time.
    transpose: Annotated[Int, Field(ge=0, le=12)] = 5
    trial: Trial = Field(default_factory=Trial)


class Score(Closed):
    """Music that is given: a file (MIDI, MusicXML or MXL) in base64, or a piece of a dataset by its key."""

    content: Annotated[str, StringConstraints(min_length=8, max_length=SCORE_CHARACTERS)] | None = None
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "score.mid"
    piece: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Score":
        if (self.content is None) == (self.piece is None):
            raise ValueError("expected content (a file in base64) or piece (the key of one in the dataset)")
        return self

    @field_validator("content")
    @classmethod
    def _is_base64(cls, content: str | None) -> str | None:
        try:
            b64decode(content or "", validate=True)
        except binascii.Error as cause:
            raise ValueError(f"expected a file in base64: {cause}") from cause
        return content


class Prompt(Score):
    """A beginning: its first bars stand as they are, and the music goes on from there."""

    # Left out: all of it.
    bars: Annotated[Int, Field(ge=1, le=512)] | None = None


class Melody(Score):
    """Voices that stand as they are; the others are written to them."""

    # Which voices of the model those of the score are, from the highest, which is 0; left out: the highest ones.
    voices: Annotated[list[Annotated[Int, Field(ge=0, le=7)]], Field(min_length=1, max_length=7)] | None = None

    @model_validator(mode="after")
    def _names_each_voice_once(self) -> "Melody":
        if self.voices is not None and len(set(self.voices)) < len(self.voices):
            raise ValueError("expected each voice once")
        return self


Bars = Annotated[list[Annotated[Int, Field(ge=0, le=512)]], Field(min_length=2, max_length=2)]


class Infill(Score):
    """A piece of which some bars are written anew, in all voices or in some; the rest stands as it is."""

    # From and to, both included, the first bar is 1 and a pickup is bar 0.
    bars: Annotated[list[Bars], Field(min_length=1, max_length=64)]
    voices: Annotated[list[Annotated[Int, Field(ge=0, le=7)]], Field(min_length=1, max_length=8)] | None = None

    @model_validator(mode="after")
    def _is_in_order(self) -> "Infill":
        if any(first > last for first, last in self.bars):
            raise ValueError("expected bars from and to, the first not after the last")
        return self


class Constraints(Closed):
    """Rules of part-writing that are kept while a piece is written."""

    # Two voices that move in the same direction from a fifth to a fifth, or an octave to an octave.
    no_parallels: bool = True
    # No voice sounds below one that is lower in the score.
    no_crossing: bool = True
    # No voice moves by more semitones than this.
    leap: Annotated[Int, Field(ge=1, le=48)] | None = 12
    # Where they cannot be kept together: give them up there and say where, or refuse the piece.
    if_impossible: Literal["relax", "refuse"] = "relax"


class CopyLimit(Closed):
    """A piece of which a longer passage stands in the training set, in any key, is refused."""

    notes: Annotated[Int, Field(ge=4, le=100_000)]
    # How often another one is written in its place.
    attempts: Annotated[Int, Field(ge=1, le=20)] = 5


PitchRange = Annotated[list[Pitch], Field(min_length=2, max_length=2)]
_FORMATS: list[FileFormat] = ["midi", "musicxml", "json", "png"]


class GenerateParams(Closed):
    """What to compose; left out, one piece of eight bars as the model likes it."""

    pieces: Annotated[Int, Field(ge=1, le=256)] = 1
    bars: Annotated[Int, Field(ge=1, le=256)] | None = None
    # 1 is as learned, less is safer, 0 takes the likeliest every time.
    temperature: Annotated[Float, Field(ge=0, le=10)] = 1.0
    top_p: Annotated[Float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[Int, Field(ge=0, lt=2**31)] = 0
    key: KeyName | None = None
    meter: MeterName | None = None
    tempo: Annotated[Float, Field(ge=10, le=480)] | None = None
    prompt: Prompt | None = None
    melody: Melody | None = None
    infill: Infill | None = None
    # Lowest and highest pitch of each voice, from the highest voice on; null leaves one as it is.
    ranges: Annotated[list[PitchRange | None], Field(min_length=1, max_length=8)] | None = None
    constraints: Constraints | None = None
    copies: CopyLimit | None = None
    # General MIDI programs of the voices, from 0.
    programs: Annotated[list[Pitch], Field(min_length=1, max_length=8)] | None = None
    formats: Annotated[list[FileFormat], Field(min_length=1, max_length=5)] = Field(
        default_factory=lambda: list(_FORMATS)
    )

    @model_validator(mode="after")
    def _has_one_beginning(self) -> "GenerateParams":
        given = [name for name in ("prompt", "melody", "infill") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"expected one of prompt, melody and infill, received {' and '.join(given)}")
        if self.bars is not None and (self.melody or self.infill):
            raise ValueError(f"expected no bars: the {given[0]} says how long the piece is")
        if self.meter is not None and self.given is not None:
            raise ValueError("expected no meter: the score that is given has its own")
        if any(each is not None and each[0] > each[1] for each in self.ranges or ()):
            raise ValueError("expected ranges as [lowest, highest]")
        return self

    @property
    def given(self) -> Score | None:
        """The music that the pieces are made around."""
        return self.prompt or self.melody or self.infill

    @property
    def length_bars(self) -> int:
        return self.bars or 8


class EvaluateParams(Closed):
    """What a model version comes to on pieces that it has never seen."""

    trial: Trial = Field(default_factory=Trial)
    seed: Annotated[Int, Field(ge=0, lt=2**31)] = 0


ACTIONS = {"train": TrainParams, "generate": GenerateParams, "evaluate": EvaluateParams}
