"""A process for whom row-level security does not hold says so, in its log and at /readyz; no other does."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from shared.settings import Settings
from web.app import create_app, create_services

TELLS = """
from shared import log, row_security, settings
chosen = settings.read()
log.configure(chosen.log_level)
row_security.tell(chosen)
"""


def told(url: str) -> list[str]:
    environment = {**os.environ, "ETUDE_DATABASE_URL": url}
    ran = subprocess.run([sys.executable, "-c", TELLS], env=environment, capture_output=True, text=True, check=True)
    return [json.loads(line)["event"] for line in ran.stderr.splitlines()]


def ready(settings: Settings, url: str) -> dict[str, str]:
    services = create_services(dataclasses.replace(settings, database_url=url))
    try:
        answer: dict[str, str] = create_app(services).test_client().get("/readyz").json or {}
    finally:
        services.database.close()
    return answer


def test_a_role_that_owns_nothing_has_nothing_to_tell(settings: Settings, database_url: str) -> None:
    assert told(database_url) == []
    assert "row_security" not in ready(settings, database_url)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_superuser_is_told_of(settings: Settings, owner_url: str) -> None:
    assert told(owner_url) == ["row_security_bypassed"]
    assert ready(settings, owner_url)["row_security"] == "bypassed"


def test_a_database_that_is_away_stops_no_start() -> None:
    assert told("postgresql://nobody@127.0.0.1:9/none") == []
