"""A version, or two, judged on a labelled dataset that no training has seen: real trainings, real files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Row, update

from shared import jobs, models
from shared.tables import datasets
from tests.worker import canonical, working
from worker import kept_rows, runner
from worker.runner import Post

WELL = {"epochs": 40, "hidden": [{"units": 8}], "baselines": False, "learning_rate": 0.01}
BADLY = {**WELL, "epochs": 1, "learning_rate": 1e-6}
LEARNED_BESIDE = {"calibration", "thresholds", "abstaining"}

Json = dict[str, Any]


def store(post: Post, tenant: str, folder: Path, columns: Mapping[str, Any], **roles: Any) -> str:
    """A dataset whose content is like no other's."""
    dataset = working.store_table(post, tenant, folder, columns, **{"target": ["genre"], "id": "piece", **roles})
    with post.database.transaction() as sql:
        sql.execute(update(datasets).where(datasets.c.id == dataset).values(sha256=f"{dataset:0>64}"[-64:]))
    return dataset


def run(post: Post, tenant: str, dataset: str, **values: Any) -> Row[Any]:
    job = working.submit(post, tenant, dataset, **values)
    runner.run(post, "train", only_tenant=None)
    return working.find(post, job)


def train(post: Post, tenant: str, dataset: str, **values: Any) -> Row[Any]:
    row = run(post, tenant, dataset, **{"params": WELL, **values})
    assert row.state == jobs.SUCCEEDED, row.error
    return row


def evaluate(post: Post, tenant: str, dataset: str, number: int = 1, **values: Any) -> Row[Any]:
    with post.database.reading() as sql:
        version = models.find_version(sql, tenant, "songs", number).id
    return run(post, tenant, dataset, **{"action": "evaluate", "version": version, "params": {}, **values})


def test_versions_are_judged_side_by_side_on_rows_that_none_has_seen(post: Post, tenant: str, tmp_path: Path) -> None:
    learned = store(post, tenant, tmp_path, canonical.music(200))
    extras = {"thresholds": "auto", "abstain": {"accuracy": 0.8}}
    first = train(post, tenant, learned, params={**WELL, **extras})
    train(post, tenant, learned, params=BADLY)
    columns = canonical.music(90, seed=5)
    columns["genre"] = ["jazz", None, *columns["genre"][2:]]
    columns["tempo"] = [*columns["tempo"][:2], 1e39, *columns["tempo"][3:]]
    band = {**columns, "band": [f"band {row // 3}" for row in range(90)]}
    fresh = store(post, tenant, tmp_path, band, group="band")

    row = evaluate(post, tenant, fresh, params={"against": "songs@2"})

    assert row.state == jobs.SUCCEEDED, row.error
    assert set(first.result["metrics"]["validation"]) >= LEARNED_BESIDE
    said, judged = row.result, row.result["metrics"]["evaluation"]
    assert (said["model"], said["against"]["model"]) == ("songs@1", "songs@2")
    assert (said["rows"], said["left_out"]) == (88, {"unlabelled": 1, "unreadable": 1})
    assert [warning["code"] for warning in said["warnings"]] == ["label_unknown"]
    assert judged["accuracy"]["value"] > 0.7 > said["against"]["metrics"]["accuracy"]["value"]
    assert judged["accuracy"]["interval"][0] < judged["accuracy"]["value"] < judged["accuracy"]["interval"][1]
    assert sum(each["rows"] for each in judged["reliability"]) == 88
    assert 0 < judged["abstaining"]["coverage"] <= 1
    told = said["against"]["differences"]["accuracy"]
    gained = judged["accuracy"]["value"] - said["against"]["metrics"]["accuracy"]["value"]
    assert told["difference"] == pytest.approx(gained) and told["p"] < 0.05
    assert told["interval"][0] <= gained <= told["interval"][1]
    rows = said["against"]["mcnemar"]
    assert (rows["only_this"] - rows["only_other"]) / 88 == pytest.approx(gained) and rows["p"] < 0.05
    # A scoring abstains as the version does, unless it is told otherwise.
    scored = run(post, tenant, fresh, action="score", version=row.version, params={"formats": ["jsonl"]})
    assert scored.result["abstained"] + sum(scored.result["classes"].values()) == 89
    spoken = run(post, tenant, fresh, action="score", version=row.version, params={"abstain_below": 0.0})
    assert spoken.result["abstained"] == 0


def test_on_what_it_was_trained_on_a_version_is_flattered_and_equals_itself(
    post: Post, tenant: str, tmp_path: Path
) -> None:
    columns = canonical.music(80)
    learned = store(post, tenant, tmp_path, columns, target=["loudness"], drop=["genre"])
    made = train(post, tenant, learned, kind="regression")

    row = evaluate(post, tenant, learned, kind="regression", params={"against": "songs@1"})

    assert [warning["code"] for warning in row.result["warnings"]] == ["leakage_suspected"] * 2
    assert set(row.result["metrics"]["evaluation"]) == {"r2", "mse", "mae", "rmse"}
    found = row.result["against"]["differences"]
    assert all((each["difference"], each["p"]) == (0.0, 1.0) for each in found.values())
    assert "mcnemar" not in row.result["against"]
    assert kept_rows.FILE in [file["name"] for file in working.made(post, made.id)[0].files]


def test_what_cannot_be_judged_says_why(post: Post, tenant: str, tmp_path: Path) -> None:
    columns = canonical.music(80)
    learned = store(post, tenant, tmp_path, columns)
    train(post, tenant, learned)
    wrong = {
        "target_missing": {name: each for name, each in columns.items() if name != "genre"},
        "unlabelled": {**columns, "genre": np.array([None] * 80, object)},
        "columns_missing": {name: each for name, each in columns.items() if name != "tempo"},
        "too_few_rows": {**columns, "tempo": [1e39] * 80},
    }

    codes = {}
    for code, table in wrong.items():
        target = ["genre"] if "genre" in table else []
        row = evaluate(post, tenant, store(post, tenant, tmp_path, table, target=target))
        codes[code] = (row.state, row.error["code"], row.tries)
    unlike = evaluate(post, tenant, learned, params={"against": "etude.tagger-mtt"})

    assert codes == {code: (jobs.FAILED, code, 0) for code in wrong}
    assert (unlike.state, unlike.error["code"]) == (jobs.FAILED, "against_unlike")


@pytest.mark.parametrize("size", [0, kept_rows.MOST_NUMBERS + 1])
def test_outputs_of_no_rows_and_of_too_many_are_not_kept(size: int) -> None:
    outputs = np.zeros((size, 1), np.float32)

    assert kept_rows.pack(kept_rows.Kept(outputs, {}), np.arange(size), np.arange(size)) == {}
