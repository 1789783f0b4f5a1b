"""The OpenAPI document, and everything that schemathesis can think of against it."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from shared import keys
from shared.database import Database
from shared.settings import Settings
from tests.factories import make_dataset, make_job
from tests.web import serving
from web.api import ROUTES
from web.app import create_app, create_services
from web.openapi import document

ROOT = Path(__file__).parents[2]
# More of it in `make fuzz`, from another seed each time.
TIMES, SEED = int(os.environ.get("FUZZ_TIMES", "1")), os.environ.get("FUZZ_SEED", "7")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough to try the door."""
    return sqlite_url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A thousand tries without a key are all told the same."""
    return dataclasses.replace(settings, wrong_key_rate=0.0)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    made = create_app(create_services(settings))
    yield made
    made.extensions["etude"].database.close()


@pytest.fixture
def key(app: Flask, database: Database, settings: Settings, tenant: str) -> str:
    with database.transaction() as sql:
        return keys.create(sql, tenant, name="test", scope=keys.ADMIN, pepper=settings.pepper)


def test_schemathesis_finds_nothing(server: serving.Server, database: Database, tenant: str, tmp_path: Path) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant, datasets=[make_dataset(sql, tenant, name="songs")])

    ran = subprocess.run(
        [
            "schemathesis", "run", f"{server.url}/v1/openapi.json", "--header", f"Authorization: Bearer {server.key}",
            "--checks", "all", "--exclude-checks", "positive_data_acceptance", "--max-examples", str(40 * TIMES),
            "--seed", SEED,
            "--continue-on-failure", "--no-color", "--warnings", "off",
        ],
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.web.schemathesis_hooks",
            "OWN_KEY": f"key_{server.key.split('_')[1]}",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600 * TIMES,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout
    assert "refused_for_a_reason" not in ran.stderr


def test_every_route_is_in_the_document() -> None:
    said = {(method.upper(), path) for path, calls in document()["paths"].items() for method in calls}

    assert len(said) == len(ROUTES)


def test_every_limit_of_a_body_is_in_the_document() -> None:
    said = document()["components"]["schemas"]

    assert said["AliasMove"]["properties"]["version"]["minimum"] == 1
    assert said["NewJob"]["properties"]["priority"]["maximum"] == 100
    assert said["NewJob"]["additionalProperties"] is False


def test_the_kinds_tell_the_limits_of_their_params(app: Flask, key: str) -> None:
    answer = app.test_client().get("/v1/kinds", headers={"Authorization": f"Bearer {key}"})

    kinds = {kind["name"]: kind for kind in answer.json["data"]}
    params = kinds["classification"]["actions"]["train"]["params"]["properties"]
    assert (params["batch_size"]["minimum"], params["batch_size"]["maximum"]) == (1, 65_536)
    assert params["seed"]["default"] == 0


def test_the_page_that_shows_it_fetches_nothing_from_elsewhere(app: Flask) -> None:
    page = app.test_client().get("/docs")

    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    assert "https://" not in json.dumps(document()["info"])
