"""What the pages of docs/ promise is there, and what is there they name."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from shared.kinds import KINDS
from shared.settings import Settings, read
from shared.wanted import NewJob
from tests.words import error_codes
from web import app  # noqa: F401 — its import declares the routes
from web.api import ROUTES
from web.erasure_requests import NewErasure
from web.requests import AliasMove, ListenerErasure, NewDataset, NewSchedule, NewWebhook, Recommend
from web.tenant_requests import NewKey
from worker.formats.limits import Limits

DOCS = Path("docs")
# Of a version the kind is known.
USERS_OF = {"generate": "generation", "evaluate": "generation"}
API = (DOCS / "api.md").read_text()
BODIES: dict[str, type[BaseModel]] = {
    "new-dataset": NewDataset, "new-job": NewJob, "new-schedule": NewSchedule, "alias-move": AliasMove,
    "new-webhook": NewWebhook, "new-key": NewKey, "new-erasure": NewErasure,
    "listener-erasure": ListenerErasure, "recommend": Recommend,
}  # fmt: skip


def test_every_call_is_described_with_its_scope_and_no_other() -> None:
    built = {
        (declared.method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", declared.path), declared.scope) for declared in ROUTES
    }

    rows = re.findall(r"(?m)^\| `([A-Z]+) (/\S+)` \|(?: (read|submit|admin) \|)?", API)

    assert {(method, path, scope or None) for method, path, scope in rows} == built


def test_nothing_that_is_built_stands_under_not_yet() -> None:
    waiting = API.partition("## Not yet")[2]

    for path in re.findall(r"`(/[\w/]+)`", waiting):
        assert not any(declared.path.startswith(path) for declared in ROUTES), path
    for kind in KINDS:
        assert f"`{kind}`" not in waiting


def test_every_code_is_named_and_every_named_code_can_be_sent() -> None:
    listed = API.partition("## Codes")[2].partition("## Not yet")[0]
    # These are put together from the state of a row, the role of a column, or the side of a model.
    composed = {f"dataset_{state}" for state in ("ingesting", "ready", "rejected", "erased")}
    composed |= {f"job_{state}" for state in ("queued", "running", "succeeded", "failed", "cancelled")}
    composed |= {f"key_{state}" for state in ("revoked", "expired")}
    composed |= {f"{role}_inferred" for role in ("target", "group")}
    composed |= {f"{side}_drifted" for side in ("inputs", "outputs")}

    named = set(re.findall(r"`([a-z_]+)`", listed)) - {"code", "error"}

    assert named == error_codes() | composed


def test_every_action_of_the_audit_log_is_named() -> None:
    section = API.partition("## Audit log")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", section.partition("`action` is one of:")[2].partition(";")[0]))

    assert named == {declared.action for declared in ROUTES if declared.changes}


@pytest.mark.parametrize(("sort", "text"), re.findall(r"(?s)```json ([a-z-]+)\n(.*?)```", API))
def test_every_example_is_a_body_that_is_taken(sort: str, text: str) -> None:
    taken = BODIES[sort].model_validate(json.loads(text))

    if isinstance(taken, NewJob):
        kind = taken.kind or USERS_OF.get(taken.action, "classification")
        KINDS[kind].ACTIONS[taken.action].model_validate(taken.params)


def test_the_limits_that_are_named_are_the_ones_that_hold() -> None:
    chosen = read({})
    section = API.partition("## Limits")[2].partition("## Codes")[0]

    assert (chosen.json_bytes, chosen.upload_bytes, chosen.training_memory_bytes) == (2**20, 2**31, 2**32)
    for said in ("1 MiB", "2 GiB", "4 GiB", f"{Limits.rows:,} rows", f"{Limits.columns} columns", "16 GiB", "64 KiB"):
        assert said in section
    assert (Limits.table_bytes, Limits.field_bytes, chosen.waiting_clients) == (16 * 2**30, 64 * 2**10, 256)


def test_every_setting_has_its_row_with_its_default() -> None:
    rows = dict(re.findall(r"(?m)^\| `ETUDE_(\w+)` \| (.*?) \|", (DOCS / "operations.md").read_text()))
    defaults = read({})

    assert {name.lower() for name in rows} == {field.name for field in dataclasses.fields(Settings)}
    for name, said in rows.items():
        value = getattr(defaults, name.lower())
        if isinstance(value, int | float) or name in ("HOST", "SQLITE_SYNCHRONOUS", "LOG_LEVEL"):
            assert said == f"`{value:g}`" if isinstance(value, float) else said.startswith(f"`{value}`"), name
