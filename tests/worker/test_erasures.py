"""An erasure that was decided: what goes, what is marked, what is kept and told, and nothing that is readable."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from shared import datasets, models, pseudonyms, receipts
from shared.backup.saving import save
from shared.database import Database
from shared.errors import InvalidRequest, NotAllowedNow
from shared.masking import keys as masking_keys
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import datasets as dataset_table
from shared.tables import events
from shared.tables import jobs as job_table
from tests.worker import erased, restored, working
from tests.worker.erased import carry_out, decide, learn, log, marks, readable, score
from tests.worker.interactions import uploading
from worker.runner import Post

PLAYS = b"user,item,time\nalice,x,1\nalice,only hers,2\nbob,x,3\ncarol,y,4\n"
OTHER = b"user,item,time\nerin,x,1\n"


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


def receipt_of(post: Post, row: Any) -> Any:
    store = post.storage.open_keys().store
    assert receipts.is_signed(receipts.public_key(store), row.receipt, row.signature)
    return row.receipt


def test_a_listener_is_followed_through_the_log_from_the_decision_to_the_receipt(post: Post, tenant: str) -> None:
    plays, _ = uploading.ingest(post, tenant, {"a.csv": PLAYS})
    other, _ = uploading.ingest(post, tenant, {"a.csv": OTHER}, name="other")
    taste = learn(post, tenant, plays.id, model="taste", canary="alice")
    elsewhere = learn(post, tenant, other.id, model="elsewhere", canary="erin")
    scored = score(post, tenant, plays.id, canary="alice")
    pseudonym = pseudonyms.of(post.settings.pepper, tenant, "plays", "alice")

    row = carry_out(post, decide(post, tenant, "plays", listener="alice"))

    assert row.state == "done", working.find(post, row.job).error
    assert log(post, pseudonym) == [
        ("erasures.decide", row.id),
        ("erasures.rewrite", plays.id),
        ("erasures.delete_outputs", scored),
        ("erasures.mark_model", taste.id),
        ("erasures.done", row.id),
    ]
    assert marks(post, taste, elsewhere) == [[{"erasure": row.id, "kind": "listener"}], None]
    receipt = receipt_of(post, row)
    assert receipt["subject"] == {"kind": "listener", "dataset": "plays", "version": None, "pseudonym": pseudonym}
    assert [(each["reference"], each["events"], each["done"]) for each in receipt["datasets"]] == [
        ("plays@1", 2, "rewritten")
    ]
    assert (receipt["predictions_deleted"], receipt["requested_by"]) == ([scored], erased.KEY)
    assert [(each["reference"], each["done"]) for each in receipt["models"]] == [("taste@1", "kept")]
    # What the model has learned is in its weights still, and that is said.
    assert "taste@1" in [each["what"] for each in receipt["remains"]]
    assert readable(post, "alice") == [taste.files[0]["key"]]
    with post.database.reading() as sql:
        told = [dict(each) for table in (job_table, events) for each in sql.execute(select(table)).mappings()]
    assert "alice" not in json.dumps(told) + erased.told(row)


def test_each_artefact_of_a_receipt_is_gone_with_its_key(post: Post, tenant: str) -> None:
    plays, _ = uploading.ingest(post, tenant, {"a.csv": PLAYS})
    learn(post, tenant, plays.id, model="taste", canary="alice")

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "plays", listener="alice", policy="delete")))

    kinds = {each["kind"] for each in receipt["artefacts"]}
    assert kinds == {"dataset_part", "kept_rows", "model_file"}
    assert all(len(each["sha256"]) == 64 for each in receipt["artefacts"])
    places = [each["place"] for each in receipt["artefacts"] + receipt["unnamed_files"]]
    assert not [place for place in places if post.storage.exists(place)]
    keys = post.storage.open_keys()
    assert not [place for place in places if keys.find(place).key is not None]
    # The upload went when it was read.
    assert {each["place"].split("/")[-2] for each in receipt["unnamed_files"]} == {"checkpoints"}
    assert readable(post, "alice") == []


def test_a_dataset_is_gone_at_once_and_then_its_bytes(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    with post.database.of(tenant).transaction() as sql:
        sql.execute(update(dataset_table).where(dataset_table.c.id == dataset).values(name="songs"))
    model = learn(post, tenant, dataset, model="genre", canary="Canary")
    scored = score(post, tenant, dataset, canary="Canary")

    decided = decide(post, tenant, "songs")

    with post.database.reading() as sql:
        assert datasets.is_erased(sql, dataset)
    with pytest.raises(InvalidRequest, match="which names none"):
        decide(post, tenant, "songs")
    row = carry_out(post, decided)
    receipt = receipt_of(post, row)
    assert [each["done"] for each in receipt["datasets"]] == ["erased"]
    assert {each["kind"] for each in receipt["artefacts"]} == {"dataset_part", "output", "kept_rows"}
    assert receipt["predictions_deleted"] == [scored]
    assert readable(post, "Canary") == [model.files[0]["key"]]
    assert post.storage.keys(f"t/{tenant}/datasets/") == []
    assert [name for name, _ in log(post, row.id)] == [
        "erasures.decide", "erasures.erase_dataset", "erasures.delete_outputs", "erasures.mark_model", "erasures.done"
    ]  # fmt: skip


def test_one_version_goes_and_what_was_added_to_it_is_told(post: Post, tenant: str) -> None:
    first, _ = uploading.ingest(post, tenant, {"a.csv": PLAYS})
    second, _ = uploading.ingest(post, tenant, {"b.csv": OTHER}, base=first.id)

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "plays@1")))

    assert [each["reference"] for each in receipt["datasets"]] == ["plays@1"]
    assert "plays@2" in [each["what"] for each in receipt["remains"]]
    assert uploading.find(post, tenant, second.id).state == "ready"


def test_models_are_deleted_with_their_aliases_where_that_is_chosen(post: Post, tenant: str) -> None:
    plays, _ = uploading.ingest(post, tenant, {"a.csv": PLAYS})
    clean, _ = uploading.ingest(post, tenant, {"a.csv": OTHER})
    first = learn(post, tenant, plays.id, model="taste", canary="alice")
    kept = learn(post, tenant, clean.id, model="taste", canary="erin")
    only = learn(post, tenant, plays.id, model="nights", canary="alice")
    with post.database.transaction() as sql:
        for alias, number in (("champion", 2), ("champion", 1), ("stable", 1), ("stable", 2)):
            models.move_alias(sql, tenant, "taste", alias, number=number)

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "plays", listener="alice", policy="delete")))

    assert marks(post, first, kept, only) == ["deleted", None, "deleted"]
    # It does not fall back to where it pointed before.
    assert receipt["aliases_removed"] == ["taste@champion"]
    with post.database.reading() as sql:
        assert models.list_aliases(sql, kept.model) == {"stable": 2}
        with pytest.raises(InvalidRequest):
            models.resolve(sql, tenant, "taste@champion", pointer="/model")
        with pytest.raises(InvalidRequest):
            models.resolve(sql, tenant, "nights", pointer="/model")


def test_models_are_trained_anew_where_that_is_chosen(post: Post, tenant: str) -> None:
    content = b"user,item\n" + b"".join(b"u%d,i%d\n" % (n % 40, n * 7 % 31) for n in range(900))
    plays, _ = uploading.ingest(post, tenant, {"a.csv": content})
    taste = learn(post, tenant, plays.id, model="taste", canary="u3")

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "plays", listener="u3", policy="retrain")))

    (new,) = receipt["retrained"]
    assert (working.find(post, new).kind, working.find(post, new).model) == ("recommendation", "taste")
    assert marks(post, taste) != [None]


def test_a_listener_that_nobody_knows_changes_nothing_and_that_is_signed(post: Post, tenant: str) -> None:
    plays, _ = uploading.ingest(post, tenant, {"a.csv": PLAYS})
    taste = learn(post, tenant, plays.id, model="taste", canary="alice")

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "plays", listener="nobody")))

    assert (receipt["datasets"], receipt["models"]) == ([], [])
    assert marks(post, taste) == [None]


def test_what_has_begun_on_the_data_is_ended_and_schedules_of_it_pause(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    waiting = working.submit(post, tenant, dataset)

    row = carry_out(post, decide(post, tenant, dataset))

    assert working.find(post, waiting).state == "cancelled"
    assert receipt_of(post, row)["jobs_cancelled"] == [waiting]


def test_the_same_is_not_erased_twice_at_once(post: Post, tenant: str) -> None:
    uploading.ingest(post, tenant, {"a.csv": PLAYS})
    first = decide(post, tenant, "plays", listener="alice")

    with pytest.raises(NotAllowedNow) as refused:
        decide(post, tenant, "plays", listener="alice")

    assert refused.value.code == "erasure_under_way"
    assert first.id in refused.value.detail
    carry_out(post, first)
    again = carry_out(post, decide(post, tenant, "plays", listener="alice"))
    assert receipt_of(post, again)["datasets"] == []


def test_in_yesterdays_backup_nothing_of_it_can_be_read_and_everything_else_can(
    post: Post, settings: Settings, tenant: str, tmp_path: Path
) -> None:
    plays, _ = uploading.ingest(post, tenant, {"a.csv": PLAYS})
    songs, _ = uploading.ingest(post, tenant, {"a.csv": b"user,item\nCanary,x\n"}, name="songs")
    other, _ = uploading.ingest(post, tenant, {"a.csv": OTHER}, name="other")
    learn(post, tenant, plays.id, model="taste", canary="alice")
    score(post, tenant, songs.id, canary="Canary")
    of_other = score(post, tenant, other.id, canary="erin")
    # Before it a sweep has not been by, and yesterday nobody had asked for anything.
    save(settings, tmp_path / "backup", keys_folder=tmp_path / "keys of yesterday")

    for dataset, listener in (("plays", "alice"), ("songs", None)):
        carry_out(post, decide(post, tenant, dataset, listener=listener, policy="delete"))

    found = restored.read(settings, tmp_path / "backup", tmp_path / "restored")
    opened, shut = found.opened, found.shut
    assert set(found.gone) <= set(shut)
    assert [key for key in shut if f"/{plays.id}/" in key] and [key for key in shut if f"/{songs.id}/" in key]
    whole = b"".join(opened.values()) + b"".join(path.read_bytes() for path in found.home.rglob("*") if path.is_file())
    assert b"alice" not in whole and b"Canary" not in whole
    assert [key for key in opened if f"/{other.id}/" in key]
    assert b"erin" in b"".join(content for key, content in opened.items() if of_other in key)


def test_the_key_of_its_hashes_goes_with_the_last_dataset_of_a_name(post: Post, tenant: str) -> None:
    for _ in range(2):
        uploading.ingest(post, tenant, {"a.csv": OTHER}, name="people")
    place = masking_keys.place(post.settings.pepper, tenant, "people")
    first = masking_keys.take(post.storage, place)

    carry_out(post, decide(post, tenant, "people@1"))
    kept = masking_keys.take(post.storage, place)
    carry_out(post, decide(post, tenant, "people"))

    assert kept == first
    assert post.storage.open_keys().find(place).key is None
