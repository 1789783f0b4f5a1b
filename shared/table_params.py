"""The settings that every training on a feature table takes, whatever the kind."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.networks import Hidden, Layer
from shared.privacy_params import Privacy
from shared.schema import Closed, Float, Int
from shared.training_params import EarlyStopping, Training

DEFAULT_HIDDEN = [Layer(units=128, dropout=0.3), Layer(units=64, dropout=0.3)]
# With early stopping on, a bound that is rarely met.
EPOCHS_WITH_EARLY_STOPPING = 300
EPOCHS_WITHOUT = 50


Share = Annotated[Float, Field(gt=0, lt=1)]
ColumnName = Annotated[str, Field(min_length=1, max_length=255)]
MOST_FOLDS, MOST_REPORTED = 20, 5


class Validation(Closed):
    """A share of the rows, or of the groups when `group` names a column (or the dataset has one).

    Shuffled; the latest where `time` names a column; with `folds` each row in turn, and `fraction` says nothing.
    """

    fraction: Share = 0.2
    group: ColumnName | None = None
    time: ColumnName | None = None
    folds: Annotated[Int, Field(ge=2, le=MOST_FOLDS)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Validation":
        if self.time is not None and self.folds is not None:
            raise ValueError("expected time or folds, received both: folds would validate the past by the future")
        return self


class HeldOutTest(Closed):
    """Rows that neither train nor choose, drawn with a seed of their own so that many trainings share them."""

    fraction: Share = 0.2
    seed: Annotated[Int, Field(ge=0, lt=2**31)] = 0


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
    test: Share | HeldOutTest | None = None
    report_by: Annotated[list[ColumnName], Field(max_length=MOST_REPORTED)] = Field(default_factory=list)
    # None: where a group divides a table and the training is cheap.
    compare_random_split: bool | None = None
    baselines: bool = True
    # How much worse the answers become once a column is shuffled among the held-out rows.
    importance: bool = True
    # Some training rows stay with the model, to tell which of them are nearest to one that is scored.
    keep_examples: bool = True
    # None: the steps are taken as they are, and the version says of itself that it is not private.
    privacy: Privacy | None = None

    @model_validator(mode="after")
    def _one_validation(self) -> "TableTraining":
        # With nothing held out, `validation` still says what belongs together.
        if self.validation is not None and self.validation_split:
            raise ValueError("expected validation or validation_split, received both")
        return self

    @property
    def held_out_test(self) -> HeldOutTest | None:
        """The test as it will be drawn; None: nothing is held out for one."""
        return HeldOutTest(fraction=self.test) if isinstance(self.test, float) else self.test

    @property
    def folds(self) -> int | None:
        return None if self.validation is None else self.validation.folds

    @property
    def time(self) -> str | None:
        return None if self.validation is None else self.validation.time

    @property
    def stopping(self) -> EarlyStopping | None:
        """Early stopping as it will be: on by default, off when epochs are named, and never without validation.

        Nor in a private training, whose number of steps stands before the first.
        """
        if self.validation_split == 0.0 or self.privacy is not None:
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
        if self.privacy is not None:
            # Numbers and words as `privacy` declares them; which rows are equal is nothing that may be looked at.
            return Preprocessing(drop_duplicates=False)
        return self.preprocess if isinstance(self.preprocess, Preprocessing) else Preprocessing()


# In which a search looks for what suits a table, or the embeddings of recordings, when it is told no space.
SPACE = {
    "hidden": {
        "type": "layers",
        "count": {"type": "int", "low": 1, "high": 3},
        "each": {
            "units": {"type": "int", "low": 16, "high": 256, "log": True},
            "dropout": {"type": "float", "low": 0.0, "high": 0.6},
        },
    },
    "learning_rate": {"type": "float", "low": 0.0003, "high": 0.01, "log": True},
    "weight_decay": {"type": "float", "low": 0.0001, "high": 1.0, "log": True},
    "batch_size": {"type": "choice", "values": [16, 32, 64, 128]},
}


# A Population Stability Index from which on a warning is given; by custom 0.1 is little and 0.25 is much.
DriftThreshold = Annotated[Float, Field(gt=0, le=10)]
FileFormat = Literal["parquet", "csv", "jsonl"]


def every_format() -> list[FileFormat]:
    return ["parquet", "csv", "jsonl"]


class Counterfactual(Closed):
    """What would have to change for another answer; `fixed` names columns that cannot change."""

    fixed: Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=1000)] = Field(default_factory=list)


class RowExplanation(Closed):
    """Why a row is answered as it is: what each column adds, the `top` ones named."""

    top: Annotated[Int, Field(ge=1, le=100)] = 5
    counterfactual: bool | Counterfactual = False
    nearest: Annotated[Int, Field(ge=0, le=50)] = 0

    @property
    def change(self) -> Counterfactual | None:
        """What is asked about another answer; None where that is not."""
        if isinstance(self.counterfactual, bool):
            return Counterfactual() if self.counterfactual else None
        return self.counterfactual


class TableScoring(Closed):
    """What a scoring of a table takes: which files to write, and which input columns to repeat in them."""

    formats: Annotated[list[FileFormat], Field(min_length=1, max_length=3)] = Field(default_factory=every_format)
    columns: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)
    # A scoring of the same rows by the same version that was cancelled or failed: what it has done is taken over.
    resume_of: Annotated[str, Field(max_length=40)] | None = None
    # Leave out what the same version has scored in a job that had this set, and remember what is scored now.
    skip_scored: bool = False
    drift_threshold: DriftThreshold = 0.2
    explain: bool | RowExplanation | None = None

    @property
    def explained_rows(self) -> RowExplanation | None:
        """What is told of each row beside its prediction; None for nothing."""
        if isinstance(self.explain, RowExplanation):
            return self.explain
        return RowExplanation() if self.explain else None


class Evaluation(Closed):
    """What an evaluation on a table, or on recordings, takes."""

    # Another version, name@3 or name@champion, that is judged on the same rows.
    against: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    # Of the rows that are drawn again for intervals and tests.
    seed: Annotated[Int, Field(ge=0, lt=2**31)] = 0
