"""What the kinds that learn from recordings take beside the settings of every training."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shared.fronts import MOST_WINDOWS, Augmentation, Front, usual
from shared.networks import Layer
from shared.schema import Closed, Int
from shared.table_params import RowExplanation, TableScoring, TableTraining

Preset = Literal["embedding", "network"]
Precision = Literal["float32", "bfloat16"]

# The networks whose inner answers make the embedding of a window, 200 numbers each.
EMBEDDING_NETWORKS = ("mtt-musicnn", "msd-musicnn")
EMBEDDING_SIZE = 400
# Seconds of one core for a second of audio (bench/RESULTS.md): decoding with both networks, and without any.
LISTENING_S, MEL_S = 0.008, 0.004


class Listening(Closed):
    """How a recording becomes examples, and its examples one prediction again."""

    # Windows of 2.992 s. Many short examples teach more than few long ones: a track's answer is the mean of all.
    windows_per_segment: Annotated[Int, Field(ge=1, le=MOST_WINDOWS)] = 1
    # Spread evenly over the track: the tenth minute of a piece teaches less than the first of another.
    segments_per_track: Annotated[Int, Field(ge=1, le=200)] = 60
    # Of preset network alone, which has it unless it is null.
    augmentation: Augmentation | None = None


# What is left out of `listening`. A network that learns from nothing is never shown the same example twice, and each
# costs it a thousand times what an embedding does, which cannot be changed any more.
USUAL: Mapping[Preset, Listening] = {
    "embedding": Listening(),
    "network": Listening(segments_per_track=20, augmentation=Augmentation()),
}
# What is left out of everything else, where it is not as for a table. Segments of one track are alike, so a head
# would soon know its tracks by heart: one wide layer with much dropout and decay, in small steps. Chosen on seven
# soundtracks (bench/RESULTS.md), by other divisions of them than the table shows.
USUAL_TRAINING: Mapping[Preset, Mapping[str, Any]] = {
    "embedding": {"hidden": [Layer(units=256, dropout=0.5)]},
    "network": {},
}
# The same, while the optimizer is left to us as well.
USUAL_STEPS: Mapping[Preset, Mapping[str, Any]] = {
    "embedding": {"learning_rate": 0.0003, "weight_decay": 1.0},
    "network": {},
}


class Reason(Closed):
    """Which seconds spoke for a label: of the first label of each track, or of the ones that are named."""

    labels: Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=5)] = Field(default_factory=list)
    # Each costs some hundred runs of the network.
    tracks: Annotated[Int, Field(ge=1, le=1000)] = 20
    clips: bool = True

    @model_validator(mode="after")
    def _names_each_label_once(self) -> "Reason":
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("expected each label once")
        return self


class AudioTraining(TableTraining):
    """A training on a table or on recordings; of recordings it learns from an embedding unless `preset` says else."""

    preset: Preset | None = None
    listening: Listening | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_the_preset_has_it(cls, said: Any) -> Any:  # Any: of a client, not yet checked
        """Say what a client left out of `listening`, so that the lineage of a model tells it too."""
        if not isinstance(said, dict) or not isinstance(said.get("listening"), dict):
            return said
        usual = USUAL["network" if said.get("preset") == "network" else "embedding"]
        return {**said, "listening": {**usual.model_dump(), **said["listening"]}}

    @model_validator(mode="after")
    def _augments_what_it_can(self) -> "AudioTraining":
        if self.listens.augmentation is not None and self.learns_by != "network":
            raise ValueError("expected preset network with listening.augmentation: an embedding cannot be changed")
        return self

    def of_recordings(self) -> Self:
        """The same for recordings: what the client left out is as the preset has it."""
        usual = dict(USUAL_TRAINING[self.learns_by])
        if "optimizer" not in self.model_fields_set:
            usual |= USUAL_STEPS[self.learns_by]
        left_out = {name: value for name, value in usual.items() if name not in self.model_fields_set}
        return self.model_copy(update=left_out)

    @property
    def learns_by(self) -> Preset:
        return self.preset or "embedding"

    @property
    def listens(self) -> Listening:
        return self.listening or USUAL[self.learns_by]

    @property
    def front(self) -> Front | None:
        """The convolutional front of a network that hears; None for an embedding."""
        if self.learns_by == "embedding":
            return None
        return usual(self.listens.windows_per_segment, self.listens.augmentation)


class Explanation(Reason, RowExplanation):
    """Why a recording, or a row of a table, is answered as it is; each takes its own fields."""


class AudioScoring(TableScoring):
    """A scoring of a table or of recordings."""

    explain: bool | Explanation | None = None
    precision: Precision | None = None

    @property
    def reason(self) -> Reason | None:
        """What is told of each recording beside its prediction; None for nothing."""
        return self.explain if isinstance(self.explain, Explanation) else Explanation() if self.explain else None
