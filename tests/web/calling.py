"""A client of the application itself, without a server between."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared import keys
from shared.database import Database
from shared.settings import Settings


class Caller:
    """A client of one tenant, with a key."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self._client, self._key = client, key

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        headers = {"Authorization": f"Bearer {self._key}", **headers}
        return self._client.open(path, method=method, json=body, headers=headers)


def a_key(database: Database, settings: Settings, tenant: str, scope: str = keys.ADMIN) -> str:
    with database.transaction() as sql:
        return keys.create(sql, tenant, name="test", scope=scope, pepper=settings.pepper)
