"""What a recording is like: tags, tempo and beats, key, loudness, timbre, character, an embedding, and its notes.

Nothing is trained: the models come with the service, and the figures are computed as docs/analysis.md says.
"""

from typing import Annotated, Literal

from pydantic import Field

from shared.audio_params import Reason
from shared.schema import Closed, Float, Int
from shared.table_params import FileFormat, every_format

FORMATS = ("audio",)
# Of tracks whose manifest says what is true; see docs/analysis.md.
METRICS = {
    "note_onset_f1": "higher", "note_f1": "higher", "note_onset_precision": "higher", "note_onset_recall": "higher",
    "tempo_accuracy": "higher", "tempo_accuracy_octave": "higher", "key_score": "higher", "key_accuracy": "higher",
}  # fmt: skip
# The model of a scoring that names none.
DEFAULT_MODEL = "etude.tagger-mtt"

Part = Literal["tags", "rhythm", "tonality", "loudness", "spectrum", "character", "embedding", "notes"]


class Neighbours(Closed):
    """The nearest tracks of the same dataset, by the angle between embeddings."""

    k: Annotated[Int, Field(ge=1, le=100)] = 10


class Transcribing(Closed):
    """When a posterior becomes a note.

    The authors' own are 0.5, 0.3 and 127.7 ms; these were better by 0.1 of F on rendered scores (docs/analysis.md).
    """

    onset_threshold: Annotated[Float, Field(gt=0, lt=1)] = 0.7
    frame_threshold: Annotated[Float, Field(gt=0, lt=1)] = 0.4
    minimum_note_ms: Annotated[Float, Field(ge=11, le=2000)] = 81.0
    lowest_pitch: Annotated[Int, Field(ge=21, le=108)] = 21
    highest_pitch: Annotated[Int, Field(ge=21, le=108)] = 108


class ScoreParams(Closed):
    """What to find out; left out, all that the model is for."""

    include: Annotated[list[Part], Field(min_length=1, max_length=8)] | None = None
    # One file a track: the tags of every window, the beats.
    over_time: bool = False
    # Near-duplicates such as "no vocals" and "no voice" as one.
    merge_tags: bool = False
    transcription: Transcribing = Field(default_factory=Transcribing)
    similar: Neighbours | None = None
    explain: Reason | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    formats: Annotated[list[FileFormat], Field(min_length=1, max_length=3)] = Field(default_factory=every_format)
    columns: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)
    # As for every scoring.
    resume_of: Annotated[str, Field(max_length=40)] | None = None
    skip_scored: bool = False

    @property
    def reason(self) -> Reason | None:
        """What is told of each recording beside its figures; None for nothing."""
        return self.explain


ACTIONS = {"score": ScoreParams}
