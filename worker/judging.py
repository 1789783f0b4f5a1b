"""A version, or two, judged on a dataset whose truth is known: the action `evaluate` of tables and recordings.

What one of two versions cannot read is left out of both, so that their difference is of the same rows.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sqlalchemy import Row

from shared import datasets, models
from shared.errors import Fault, InvalidRequest, JobFailed, NotFound
from shared.kinds import KINDS
from worker import (
    artifacts,
    audio_heads,
    audio_training,
    evaluation,
    features,
    kinds,
    lineage,
    perception,
    recordings,
    resampling,
    tables,
)
from worker.artifacts import Model
from worker.cautions import Caution
from worker.desk import Desk
from worker.ending import Ending
from worker.kinds.protocol import Kind, Known, Truth
from worker.preparation import Examples, listed
from worker.tables import Column

Json = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """A version that is judged."""

    version: Row[Any]
    model: Model

    @property
    def reference(self) -> str:
        return f"{self.version.name}@{self.version.number}"


@dataclass(frozen=True)
class Rows:
    """The rows that all can read: the truth, the outputs of each version, and which rows belong together."""

    known: Known
    outputs: list[np.ndarray]
    units: np.ndarray
    left_out: Json


def evaluate(desk: Desk) -> Ending:
    """Judge the job's version on a labelled dataset, beside another where `against` names one."""
    name = desk.claim.kind or ""
    kind, params = kinds.find(name), KINDS[name].ACTIONS["evaluate"].model_validate(desk.claim.params)
    assert kind.truth is not None
    desk.enter("loading")
    row, judged = desk.dataset_rows()[0], _versions(desk, params.against)
    paths = desk.fetch_parts(row)
    cautions = [caution for each in judged for caution in _trained_on(desk, each, row)]
    rows = _read(desk, kind, row, paths, judged)
    warnings = [caution.as_json() for caution in (*cautions, *rows.known.cautions)]
    desk.warn(warnings)
    desk.enter("evaluating")
    told = [_metrics(desk, kind, rows, place, seed=params.seed) for place in range(len(judged))]
    said: Json = {
        "model": judged[0].reference,
        "metrics": {"evaluation": told[0]},
        "rows": len(rows.units),
        "left_out": rows.left_out,
        "warnings": warnings,
        "lineage": lineage.of_scoring(judged[0].version, [row]),
    }
    if len(judged) > 1:
        compared = _compare(desk, kind, rows, told, seed=params.seed)
        said["against"] = {"model": judged[1].reference, "metrics": told[1], **compared}
    return Ending(lambda sql: said)


def _versions(desk: Desk, against: str | None) -> list[Judged]:
    with desk.database.reading() as sql:
        found = [models.find_by_id(sql, desk.claim.version or "")]
        if against is not None:
            try:
                found.append(models.resolve(sql, desk.claim.tenant, against, pointer="/params/against"))
            except (InvalidRequest, NotFound) as cause:
                raise _unlike(f"expected a version that is there, received {against!r}") from cause
    strange = [each for each in found if each.kind != desk.claim.kind]
    if strange:
        raise _unlike(f"expected a version of kind {desk.claim.kind}, received one of {strange[0].kind}")
    opened = [Judged(each, _unpack(desk, each)) for each in found]
    if len({each.model.input is None for each in opened}) > 1:
        raise _unlike("expected two versions of tables, or two of recordings, received one of each")
    return opened


def _unpack(desk: Desk, version: Row[Any]) -> Model:
    named = {file["name"]: file for file in version.files if file["name"] in artifacts.FILES}
    return artifacts.unpack({name: desk.get(each["key"], sha256=each["sha256"]) for name, each in named.items()})


def _unlike(said: str) -> JobFailed:
    fault = Fault(said, pointer="/params/against")
    return JobFailed(f"The two cannot be compared: {said}.", code="against_unlike", faults=[fault])


def _trained_on(desk: Desk, judged: Judged, row: Row[Any]) -> list[Caution]:
    """A caution where the dataset, or one that it adds rows to, is what a version was trained on."""
    trained, chain = judged.version.lineage.get("dataset", {}), [row]
    with desk.database.reading() as sql:
        while chain[-1].base is not None:
            chain.append(datasets.find(sql, desk.claim.tenant, chain[-1].base))
    if not any(each.sha256 == trained.get("sha256") for each in chain):
        return []
    said = f"{judged.reference} was trained on rows of this dataset, which flatters it: take rows that it has not seen"
    return [Caution("leakage_suspected", said)]


def _read(desk: Desk, kind: Kind, row: Row[Any], paths: Sequence[Path], judged: Sequence[Judged]) -> Rows:
    """The truth, and what each version says; the rows without a truth are left out first."""
    assert kind.truth is not None
    targets = [each.model.target for each in judged]
    cells = _cells(paths, kind.truth, targets, row.profile["roles"]["group"])
    absent = np.any([tables.is_missing(cells[name]) for name in kind.truth.columns(targets)], axis=0)
    numbers = np.flatnonzero(~absent)
    if not len(numbers):
        raise JobFailed("No row has a label: there is nothing to judge by.", code="unlabelled")
    desk.enter("listening" if row.format == "audio" else "scoring")
    say = _of_tracks if row.format == "audio" else _of_table
    outputs = [say(desk, kind, row, paths, each.model, numbers) for each in judged]
    can_be_read = np.all([np.isfinite(each).all(axis=1) for each in outputs], axis=0)
    if not can_be_read.any():
        raise JobFailed("No labelled row can be read by every version.", code="too_few_rows")
    numbers = numbers[can_be_read]
    known = kind.truth.read({name: tables.take(each, numbers) for name, each in cells.items()}, targets)
    said = [
        kind.metrics.translate(target, own, each[can_be_read])
        for target, own, each in zip(known.targets, targets, outputs, strict=True)
    ]
    left_out = {"unlabelled": int(absent.sum()), "unreadable": int((~can_be_read).sum())}
    return Rows(known, said, _units(row, paths, cells, numbers), left_out)


def _cells(paths: Sequence[Path], truth: Truth, targets: Sequence[Json], group: str | None) -> dict[str, Column]:
    """The columns of the truth, and the one that says which rows belong together. Raises JobFailed (target_missing)."""
    present, wanted = tables.schema(paths), truth.columns(targets)
    lacking = [name for name in wanted if name not in present]
    if lacking:
        raise JobFailed(
            f"The dataset lacks what the version predicts: {listed(lacking)}. Add the column, with what is true.",
            code="target_missing",
            faults=[Fault("expected a column of this name", column=name) for name in lacking],
        )
    return tables.read(paths, list(dict.fromkeys([*wanted, *([group] if group in present else [])])))


def _of_table(
    desk: Desk, kind: Kind, row: Row[Any], paths: Sequence[Path], model: Model, numbers: np.ndarray
) -> np.ndarray:
    """The model's own outputs for these rows (rows, outputs); NaN in those that it cannot read."""
    scorer = kind.predict.open(model)
    wanted, present = [each.name for each in scorer.features], tables.schema(paths)
    lacking = [name for name in wanted if name not in present]
    if lacking:
        faults = [Fault("expected a column of this name", column=name) for name in lacking]
        said = f"The table lacks columns that are needed: {listed(lacking)}. Rename or add them."
        raise JobFailed(said, code="columns_missing", faults=faults)
    columns = {name: tables.take(column, numbers) for name, column in tables.read(paths, wanted).items()}
    x, bad = features.matrix(scorer.features, columns)
    outputs = scorer.network(x)
    for cells in bad:
        outputs[cells.rows] = np.nan
    return outputs


def _of_tracks(
    desk: Desk, kind: Kind, row: Row[Any], paths: Sequence[Path], model: Model, numbers: np.ndarray
) -> np.ndarray:
    """The same of recordings: the mean over a track's segments."""
    scorer = kind.predict.open(model)
    head, every = audio_heads.open(model, scorer, precision="float32"), recordings.read(paths)
    uploads = {file.sha256: file for file in desk.uploads(row)}
    outputs = np.full((len(numbers), scorer.outputs), np.nan, np.float32)
    chosen = [every[number] for number in numbers.tolist()]
    with closing(perception.perceive(desk, chosen, uploads, head.wants)) as heard:
        for place, each in enumerate(heard):
            if each.fault is None:
                outputs[place] = head.outputs(each).mean(axis=0)
    return outputs


def _units(row: Row[Any], paths: Sequence[Path], cells: Mapping[str, Column], numbers: np.ndarray) -> np.ndarray:
    """Which rows belong together: those of one group, and tracks that sound the same."""
    group, taken = row.profile["roles"]["group"], {name: tables.take(each, numbers) for name, each in cells.items()}
    group = group if group in taken else None
    if row.format == "audio":
        examples = Examples(dict(taken), [], [], group, None, numbers, has_duplicates=False)
        together = audio_training.keep_together(examples, recordings.read(paths))
        return tables.labels(together.columns[audio_training.TOGETHER]).codes.astype(np.int64)
    if group is None:
        return np.arange(len(numbers))
    codes = tables.labels(taken[group]).codes.astype(np.int64)
    alone = codes == tables.MISSING
    codes[alone] = codes.max(initial=0) + 1 + np.arange(np.count_nonzero(alone))
    return codes


def _metrics(desk: Desk, kind: Kind, rows: Rows, place: int, *, seed: int) -> Json:
    """The metrics of one of the versions with their intervals, and what its kind tells beside them."""
    assert kind.truth is not None
    target, truth, outputs = rows.known.targets[place], rows.known.truth, rows.outputs[place]
    metrics = evaluation.with_intervals(kind, target, truth, outputs, rows.units, seed=seed, check=desk.check)
    return {**metrics, **kind.truth.tell(target, truth, outputs)}


def _compare(desk: Desk, kind: Kind, rows: Rows, told: Sequence[Json], *, seed: int) -> Json:
    """Each metric of the first less that of the second, and how likely the difference is one of chance."""
    assert kind.truth is not None
    truth, each = rows.known.truth, list(zip(rows.known.targets, rows.outputs, strict=True))
    both = [kind.metrics.resampled(target, truth, outputs) for target, outputs in each]
    drawn = resampling.paired(both[0], both[1], rows.units, seed=seed, check=desk.check)
    differences = {}
    for name, chance in drawn.items():
        ours, theirs = (said[name]["value"] for said in told)
        if ours is not None and theirs is not None:
            interval, p = (None, None) if chance is None else (chance.interval, chance.p)
            differences[name] = {"difference": ours - theirs, "interval": interval, "p": p}
    right = [kind.truth.right(target, truth, outputs) for target, outputs in each]
    return {"differences": differences, **_mcnemar(right[0], right[1])}


def _mcnemar(ours: np.ndarray | None, theirs: np.ndarray | None) -> Json:
    """McNemar's exact test of which of two is right more often (1947), by the rows that one of them has right.

    It takes each row for itself, also where rows belong together.
    """
    if ours is None or theirs is None:
        return {}
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    unlike = only_ours + only_theirs
    p = float(binomtest(only_ours, unlike, 0.5).pvalue) if unlike else 1.0
    return {"mcnemar": {"only_this": only_ours, "only_other": only_theirs, "p": p}}
