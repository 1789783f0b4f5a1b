"""The settings that every training on a feature table takes, whatever the kind."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.networks import Hidden, Layer
from shared.schema import Closed, Float, Int
from shared.training_params import EarlyStopping, Training

DEFAULT_HIDDEN = [Layer(units=128, dropout=0.3), Layer(units=64, dropout=0.3)]
# With early stopping on, a bound that is rarely met.
EPOCHS_WITH_EARLY_STOPPING = 300
EPOCHS_WITHOUT = 50


class Validation(Closed):
    """A shuffled share of the rows, or of the groups when `group` names a column (or the dataset has one)."""

    fraction: Annotated[Float, Field(gt=0, lt=1)] = 0.2
    group: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class Preprocessing(Closed):
    """How a table becomes numbers; learned on the training rows, stored with the model, applied alike at scoring."""

    missing: Literal["median", "mean", "zero"] = "median"
    outliers: Literal["keep", "clip"] = "clip"
    scale: Literal["standard", "none"] = "standard"
    categories: Annotated[Int, Field(ge=2, le=1000)] = 50
    drop_duplicates: bool = True


class TableTraining(Training):
    """Everything about a training on a table that does not depend on the kind."""

    preprocess: Literal["auto", "none"] | Preprocessing = "auto"
    hidden: Hidden = DEFAULT_HIDDEN
    validation: Validation | None = None
    validation_split: Annotated[Float, Field(ge=0, lt=1)] | None = None
    baselines: bool = True

    @model_validator(mode="after")
    def _one_validation(self) -> "TableTraining":
        if self.validation is not None and self.validation_split is not None:
            raise ValueError("expected validation or validation_split, received both")
        return self

    @property
    def stopping(self) -> EarlyStopping | None:
        """Early stopping as it will be: on by default, off when epochs are named, and never without validation."""
        if self.validation_split == 0.0:
            return None
        if isinstance(self.early_stopping, EarlyStopping):
            return self.early_stopping
        wanted = self.early_stopping if self.early_stopping is not None else self.epochs is None
        return EarlyStopping() if wanted else None

    @property
    def epochs_at_most(self) -> int:
        return self.epochs or (EPOCHS_WITH_EARLY_STOPPING if self.stopping else EPOCHS_WITHOUT)

    @property
    def preprocessing(self) -> Preprocessing | None:
        """None: the numbers go in as they are."""
        if self.preprocess == "none":
            return None
        return self.preprocess if isinstance(self.preprocess, Preprocessing) else Preprocessing()


# A Population Stability Index from which on a warning is given; by custom 0.1 is little and 0.25 is much.
DriftThreshold = Annotated[Float, Field(gt=0, le=10)]
FileFormat = Literal["parquet", "csv", "jsonl"]


def every_format() -> list[FileFormat]:
    return ["parquet", "csv", "jsonl"]


class TableScoring(Closed):
    """What a scoring of a table takes: which files to write, and which input columns to repeat in them."""

    formats: Annotated[list[FileFormat], Field(min_length=1, max_length=3)] = Field(default_factory=every_format)
    columns: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)
    # A scoring of the same rows by the same version that was cancelled or failed: what it has done is taken over.
    resume_of: Annotated[str, Field(max_length=40)] | None = None
    # Leave out what the same version has scored in a job that had this set, and remember what is scored now.
    skip_scored: bool = False
    drift_threshold: DriftThreshold = 0.2


class Evaluation(Closed):
    """What an evaluation on a table, or on recordings, takes."""

    # Another version, name@3 or name@champion, that is judged on the same rows.
    against: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    # Of the rows that are drawn again for intervals and tests.
    seed: Annotated[Int, Field(ge=0, lt=2**31)] = 0
