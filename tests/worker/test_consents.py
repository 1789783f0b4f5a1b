"""Rows that nobody agreed to teach with: counted at the ingest, and kept out of every training."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import insert, select

from shared import jobs, pseudonyms, rights
from shared.database import now
from shared.errors import JobFailed
from shared.row_keys import RowKeys
from shared.table_params import TableTraining
from shared.tables import outputs, rights_entries, versions
from tests.worker import canonical, working
from worker import consent_cells, consents, ingest, learned, preparation, runner
from worker.prediction_files import RIGHTS
from worker.runner import Post

SHORT = {**working.SHORT, "keep_examples": False, "importance": False}

Json = dict[str, Any]


def ingested(folder: Path, text: str, **columns: str) -> Json:
    path = folder / "songs.csv"
    path.write_text(text)
    return ingest.run(
        [ingest.UploadedFile("songs.csv", path)], columns=columns, out_dir=folder, progress=lambda done, total: None
    ).profile


def test_a_table_says_how_many_rows_come_under_which_terms(tmp_path: Path) -> None:
    text = "song,genre,terms,agreed\na,rock,CC BY 4.0,yes\nb,pop,cc-by-nc-4.0,no\nc,rock,House rules,\nd,pop,,granted\n"

    profile = ingested(tmp_path, text, id="song", target="genre", licence="terms", consent="agreed")

    # What is refused is not used: its licence does not count.
    assert profile["rights"] == {
        "licences": {"CC-BY-4.0": 1, "House rules": 1}, "without_licence": 1,
        "consents": {"granted": 2, "refused": 1}, "without_consent": 1,
    }  # fmt: skip
    assert (profile["roles"]["licence"], profile["roles"]["consent"]) == ("terms", "agreed")
    assert "rights_excluded" in {each["code"] for each in profile["warnings"]}


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("song,genre,agreed\na,rock,perhaps\n", "consent_unreadable", "received text of 7 characters (1 times)"),
        ("song,genre,consent\na,rock,yes\n", "column_missing", "did you mean 'consent'"),
    ],
)
def test_a_column_that_says_nothing_of_consent_is_refused(tmp_path: Path, text: str, code: str, part: str) -> None:
    named = "agreed" if "agreed" in text else "consents"
    with pytest.raises(JobFailed) as failed:
        ingested(tmp_path, text, target="genre", consent=named)

    assert (failed.value.code, failed.value.faults[0].code) == ("dataset_rejected", code)
    assert part in failed.value.faults[0].message


def test_more_licences_than_there_are_mean_the_wrong_column() -> None:
    tally = consent_cells.Tally("terms", None)
    tally.take(pa.table({"terms": [f"name {number}" for number in range(201)]}))

    with pytest.raises(JobFailed) as failed:
        tally.as_json()

    assert failed.value.faults[0].code == "licences_too_many"


def songs(rows: int = 60) -> Json:
    return {**canonical.music(rows), "agreed": ["no" if row % 10 == 0 else "yes" for row in range(rows)]}


def test_rows_that_are_refused_are_never_examples(tmp_path: Path) -> None:
    paths, profile = canonical.write(tmp_path, songs(), target=["genre"], id="piece")
    profile["roles"]["consent"] = "agreed"
    key = pq.read_table(paths[0], columns=["piece"]).column(0)[11].as_py()

    examples = preparation.load(paths, {**profile, "withheld": {str(key)}}, TableTraining())

    assert set(range(60)) - set(examples.rows.tolist()) == {0, 10, 11, 20, 30, 40, 50}
    assert all(len(column) == 53 for column in examples.columns.values() if isinstance(column, np.ndarray))
    assert examples.withheld == 7 and "agreed" not in examples.features
    assert [caution.code for caution in examples.cautions] == ["rights_excluded"]


def test_where_nobody_agreed_nothing_is_learned(tmp_path: Path) -> None:
    paths, profile = canonical.write(tmp_path, {**songs(), "agreed": ["no"] * 60}, target=["genre"])
    profile["roles"]["consent"] = "agreed"

    with pytest.raises(JobFailed) as failed:
        preparation.load(paths, profile, TableTraining())

    assert failed.value.code == "rights_exclude_all"


@pytest.mark.parametrize(("key", "keys"), [(np.array([1.0, 2.0, 2.5]), {"2", "2.5"}), (None, {"2"})])
def test_keys_of_numbers_are_known_as_they_are_told(key: Any, keys: set[str]) -> None:
    found = consent_cells.is_withheld(key, None, keys, 3)

    assert found.tolist() == ([False, True, True] if key is not None else [False] * 3)


def test_rows_are_known_by_their_pseudonyms_and_from_before_by_their_keys() -> None:
    named = pseudonyms.of_row("pepper", "t", "songs", "s1")

    withheld = consents.Withheld("pepper", "t", {"songs": frozenset({named, "s2"}), "other": frozenset({"s3"})})

    assert [key in withheld for key in ("s1", "s2", "s3", "s4")] == [True, True, True, False]
    assert (len(withheld), set(withheld)) == (3, {named, "s2", "s3"})


def learn(post: Post, tenant: str, dataset: str, **values: Any) -> Any:
    job = working.submit(post, tenant, dataset, **{"params": SHORT, **values})
    runner.run(post, "train", only_tenant=None)
    return working.find(post, job)


def enter(post: Post, tenant: str, dataset: str, *, track: str | None = None, **said: Any) -> None:
    with post.database.transaction() as sql:
        names = RowKeys(post.storage, post.settings.pepper)
        rights.append(sql, tenant, dataset, said, key="test", track=track, names=names)


def test_a_version_and_its_predictions_carry_the_terms_of_what_they_are_made_of(
    post: Post, tenant: str, tmp_path: Path
) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    key = str(canonical.music(60)["piece"][3])
    enter(post, tenant, dataset, licence="CC-BY-NC-4.0", consent="granted", holder="Ada")
    enter(post, tenant, dataset, track=key, consent="refused")

    ended = learn(post, tenant, dataset, promote={"alias": "champion"})
    assert ended.state == jobs.SUCCEEDED, ended.error
    carried = ended.result["rights"]
    (taught,) = carried["inputs"]
    assert (carried["commercial"], carried["consent"], taught["entry"]) == ("no", "granted", 2)
    assert (taught["withheld_rows"], taught["holder"]) == (1, "Ada")
    assert "rights_excluded" in {each["code"] for each in ended.result["warnings"]}
    # A worker's promotion is judged as anybody's move.
    assert ended.result["promotion"]["reason"]["code"] == "alias_not_commercial"
    with post.database.reading() as sql:
        version = sql.execute(select(versions)).one()
    assert version.lineage["rights"] == carried
    assert sum(version.lineage["split"][part] for part in ("train", "validation")) == 59

    params = {"formats": ["parquet", "csv", "jsonl"]}
    scored = learn(post, tenant, dataset, action="score", model="songs", version=version.id, params=params)
    assert scored.state == jobs.SUCCEEDED, scored.error
    said = scored.result["rights"]
    assert [each["what"] for each in said["inputs"]] == ["learned_from", "scored"] and said["commercial"] == "no"
    with post.database.reading() as sql:
        chosen = select(outputs.c.key).where(outputs.c.job == scored.id, outputs.c.name == "predictions.parquet")
        content = post.storage.get(sql.execute(chosen).scalar_one())
    assert b"CC-BY-NC-4.0" in pq.read_metadata(pa.BufferReader(content)).metadata[RIGHTS.encode()]


def test_the_winner_of_a_search_has_learned_from_nobody_who_has_refused_meanwhile(
    post: Post, tenant: str, tmp_path: Path
) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    rates = {"learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True}}
    params = {"train": {"epochs": 2}, "space": rates, "trials": 2, "halving": None, "min_gain_per_hour": None}
    search = working.submit(post, tenant, dataset, action="tune", params=params)
    for _ in range(2):
        # The search makes its trials, and one of them is tried.
        assert runner.run(post, "train", only_tenant=None) is not None
    enter(post, tenant, dataset, track=str(canonical.music(60)["piece"][3]), consent="refused")
    while runner.run(post, "train", only_tenant=None) is not None:
        pass

    ended = working.find(post, search)
    assert ended.state == jobs.FAILED and ended.error["code"] in ("consent_withdrawn", "no_trial_succeeded")
    with post.database.reading() as sql:
        assert sql.execute(select(versions.c.id)).all() == []


@pytest.mark.parametrize("track", [None, "a row"])
def test_consent_that_is_withdrawn_while_it_learns_leaves_nothing(
    post: Post, tenant: str, tmp_path: Path, track: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    enter(post, tenant, dataset, consent="granted")
    publish = learned.publish

    def late(desk: Any, made: Any, **said: Any) -> Any:
        # All is learned, and nothing is recorded yet.
        enter(post, tenant, dataset, track=track, consent="refused")
        return publish(desk, made, **said)

    monkeypatch.setattr("worker.pipeline.publish", late)
    ended = learn(post, tenant, dataset)

    assert (ended.state, ended.error["code"]) == (jobs.FAILED, "consent_withdrawn")
    with post.database.reading() as sql:
        assert sql.execute(select(versions.c.id)).all() == []


def test_an_entry_about_something_else_withdraws_nothing(
    post: Post, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    track = str(canonical.music(60)["piece"][3])
    enter(post, tenant, dataset, track=track, consent="refused")
    publish = learned.publish

    def late(desk: Any, made: Any, **said: Any) -> Any:
        enter(post, tenant, dataset, track=track, holder="Ada")
        # Nor to whoever looks once more, as another attempt does.
        consents.look(desk, desk.dataset_rows())
        return publish(desk, made, **said)

    monkeypatch.setattr("worker.pipeline.publish", late)

    assert learn(post, tenant, dataset).state == jobs.SUCCEEDED


def test_a_rows_consent_that_ends_while_it_learns_leaves_nothing(
    post: Post, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    publish = learned.publish

    def late(desk: Any, made: Any, **said: Any) -> Any:
        with post.database.transaction() as sql:
            entry = {"tenant": tenant, "dataset": dataset, "number": 1, "track": "a row", "consent": "granted", "at": 0}
            sql.execute(insert(rights_entries).values(**entry, consent_until=now()))
        return publish(desk, made, **said)

    monkeypatch.setattr("worker.pipeline.publish", late)
    ended = learn(post, tenant, dataset)

    assert (ended.state, ended.error["code"]) == (jobs.FAILED, "consent_withdrawn")


def test_what_was_refused_since_it_was_queued_is_not_begun(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    enter(post, tenant, dataset, consent="refused")

    ended = learn(post, tenant, dataset)

    assert (ended.state, ended.error["code"]) == (jobs.FAILED, "consent_refused")
