"""Private trainings from the queue to the version: what is told, what is kept, what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Row

from shared import job_list
from tests.worker import canonical, working
from tests.worker import training_cases as cases
from tests.worker.training_cases import KilledError, Saving, Silent
from worker import kept_rows, runner, training
from worker.model_files import SPEC, WEIGHTS
from worker.private import accounting, statement
from worker.private import plan as plans
from worker.private.epochs import PrivateEpochs
from worker.runner import Post
from worker.training import Objective, Table

Json = dict[str, Any]
BOUNDS = {"tempo": [60.0, 180.0], "energy": [0.0, 1.0], "noise": [-3.0, 3.0], "loudness": [-20.0, 20.0]}
PRIVACY: Json = {
    "noise_multiplier": 1.2, "bounds": BOUNDS, "categories": {"key": ["C", "G", "D", "A"]}, "labels": ["rock", "pop"],
}  # fmt: skip
PARAMS: Json = {"epochs": 4, "batch_size": 50, "hidden": [{"units": 8}], "learning_rate": 0.02, "privacy": PRIVACY}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is written ends a job as any other does, which is tried on both databases in test_runner."""
    return sqlite_url


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return working.store_dataset(post, tenant, tmp_path, rows=400)


def run(post: Post, tenant: str, dataset: str, params: Json = PARAMS, **values: Any) -> Row[Any]:
    job = working.submit(post, tenant, dataset, params=params, **values)
    while runner.run(post, "train", only_tenant=None) is not None:
        pass
    return working.find(post, job)


def version_of(post: Post, job: Row[Any]) -> Row[Any]:
    assert job.state == "succeeded", job.error
    [version] = working.made(post, job.id)
    return version


def spec_of(post: Post, version: Row[Any]) -> Json:
    [file] = [each for each in version.files if each["name"] == SPEC]
    return json.loads(post.storage.get(file["key"]))


def with_privacy(**changed: Any) -> Json:
    return {**PARAMS, "privacy": {**PRIVACY, **changed}}


def test_a_private_version_tells_what_its_steps_came_to(post: Post, tenant: str, dataset: str) -> None:
    version = version_of(post, run(post, tenant, dataset))

    dp, rows = version.lineage["privacy"]["dp"], version.lineage["split"]["train"]
    assert dp["epsilon"] == accounting.epsilon(1.2, sampling=50 / rows, steps=4 * -(-rows // 50), delta=0.1 / rows)
    assert (dp["unit"], dp["units"], dp["steps"], dp["sampling"]) == ("row", rows, 4 * -(-rows // 50), "Poisson")
    assert (dp["noise_multiplier"], dp["clip_norm"], dp["delta"]) == (1.2, 1.0, 0.1 / rows)
    assert dp["accountant"] == accounting.accountant() and dp["not_counted"]
    assert dp["preprocessing"] == statement.DECLARED
    assert version.lineage["privacy"]["membership"]["measured"]


def test_an_asked_epsilon_is_met_and_hardly_undercut(post: Post, tenant: str, dataset: str) -> None:
    privacy = {**{name: value for name, value in PRIVACY.items() if name != "noise_multiplier"}, "epsilon": 3.0}

    dp = version_of(post, run(post, tenant, dataset, {**PARAMS, "privacy": privacy})).lineage["privacy"]["dp"]

    assert 2.9 < dp["epsilon"] <= 3.0


def test_an_ordinary_version_says_none(post: Post, tenant: str, dataset: str) -> None:
    version = version_of(post, run(post, tenant, dataset, working.SHORT))

    assert version.lineage["privacy"]["dp"] == "none"
    assert version.lineage["privacy"]["membership"]["verdict"] == "inconclusive"


def test_nothing_of_the_rows_is_kept_beside_the_weights(post: Post, tenant: str, dataset: str) -> None:
    job = run(post, tenant, dataset)

    version = version_of(post, job)
    spec = spec_of(post, version)
    names = {file["name"] for file in version.files}
    assert names == {SPEC, WEIGHTS, kept_rows.FILE}
    features = {each["name"]: each for each in spec["preprocessing"]["features"]}
    assert features["tempo"] == {
        "type": "number", "name": "tempo", "fill": 120.0, "low": 60.0, "high": 180.0, "mean": 120.0, "scale": 60.0,
        "indicator": False,
    }  # fmt: skip
    assert features["key"]["words"] == ["A", "C", "D", "G"] and features["key"]["rest"]
    assert spec["target"]["labels"] == ["pop", "rock"] and spec["target"]["temperatures"] == []
    assert version.baselines == {} and "importance" not in version.metrics
    with post.database.reading() as sql:
        told = job_list.list_epochs(sql, job.id)
    assert len(told) == 4 and all("val_loss" in each and not {"loss", "accuracy"} & set(each) for each in told)


def test_two_trainings_have_other_noise_and_a_seed_has_no_epsilon(post: Post, tenant: str, dataset: str) -> None:
    secret = [version_of(post, run(post, tenant, dataset)) for _ in range(2)]
    seeded = [version_of(post, run(post, tenant, dataset, with_privacy(noise_seed=5))) for _ in range(2)]

    def weights(version: Row[Any]) -> str:
        return str(next(file["sha256"] for file in version.files if file["name"] == WEIGHTS))

    assert weights(secret[0]) != weights(secret[1])
    assert weights(seeded[0]) == weights(seeded[1])
    dp = seeded[0].lineage["privacy"]["dp"]
    assert dp["epsilon"] is None and "noise_seed" in dp["reason"]


def test_a_training_with_a_seed_is_reproduced_byte_for_byte(post: Post, tenant: str, dataset: str) -> None:
    version = version_of(post, run(post, tenant, dataset, with_privacy(noise_seed=5)))

    again = run(post, tenant, dataset, {}, action="reproduce", version=version.id, kind="classification")

    assert again.state == "succeeded", again.error
    assert again.result["identical"], again.result["files"]


def test_a_regression_is_in_the_units_of_its_bounds(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_table(post, tenant, tmp_path, canonical.music(300), target=["loudness"], id="piece",
                                  drop=["genre"])  # fmt: skip

    version = version_of(post, run(post, tenant, dataset, kind="regression"))

    target = spec_of(post, version)["target"]
    assert (target["mean"], target["scale"], target["spread"]) == ([0.0], [20.0], [20.0])
    assert version.lineage["privacy"]["dp"]["epsilon"] > 0


def test_groups_are_the_unit_where_there_are_some(post: Post, tenant: str, tmp_path: Path) -> None:
    music = canonical.music(600)
    music["artist"] = [f"a{row % 60}" for row in range(600)]
    dataset = working.store_table(post, tenant, tmp_path, music, target=["genre"], id="piece", group="artist")
    params = {**PARAMS, "batch_size": 10, "privacy": {**PRIVACY, "examples_per_unit": 4}}

    dp = version_of(post, run(post, tenant, dataset, params)).lineage["privacy"]["dp"]

    assert (dp["unit"], dp["units"], dp["examples_per_unit"]) == ("group", 48, 4)
    assert dp["sampling_probability"] == 10 / 48


@pytest.mark.parametrize("separator", [None, "|"])
def test_a_label_that_is_declared_and_that_no_row_has_is_learned_all_the_same(
    post: Post, tenant: str, dataset: str, separator: str | None
) -> None:
    params = {**with_privacy(labels=["rock", "pop", "jazz"]), "label_separator": separator}

    version = version_of(post, run(post, tenant, dataset, params))

    assert spec_of(post, version)["target"]["labels"] == ["jazz", "pop", "rock"]


@pytest.mark.parametrize(
    ("params", "code", "pointer"),
    [
        (with_privacy(bounds={"tempo": [0.0, 1.0]}), "privacy_undeclared", "/params/privacy/bounds"),
        (with_privacy(labels=["rock", "jazz"]), "label_undeclared", "/params/privacy/labels"),
        (with_privacy(unit="group"), "group_missing", "/params/privacy/unit"),
        (with_privacy(delta=0.01), "privacy_misfit", "/params/privacy/delta"),
        ({**PARAMS, "batch_size": 390}, "privacy_misfit", "/params/batch_size"),
    ],
)
def test_what_only_the_rows_tell_fails_with_its_place(
    post: Post, tenant: str, dataset: str, params: Json, code: str, pointer: str
) -> None:
    job = run(post, tenant, dataset, params)

    assert (job.state, job.error["code"]) == ("failed", code)
    assert job.error["errors"][0]["pointer"] == pointer


def test_a_training_cut_short_tells_of_the_steps_that_it_took(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, params={**PARAMS, "epochs": 20_000})
    work = working.Working(post)
    working.wait_for_epochs(post, job)
    working.cancel(post, tenant, job, keep="best")
    work.join()

    [version] = working.made(post, job)
    dp, ended = version.lineage["privacy"]["dp"], working.find(post, job)
    steps = ended.result["epochs"] * -(-version.lineage["split"]["train"] // 50)
    assert ended.result["epochs"] < 20_000 and dp["steps"] == steps
    assert dp["epsilon"] == accounting.epsilon(1.2, sampling=dp["sampling_probability"], steps=steps, delta=dp["delta"])


def test_a_model_that_knows_its_rows_by_heart_does_not_pass_the_gate(post: Post, tenant: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    columns: Json = {f"x{place}": random.normal(size=900) for place in range(20)}
    columns["genre"] = [["rock", "pop"][place] for place in random.integers(2, size=900)]
    dataset = working.store_table(post, tenant, tmp_path, columns, target=["genre"])
    learned = {"epochs": 80, "hidden": [{"units": 128}], "learning_rate": 0.01, "baselines": False, "test": 0.4}
    gate = {"alias": "champion", "require": {"privacy": {"membership_auc_at_most": 0.65}}}

    job = run(post, tenant, dataset, learned, promote=gate)
    shallow = run(post, tenant, dataset, {**learned, "epochs": 1, "learning_rate": 0.0001}, promote=gate)

    assert version_of(post, job).lineage["privacy"]["membership"]["auc"]["interval"][0] > 0.7
    assert "membership_leak" in [each["code"] for each in version_of(post, job).warnings]
    assert not job.result["promotion"]["moved"] and "membership AUC" in job.result["promotion"]["reason"]["detail"]
    assert shallow.result["promotion"]["moved"]


OBJECTIVE = Objective("binary_crossentropy", metrics=("accuracy",))
TRAIN, HELD_OUT = cases.split(cases.binary(), held_out=20)
LAYERS: list[Json] = [{"units": 6, "dropout": 0.3, "l2": 0.01}]


def fit(*, watch: Silent | None = None, checkpoint: Any = None, seed: int | None = 3) -> Any:
    params = cases.TrainParams.model_validate(
        {"epochs": 9, "batch_size": 16, "hidden": LAYERS, "privacy": {"noise_multiplier": 1.0, "noise_seed": seed}}
    )
    plan = plans.make(params, np.arange(len(TRAIN.x)), None)
    return training.fit(
        cases.describe(TRAIN, LAYERS, "sigmoid"), OBJECTIVE, params, train=TRAIN, validation=HELD_OUT,
        watch=watch or Silent(), checkpoint=checkpoint, plan=plan,
    )  # fmt: skip


@pytest.fixture
def one_epoch_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SMALL", 0)
    monkeypatch.setattr(training, "CHUNK_S", 0.0)


@pytest.mark.parametrize("epochs", [1, 5])
def test_a_killed_training_goes_on_with_its_own_draws_and_noise(one_epoch_a_chunk: None, epochs: int) -> None:
    alone = fit()
    killed = Saving(leave_after=epochs)
    with pytest.raises(KilledError):
        fit(watch=killed)

    resumed = fit(checkpoint=killed.checkpoints[-1])

    assert resumed.epochs == alone.epochs == 9
    assert cases.same_bytes(resumed, alone)


def test_a_secret_key_survives_a_kill_and_no_other_training_has_it(one_epoch_a_chunk: None) -> None:
    killed = Saving(leave_after=2)
    with pytest.raises(KilledError):
        fit(watch=killed, seed=None)
    checkpoint = killed.checkpoints[-1]

    first, second = (fit(checkpoint=checkpoint, seed=None) for _ in range(2))

    assert cases.same_bytes(first, second)
    assert not cases.same_bytes(first, fit(seed=None))


def test_nobody_who_knows_the_params_knows_the_masks_of_dropout() -> None:
    def seeds(noise_seed: int | None) -> list[int]:
        params = cases.TrainParams.model_validate(
            {"batch_size": 16, "privacy": {"noise_multiplier": 1.0, "noise_seed": noise_seed}}
        )
        plan = plans.make(params, np.arange(80), None)
        epochs = training._prepare_private(cases.describe(TRAIN, LAYERS, "sigmoid"), OBJECTIVE, params, plan)
        [dropout] = [layer for layer in epochs.model.layers if hasattr(layer, "seed_generator")]
        return list(np.asarray(dropout.seed_generator.state).tolist())

    assert seeds(None) != seeds(None)
    assert seeds(3) == seeds(3) != seeds(4)


def test_no_two_steps_share_their_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr(tf, "function", lambda called, **_: called)
    monkeypatch.setattr(PrivateEpochs, "_take", lambda self, x, y, w, seed: seen.append(tuple(seed.numpy())) or True)
    params = cases.TrainParams.model_validate({"epochs": 3, "batch_size": 16, "privacy": {"noise_multiplier": 1.0}})
    plan = plans.make(params, np.arange(80), None)
    epochs = training._prepare_private(cases.describe(TRAIN, LAYERS, "sigmoid"), OBJECTIVE, params, plan)

    for order in epochs.orders(0, range(3), 80):
        epochs._part(TRAIN.x, TRAIN.y, np.ones(80), tf.constant(order), 0.1, tf.constant(0), 5, tf.zeros(2))

    assert len(seen) == len(set(seen)) == plan.steps(3) == 15


def test_with_little_noise_it_learns_what_an_ordinary_training_does() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2000, 6)).astype(np.float32)
    table = Table(x, (x[:, :1] > x[:, 1:2]).astype(np.float32))
    params = cases.TrainParams.model_validate(
        {"epochs": 12, "batch_size": 100, "learning_rate": 0.02, "privacy": {"noise_multiplier": 0.5}}
    )
    spec, plan = cases.describe(table, [{"units": 16}], "sigmoid"), plans.make(params, np.arange(2000), None)

    fitted = training.fit(spec, OBJECTIVE, params, train=table, validation=table, watch=Silent(), checkpoint=None,
                          plan=plan)  # fmt: skip

    assert fitted.history[-1]["val_accuracy"] > 0.95
    assert not {"loss", "accuracy"} & set(fitted.history[-1])
