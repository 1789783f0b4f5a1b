"""Datasets of pieces at the door: what their body may say, and the page of their pieces."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared import datasets, storage
from shared.database import Database
from tests.web.calling import Caller
from worker.lines import JsonLines


def create(caller: Caller, **body: Any) -> Any:
    return caller.call("POST", "/v1/datasets", {"name": "songs", "format": "symbolic", **body})


def make_ready(caller: Caller, database: Database, tenant: str, folder: Path, *, rows: int) -> str:
    """A dataset whose ingest has said of so many pieces their number."""
    services = caller._client.application.extensions["etude"]
    with JsonLines(folder / "pieces.jsonl") as lines:
        for row in range(rows):
            lines.write(json.dumps({"row": row, "key": f"{row}.mid"}))
    with database.of(tenant).transaction() as sql:
        row = datasets.create(sql, tenant, name="ready", format="symbolic", columns={})
        key = storage.dataset_file(tenant, row.id, "file-1")
        kept = services.storage.put(key, [b"MThd"])
        datasets.add_file(sql, tenant, row.id, name="a.mid", key=key, stored=kept)
        datasets.begin_ingest(sql, tenant, row.id)
        parts = []
        for path in sorted(folder.glob("pieces.*")):
            place = f"{storage.dataset_folder(tenant, row.id)}parts/1/{path.name}"
            put = services.storage.put(place, [path.read_bytes()])
            parts.append({"name": path.name, "key": place, "size_bytes": put.size_bytes, "sha256": put.sha256})
        datasets.mark_ready(sql, row.id, parts=parts, profile={"rows": rows, "columns": []})
    return str(row.id)


def test_a_dataset_of_pieces_needs_a_name_and_no_more(caller: Caller) -> None:
    answer = create(caller)

    assert (answer.status_code, answer.json["format"], answer.json["columns"]) == (201, "symbolic", {})


@pytest.mark.parametrize("role", ["target", "group", "id", "file", "tempo"])
def test_roles_of_columns_are_refused_by_name(caller: Caller, role: str) -> None:
    answer = create(caller, columns={role: "genre"})

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert f"expected no {role} in columns" in json.dumps(answer.json)


def test_a_base_of_another_format_is_refused(caller: Caller, database: Database, tenant: str, tmp_path: Path) -> None:
    ready = make_ready(caller, database, tenant, tmp_path, rows=1)

    assert create(caller, base=ready).status_code == 201
    assert create(caller, base=ready, format="table").json["code"] == "format_mismatch"


def test_pieces_are_told_page_by_page(caller: Caller, database: Database, tenant: str, tmp_path: Path) -> None:
    ready = make_ready(caller, database, tenant, tmp_path, rows=250)

    first = caller.call("GET", f"/v1/datasets/{ready}/pieces?limit=200").json
    second = caller.call("GET", f"/v1/datasets/{ready}/pieces?limit=200&cursor={first['next_cursor']}").json

    assert [each["row"] for each in first["data"] + second["data"]] == list(range(250))
    assert second["next_cursor"] is None


def test_other_datasets_have_no_pieces_and_these_have_no_tracks(
    caller: Caller, database: Database, tenant: str, tmp_path: Path
) -> None:
    table = caller.call("POST", "/v1/datasets", {"name": "t"}).json["id"]
    ready = make_ready(caller, database, tenant, tmp_path, rows=1)

    assert caller.call("GET", f"/v1/datasets/{table}/pieces").status_code == 404
    assert caller.call("GET", f"/v1/datasets/{ready}/tracks").status_code == 404
    assert caller.call("GET", f"/v1/datasets/{create(caller).json['id']}/pieces").json["code"] == "dataset_not_ready"
