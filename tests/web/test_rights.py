"""The ledger of rights at the door: what is declared, what holds, what is refused; and who may become champion."""

import io
import json
import threading
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError

from shared import carried_rights, models, rights
from shared.database import Database, now
from shared.errors import NotAllowedNow
from shared.row_keys import RowKeys
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import jobs, rights_entries
from tests import factories
from tests.web.belongings import SPARE_FILE, furnish
from tests.web.calling import Caller, a_key
from tests.web.registry import lineage, make_version
from web.app import create_app, create_services

CHAMPION = "/v1/models/songs/aliases/champion"

Json = dict[str, Any]


def create(caller: Caller, **rights: Any) -> Any:
    return caller.call("POST", "/v1/datasets", {"name": "songs", "rights": rights})


def enter(caller: Caller, dataset: str, **said: Any) -> Any:
    return caller.call("POST", f"/v1/datasets/{dataset}/rights", said)


@pytest.fixture
def dataset(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return factories.make_dataset(sql, tenant, name="songs", profile=factories.SONGS)


@pytest.fixture
def learned(database: Database, tenant: str, dataset: str) -> str:
    """A dataset from which two versions have learned."""
    with database.transaction() as sql:
        for _ in range(2):
            make_version(sql, tenant, datasets=[dataset], lineage=lineage(dataset))
    return dataset


def test_a_dataset_says_under_which_licence_it_comes(caller: Caller) -> None:
    consent = {"training": "granted", "basis": "contract 7", "until": "2199-01-01T00:00:00.000Z"}
    made = create(caller, licence="cc-by-4.0", consent=consent, holder="Ada", source="https://example.org")

    assert made.status_code == 201, made.json
    said = caller.call("GET", f"/v1/datasets/{made.json['id']}/rights").json
    assert "rights" in said, said
    assert (said["rights"]["commercial"], said["rights"]["consent"]) == ("yes", "granted")
    assert said["rights"]["licences"][0] == {
        "licence": "CC-BY-4.0", "is_known": True, "commercial": "yes", "derivatives": True, "attribution": True,
        "share_alike": False, "source": "https://creativecommons.org/licenses/by/4.0/",
    }  # fmt: skip
    assert said["rights"]["attributions"] == [
        {"reference": "songs@1", "holder": "Ada", "source": "https://example.org"}
    ]
    (entry,) = said["data"]
    assert (entry["number"], entry["key"], entry["consent"]) == (1, "test", consent)


def test_of_a_dataset_that_says_nothing_nothing_is_guessed(caller: Caller, dataset: str) -> None:
    said = caller.call("GET", f"/v1/datasets/{dataset}/rights").json

    assert (said["rights"]["commercial"], said["rights"]["consent"], said["data"]) == ("unknown", "unknown", [])


def test_a_licence_that_nobody_knows_here_is_said_to_be_unknown(caller: Caller, dataset: str) -> None:
    said = enter(caller, dataset, licence="House-Rules-1.0").json["rights"]

    assert said["commercial"] == "unknown"
    assert said["licences"][0]["is_known"] is False and said["licences"][0]["derivatives"] is None
    # What the client says of it counts.
    assert enter(caller, dataset, commercial="yes").json["rights"]["commercial"] == "yes"


@pytest.mark.parametrize(
    ("said", "status", "code", "part"),
    [
        ({"licence": "CC-BY-NC-4.0", "commercial": "yes"}, 422, "invalid_request", "expected commercial no"),
        ({"licence": "own", "commercial": "no"}, 422, "invalid_request", "expected commercial yes"),
        ({"licence": "MIT\u0007"}, 422, "invalid_request", "licence"),
        ({"licence": "MIT OR Apache-2.0"}, 422, "invalid_request", "licence"),
        ({"licence": "x" * 10_000}, 422, "invalid_request", "licence"),
        ({"holder": "x" * 10_000}, 422, "invalid_request", "holder"),
        ({"holder": "a\u202eb"}, 422, "invalid_request", "printable"),
        ({"commercial": "maybe"}, 422, "invalid_request", "commercial"),
        ({"consent": {"training": "sure"}}, 422, "invalid_request", "training"),
        ({"consent": {"training": "granted", "until": "2020-01-01T00:00:00Z"}}, 422, "consent_until_past", "to come"),
        ({"consent": {"training": "granted", "until": "soon"}}, 422, "invalid_request", "2027-11-24T12:00:00Z"),
        (
            {"consent": {"training": "granted", "until": "9999-12-31T23:59:59-14:00"}},
            422,
            "invalid_request",
            "a moment",
        ),
        (
            {"consent": {"training": "granted", "until": "0001-01-01T00:00:00+14:00"}},
            422,
            "invalid_request",
            "a moment",
        ),
        ({"consent": {"training": "granted", "until": "2199-01-01"}}, 422, "invalid_request", "2027-11-24T12:00:00Z"),
        ({"consent": {"training": "refused", "until": "2199-01-01T00:00:00Z"}}, 422, "invalid_request", "until"),
        ({}, 422, "invalid_request", "received none of them"),
        ({"price": 3}, 422, "invalid_request", "price"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    caller: Caller, dataset: str, said: Json, status: int, code: str, part: str
) -> None:
    refused = enter(caller, dataset, **said)
    at_creation = create(caller, **said)

    for answer in (refused, at_creation):
        assert (answer.status_code, answer.json["code"]) == (status, code), answer.json
        assert part in str(answer.json)
    assert caller.call("GET", f"/v1/datasets/{dataset}/rights").json["data"] == []


def test_a_change_may_not_contradict_what_stays(caller: Caller, dataset: str) -> None:
    enter(caller, dataset, licence="CC-BY-NC-4.0")

    refused = enter(caller, dataset, commercial="yes")

    assert (refused.status_code, refused.json["code"]) == (422, "rights_contradict")
    assert refused.json["errors"][0]["pointer"] == "/commercial"


def test_entries_add_up_and_none_is_forgotten(caller: Caller, dataset: str) -> None:
    enter(caller, dataset, licence="licensed", commercial="yes", holder="Ada")
    enter(caller, dataset, licence="all-rights-reserved", reason="the contract has ended")

    said = caller.call("GET", f"/v1/datasets/{dataset}/rights").json
    assert [(each["licence"], each["commercial"], each["holder"]) for each in said["data"]] == [
        ("all-rights-reserved", None, "Ada"), ("licensed", "yes", "Ada"),
    ]  # fmt: skip
    assert said["rights"]["commercial"] == "no"
    first = caller.call("GET", f"/v1/datasets/{dataset}/rights?limit=1").json
    second = caller.call("GET", f"/v1/datasets/{dataset}/rights?limit=1&cursor={first['next_cursor']}").json
    assert (first["data"][0]["number"], second["data"][0]["number"], second["next_cursor"]) == (2, 1, None)


def test_consent_is_withdrawn_once(caller: Caller, dataset: str) -> None:
    first = enter(caller, dataset, consent={"training": "refused"})
    again = enter(caller, dataset, consent={"training": "refused"})

    assert (first.status_code, again.status_code, again.json["code"]) == (201, 409, "rights_unchanged")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_no_call_edits_the_ledger(caller: Caller, dataset: str, method: str) -> None:
    enter(caller, dataset, licence="MIT")

    assert caller.call(method, f"/v1/datasets/{dataset}/rights", {"licence": "own"}).status_code == 405
    assert caller.call(method, f"/v1/datasets/{dataset}/rights/1", {"licence": "own"}).status_code == 404


@pytest.mark.parametrize("change", ["UPDATE rights_entries SET licence = 'own'", "DELETE FROM rights_entries"])
def test_nor_does_a_statement(caller: Caller, database: Database, tenant: str, dataset: str, change: str) -> None:
    enter(caller, dataset, licence="CC-BY-NC-4.0")

    with (
        pytest.raises(DBAPIError, match=r"never changed or deleted|permission denied"),
        database.of(tenant).transaction() as sql,
    ):
        sql.exec_driver_sql(change)

    assert len(caller.call("GET", f"/v1/datasets/{dataset}/rights").json["data"]) == 1


def test_rows_have_entries_of_their_own_by_their_keys(caller: Caller, database: Database, tenant: str) -> None:
    profile = {**factories.SONGS, "roles": {**factories.SONGS["roles"], "id": "song"}}
    with database.transaction() as sql:
        dataset = factories.make_dataset(sql, tenant, name="keyed", profile=profile)
    enter(caller, dataset, licence="CC-BY-4.0", consent={"training": "granted"})

    said = enter(caller, dataset, track="a", consent={"training": "refused"}, reason="asked by letter").json
    assert said["tracks"] == {"a": {"licence": None, "commercial": None, "consent": "refused"}}
    assert said["rights"]["consent"] == "granted"
    # A licence of a row goes before that of the dataset.
    assert enter(caller, dataset, track="b", licence="CC-BY-NC-4.0").json["rights"]["commercial"] == "no"


@pytest.mark.parametrize("format", ["table", "interactions"])
def test_rows_that_have_no_key_cannot_be_named(caller: Caller, database: Database, tenant: str, format: str) -> None:
    with database.transaction() as sql:
        dataset = factories.make_dataset(sql, tenant, format=format)

    refused = enter(caller, dataset, track="7", consent={"training": "refused"})

    assert (refused.status_code, refused.json["code"]) == (422, "track_unsupported")


def test_a_strangers_dataset_is_none(caller: Caller, database: Database, other: str) -> None:
    with database.transaction() as sql:
        foreign = factories.make_dataset(sql, other)

    for answer in (enter(caller, foreign, licence="MIT"), caller.call("GET", f"/v1/datasets/{foreign}/rights")):
        assert (answer.status_code, answer.json["detail"]) == (404, "There is no such dataset.")


def test_what_may_not_be_sold_does_not_become_champion(caller: Caller, learned: str) -> None:
    affected = enter(caller, learned, licence="CC-BY-NC-4.0").json
    assert [(each["model"], each["commercial"]) for each in affected["models"]] == [
        ("songs@1", "no"),
        ("songs@2", "no"),
    ]

    refused = caller.call("PUT", CHAMPION, {"version": 1})
    assert (refused.status_code, refused.json["code"]) == (409, "alias_not_commercial")
    assert "songs@1 (CC-BY-NC-4.0: commercial use no)" in refused.json["detail"]
    # Another alias says nothing of production.
    assert caller.call("PUT", "/v1/models/songs/aliases/candidate", {"version": 1}).status_code == 200
    enter(caller, learned, licence="licensed", commercial="yes", reason="bought")
    moved = caller.call("PUT", CHAMPION, {"version": 1})
    assert (moved.status_code, moved.json["rights"]["commercial"]) == (200, "yes")


def test_nor_by_the_way_back(caller: Caller, learned: str) -> None:
    for version in (1, 2):
        caller.call("PUT", CHAMPION, {"version": version})
    enter(caller, learned, licence="all-rights-reserved")

    refused = caller.call("POST", f"{CHAMPION}/rollback")

    assert (refused.status_code, refused.json["code"]) == (409, "alias_not_commercial")
    assert caller.call("GET", CHAMPION).json["version"] == 2


def test_nor_is_it_trained_to_be(caller: Caller, learned: str) -> None:
    enter(caller, learned, licence="CC-BY-NC-4.0")
    body = {"action": "train", "kind": "classification", "dataset": learned, "promote": {"alias": "champion"}}

    refused = caller.call("POST", "/v1/jobs", body)

    assert (refused.status_code, refused.json["code"]) == (409, "alias_not_commercial")
    assert caller.call("POST", "/v1/jobs", {**body, "promote": {"alias": "candidate"}}).status_code == 202


def test_undeclared_rights_are_told_and_stop_nobody_unless_the_operator_says_so(
    caller: Caller, learned: str, settings: Settings, database: Database, tenant: str
) -> None:
    moved = caller.call("PUT", CHAMPION, {"version": 1})
    assert (moved.status_code, moved.json["rights"]["commercial"]) == (200, "unknown")

    app = create_app(create_services(replace(settings, unknown_rights="refuse")))
    strict = Caller(app.test_client(), a_key(database, settings, tenant))
    refused = strict.call("PUT", CHAMPION, {"version": 2})
    app.extensions["etude"].database.close()

    assert (refused.status_code, refused.json["code"]) == (409, "alias_not_commercial")
    assert "songs@1 (no licence declared: commercial use unknown)" in refused.json["detail"]


def test_rights_come_with_the_rows_of_an_earlier_version(
    caller: Caller, database: Database, tenant: str, dataset: str
) -> None:
    with database.transaction() as sql:
        base = factories.make_dataset(sql, tenant, name="songs", version=2, base=dataset)
        copy = factories.make_dataset(sql, tenant, name="songs", version=3, copied_from=base)
        make_version(sql, tenant, datasets=[copy], lineage=lineage(copy))

    affected = enter(caller, dataset, licence="CC-BY-NC-4.0").json["models"]

    assert [each["model"] for each in affected] == ["songs@1"]
    assert caller.call("PUT", CHAMPION, {"version": 1}).json["code"] == "alias_not_commercial"


def test_consent_that_is_withdrawn_marks_what_has_learned_and_moves_nothing(caller: Caller, learned: str) -> None:
    caller.call("PUT", CHAMPION, {"version": 1})

    said = enter(caller, learned, consent={"training": "refused"}).json
    mark = "consent_withdrawn_after_training"
    assert [(each["model"], each["aliases"], each["marks"]) for each in said["models"]] == [
        ("songs@1", ["champion"], [mark]), ("songs@2", [], [mark]),
    ]  # fmt: skip
    assert "POST /v1/erasures" in said["what_to_do"]
    assert caller.call("GET", CHAMPION).json["version"] == 1
    for alias in ("champion", "candidate"):
        refused = caller.call("PUT", f"/v1/models/songs/aliases/{alias}", {"version": 2})
        assert (refused.status_code, refused.json["code"]) == (409, "alias_consent_withdrawn")
    job = {"action": "train", "kind": "classification", "dataset": learned}
    assert caller.call("POST", "/v1/jobs", job).json["code"] == "consent_refused"
    page = caller.call("GET", "/v1/models/songs/versions/2/card?format=html")
    assert "Consent was withdrawn after it had learned" in page.text


def test_what_was_refused_before_is_not_withdrawn_by_an_entry_about_something_else(
    caller: Caller, tenant: str, database: Database, settings: Settings, storage: Storage
) -> None:
    profile = {**factories.SONGS, "roles": {**factories.SONGS["roles"], "id": "song"}}
    names = RowKeys(storage, settings.pepper)
    with database.transaction() as sql:
        dataset = factories.make_dataset(sql, tenant, name="songs", profile=profile)
        rights.append(sql, tenant, dataset, {"consent": "refused"}, key="test", track="s1", names=names)
        seen = carried_rights.of_datasets(sql, [dataset])
        make_version(sql, tenant, datasets=[dataset], lineage={**lineage(dataset), "rights": {"inputs": seen}})

    said = enter(caller, dataset, track="s1", holder="Ada").json

    assert [each["marks"] for each in said["models"]] == [[]]
    # Of a dataset itself nothing is said to have learned.
    assert said["rights"]["marks"] == []
    assert caller.call("PUT", CHAMPION, {"version": 1}).status_code == 200
    again = enter(caller, dataset, track="s2", consent={"training": "refused"}).json
    assert [each["marks"] for each in again["models"]] == [["consent_withdrawn_after_training"]]
    assert again["rights"]["marks"] == []


@pytest.mark.parametrize(("ended_at", "marks"), [(1.0, []), ("now", ["consent_expired"])])
def test_the_end_of_a_rows_consent_marks_what_has_learned_before(
    caller: Caller, database: Database, tenant: str, learned: str, ended_at: Any, marks: list[str]
) -> None:
    """A row whose consent had ended before was left out."""
    with database.transaction() as sql:
        entry = {"tenant": tenant, "dataset": learned, "number": 1, "track": "s1", "consent": "granted", "at": 0}
        until = ended_at if ended_at != "now" else sql.execute(select(now())).scalar_one()
        sql.execute(insert(rights_entries).values(**entry, consent_until=until))

    said = caller.call("GET", "/v1/models/songs/versions/2").json["rights"]

    assert said["marks"] == marks
    assert caller.call("PUT", CHAMPION, {"version": 2}).status_code == (409 if marks else 200)


def test_consent_ends_when_it_was_said_to(caller: Caller, database: Database, tenant: str, learned: str) -> None:
    with database.transaction() as sql:
        entry = {"tenant": tenant, "dataset": learned, "number": 1, "consent": "granted", "consent_until": 1.0, "at": 0}
        sql.execute(insert(rights_entries).values(entry))

    assert caller.call("GET", f"/v1/datasets/{learned}/rights").json["rights"]["consent"] == "expired"
    job = {"action": "train", "kind": "classification", "dataset": learned}
    assert caller.call("POST", "/v1/jobs", job).json["code"] == "consent_refused"
    assert caller.call("PUT", CHAMPION, {"version": 1}).json["code"] == "alias_consent_withdrawn"


def test_an_entry_and_a_move_wait_for_each_other(database: Database, tenant: str, learned: str) -> None:
    """Whichever comes first, the champion is none that an entry before it forbids."""
    begun, done = threading.Event(), []

    def move() -> None:
        begun.set()
        with pytest.raises(NotAllowedNow) as refused, database.of(tenant).transaction() as sql:
            models.move_alias(sql, tenant, "songs", "champion", number=1)
        done.append(refused.value.code)

    with database.of(tenant).transaction() as sql:
        rights.append(sql, tenant, learned, {"licence": "CC-BY-NC-4.0"}, key="test")
        mover = threading.Thread(target=move)
        mover.start()
        begun.wait(10)
        # It has not been told yet, nor may it go on before it is.
        assert not done
    mover.join(30)

    assert done == ["alias_not_commercial"]


def test_predictions_say_their_terms_in_a_header(
    caller: Caller, database: Database, tenant: str, settings: Settings
) -> None:
    belongings = furnish(database, settings, tenant, "own")
    carried = {"commercial": "no", "consent": None, "licences": [{"licence": "CC-BY-NC-4.0"}, {"licence": 'a"\u2028é'}]}
    address = f"/v1/jobs/{belongings.scoring}/predictions"
    Storage(settings).put(SPARE_FILE["key"], [b"a"])
    before = caller.call("GET", address, Accept="text/csv")
    with database.of(tenant).transaction() as sql:
        told = update(jobs).where(jobs.c.id == belongings.scoring).values(result={"rights": carried})
        sql.execute(told)

    said = caller.call("GET", address, Accept="text/csv")

    assert "Etude-Rights" not in before.headers
    assert said.headers["Etude-Rights"] == 'commercial=no; consent=none; licences="CC-BY-NC-4.0, a???"'


def test_a_model_that_comes_with_the_service_says_its_licence(caller: Caller) -> None:
    said = caller.call("GET", "/v1/models/etude.transcriber/versions/1").json["rights"]

    assert (said["commercial"], said["licences"][0]["licence"], said["consent"]) == ("yes", "Apache-2.0", None)


def test_archive_and_card_carry_them(caller: Caller, learned: str) -> None:
    enter(caller, learned, licence="CC-BY-SA-4.0", holder="Ada & Söhne")

    packed = caller.call("GET", "/v1/models/songs/versions/1/download")
    manifest = json.loads(zipfile.ZipFile(io.BytesIO(packed.data)).read("manifest.json"))
    card = caller.call("GET", "/v1/models/songs/versions/1/card").json

    assert manifest["rights"]["attributions"][0]["holder"] == "Ada & Söhne"
    assert (card["rights"]["commercial"], card["rights"]["licences"][0]["share_alike"]) == ("yes", True)
    markdown = caller.call("GET", "/v1/models/songs/versions/1/card?format=markdown").text
    assert "CC-BY-SA-4.0" in markdown and "It may be used commercially" in markdown
