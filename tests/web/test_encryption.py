"""/v1/encryption-key: which one it is, and the job that replaces it."""

from flask.testing import FlaskClient

from shared import keys
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from tests.conftest import make_tenant
from tests.web.calling import Caller, a_key


def test_which_key_it_is_is_told_and_not_the_key(caller: Caller, storage: Storage, tenant: str) -> None:
    storage.put(f"t/{tenant}/file", [b"x"])

    told = caller.call("GET", "/v1/encryption-key").json

    assert told["id"].startswith("tk_") and told["created_at"] is not None
    assert {name: told[name] for name in told if name not in ("id", "created_at")} == {
        "generation": 1, "algorithm": "AES-256-GCM",
    }  # fmt: skip


def test_one_job_at_a_time_replaces_it(
    caller: Caller, client: FlaskClient, database: Database, settings: Settings
) -> None:
    first = caller.call("POST", "/v1/encryption-key/rotate")
    again = caller.call("POST", "/v1/encryption-key/rotate")
    stranger = Caller(client, a_key(database, settings, make_tenant(database)))

    assert (first.status_code, first.json["action"], first.json["queue"]["name"]) == (202, "rotate", "light")
    assert first.headers["Location"] == f"/v1/jobs/{first.json['id']}"
    assert (again.status_code, again.json["code"]) == (409, "rotation_under_way")
    assert first.json["id"] in again.json["detail"]
    assert stranger.call("POST", "/v1/encryption-key/rotate").status_code == 202


def test_only_an_admin_replaces_it(client: FlaskClient, database: Database, settings: Settings, tenant: str) -> None:
    caller = Caller(client, a_key(database, settings, tenant, scope=keys.SUBMIT))

    assert caller.call("POST", "/v1/encryption-key/rotate").status_code == 403
    assert caller.call("GET", "/v1/encryption-key").status_code == 200
