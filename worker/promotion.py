"""Whether the version that a training makes takes over an alias, and what its rival comes to on the same rows.

A rival that was measured on other rows is scored on those that the training has held out, through its own
preprocessing: so a dataset that has grown since leaves the gate something to compare.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row

from shared import alias_moves, gate, history, models
from shared.alias_moves import Mover
from shared.errors import JobCancelled, JobFailed, NotAllowedNow, NotFound, RequestRefused, Unavailable
from shared.gate import Measured
from shared.models import NewVersion
from worker import (
    artifacts,
    audio_heads,
    evaluation,
    features,
    kept_rows,
    kinds,
    perception,
    recordings,
    resampling,
    tables,
)
from worker.artifacts import Model
from worker.audio_heads import Head
from worker.desk import Desk
from worker.heard import Heard
from worker.kinds.protocol import Kind, Prepared
from worker.predictions import NOT_FINITE, Scorer
from worker.preparation import listed

Json = dict[str, Any]

WHERE = "on the candidate's held-out rows"
# Of both versions the same rows are drawn, whatever their own seeds.
RESAMPLED_BY = 0


@dataclass(frozen=True)
class HeldOut:
    """What a training has held out, and the dataset and its files in which it stands."""

    dataset: Row[Any]
    paths: Sequence[Path]
    prepared: Prepared
    # Those by which the candidate was judged, a row each.
    outputs: np.ndarray


def measure(desk: Desk, held_out: HeldOut, version: NewVersion) -> Measured | None:
    """What the version that the new one must not be worse than comes to on the new one's held-out rows.

    None where that is not asked for: no gate, no rival, nothing held out, or the same rows and nothing kept of them.
    """
    has_held_out = held_out.prepared.validation is not None

    def judge(rival: Row[Any]) -> Measured:
        return _measure(desk, held_out, rival, version)

    return measure_by(desk, version, judge, has_held_out=has_held_out, knows_same_rows=True)


def measure_by(
    desk: Desk,
    version: NewVersion,
    judge: Callable[[Row[Any]], Measured],
    *,
    has_held_out: bool,
    knows_same_rows: bool = False,
) -> Measured | None:
    """The same with another way to judge a rival, which raises NotAllowedNow or JobFailed where it cannot.

    What both held out is judged once, unless it `knows_same_rows`: then their difference is wanted all the same.
    """
    rival = _rival(desk)
    if rival is None or not has_held_out or desk.heart.is_enough:
        return None
    if gate.are_on_same_rows(version.lineage, rival.lineage) and not (knows_same_rows and kept_rows.has(rival.files)):
        return None
    desk.enter("comparing")
    try:
        return judge(rival)
    except (JobFailed, NotAllowedNow, NotFound, Unavailable) as refusal:
        # A deadline that has passed meanwhile ends the job, a storage that is away has it tried again; what is wrong
        # with the rival does neither.
        desk.check()
        if isinstance(refusal, Unavailable) and refusal.code != "file_missing":
            raise
        return Measured(rival.id, reason=refusal.detail)
    except ValueError:
        return Measured(rival.id, reason="its files say what this release does not know.")


def settle(sql: Connection, desk: Desk, number: int, version: NewVersion, measured: Measured | None) -> Json:
    """Point the alias to the new version if the gate lets it pass; in the finishing transaction, once it is recorded.

    Returns what the job's result has of it: nothing where no alias was asked for.
    """
    if desk.claim.promote is None:
        return {}
    # Asked before the alias moves: it may be the one that the rival stands at.
    compared = _compared(sql, desk, version, measured)
    told = {"alias": desk.claim.promote["alias"], **_move(sql, desk, number, measured), **compared}
    history.note(sql, desk.claim.tenant, desk.claim.job_id, "promotion", told)
    return {"promotion": told}


def _move(sql: Connection, desk: Desk, number: int, measured: Measured | None) -> Json:
    if desk.heart.is_enough:
        said = "The training was cancelled: what it had learned by then is kept, and moves no alias."
        return {"moved": False, "reason": {"code": JobCancelled.code, "detail": said}}
    tenant, name, promote = desk.claim.tenant, desk.claim.model or "", desk.claim.promote or {}
    before = models.at_alias(sql, tenant, name, promote["alias"])
    mover = Mover(alias_moves.PROMOTED, job=desk.claim.job_id)
    allowed = desk.settings.unknown_rights
    gated: Json = {"require": promote.get("require"), "measured": measured, "unknown_rights": allowed}
    try:
        models.move_alias(sql, tenant, name, promote["alias"], number=number, mover=mover, **gated)
    except RequestRefused as refusal:
        # Refused before anything was written.
        return {"moved": False, "reason": {"code": refusal.code, "detail": refusal.detail}}
    return {"moved": True, "from": None if before is None else before.number}


def _compared(sql: Connection, desk: Desk, version: NewVersion, measured: Measured | None) -> Json:
    """Both values, if the rival that was measured is still the one that the gate compares with."""
    rival = _rival_at(sql, desk)
    if measured is None or measured.value is None or rival is None or rival.id != measured.version:
        return {}
    metric = _require(desk)["metric"]
    ours = gate.value_of(version.metrics, metric)
    values = {"metric": metric, "candidate": ours, "rival": measured.value, "rows": measured.rows}
    chance = {"difference": measured.difference, "interval": measured.interval, "p": measured.p}
    return {"compared": {**values, "measured": WHERE, **({} if measured.difference is None else chance)}}


def _rival(desk: Desk) -> Row[Any] | None:
    with desk.database.reading() as sql:
        return _rival_at(sql, desk)


def _rival_at(sql: Connection, desk: Desk) -> Row[Any] | None:
    """The version that the gate compares with; None where it compares with none, or its alias points to nothing."""
    other = _require(desk).get("not_worse_than")
    if other is None:
        return None
    return models.at_alias(sql, desk.claim.tenant, desk.claim.model or "", other)


def _require(desk: Desk) -> Json:
    """What the gate asks; empty without a gate."""
    return (desk.claim.promote or {}).get("require") or {}


def _measure(desk: Desk, held_out: HeldOut, rival: Row[Any], version: NewVersion) -> Measured:
    """Score the rival and judge it as the candidate was. Raises NotAllowedNow or JobFailed where that cannot be."""
    kind, prepared = kinds.find(desk.claim.kind or ""), held_out.prepared
    assert prepared.validation is not None
    truth = evaluation.by_row(prepared, prepared.validation.y)
    if gate.are_on_same_rows(version.lineage, rival.lineage):
        kept = kept_rows.read(desk, rival.files, evaluation.rows_judged(prepared))
        said = kind.metrics.translate(prepared.target, kept.target, kept.outputs)
    else:
        said = _translated(desk, kind, held_out, rival)
    metrics = kind.metrics.evaluate(prepared.target, truth, said)
    found = measured(desk, rival, metrics, rows=len(said))
    return _with_chance(desk, kind, held_out, found, (truth, said))


def _translated(desk: Desk, kind: Kind, held_out: HeldOut, rival: Row[Any]) -> np.ndarray:
    """What the rival says of the rows that were held out, as the candidate would say it."""
    model = artifacts.unpack({file["name"]: desk.get(file["key"], sha256=file["sha256"]) for file in rival.files})
    if (model.kind, model.input is None) != (desk.claim.kind, held_out.dataset.format != "audio"):
        raise _refused("it is of another kind, or was trained on another format.")
    outputs = _outputs(desk, held_out, model, kind.predict.open(model))
    if not np.isfinite(outputs).all():
        raise _refused(f"{NOT_FINITE}.")
    return kind.metrics.translate(held_out.prepared.target, model.target, outputs)


def _with_chance(
    desk: Desk, kind: Kind, held_out: HeldOut, found: Measured, theirs: tuple[np.ndarray, np.ndarray]
) -> Measured:
    """The same with how far the candidate is from it, on the same rows drawn again; `theirs`: truth and outputs."""
    prepared, metric, (truth, said) = held_out.prepared, _require(desk)["metric"], theirs
    ours = kind.metrics.evaluate(prepared.target, truth, held_out.outputs).get(metric, {}).get("value")
    if ours is None or found.value is None:
        return found
    one, other = (kind.metrics.resampled(prepared.target, truth, each) for each in (held_out.outputs, said))
    units = evaluation.units_of_rows(prepared, len(truth))
    chance = resampling.paired(one, other, units, seed=RESAMPLED_BY, check=desk.check).get(metric)
    interval, p = (None, None) if chance is None else (chance.interval, chance.p)
    return replace(found, difference=ours - found.value, interval=interval, p=p)


def measured(desk: Desk, rival: Row[Any], metrics: Json, *, rows: int) -> Measured:
    """What a rival came to by the metric that the gate asks for. Raises NotAllowedNow when they have none."""
    metric = _require(desk)["metric"]
    value = metrics.get(metric, {}).get("value")
    if value is None:
        raise _refused(f"they have no {metric}.")
    return Measured(rival.id, value=value, rows=rows)


def _outputs(desk: Desk, held_out: HeldOut, model: Model, scorer: Scorer) -> np.ndarray:
    """The model's own outputs for what was held out, a row each."""
    if held_out.dataset.format != "audio":
        return _of_rows(scorer, held_out.paths, held_out.prepared.validation_rows)
    head, every = audio_heads.open(model, scorer, precision="float32"), recordings.read(held_out.paths)
    chosen = [every[row] for row in np.unique(held_out.prepared.validation_rows).tolist()]
    uploads = {file.sha256: file for file in desk.uploads(held_out.dataset)}
    with closing(perception.perceive(desk, chosen, uploads, head.wants)) as heard:
        return np.stack([_of_track(head, each) for each in heard])


def _of_rows(scorer: Scorer, paths: Sequence[Path], rows: np.ndarray) -> np.ndarray:
    wanted, present = [each.name for each in scorer.features], tables.schema(paths)
    absent = [name for name in wanted if name not in present]
    if absent:
        raise _refused(f"it needs columns that the table lacks: {listed(absent)}.")
    columns = {name: tables.take(column, rows) for name, column in tables.read(paths, wanted).items()}
    x, bad = features.matrix(scorer.features, columns)
    if bad:
        raise _refused(f"it cannot read cells of {listed(cells.column for cells in bad)}.")
    return scorer.network(x)


def _of_track(head: Head, heard: Heard) -> np.ndarray:
    if heard.fault is not None:
        raise _refused(f"the recording of row {heard.track.number} cannot be heard.")
    mean: np.ndarray = head.outputs(heard).mean(axis=0)
    return mean


def _refused(reason: str) -> NotAllowedNow:
    return NotAllowedNow(reason, code="gate_refused")
