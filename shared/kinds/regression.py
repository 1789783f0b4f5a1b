"""Regression on table rows or recordings: one number, or several, for each."""

from typing import Annotated, Literal

from pydantic import Field

from shared.audio_params import AudioScoring, AudioTraining
from shared.export_params import EXPORT, ExportParams
from shared.schema import Float
from shared.table_params import SPACE as SPACE
from shared.table_params import Evaluation

FORMATS = ("table", "audio")
# The first is the one by which versions are compared.
METRICS = {"r2": "higher", "mse": "lower", "mae": "lower", "rmse": "lower"}


class TrainParams(AudioTraining):
    """A training; every field has a default that works."""

    loss: Literal["mean_squared_error", "mean_absolute_error", "huber"] = "mean_squared_error"
    huber_delta: Annotated[Float, Field(gt=0)] = 1.0


class EvaluateParams(Evaluation):
    """What a version comes to on rows of which the numbers are known."""


ACTIONS = {"train": TrainParams, "score": AudioScoring, "evaluate": EvaluateParams, EXPORT: ExportParams}
