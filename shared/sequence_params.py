"""What a training on sequences takes beside the settings of every training."""

from typing import Annotated, Literal

from pydantic import Field

from shared.schema import Closed, Float, Int
from shared.sequence_networks import Gru, SequenceNetwork
from shared.training_params import (
    CosineDecay,
    EarlyStopping,
    ExponentialDecay,
    OptimizerName,
    PositiveRate,
    StepDecay,
    Training,
)

# Batches after which a network of the default size has learned what so few pieces teach (bench/RESULTS.md); few pieces
# are gone through often, of many a part is enough.
USUAL_BATCHES, LEAST_EPOCHS, MOST_EPOCHS = 2500, 12, 400

SequenceSchedule = Annotated[ExponentialDecay | CosineDecay | StepDecay, Field(discriminator="schedule")]


class HeldOutPieces(Closed):
    """A share of the pieces, drawn; duplicates, transposed ones too, stay on the same side."""

    fraction: Annotated[Float, Field(gt=0, lt=1)] = 0.15


def _down_to_nothing() -> CosineDecay:
    return CosineDecay(schedule="cosine", initial=0.003, warmup_epochs=1.0)


class SequenceTraining(Training):
    """Everything about a training on sequences that does not depend on what they stand for."""

    network: SequenceNetwork = Field(default_factory=lambda: Gru(type="gru"))
    optimizer: OptimizerName = "adamw"
    learning_rate: PositiveRate | SequenceSchedule = Field(default_factory=_down_to_nothing)
    weight_decay: Annotated[Float, Field(ge=0, le=1)] = 0.01
    # Of the gradient of all weights together: recurrent networks now and then take a step that undoes an hour.
    clip_norm: Annotated[Float, Field(gt=0)] | None = 1.0
    # Rows of a batch, and the steps of each.
    batch_size: Annotated[Int, Field(ge=1, le=1024)] = 16
    window: Annotated[Int, Field(ge=8, le=4096)] = 128
    # The weights that are kept are a moving average over the steps; 0 keeps the last ones.
    average: Annotated[Float, Field(ge=0, lt=1)] = 0.998
    validation: HeldOutPieces | Literal["none"] = Field(default_factory=HeldOutPieces)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    @property
    def stopping(self) -> EarlyStopping | None:
        """Early stopping as it will be: on unless it is turned off, and never without validation."""
        if self.validation == "none" or self.early_stopping is False:
            return None
        return self.early_stopping if isinstance(self.early_stopping, EarlyStopping) else EarlyStopping()

    def epochs_of(self, steps: int) -> int:
        """How many epochs over pieces of so many steps in all."""
        batches = max(1, -(-steps // (self.batch_size * self.window)))
        return self.epochs or min(MOST_EPOCHS, max(LEAST_EPOCHS, -(-USUAL_BATCHES // batches)))
