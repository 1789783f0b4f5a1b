"""What every kind promises, whatever it learns: a new kind is taken up here by its name alone."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from shared.errors import JobCancelled
from shared.kinds import KINDS
from shared.table_params import TableScoring
from tests.worker.canonical import music, write
from tests.worker.kinds import limits
from worker import artifacts, attribution, baselines, forward, kinds, predictions, slopes, training
from worker.callbacks import Checkpoint
from worker.explainable import Quick
from worker.explanations import Explained
from worker.features import as_json
from worker.kinds.protocol import Kind, Prepared

TABLE_KINDS = [name for name, contract in KINDS.items() if "table" in contract.FORMATS and "train" in contract.ACTIONS]
LIMIT_ERRORS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "string_too_short",
                "string_too_long", "too_short", "too_long"}  # fmt: skip
TINY = {"epochs": 3, "hidden": [{"units": 4, "dropout": 0.2, "batch_normalization": True}], "seed": 5}


@dataclass
class Recorder:
    """A watch that lets everything pass until `leave_after` epochs are done."""

    leave_after: int | None = None
    epochs: list[dict[str, float]] = field(default_factory=list)

    def report(self, epochs: list[dict[str, float]], *, total: int) -> None:
        self.epochs += epochs

    def check(self) -> None:
        if self.leave_after is not None and len(self.epochs) >= self.leave_after:
            raise JobCancelled

    def is_checkpoint_due(self) -> bool:
        return False

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep nothing."""

    def is_enough(self) -> bool:
        return False

    def pauses_after(self, epoch: int, total: int) -> int | None:
        return None

    def is_budget_spent(self) -> bool:
        return False


@dataclass(frozen=True)
class Trained:
    """All that comes of a tiny training."""

    kind: Kind
    prepared: Prepared
    fitted: training.Fitted
    model: artifacts.Model
    outputs: np.ndarray
    metrics: dict[str, Any]


def train(name: str, folder: Path, watch: Recorder | None = None) -> Trained:
    """Train on a target that is a class and a number alike."""
    columns = music(120)
    columns["hit"] = [int(genre == "rock") for genre in columns.pop("genre")]
    paths, profile = write(folder, columns, target=["hit"], id="piece")
    params = KINDS[name].ACTIONS["train"].model_validate(TINY)
    kind = kinds.find(name)
    prepared = kind.data.prepare(kind.data.load(paths, profile, params), params)
    spec, objective = kind.model.describe(prepared, params)
    fitted = training.fit(
        spec,
        objective,
        params,
        train=prepared.train,
        validation=prepared.validation,
        watch=watch or Recorder(),
        checkpoint=None,
    )
    model = artifacts.Model(
        kind=name,
        network=spec,
        weights=fitted.weights,
        preprocessing=as_json(prepared.features),
        target=prepared.target,
    )
    assert prepared.validation is not None
    outputs = forward.compile(spec, fitted.weights)(prepared.validation.x)
    metrics = kind.metrics.evaluate(prepared.target, prepared.validation.y, outputs)
    return Trained(kind, prepared, fitted, model, outputs, metrics)


@pytest.fixture(scope="module", params=TABLE_KINDS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Trained]:
    return request.param, train(request.param, tmp_path_factory.mktemp(request.param))


def test_every_kind_has_a_contract_and_a_folder() -> None:
    folder = Path(kinds.__file__).parent
    built = {path.name for path in folder.iterdir() if (path / "__init__.py").exists()}

    assert built == set(KINDS)
    for name, contract in KINDS.items():
        files = {path.name for path in (folder / name).glob("*.py")}
        if "generate" in contract.ACTIONS:
            assert files >= {"__init__.py", "data.py", "model.py", "metrics.py", "compose.py"}
        elif "train" in contract.ACTIONS:
            assert files >= {"__init__.py", "data.py", "model.py", "metrics.py", "predict.py"}
        else:
            assert files >= {"__init__.py", "listen.py"}


@pytest.mark.parametrize("name", KINDS)
def test_every_contract_has_defaults_that_work_and_metrics_with_a_direction(name: str) -> None:
    for params in KINDS[name].ACTIONS.values():
        params.model_validate({})

    assert KINDS[name].METRICS and set(KINDS[name].METRICS.values()) <= {"higher", "lower"}


@pytest.mark.parametrize("name", KINDS)
def test_every_limit_is_refused_one_step_beyond(name: str) -> None:
    tried = 0

    for params in KINDS[name].ACTIONS.values():
        for path, document in limits.beyond(params):
            with pytest.raises(ValidationError) as refused:
                params.model_validate(document)
            field_name = path.rsplit(".")[-1]
            assert any(
                error["type"] in LIMIT_ERRORS and field_name in error["loc"] for error in refused.value.errors()
            ), path
            tried += 1

    assert tried >= 20


def test_metrics_have_the_names_of_the_contract_and_are_finite(trained: tuple[str, Trained]) -> None:
    name, result = trained

    values = {metric: said["value"] for metric, said in result.metrics.items() if "value" in said}

    assert set(values) == set(KINDS[name].METRICS)
    assert all(np.isfinite(value) for value in values.values())


def test_a_metric_that_is_told_alone_is_the_first_of_all(trained: tuple[str, Trained]) -> None:
    name, result = trained
    if not isinstance(result.kind.metrics, Quick):
        return
    assert result.prepared.validation is not None

    alone = result.kind.metrics.headline(result.prepared.target, result.prepared.validation.y, result.outputs)

    assert alone == pytest.approx(result.metrics[next(iter(KINDS[name].METRICS))]["value"])


def test_answers_that_can_be_explained_add_up_and_are_their_own(trained: tuple[str, Trained]) -> None:
    _, result = trained
    scorer = result.kind.predict.open(result.model)
    if not isinstance(scorer, Explained):
        return
    assert result.prepared.validation is not None
    x = result.prepared.validation.x

    for readout in scorer.readouts(result.outputs):
        backward = slopes.compile(result.model.network, result.model.weights)
        baseline = np.zeros(x.shape[1], np.float32)
        found = attribution.attribute(scorer.network, backward, x, baseline, readout)
        assert found.errors.max() <= attribution.ENOUGH * readout.unit
        np.testing.assert_allclose(found.after, readout.of(result.outputs), rtol=1e-6)
    assert all(float(scorer.beyond(each, each[None])[0]) <= 0 for each in result.outputs)


def test_all_that_is_told_is_json(trained: tuple[str, Trained]) -> None:
    _, result = trained
    told = {
        "metrics": result.metrics,
        "target": result.prepared.target,
        "split": result.prepared.split,
        "features": as_json(result.prepared.features),
        "cautions": [caution.as_json() for caution in result.prepared.cautions],
    }

    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_the_history_has_an_entry_for_each_epoch(trained: tuple[str, Trained]) -> None:
    history = trained[1].fitted.history

    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert all({"loss", "val_loss", "learning_rate"} <= set(entry) for entry in history)


def test_baselines_are_judged_by_the_same_metrics(trained: tuple[str, Trained]) -> None:
    name, result = trained
    prepared, validation = result.prepared, result.prepared.validation
    assert validation is not None

    found = baselines.fit(prepared.task, prepared.train, validation.x, seed=0, check=lambda: None)

    assert len(found) == 3
    for baseline in found.values():
        metrics = result.kind.metrics.evaluate(prepared.target, validation.y, baseline.outputs)
        assert set(KINDS[name].METRICS) <= set(metrics)


def test_rows_that_count_twice_are_judged_as_if_they_stood_there_twice(trained: tuple[str, Trained]) -> None:
    name, result = trained
    assert result.prepared.validation is not None
    target, truth = result.prepared.target, result.prepared.validation.y
    times = np.random.default_rng(0).integers(0, 4, (3, len(truth)))

    found = result.kind.metrics.resampled(target, truth, result.outputs)(times.astype(np.float64))

    assert set(found) == {metric for metric in KINDS[name].METRICS if metric in result.metrics}
    for place, each in enumerate(times):
        rows = np.repeat(np.arange(len(truth)), each)
        expected = result.kind.metrics.evaluate(target, truth[rows], result.outputs[rows])
        for metric, values in found.items():
            assert values[place] == pytest.approx(expected[metric]["value"]), metric


def test_what_a_version_says_is_its_own_translation(trained: tuple[str, Trained]) -> None:
    _, result = trained
    target = result.prepared.target

    said = result.kind.metrics.translate(target, target, result.outputs)

    np.testing.assert_allclose(said, result.outputs, rtol=1e-5, atol=1e-6)


def score(kind: Kind, model: artifacts.Model, folder: Path) -> dict[str, bytes]:
    """The bytes of all files of a scoring."""
    folder.mkdir()
    paths, profile = write(folder, music(300, seed=1), id="piece", part_rows=170)
    scorer = kind.predict.open(model)
    predictions.score(paths, profile, scorer, TableScoring(), folder=folder, progress=lambda done, total: None)
    return {path.name: path.read_bytes() for path in folder.glob("[pe]*.[!p]*")}


def test_a_model_packed_and_unpacked_predicts_the_same_bytes(trained: tuple[str, Trained], tmp_path: Path) -> None:
    _, result = trained

    before = score(result.kind, result.model, tmp_path / "before")
    after = score(result.kind, artifacts.unpack(artifacts.pack(result.model)), tmp_path / "after")

    assert len(before["predictions.jsonl"].splitlines()) == 300
    assert before == after


def test_scoring_the_validation_rows_answers_what_was_measured(trained: tuple[str, Trained]) -> None:
    _, result = trained
    assert result.prepared.validation is not None

    scorer = result.kind.predict.open(result.model)

    np.testing.assert_array_equal(scorer.network(result.prepared.validation.x), result.outputs)


@pytest.mark.parametrize("name", TABLE_KINDS)
def test_the_same_seed_gives_the_same_numbers(name: str, tmp_path: Path) -> None:
    first, again = train(name, tmp_path), train(name, tmp_path)

    assert first.fitted.history == again.fitted.history
    assert first.metrics == again.metrics
    np.testing.assert_array_equal(first.outputs, again.outputs)


@pytest.mark.parametrize("name", TABLE_KINDS)
def test_a_watch_that_wants_out_stops_the_training(name: str, tmp_path: Path) -> None:
    watch = Recorder(leave_after=1)

    with pytest.raises(JobCancelled):
        train(name, tmp_path, watch)

    assert len(watch.epochs) <= 3
