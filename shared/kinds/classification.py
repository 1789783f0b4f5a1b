"""Classification of table rows or recordings: binary, multi-class, multi-label."""

from typing import Annotated, Literal

from pydantic import Field

from shared import audit_params
from shared.audio_params import AudioScoring, AudioTraining
from shared.export_params import EXPORT, ExportParams
from shared.schema import Closed, Float
from shared.table_params import SPACE as SPACE
from shared.table_params import Evaluation

FORMATS = ("table", "audio")
# The first is the one by which versions are compared.
METRICS = {
    "accuracy": "higher", "balanced_accuracy": "higher", "macro_precision": "higher", "macro_recall": "higher",
    "macro_f1": "higher", "precision": "higher", "recall": "higher", "f1": "higher", "roc_auc": "higher",
    "pr_auc": "higher", "log_loss": "lower", "calibration_error": "lower",
}  # fmt: skip

Label = Annotated[str, Field(max_length=255)]

Share = Annotated[Float, Field(gt=0, lt=1)]


class Abstaining(Closed):
    """Say nothing of rows that the version is less sure of than the held-out rows ask for."""

    # Of the rows of which something is said.
    accuracy: Share


class TrainParams(AudioTraining):
    """A training; every field has a default that works."""

    loss: Literal["auto", "binary_crossentropy", "categorical_crossentropy", "mean_squared_error"] = "auto"
    class_weights: Literal["balanced"] | dict[Label, Annotated[Float, Field(gt=0)]] | None = None
    positive: Label | None = None
    # A text target such as "rock|live" holds several labels when this names what stands between them.
    label_separator: Annotated[str, Field(min_length=1, max_length=3)] | None = None
    # Softer or harder probabilities, by what the held-out rows say; auto: where that makes others of them better.
    calibration: Literal["auto", "temperature", "none"] = "auto"
    # From where on a label is said: what makes F1 highest, or a number; one half where it is left out.
    thresholds: Literal["auto"] | dict[Label, Share] | None = None
    abstain: Abstaining | None = None


class ScoreParams(AudioScoring):
    """A scoring; what is left out is as the version has it."""

    # A row of less confidence is given no label; 0 gives every row one.
    abstain_below: Annotated[Float, Field(ge=0, le=1)] | None = None


class EvaluateParams(Evaluation):
    """What a version comes to on rows of which the label is known."""


# Params of a scoring that stand in for what a version's target says.
OF_TARGET = ("abstain_below",)
AuditParams = audit_params.of_kind(
    TrainParams, beside=("loss", "class_weights", "positive", "label_separator", "preset", "listening")
)
ACTIONS = {
    "train": TrainParams,
    "score": ScoreParams,
    "evaluate": EvaluateParams,
    audit_params.AUDIT: AuditParams,
    EXPORT: ExportParams,
}
