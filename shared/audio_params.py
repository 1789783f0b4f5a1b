"""What the kinds that learn from recordings take beside the settings of every training."""

from typing import Annotated, Literal

from pydantic import Field

from shared.schema import Closed, Float, Int
from shared.table_params import TableScoring, TableTraining

Preset = Literal["embedding", "network"]
Precision = Literal["float32", "bfloat16"]

# The networks whose inner answers make the embedding of a window, 200 numbers each.
EMBEDDING_NETWORKS = ("mtt-musicnn", "msd-musicnn")
EMBEDDING_SIZE = 400
# Of one network, on one core: seconds a second of audio, with the decoding (bench/RESULTS.md).
LISTENING_S = 0.016


class Augmentation(Closed):
    """How a training recording is changed anew in each epoch; 0 turns a change off."""

    # Masked bands and stretches of time (Park et al., "SpecAugment", Interspeech 2019), as shares of the whole.
    frequency_mask: Annotated[Float, Field(ge=0, le=0.5)] = 0.15
    time_mask: Annotated[Float, Field(ge=0, le=0.5)] = 0.15
    # Zhang et al., "mixup", ICLR 2018: the parameter of the Beta distribution.
    mixup: Annotated[Float, Field(ge=0, le=1)] = 0.2
    # In units of log10(1 + 10000 x): a quieter or louder recording.
    gain: Annotated[Float, Field(ge=0, le=1)] = 0.2


class Listening(Closed):
    """How a recording becomes examples, and its examples one prediction again."""

    # Windows of 2.992 s. Three together tell more than one, and are still short beside a verse.
    windows_per_segment: Annotated[Int, Field(ge=1, le=20)] = 3
    # Spread evenly over the track: the tenth minute of a piece teaches less than the first of another.
    segments_per_track: Annotated[Int, Field(ge=1, le=200)] = 20
    augmentation: Augmentation | None = None


class Reason(Closed):
    """Which seconds spoke for a label: of the first label of each track, or of the ones that are named."""

    labels: Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=5)] = Field(default_factory=list)
    # Each costs some hundred runs of the network.
    tracks: Annotated[Int, Field(ge=1, le=1000)] = 20
    clips: bool = True


class AudioTraining(TableTraining):
    """A training on a table or on recordings; of recordings it learns from an embedding unless `preset` says else."""

    preset: Preset | None = None
    listening: Listening | None = None


class AudioScoring(TableScoring):
    """A scoring of a table or of recordings."""

    explain: Reason | None = None
    precision: Precision | None = None
