"""Classification of table rows or recordings: binary, multi-class, multi-label."""

from typing import Annotated, Literal

from pydantic import Field

from shared.audio_params import AudioScoring, AudioTraining
from shared.schema import Float
from shared.table_params import SPACE as SPACE

FORMATS = ("table", "audio")
# The first is the one by which versions are compared.
METRICS = {
    "accuracy": "higher", "balanced_accuracy": "higher", "macro_precision": "higher", "macro_recall": "higher",
    "macro_f1": "higher", "precision": "higher", "recall": "higher", "f1": "higher", "roc_auc": "higher",
    "pr_auc": "higher", "log_loss": "lower", "calibration_error": "lower",
}  # fmt: skip

Label = Annotated[str, Field(max_length=255)]


class TrainParams(AudioTraining):
    """A training; every field has a default that works."""

    loss: Literal["auto", "binary_crossentropy", "categorical_crossentropy", "mean_squared_error"] = "auto"
    class_weights: Literal["balanced"] | dict[Label, Annotated[Float, Field(gt=0)]] | None = None
    positive: Label | None = None
    # A text target such as "rock|live" holds several labels when this names what stands between them.
    label_separator: Annotated[str, Field(min_length=1, max_length=3)] | None = None


ACTIONS = {"train": TrainParams, "score": AudioScoring}
