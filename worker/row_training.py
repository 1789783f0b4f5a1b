"""How a kind that learns from rows of a table, or from recordings, is trained, step by step."""

import functools
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Row

from shared.kinds import KINDS
from shared.models import NewVersion
from shared.networks import measure
from shared.tuning_params import TRIAL
from worker import (
    alike,
    artifacts,
    audio_heads,
    audio_training,
    consents,
    cross_validation,
    distribution,
    evaluation,
    explainable,
    fold_membership,
    input_statistics,
    judgement,
    kept_rows,
    kinds,
    lineage,
    membership,
    perception,
    promotion,
    random_split,
    recordings,
    training,
)
from worker.cross_validation import Crossed, Describe, Make
from worker.desk import Desk
from worker.features import as_json
from worker.fitted import Fitted
from worker.judgement import Judged
from worker.judging import evaluate as evaluate
from worker.kept_rows import Kept
from worker.kinds.protocol import Kind, Prepared
from worker.learned import Learned
from worker.networks import NetworkSpec
from worker.private import plan as plans
from worker.private import statement
from worker.private.plan import Plan
from worker.promotion import HeldOut
from worker.training import Objective

Json = dict[str, Any]


@dataclass(frozen=True)
class Material:
    """What a training learns from: the dataset and its files, what makes matrices of it, and what will be heard."""

    name: str
    kind: Kind
    dataset: Row[Any]
    paths: Sequence[Path]
    make: Make
    # None for a table.
    listens_to: Json | None

    @property
    def is_table(self) -> bool:
        return self.listens_to is None


def learn(desk: Desk, params: Any) -> Learned:
    """Learn a model from rows or recordings."""
    desk.enter("loading")
    row = desk.dataset_rows()[0]
    params = params.of_recordings() if row.format == "audio" else params
    params = plans.settled(params, is_table=row.format != "audio")
    material = open_material(desk, row, params)
    prepared = alike.prepare(desk.claim, row, params, material.make) if material.is_table else material.make()
    describe = partial(describe_network, material, params)
    cautions = tell(desk, prepared.cautions)
    crossed = None
    if params.folds is not None:
        crossed = cross_validation.run(
            desk, material.kind, prepared, material.make, describe, params,
            # With a test the model itself is attacked.
            is_attacked=desk.claim.action != TRIAL and prepared.test is None,
        )  # fmt: skip
        cautions += tell(desk, crossed.cautions)
    network, objective = describe(prepared)
    plan = plans.of(params, prepared.train_rows, prepared.train_groups)
    fitted = _fit(desk, network, objective, _settled(params, crossed), prepared, plan)
    desk.enter("evaluating")
    judged = judgement.judge(
        material.kind, prepared, (network, fitted.weights), params, crossed=crossed, check=desk.check
    )
    cautions += tell(desk, judged.cautions)
    metrics = judged.metrics | _beside(desk, material, describe, fitted, judged, params)
    report = _membership(desk, (network, fitted.weights), prepared, params, crossed)
    cautions += tell(desk, membership.cautions(report))
    privacy = {
        "dp": statement.tell(params, plan, epochs=fitted.epochs, is_table=material.is_table),
        "membership": report,
    }
    model = _model(material, network, fitted, judged, is_private=plan is not None)
    metrics |= explainable.measure_importance(
        material.kind, model, judged.prepared, params, parameters=_count_parameters(network, params), check=desk.check
    )
    desk.enter("storing")
    version = NewVersion(
        files=desk.put_all(_pack(material, model, judged, params)),
        metrics=metrics,
        baselines=judged.baselines,
        warnings=cautions,
        lineage={
            **lineage.of_training(desk.claim, row, params, prepared.split, features=prepared.features),
            "leakage": judged.prepared.leakage,
            "privacy": privacy,
        },
        parameters=_count_parameters(network, params),
    )
    held_out = HeldOut(row, material.paths, judged.judged_on, judged.rows)
    said = {"epochs": fitted.epochs, "best_epoch": fitted.best_epoch, "stopped_by": fitted.stopped_by}
    return Learned(
        version, {**said, "leakage": judged.prepared.leakage},
        measured=lambda: promotion.measure(desk, held_out, version),
    )  # fmt: skip


def tell(desk: Desk, cautions: Sequence[Any]) -> list[Json]:
    """Cautions as events now, and as warnings of the version."""
    said = [caution.as_json() for caution in cautions]
    desk.warn(said)
    return said


def open_material(desk: Desk, row: Row[Any], params: Any) -> Material:
    name = desk.claim.kind or ""
    kind, withheld = kinds.find(name), consents.look(desk, [row])
    profile = {**row.profile, "withheld": withheld}
    paths = desk.fetch_parts(row)
    if row.format != "audio":

        @functools.cache
        def load() -> Any:  # Any: the kind's own Examples
            loaded = kind.data.load(paths, profile, params)
            consents.note_withheld(desk, row.id, loaded.withheld)
            return loaded

        desk.enter("preparing")
        return Material(name, kind, row, paths, lambda **how: kind.data.prepare(replace(load(), **how), params), None)
    tracks = recordings.read(paths)
    examples = audio_training.examples_of_tracks(paths, profile, params)
    consents.note_withheld(desk, row.id, examples.withheld)
    desk.enter("listening")
    chosen, uploads = audio_training.usable(examples, tracks), {file.sha256: file for file in desk.uploads(row)}
    with closing(perception.perceive(desk, chosen, uploads, audio_training.wants(params))) as heard:
        found = audio_training.gather(heard, params)
    desk.enter("preparing")

    def make(**how: Any) -> Prepared:
        return audio_training.prepare(kind, replace(examples, **how), tracks, found, params)

    return Material(name, kind, row, paths, make, audio_heads.describe(params))


def describe_network(material: Material, params: Any, prepared: Prepared) -> tuple[NetworkSpec, Objective]:
    network, objective = material.kind.model.describe(prepared, params)
    is_front = not material.is_table and params.front is not None
    return (network.under(params.front) if is_front else network), objective


def _settled(params: Any, crossed: Crossed | None) -> Any:
    """The params of the model itself: after folds nothing validates, and the folds have said how long it learns."""
    if crossed is None:
        return params
    return params.model_copy(update={"epochs": crossed.epochs, "early_stopping": False})


def _membership(
    desk: Desk,
    model: tuple[NetworkSpec, dict[str, np.ndarray]],
    prepared: Prepared,
    params: Any,
    crossed: Crossed | None,
) -> Json:
    """How well its training rows can be told; of a trial nobody asks, for it is no version."""
    if desk.claim.action == TRIAL:
        return membership.unmeasured("it is a trial of a search")
    if crossed is not None and crossed.attacked:
        unit = membership.unit_of(prepared)
        return fold_membership.report(crossed.attacked, unit=unit, params=params, check=desk.check)
    return membership.report(prepared, *model, is_crossed=crossed is not None, seed=params.seed, check=desk.check)


def _fit(
    desk: Desk, network: NetworkSpec, objective: Objective, params: Any, prepared: Prepared, plan: Plan | None
) -> Fitted:
    if desk.given is not None:
        return desk.given
    desk.enter("training")
    return training.fit(
        network,
        objective,
        params,
        train=prepared.train,
        validation=prepared.validation,
        watch=desk,
        checkpoint=desk.checkpoints.last(desk),
        plan=plan,
    )


def _beside(desk: Desk, material: Material, describe: Describe, fitted: Fitted, judged: Judged, params: Any) -> Json:
    """What stands beside the figures: those of each value of a column, and those of a random split."""
    metrics = KINDS[material.name].METRICS
    told = judgement.by_columns(material.kind, judged, material.paths, params, metrics, check=desk.check)
    parameters = _count_parameters(describe(judged.prepared)[0], params)
    is_cut = fitted.stopped_by in ("cancel", "budget")
    if not is_cut and random_split.is_wanted(
        params, judged.prepared, parameters=parameters, is_table=material.is_table
    ):
        told |= random_split.judge(desk, material.kind, material.make, describe, params)
    return told


def _model(
    material: Material, network: NetworkSpec, fitted: Fitted, judged: Judged, *, is_private: bool
) -> artifacts.Model:
    """The model as it is kept, but for how its rows are distributed."""
    prepared = judged.prepared
    # Of the rows of a private training nothing is kept but what its network has learned.
    inputs = input_statistics.learn(prepared.train.x) if material.is_table and not is_private else None
    return artifacts.Model(
        material.name, network, fitted.weights, as_json(prepared.features), judged.target, material.listens_to,
        inputs=inputs,
    )  # fmt: skip


def _pack(material: Material, model: artifacts.Model, judged: Judged, params: Any) -> dict[str, bytes]:
    """Every file of the version by its name."""
    prepared, scorer = judged.prepared, material.kind.predict.open(model)
    counts = None
    if params.privacy is None:
        counts = distribution.at_training(scorer, prepared, evaluation.by_row(prepared, judged.outputs))
    key = material.dataset.profile["roles"]["id"]
    return {
        **artifacts.pack(replace(model, counts=counts)),
        **explainable.examples(model, scorer, prepared, params, paths=material.paths, key=key),
        **_kept(judged.judged_on, judged.rows),
    }


def _kept(prepared: Prepared, outputs: np.ndarray) -> dict[str, bytes]:
    """What is kept of the rows by which the version was judged."""
    if prepared.validation is None:
        return {}
    rows = evaluation.rows_judged(prepared)
    return kept_rows.pack(Kept(outputs, prepared.target), rows, evaluation.units_of_rows(prepared, len(rows)))


def _count_parameters(network: NetworkSpec, params: Any) -> int:
    size = measure(
        network.hidden,
        inputs=network.inputs,
        outputs=network.outputs,
        batch_size=params.batch_size,
        front=network.front,
    )
    return size.parameters
