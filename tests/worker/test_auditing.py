"""Audits of labels that are known to be wrong, and the datasets that are corrected by them: real jobs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Row, update

from shared import audits, datasets, job_list, jobs
from shared.audits import Decision
from shared.errors import NotAllowedNow
from shared.tables import datasets as table
from tests.worker import canonical, labelled, recorded, working
from worker import runner, tables
from worker.runner import Post

Json = dict[str, Any]
QUICK = {"epochs": 8, "hidden": [{"units": 8}], "learning_rate": 0.02, "batch_size": 16, "early_stopping": False}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is kept in SQL has its tests beside the door; here are many trainings."""
    return sqlite_url


def audit(post: Post, tenant: str, dataset: str, params: Json) -> Row[Any]:
    job = working.submit(post, tenant, dataset, action="audit", model=None, params=params)
    runner.run(post, "train", only_tenant=None)
    return working.find(post, job)


def store(post: Post, tenant: str, folder: Path, columns: Json, *, name: str = "songs", **roles: Any) -> str:
    """A ready dataset under a name."""
    dataset = working.store_table(post, tenant, folder, columns, **{"target": ["genre"], "id": "piece", **roles})
    with post.database.of(tenant).transaction() as sql:
        described = {"format": "table", "columns": {}, "name": name, "sha256": f"{dataset:0>64}"[-64:]}
        sql.execute(update(table).where(table.c.id == dataset).values(described))
    return dataset


def ranking(post: Post, job: str) -> list[Json]:
    with post.database.reading() as sql:
        file = job_list.find_output(sql, job, "audit.jsonl")
    assert file is not None
    lines = [json.loads(line) for line in post.storage.get(file.key).splitlines()]
    assert len(lines) == file.rows
    return lines


def decide(post: Post, job: str, *decisions: Decision) -> None:
    with post.database.transaction() as sql:
        audits.decide(sql, job, decisions, key="key_test")


def apply(post: Post, tenant: str, job: str) -> audits.Applied:
    with post.database.transaction() as sql:
        return audits.apply(sql, tenant, audits.find(sql, tenant, job))


def corrected(post: Post, tenant: str, applied: audits.Applied) -> Row[Any]:
    """The corrected version once its ingest has run."""
    runner.run(post, "light", only_tenant=None)
    row = working.find(post, applied.job.id)
    assert row.state == jobs.SUCCEEDED, row.error
    with post.database.reading() as sql:
        return datasets.find(sql, tenant, row.datasets[0])


def cells(post: Post, folder: Path, dataset: Row[Any], column: str) -> list[str]:
    (part,) = [part for part in dataset.parts if part["name"].endswith(".parquet")]
    path = folder / f"{dataset.id}.parquet"
    path.write_bytes(post.storage.get(part["key"]))
    texts = tables.labels(tables.read([path], [column])[column])
    return [texts.words[code] for code in texts.codes.tolist()]


def test_planted_labels_are_found_decided_and_corrected(post: Post, tenant: str, tmp_path: Path) -> None:
    columns, planted = labelled.songs(300, wrong=20)
    dataset = store(post, tenant, tmp_path, columns)

    row = audit(post, tenant, dataset, {**labelled.WELL, "top": 30})

    assert row.state == jobs.SUCCEEDED, row.error
    ranked = ranking(post, row.id)
    assert sorted(line["row"] for line in ranked) == list(range(300))
    first = ranked[:30]
    found = [line for line in first if line["row"] in planted]
    # Drawn at random two of thirty would be wrong.
    assert len(found) >= 14
    assert sum(line["suggested"] == planted[line["row"]] for line in found) >= 12
    said = row.result
    assert said["suspects"] == [line for line in ranked if line["is_suspect"]][:30]
    assert [line["self_confidence"] for line in ranked] == sorted(line["self_confidence"] for line in ranked)
    assert said["suspects_total"] == sum(line["is_suspect"] for line in ranked)
    assert said["error_rate"]["interval"][0] < 20 / 300 < said["error_rate"]["interval"][1]
    assert [each["label"] for each in said["classes"]] == list(labelled.GENRES)
    assert np.sum(said["noise"]["rows"], axis=0) == pytest.approx([1, 1, 1], abs=1e-5)
    assert all(line["key"] == f"p{line['row']}" for line in first)
    assert row.model is None and working.made(post, row.id) == []

    decide(post, row.id, *(Decision(line["row"], "accept", planted[line["row"]]) for line in found[:10]))
    decide(post, row.id, Decision(found[0]["row"], "reject", None))
    new = corrected(post, tenant, apply(post, tenant, row.id))

    assert (new.name, new.version, new.base) == ("songs", 2, None)
    assert new.profile["corrected"]["labels_changed"] == 9 and new.profile["corrected"]["audit"] == row.id
    assert new.profile["roles"]["target"] == ["genre"] and new.profile["roles"]["id"] == "piece"
    expected = list(columns["genre"])
    for line in found[1:10]:
        expected[line["row"]] = planted[line["row"]]
    assert cells(post, tmp_path, new, "genre") == expected
    # Another version may add rows to it, as to any.
    assert [file["name"] for file in files(post, new)] == ["corrected.parquet"]
    again = apply(post, tenant, row.id)
    assert (again.is_new, again.job.datasets) == (False, [new.id])
    decide(post, row.id, Decision(found[11]["row"], "accept", planted[found[11]["row"]]))
    third = corrected(post, tenant, apply(post, tenant, row.id))
    assert third.version == 3
    assert "newer_versions" in [each["code"] for each in third.profile["warnings"]]
    assert third.sha256 != new.sha256


def files(post: Post, dataset: Row[Any]) -> list[Json]:
    with post.database.reading() as sql:
        return [{"name": file.name} for file in datasets.files(sql, dataset.id)]


def test_several_labels_a_row_are_judged_one_by_one(post: Post, tenant: str, tmp_path: Path) -> None:
    columns = canonical.music(240)
    genre, chance = columns.pop("genre"), np.random.default_rng(3)
    fast = [tempo > 120 for tempo in columns["tempo"]]
    tags = [[word for word, has in (("rock", each == "rock"), ("fast", quick), ("live", chance.random() < 0.5)) if has]
            for each, quick in zip(genre, fast, strict=True)]  # fmt: skip
    planted = [row for row in range(240) if columns["tempo"][row] > 130][:6]
    for row in planted:
        tags[row].remove("fast")
    columns["genre"] = ["|".join(each) or "none" for each in tags]
    dataset = store(post, tenant, tmp_path, columns, drop=["loudness"])

    row = audit(post, tenant, dataset, {**QUICK, "epochs": 20, "label_separator": "|"})

    assert row.state == jobs.SUCCEEDED, row.error
    suspects = [line for line in ranking(post, row.id) if line["is_suspect"]]
    lacking = [line for line in suspects if "fast" in line["suggested"] and "fast" not in line["given"]]
    found = [line for line in lacking if line["row"] in planted]
    assert len(found) >= 5 and len(lacking) <= 15
    assert "fast" in {line["doubted"] for line in found}
    said = row.result
    assert set(said["noise"]) == {"labels", "missing", "added"} and said["target"]["separator"] == "|"
    assert set(said["tags"]) == {"variants", "rare", "synonyms", "implied", "never_together"}

    decide(post, row.id, Decision(found[0]["row"], "accept", found[0]["suggested"]))
    new = corrected(post, tenant, apply(post, tenant, row.id))

    assert set(cells(post, tmp_path, new, "genre")[found[0]["row"]].split("|")) == set(found[0]["suggested"])


def test_what_cannot_be_audited_says_why(post: Post, tenant: str, tmp_path: Path) -> None:
    columns = canonical.music(40)
    wrong = {
        "target_constant": {**columns, "genre": ["rock"] * 40},
        "class_too_small": {**columns, "genre": ["odd"] + ["pop", "rock"] * 19 + ["pop"]},
        "target_not_labels": {**columns, "genre": columns["loudness"]},
    }

    found = {}
    for code, told in wrong.items():
        row = audit(post, tenant, store(post, tenant, tmp_path, told, name=code), QUICK)
        found[code] = (row.state, row.error["code"], row.tries)
    grouped = {**columns, "band": ["one", "two"] * 20}
    few = audit(post, tenant, store(post, tenant, tmp_path, grouped, group="band"), QUICK)

    assert found == {code: (jobs.FAILED, code, 0) for code in wrong}
    assert (few.state, few.error["code"]) == (jobs.FAILED, "too_few_rows")


def test_a_class_of_fewer_rows_than_folds_is_audited_with_a_warning(post: Post, tenant: str, tmp_path: Path) -> None:
    columns = canonical.music(40)
    columns["genre"] = ["odd"] * 2 + ["pop", "rock"] * 19

    row = audit(post, tenant, store(post, tenant, tmp_path, columns), QUICK)

    assert row.state == jobs.SUCCEEDED, row.error
    assert "class_below_folds" in [each["code"] for each in row.result["warnings"]]
    assert len(ranking(post, row.id)) == 40


def test_a_dataset_that_was_erased_is_neither_audited_nor_corrected(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = store(post, tenant, tmp_path, canonical.music(40))
    row = audit(post, tenant, dataset, {**QUICK, "folds": 2})
    decide(post, row.id, Decision(3, "accept", "rock"), Decision(4, "accept", "pop"))
    applied = apply(post, tenant, row.id)
    with post.database.transaction() as sql:
        datasets.erase(sql, tenant, dataset)

    runner.run(post, "light", only_tenant=None)
    late = audit(post, tenant, dataset, QUICK)

    ingest = working.find(post, applied.job.id)
    assert (ingest.state, ingest.error["code"]) == (jobs.FAILED, "dataset_erased")
    assert (late.state, late.error["code"]) == (jobs.FAILED, "dataset_erased")
    with pytest.raises(NotAllowedNow, match="erased"):
        apply(post, tenant, row.id)


def test_decisions_that_change_before_they_are_applied_are_not_applied(post: Post, tenant: str, tmp_path: Path) -> None:
    row = audit(post, tenant, store(post, tenant, tmp_path, canonical.music(40)), {**QUICK, "folds": 2})
    decide(post, row.id, Decision(3, "accept", "rock"))
    applied = apply(post, tenant, row.id)
    decide(post, row.id, Decision(3, "reject", None), Decision(5, "accept", "jazz"))

    runner.run(post, "light", only_tenant=None)

    ingest = working.find(post, applied.job.id)
    assert (ingest.state, ingest.error["code"]) == (jobs.FAILED, "decisions_changed")
    new = corrected(post, tenant, apply(post, tenant, row.id))
    assert cells(post, tmp_path, new, "genre")[5] == "jazz"


def test_a_cancel_between_folds_ends_an_audit(post: Post, tenant: str, tmp_path: Path) -> None:
    endless = {"epochs": 100_000, "batch_size": 1, "early_stopping": False, "hidden": [{"units": 4}], "folds": 2}
    dataset = store(post, tenant, tmp_path, canonical.music(40))
    job = working.submit(post, tenant, dataset, action="audit", model=None, params=endless)
    worker = working.Working(post)
    working.wait(lambda: (working.find(post, job).progress or {}).get("unit") == "folds")

    working.cancel(post, tenant, job)
    worker.join()

    assert working.find(post, job).state == jobs.CANCELLED


def test_recordings_are_audited_by_their_tracks_and_corrected_without_being_heard_again(
    post: Post, tenant: str, tmp_path: Path
) -> None:
    names = [f"song{number}.wav" for number in range(8)]
    sounds = {name: recorded.write(tmp_path / name, 200 + 60 * place) for place, name in enumerate(names)}
    labels = [(name, "high" if place >= 4 else "low", f"band {place}") for place, name in enumerate(names)]
    dataset, _ = recorded.ingest(post, tenant, {**sounds, "songs.csv": recorded.manifest(labels)}, target="genre")

    row = audit(post, tenant, dataset.id, {"folds": 2, "epochs": 2, "hidden": [{"units": 4}]})

    assert row.state == jobs.SUCCEEDED, row.error
    ranked = ranking(post, row.id)
    assert sorted(line["file"] for line in ranked) == names
    decide(post, row.id, Decision(2, "accept", "high"))
    new = corrected(post, tenant, apply(post, tenant, row.id))
    assert (new.version, new.base, new.profile["corrected"]["labels_changed"]) == (2, dataset.id, 1)
    assert new.profile["audio"] == dataset.profile["audio"]
    assert cells(post, tmp_path, new, "genre") == ["low", "low", "high", "low", "high", "high", "high", "high"]
    assert [each["key"] for each in recorded.reports(post, new)] == names
    # Rows that are added later are added to the corrected ones.
    more = {
        "more.wav": recorded.write(tmp_path / "more.wav", 900),
        "manifest.csv": recorded.manifest([("more.wav", "low", "x")]),
    }
    added, ingest = recorded.ingest(post, tenant, more, base=new.id, target="genre")
    assert ingest.state == jobs.SUCCEEDED, ingest.error
    assert cells(post, tmp_path, added, "genre")[2] == "high" and added.rows == 9
