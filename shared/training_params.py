"""The settings that every training takes, whatever it learns from."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.schema import Closed, Float, Int

OptimizerName = Literal["gradient_descent", "sgd", "rmsprop", "adam", "adamw"]
PositiveRate = Annotated[Float, Field(gt=0, le=10)]
Epochs = Annotated[Int, Field(ge=1, le=100_000)]

REPRODUCE = "reproduce"


class ExponentialDecay(Closed):
    """initial · rate^(epoch / every_epochs), smooth."""

    schedule: Literal["exponential"]
    initial: PositiveRate = 0.001
    rate: Annotated[Float, Field(gt=0, le=1)] = 0.9
    every_epochs: Annotated[Float, Field(gt=0)] = 10.0


class CosineDecay(Closed):
    """A linear warm-up, then half a cosine down to `final`; over all epochs."""

    schedule: Literal["cosine"]
    initial: PositiveRate = 0.001
    final: Annotated[Float, Field(ge=0)] = 0.0
    warmup_epochs: Annotated[Float, Field(ge=0)] = 0.0


class StepDecay(Closed):
    """`values[i]` until `epochs[i]`; one value more than epochs."""

    schedule: Literal["steps"]
    epochs: Annotated[list[Epochs], Field(min_length=1, max_length=20)]
    values: Annotated[list[PositiveRate], Field(min_length=2, max_length=21)]

    @model_validator(mode="after")
    def _has_one_value_more(self) -> "StepDecay":
        if len(self.values) != len(self.epochs) + 1 or sorted(set(self.epochs)) != self.epochs:
            raise ValueError("expected rising epochs and one value more than epochs")
        return self


class PlateauDecay(Closed):
    """Multiplied by `factor` after `patience` epochs in which the watched loss did not improve."""

    schedule: Literal["plateau"]
    initial: PositiveRate = 0.001
    factor: Annotated[Float, Field(gt=0, lt=1)] = 0.5
    patience: Annotated[Int, Field(ge=1, le=1000)] = 10
    minimum: Annotated[Float, Field(ge=0)] = 1e-6


Schedule = Annotated[ExponentialDecay | CosineDecay | StepDecay | PlateauDecay, Field(discriminator="schedule")]


class EarlyStopping(Closed):
    """Stop when the watched loss has not improved for `patience` epochs, and go back to the best epoch."""

    patience: Annotated[Int, Field(ge=1, le=10_000)] = 25
    min_delta: Annotated[Float, Field(ge=0)] = 0.0
    restore_best: bool = True


class Training(Closed):
    """How a network is brought nearer to what is wanted of it."""

    optimizer: OptimizerName = "adamw"
    learning_rate: PositiveRate | Schedule = 0.001
    momentum: Annotated[Float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: Annotated[Float, Field(ge=0, le=1)] = 0.004
    clip_norm: Annotated[Float, Field(gt=0)] | None = None
    batch_size: Annotated[Int, Field(ge=1, le=65_536)] = 32
    epochs: Epochs | None = None
    early_stopping: bool | EarlyStopping | None = None
    seed: Annotated[Int, Field(ge=0, lt=2**31)] = 0


class ReproduceParams(Closed):
    """The same training once more: all that it takes stands in the version's lineage."""
