"""What is wanted of a track, and what is then known of it: arrays and JSON, nothing that reads or writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shared.audio_params import Precision
from worker import extractors
from worker.pretrained import notes as note_creation
from worker.pretrained.notes import Note
from worker.recordings import Track

Json = dict[str, Any]


@dataclass(frozen=True)
class Wants:
    """What must be known of every track."""

    taggers: tuple[str, ...] = ()
    mel: bool = False
    music: bool = False
    notes: note_creation.Thresholds | None = None
    precision: Precision = "float32"

    def extractors(self) -> list[str]:
        """The names under which it is remembered."""
        return [
            *(self.tagger(name) for name in self.taggers),
            *([extractors.MEL] if self.mel else []),
            *([extractors.MUSIC] if self.music else []),
            *([self.note_name()] if self.notes else []),
        ]

    def tagger(self, name: str) -> str:
        return extractors.tagger(name, self.precision)

    def note_name(self) -> str:
        assert self.notes is not None
        return extractors.notes(note_creation.name_of(self.notes))


@dataclass(frozen=True)
class Windows:
    """A tagger's answer to each window: tags (windows, 50), embedding (windows, 200), float32."""

    tags: np.ndarray
    embedding: np.ndarray


@dataclass(frozen=True)
class Heard:
    """A track and what is known of it, or why it could not be heard."""

    track: Track
    ear: Json = field(default_factory=dict)
    windows: Mapping[str, Windows] = field(default_factory=dict)
    mel: np.ndarray | None = None  # float16 (frames, 96): a third of the size, and off by 2e-4 at the most
    music: Json | None = None
    notes: list[Note] | None = None
    fault: tuple[str, str] | None = None


@dataclass(frozen=True)
class Truth:
    """What the manifest says is true of a track; None where it does not say."""

    tempo_bpm: float | None = None
    key: str | None = None
    notes: list[tuple[float, float, float]] | None = None  # onset and offset in seconds, MIDI pitch
