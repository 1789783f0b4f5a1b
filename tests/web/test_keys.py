"""Keys of a tenant: made, used, rotated, revoked; what is refused, and that no secret is told twice."""

import threading
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from shared import issued_keys, keys
from shared.database import Database, now
from shared.settings import Settings
from shared.tables import answers, dataset_files
from shared.tables import keys as table
from tests.conftest import make_tenant
from tests.waiting import until
from tests.web import serving
from tests.web.calling import Caller, a_key

UNKNOWN = "key_" + "0" * 26


def make(caller: Caller, **body: Any) -> Any:
    return caller.call("POST", "/v1/keys", {"name": "ci", "scope": "read", **body})


def with_key(client: FlaskClient, made: Any) -> Caller:
    return Caller(client, made.json["secret"])


def set_row(database: Database, key_id: str, **values: Any) -> None:
    with database.transaction() as sql:
        sql.execute(update(table).where(table.c.id == key_id).values(values))


def forget_known(client: FlaskClient) -> None:
    """As if CACHED_S had passed."""
    client.application.extensions["etude"].keyring._known.clear()


def test_a_key_is_told_once_and_opens_what_its_scope_says(client: FlaskClient, caller: Caller) -> None:
    made = make(caller, scope="submit")
    key = made.json

    assert (made.status_code, made.headers["Location"]) == (201, f"/v1/keys/{key['id']}")
    assert (key["state"], key["scope"], key["rotated_to"]) == ("active", "submit", None)
    user = with_key(client, made)
    assert user.call("GET", "/v1/jobs").status_code == 200
    assert user.call("POST", "/v1/datasets", {"name": "songs"}).status_code == 201
    assert user.call("GET", "/v1/keys").json["code"] == "insufficient_scope"
    shown, listed = caller.call("GET", f"/v1/keys/{key['id']}"), caller.call("GET", "/v1/keys")
    assert key["secret"] not in shown.text + listed.text and "digest" not in shown.text + listed.text
    assert "secret" not in shown.json


def test_a_key_made_here_expires_in_a_season(caller: Caller, database: Database) -> None:
    key = make(caller).json

    with database.reading() as sql:
        row = sql.execute(select(table).where(table.c.id == key["id"])).one()
    assert row.expires_at - row.created_at == pytest.approx(issued_keys.EXPIRES_DAYS * issued_keys.DAY_S, abs=5)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"scope": "root"}, "/scope"), ({"scope": ["read"]}, "/scope"), ({"expires_in_days": 0}, "/expires_in_days"),
     ({"expires_in_days": 10_000}, "/expires_in_days"), ({"expires_in_days": "90"}, "/expires_in_days"),
     ({"name": ""}, "/name"), ({"name": "a/b"}, "/name"), ({"tenant": "ten_x"}, "/tenant"),
     ({"secret": "mine"}, "/secret"), ({"name": None}, "/name")],
)  # fmt: skip
def test_a_wrong_wish_is_refused_with_its_place(
    caller: Caller, database: Database, body: dict[str, Any], pointer: str
) -> None:
    answer = make(caller, **body)

    assert (answer.status_code, [fault["pointer"] for fault in answer.json["errors"]]) == (422, [pointer])
    with database.reading() as sql:
        assert sql.execute(select(func.count()).select_from(table)).scalar_one() == 1


@pytest.mark.parametrize("scope", ["read", "submit"])
@pytest.mark.parametrize("wanted", ["read", "admin"])
def test_a_lesser_key_makes_none(client: FlaskClient, caller: Caller, scope: str, wanted: str) -> None:
    lesser = with_key(client, make(caller, scope=scope))

    answer = make(lesser, scope=wanted)

    assert (answer.status_code, answer.json["code"]) == (403, "insufficient_scope")


def test_the_list_has_pages_and_states(caller: Caller, database: Database) -> None:
    made = [make(caller).json["id"] for _ in range(4)]
    caller.call("DELETE", f"/v1/keys/{made[0]}")
    set_row(database, made[1], expires_at=1.0)

    first = caller.call("GET", "/v1/keys?limit=3").json
    rest = caller.call("GET", f"/v1/keys?limit=3&cursor={first['next_cursor']}").json

    states = {key["id"]: key["state"] for key in first["data"] + rest["data"]}
    assert [states[key] for key in made] == ["revoked", "expired", "active", "active"]
    assert (len(first["data"]), len(states), rest["next_cursor"]) == (3, 5, None)


def test_a_replay_makes_no_second_key_and_has_no_secret(caller: Caller, database: Database) -> None:
    again = {"Idempotency-Key": "once"}
    body = {"name": "ci", "scope": "read"}

    first = caller.call("POST", "/v1/keys", body, **again)
    second = caller.call("POST", "/v1/keys", body, **again)
    rotated = [caller.call("POST", f"/v1/keys/{first.json['id']}/rotate", {}, **{"Idempotency-Key": "r"}) for _ in "ab"]

    assert second.status_code == 201 and second.headers["Idempotency-Replayed"] == "true"
    assert second.json == {**first.json, "secret": None}
    assert rotated[1].json == {**rotated[0].json, "secret": None}
    with database.reading() as sql:
        kept = " ".join(sql.execute(select(answers.c.body)).scalars())
        assert sql.execute(select(func.count()).select_from(table)).scalar_one() == 3
    assert first.json["secret"].split("_")[2] not in kept and rotated[0].json["secret"].split("_")[2] not in kept


def test_a_rotated_key_is_good_until_its_grace_is_over(client: FlaskClient, caller: Caller, database: Database) -> None:
    old = make(caller, scope="submit")
    new = caller.call("POST", f"/v1/keys/{old.json['id']}/rotate", {"grace_s": 3600})

    assert (new.status_code, new.json["name"], new.json["scope"]) == (201, "ci", "submit")
    assert with_key(client, old).call("GET", "/v1/jobs").status_code == 200
    assert with_key(client, new).call("GET", "/v1/jobs").status_code == 200
    shown = caller.call("GET", f"/v1/keys/{old.json['id']}").json
    assert (shown["state"], shown["rotated_to"]) == ("active", new.json["id"])
    set_row(database, old.json["id"], expires_at=1.0)
    forget_known(client)
    assert with_key(client, old).call("GET", "/v1/jobs").json["code"] == "unauthorised"


def test_without_a_grace_the_old_key_is_done_with(client: FlaskClient, caller: Caller) -> None:
    old = make(caller)
    caller.call("POST", f"/v1/keys/{old.json['id']}/rotate", {"grace_s": 0})

    assert with_key(client, old).call("GET", "/v1/jobs").status_code == 401


@pytest.mark.parametrize("grace_s", [-1, 604_801, "an hour", 1.5])
def test_a_grace_that_is_none_is_refused(caller: Caller, grace_s: Any) -> None:
    key = make(caller).json["id"]

    assert caller.call("POST", f"/v1/keys/{key}/rotate", {"grace_s": grace_s}).status_code == 422


def test_only_an_active_key_is_rotated_and_once(caller: Caller, database: Database) -> None:
    revoked, expired, rotated = (make(caller).json["id"] for _ in range(3))
    caller.call("DELETE", f"/v1/keys/{revoked}")
    set_row(database, expired, expires_at=1.0)
    caller.call("POST", f"/v1/keys/{rotated}/rotate", {})

    refused = [caller.call("POST", f"/v1/keys/{key}/rotate", {}) for key in (revoked, expired, rotated)]

    assert [(each.status_code, each.json["code"]) for each in refused] == [
        (409, "key_revoked"), (409, "key_expired"), (409, "key_rotated"),
    ]  # fmt: skip


def test_of_two_rotations_at_once_one_makes_a_key(
    database: Database, settings: Settings, tenant: str, caller: Caller
) -> None:
    key, came = make(caller).json["id"], []
    me = keys.Caller(tenant, "key_me", keys.RANKS[keys.ADMIN])
    start = threading.Barrier(4)

    def rotate() -> None:
        start.wait()
        try:
            with database.transaction() as sql:
                issued_keys.rotate(sql, me, key, grace_s=60, pepper=settings.pepper)
            came.append("made")
        except issued_keys.NotAllowedNow as refusal:
            came.append(refusal.code)

    threads = [threading.Thread(target=rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(came) == ["key_rotated"] * 3 + ["made"]


def test_a_revoked_key_opens_nothing_and_may_be_revoked_again(client: FlaskClient, caller: Caller) -> None:
    made = make(caller)
    address = f"/v1/keys/{made.json['id']}"

    answers = [caller.call("DELETE", address) for _ in range(2)]
    revoked_at = caller.call("GET", address).json["revoked_at"]
    caller.call("DELETE", address)

    assert [each.status_code for each in answers] == [204, 204]
    assert caller.call("GET", address).json["revoked_at"] == revoked_at
    assert with_key(client, made).call("GET", "/v1/jobs").status_code == 401


def test_the_last_admin_key_stays(client: FlaskClient, caller: Caller, database: Database) -> None:
    mine = caller.call("GET", "/v1/keys").json["data"][0]["id"]
    make(caller, scope="submit")
    dead = make(caller, scope="admin").json["id"]
    set_row(database, dead, expires_at=1.0)

    refused = caller.call("DELETE", f"/v1/keys/{mine}")
    second = make(caller, scope="admin")
    allowed = caller.call("DELETE", f"/v1/keys/{mine}")
    last = with_key(client, second).call("DELETE", f"/v1/keys/{second.json['id']}")

    assert (refused.status_code, refused.json["code"]) == (409, "last_admin_key")
    assert (allowed.status_code, last.json["code"]) == (204, "last_admin_key")


def test_a_key_in_its_grace_is_no_other_admin_key(client: FlaskClient, caller: Caller) -> None:
    mine = caller.call("GET", "/v1/keys").json["data"][0]["id"]
    new = caller.call("POST", f"/v1/keys/{mine}/rotate", {})

    assert caller.call("DELETE", f"/v1/keys/{new.json['id']}").json["code"] == "last_admin_key"
    assert with_key(client, new).call("DELETE", f"/v1/keys/{mine}").status_code == 204


def test_two_who_revoke_each_others_key_do_not_both(database: Database, settings: Settings, tenant: str) -> None:
    for _ in range(2):
        a_key(database, settings, tenant)
    with database.reading() as sql:
        both = list(sql.execute(select(table.c.id).where(table.c.tenant == tenant)).scalars())
    start, came = threading.Barrier(2), []

    def revoke(key: str) -> None:
        start.wait()
        try:
            with database.transaction() as sql:
                issued_keys.revoke(sql, tenant, key)
            came.append("revoked")
        except issued_keys.NotAllowedNow as refusal:
            came.append(refusal.code)

    threads = [threading.Thread(target=revoke, args=(key,)) for key in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(came) == ["last_admin_key", "revoked"]


@pytest.mark.parametrize(("method", "ending"), [("GET", ""), ("DELETE", ""), ("POST", "/rotate")])
def test_anothers_key_answers_like_one_that_is_not_there(
    client: FlaskClient, caller: Caller, database: Database, settings: Settings, method: str, ending: str
) -> None:
    stranger = Caller(client, a_key(database, settings, make_tenant(database)))
    mine = make(caller).json["id"]
    body = {} if method == "POST" else None

    theirs, nobodys = (
        stranger.call(method, f"/v1/keys/{key}{ending}", body, **{"X-Request-Id": "same"}) for key in (mine, UNKNOWN)
    )

    assert (theirs.status_code, theirs.data) == (404, nobodys.data)
    assert caller.call("GET", f"/v1/keys/{mine}").json["state"] == "active"


@pytest.mark.hostile("H59")
def test_every_key_that_opens_nothing_gets_the_same_bytes(
    client: FlaskClient, caller: Caller, database: Database
) -> None:
    revoked, expired, rotated, good = (make(caller) for _ in range(4))
    caller.call("DELETE", f"/v1/keys/{revoked.json['id']}")
    set_row(database, expired.json["id"], expires_at=1.0)
    caller.call("POST", f"/v1/keys/{rotated.json['id']}/rotate", {"grace_s": 0})
    right = good.json["secret"]
    headers = [
        *(f"Bearer {each.json['secret']}" for each in (revoked, expired, rotated)),
        f"Bearer {right[:-1]}{'0' if right[-1] != '0' else '1'}",  # a wrong CRC
        f"Bearer {right[:-1]}", f"Bearer {right.upper()}", f"Basic {right}", right, f"Bearer  {right}",
        "Bearer " + "x" * 10_240, f"Bearer etude_{'a' * 10_240}_b_c", f"Bearer {right},Bearer {right}",
    ]  # fmt: skip

    said = {(answer.status_code, answer.data) for answer in (
        client.get("/v1/jobs", headers={"Authorization": header, "X-Request-Id": "same"}) for header in headers
    )}  # fmt: skip
    missing = client.get("/v1/jobs", headers={"X-Request-Id": "same"})

    assert said == {(401, missing.data)}


@pytest.mark.hostile("H59")
def test_two_authorization_headers_open_nothing(client: FlaskClient, caller: Caller) -> None:
    right = make(caller).json["secret"]
    twice = [("Authorization", f"Bearer {right}"), ("Authorization", f"Bearer {right}")]

    assert client.get("/v1/jobs", headers=twice).status_code == 401


def test_the_hour_in_which_a_key_was_used_is_told(client: FlaskClient, caller: Caller, database: Database) -> None:
    made = make(caller)
    address = f"/v1/keys/{made.json['id']}"
    assert made.json["last_used_at"] is None

    with_key(client, made).call("GET", "/v1/jobs")

    assert until(lambda: caller.call("GET", address).json["last_used_at"] is not None, limit_s=10)
    with database.reading() as sql:
        used, at = sql.execute(select(table.c.last_used_at, now()).where(table.c.id == made.json["id"])).one()
    assert used % keys.USED_S == 0 and 0 <= at - used < 2 * keys.USED_S


def test_a_key_that_is_revoked_during_an_upload_adds_no_file(
    client: FlaskClient, caller: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(caller, scope="submit")
    dataset = caller.call("POST", "/v1/datasets", {"name": "songs"}).json["id"]
    storage = client.application.extensions["etude"].storage
    put = storage.put

    def revoke_then_put(key: str, blocks: Any) -> Any:
        caller.call("DELETE", f"/v1/keys/{made.json['id']}")
        return put(key, blocks)

    monkeypatch.setattr(storage, "put", revoke_then_put)
    headers = {"Authorization": f"Bearer {made.json['secret']}"}
    answer = client.put(f"/v1/datasets/{dataset}/files/a.csv", data=b"a,b\n1,2\n", headers=headers)

    assert (answer.status_code, answer.json["code"]) == (401, "unauthorised")
    assert list(storage.keys("t/")) == []
    with database.reading() as sql:
        assert sql.execute(select(dataset_files)).all() == []


def test_more_keys_than_anybody_needs_are_refused(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issued_keys, "KEYS_AT_MOST", 2)
    assert make(caller).status_code == 201

    assert make(caller).json["code"] == "too_many_keys"


def test_a_revoked_key_is_refused_by_a_real_server_within_its_memory(server: serving.Server) -> None:
    made = server.call("POST", "/v1/keys", {"name": "ci", "scope": "read"})[1]
    mine = {"Authorization": f"Bearer {made['secret']}"}
    assert server.call("GET", "/v1/jobs", **mine)[0] == 200
    server.call("DELETE", f"/v1/keys/{made['id']}")

    assert until(lambda: server.call("GET", "/v1/jobs", **mine)[0] == 401, limit_s=keys.CACHED_S + 10)
    huge = {"Authorization": "Bearer " + "x" * 10_240}
    assert server.call("GET", "/v1/jobs", **huge)[0] in (401, 431)
