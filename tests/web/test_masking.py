"""What is hidden of an upload: declared as a dataset is opened, and gone before anything is written."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from shared import objects, pseudonyms
from shared.database import Database
from shared.masking import keys, transforms
from shared.sealing.key_tables import object_keys
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import dataset_files
from tests import factories
from tests.web.calling import Caller
from web import masking
from web.received import Received

RULES = {"mail": {"rule": "drop"}, "account": {"rule": "hash"}, "age": {"rule": "generalise", "width": 10.0}}
CSV = b"mail,account,age,label\nm@x.org,alice,37,rock\n"
NOISE = {"rule": "noise", "distribution": "gaussian", "scale": 2.0, "bounds": [0.0, 100.0]}


def create(caller: Caller, **body: Any) -> Any:
    return caller.call("POST", "/v1/datasets", {"name": "people", **body})


def put(caller: Caller, dataset: str, name: str, content: bytes, **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {caller._key}", "Content-Type": "application/octet-stream", **headers}
    return caller._client.put(f"/v1/datasets/{dataset}/files/{name}", data=content, headers=sent)


def stored(database: Database, storage: Storage, dataset: str) -> dict[str, bytes]:
    with database.reading() as sql:
        rows = sql.execute(select(dataset_files).where(dataset_files.c.dataset == dataset)).all()
    contents = {row.name: storage.get(row.key) for row in rows}
    assert [row.sha256 for row in rows] == [hashlib.sha256(contents[row.name]).hexdigest() for row in rows]
    assert len(storage.keys(f"t/{rows[0].tenant}/") if rows else []) == len(rows)
    return contents


def test_a_file_is_stored_masked(
    caller: Caller, database: Database, storage: Storage, settings: Settings, tenant: str
) -> None:
    made = create(caller, masking=RULES, columns={"target": "label"}).json
    digest = base64.b64encode(hashlib.sha256(CSV).digest()).decode()

    answer = put(caller, made["id"], "a.csv", CSV, **{"Content-Digest": f"sha-256=:{digest}:"})

    assert (answer.status_code, made["masking"]) == (204, RULES)
    assert caller.call("GET", f"/v1/datasets/{made['id']}").json["masking"] == RULES
    key = keys.take(storage, keys.place(settings.pepper, tenant, "people"))
    expected = f"account,age,label\n{transforms.pseudonym(key, 'alice')},30,rock\n".encode()
    assert stored(database, storage, made["id"]) == {"a.csv": expected}


def test_listeners_of_plays_are_stored_under_pseudonyms(
    caller: Caller, database: Database, storage: Storage, settings: Settings, tenant: str
) -> None:
    made = create(caller, format="interactions").json["id"]

    for name, content in {"plays.csv": b"user,item\nalice,x\n", "items.csv": b"item,user\nx,alice\n"}.items():
        assert put(caller, made, name, content).status_code == 204

    alice = pseudonyms.of(settings.pepper, tenant, "people", "alice")
    assert stored(database, storage, made) == {
        "plays.csv": f"user,item\n{alice},x\n".encode(), "items.csv": b"item,user\nx,alice\n"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"masking": {}}, "masking"),
        ({"masking": {"a": {"rule": "forget"}}}, "masking"),
        ({"masking": {"a": [{"rule": "drop"}, {"rule": "hash"}]}}, "masking"),
        ({"masking": {"a": {"rule": "generalise", "width": 1.0, "prefix": 1}}}, "expected one of width, edges"),
        ({"masking": {"a": {"rule": "drop"}}, "columns": {"target": "a"}}, "another rule than drop"),
        ({"masking": {"a": NOISE}, "columns": {"id": "a"}}, "no noise for the column that is named as id"),
        (
            {"masking": {"a": {"rule": "hash"}}, "columns": {"user": "a"}, "format": "interactions"},
            "always get pseudonyms",
        ),
        ({"masking": {"a": {"rule": "drop"}}, "format": "audio"}, "of audio nothing is masked"),
        ({"masking": {"a": {"rule": "drop"}}, "format": "symbolic"}, "of symbolic nothing is masked"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(caller: Caller, body: Any, said: str) -> None:
    answer = create(caller, **body)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert said in str(answer.json["errors"])


def test_two_rules_for_one_column_cannot_even_be_written(caller: Caller) -> None:
    content = b'{"name": "people", "masking": {"a": {"rule": "drop"}, "a": {"rule": "hash"}}}'

    headers = {"Authorization": f"Bearer {caller._key}", "Content-Type": "application/json"}
    answer = caller._client.post("/v1/datasets", data=content, headers=headers)

    assert answer.status_code == 400


def test_a_version_that_adds_is_masked_as_its_base(caller: Caller, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        masked = factories.make_dataset(sql, tenant, name="people", masking=RULES)
        plain = factories.make_dataset(sql, tenant, name="others")

    assert create(caller, base=masked).json["masking"] == RULES
    assert create(caller, base=masked, masking=RULES).status_code == 201
    assert create(caller, base=masked, masking={"mail": {"rule": "hash"}}).json["code"] == "masking_differs"
    assert create(caller, base=plain, masking=RULES).json["code"] == "masking_differs"
    assert create(caller, base=masked, name="more").json["code"] == "base_of_another_name"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.parquet", b"PAR1\x15\x04\x15", "masking_not_csv"),
        ("a.npz", b"PK\x03\x04\x14\x00", "masking_not_csv"),
        ("a.csv", b"PAR1\x15\x04\x15", "masking_not_csv"),
        ("a.csv", b"account,age\nalice,canary\n", "column_missing"),
        ("a.csv", CSV + b"m,bob,canary,pop\n", "cell_unfit"),
        ("a.csv", CSV + b"canary,bob\n", "csv_shape"),
        ("a.csv", CSV.decode().encode("utf-16"), "csv_encoding"),
    ],
)
def test_a_file_that_cannot_be_masked_is_not_stored(
    caller: Caller, database: Database, storage: Storage, name: str, content: bytes, code: str
) -> None:
    made = create(caller, masking=RULES).json["id"]

    answer = put(caller, made, name, content)

    assert (answer.status_code, answer.json["code"], answer.mimetype) == (422, code, "application/problem+json")
    assert "canary" not in answer.text
    assert stored(database, storage, made) == {}
    assert storage.keys("t/") == []


def test_a_digest_that_is_wrong_leaves_nothing(caller: Caller, database: Database, storage: Storage) -> None:
    made = create(caller, masking=RULES).json["id"]
    wrong = base64.b64encode(bytes(32)).decode()

    answer = put(caller, made, "a.csv", CSV, **{"Content-Digest": f"sha-256=:{wrong}:"})

    assert (answer.status_code, answer.json["code"]) == (422, "digest_mismatch")
    assert storage.keys("t/") == []


def test_a_body_that_breaks_off_leaves_nothing(
    caller: Caller, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(caller, masking=RULES).json["id"]
    blocks = Received.__iter__

    def fewer(received: Received) -> Iterator[bytes]:
        received._length += 1
        return blocks(received)

    monkeypatch.setattr(Received, "__iter__", fewer)
    answer = put(caller, made, "a.csv", CSV)

    assert (answer.status_code, answer.json["code"]) == (400, "upload_incomplete")
    assert storage.keys("t/") == []


def test_a_full_storage_leaves_nothing(caller: Caller, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create(caller, masking=RULES).json["id"]

    def full(*arguments: Any, **named: Any) -> None:
        raise OSError("No space left on device (os error 28)")

    monkeypatch.setattr(objects.obstore, "put", full)
    answer = put(caller, made, "a.csv", CSV)

    assert (answer.status_code, answer.json["code"]) == (503, "storage_full")
    monkeypatch.undo()
    assert storage.keys("t/") == []
    assert put(caller, made, "a.csv", CSV).status_code == 204


def test_what_becomes_too_long_is_refused(caller: Caller, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create(caller, masking=RULES).json["id"]
    limited = masking._limited
    monkeypatch.setattr(masking, "_limited", lambda blocks, most: limited(blocks, 40))

    answer = put(caller, made, "a.csv", CSV)

    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")
    assert storage.keys("t/") == []


def test_the_key_goes_with_the_last_dataset_of_the_name(
    caller: Caller, storage: Storage, settings: Settings, tenant: str
) -> None:
    first, second = (create(caller, masking=RULES).json["id"] for _ in range(2))
    place = keys.place(settings.pepper, tenant, "people")
    assert put(caller, first, "a.csv", CSV).status_code == 204

    caller.call("DELETE", f"/v1/datasets/{first}")
    kept = storage.open_keys().find(place).key
    caller.call("DELETE", f"/v1/datasets/{second}")

    assert kept is not None
    with storage.open_keys().reading() as sql:
        assert sql.execute(select(object_keys.c.wrapped).where(object_keys.c.place == place)).scalar() is None
