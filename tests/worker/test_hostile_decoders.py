"""A decoder that files have taken over ends one job: worker, scratch folder and other tenants know nothing of it.

H44 of the test plan, and what such a decoder tries while it lives.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from shared import datasets, ids, jobs, sandbox
from shared.containment import tier
from shared.containment.tiers import LANDLOCK, SECCOMP
from shared.database import Database, now
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import tenants
from tests.worker import working
from tests.worker.interactions.uploading import ingest
from worker.runner import Post

MiB = 1024 * 1024
PLAYS = b"user,item,plays\nb,x,1\na,y,2\na,x,3\n"


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


@pytest.fixture
def other(database: Database) -> str:
    """Another tenant."""
    tenant = ids.new("ten")
    with database.transaction() as sql:
        sql.execute(insert(tenants).values(id=tenant, name=tenant, created_at=now()))
    return tenant


def take_over(monkeypatch: pytest.MonkeyPatch, do: str, *, secret: str = "", **bounds: Any) -> list[sandbox.Json]:
    """Have the odd decoder in the place of ours, within the same layers and reach; returns what it is asked."""
    real, asked = sandbox.run, []

    def run(module: str, request: sandbox.Json, **rest: Any) -> sandbox.Json:
        asked.append(request)
        rest["bounds"] = replace(rest["bounds"], **bounds)
        return real("tests.worker.odd_decoder", {**request, "do": do, "secret": secret}, **rest)

    monkeypatch.setattr(sandbox, "run", run)
    return asked


def children() -> set[str]:
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


@pytest.mark.parametrize(
    ("do", "bounds", "code"),
    [
        ("crash", {}, "decoder_crashed"),
        ("spin", {"cpu_s": 1}, "decoder_timeout"),
        ("wait", {"wall_s": 1.0}, "decoder_timeout"),
        ("allocate", {"address_bytes": 512 * MiB}, "decoder_memory"),
        ("kill", {}, "decoder_memory"),
    ],
)
def test_its_end_fails_one_job_and_nothing_else(
    post: Post, tenant: str, other: str, monkeypatch: pytest.MonkeyPatch, do: str, bounds: dict[str, Any], code: str
) -> None:
    before = children()

    with monkeypatch.context() as hostile:
        asked = take_over(hostile, do, **bounds)
        row, job = ingest(post, tenant, {"plays.csv": PLAYS})
    theirs, theirs_job = ingest(post, other, {"plays.csv": PLAYS})

    assert asked
    assert (row.state, job.state, job.error["code"]) == (datasets.REJECTED, jobs.FAILED, code)
    assert job.attempt == 1
    assert (theirs.state, theirs_job.state) == (datasets.READY, jobs.SUCCEEDED), theirs_job.error
    assert list(post.scratch.iterdir()) == []
    assert children() <= before


def test_it_reaches_its_upload_and_its_folder_and_nothing_of_the_worker(
    post: Post, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = post.settings.home / "root.key"
    secret.write_text("the root key")
    asked = take_over(monkeypatch, "look_around", secret=str(secret))

    _, job = ingest(post, tenant, {"plays.csv": PLAYS})

    assert asked and job.state == jobs.FAILED
    held = tier.measured().layers
    through = {"upload", *({"secret"} if LANDLOCK not in held else ()), *({"worker"} if SECCOMP not in held else ())}
    assert {fault["code"] for fault in job.error["errors"]} == through


def test_the_result_tells_what_held_the_decoder(post: Post, tenant: str) -> None:
    _, job = ingest(post, tenant, {"plays.csv": PLAYS})

    assert job.result["decoded_within"] == tier.measured().tier
