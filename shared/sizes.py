"""How large the network of a training on rows or recordings will be, told from the profile of its dataset."""

from typing import Any

from sqlalchemy import Row

from shared import networks
from shared.audio_params import EMBEDDING_SIZE, AudioTraining
from shared.fronts import WINDOW_S
from shared.networks import Size
from shared.table_params import Preprocessing, TableTraining

Json = dict[str, Any]
# A category never seen in training, or one too many, has a place of its own.
OTHER = 1


def hours(rows: list[Row[Any]]) -> float:
    return float(sum(row.profile.get("audio", {}).get("hours", 0.0) for row in rows))


def meant(params: TableTraining, rows: list[Row[Any]]) -> TableTraining:
    """With what a training on recordings has for everything that the client left out."""
    if isinstance(params, AudioTraining) and rows[0].format == "audio":
        return params.of_recordings()
    return params


def measure(params: TableTraining, rows: list[Row[Any]]) -> Size:
    """The network's size from the profile: numbers as they are, categories one-hot, classes as outputs."""
    profile = rows[0].profile
    inputs, front = sum(_width(column, params) for column in features(profile)), None
    if rows[0].format == "audio" and isinstance(params, AudioTraining):
        front = params.front
        inputs = EMBEDDING_SIZE if front is None else front.outputs
    count = examples(params, rows)
    batch = count if params.optimizer == "gradient_descent" else min(params.batch_size, count)
    return networks.measure(
        params.hidden, inputs=inputs, outputs=outputs(profile), batch_size=batch, front=front, crops=count
    )


def outputs(profile: Json) -> int:
    """Of the last layer: a class each, or one."""
    return max(len(profile.get("classes") or ()), 1)


def examples(params: TableTraining, rows: list[Row[Any]]) -> int:
    """Rows of a table; of recordings their segments, as many as the hours and `segments_per_track` allow."""
    tracks = int(rows[0].profile["rows"])
    if rows[0].format != "audio" or not isinstance(params, AudioTraining):
        return tracks
    segment_s = params.listens.windows_per_segment * WINDOW_S
    return min(tracks * params.listens.segments_per_track, tracks + int(hours(rows) * 3600 / segment_s))


def features(profile: Json) -> list[Json]:
    """The columns that may teach the network something: those without another role."""
    roles = profile["roles"]
    other = {*roles["target"], *roles["mask"], *roles["drop"], roles["group"], roles["id"]}
    return [column for column in profile["columns"] if column["name"] not in other]


def _width(column: Json, params: TableTraining) -> int:
    if column["type"] in ("number", "integer"):
        return 1
    settings = params.preprocessing or Preprocessing()
    return min(int(column["distinct"]), settings.categories) + OTHER
