"""What is kept with a model of table rows so that its answers can be explained, and for how long."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection, Row, select, update

from shared.errors import Fault, InvalidRequest
from shared.kept_files import EXAMPLES, INPUTS
from shared.table_params import RowExplanation, TableScoring
from shared.tables import datasets, versions

# Points of the path along which a row is explained, and those at which another answer is looked for.
STEPS, SEARCHED = 64, 8000
# The fields of `explain`, by what is explained.
FIELDS_OF = {"table": ("top", "counterfactual", "nearest"), "audio": ("labels", "tracks", "clips")}
NEEDS = {"counterfactual": INPUTS, "nearest": EXAMPLES}

Json = dict[str, Any]


def refuse_unfit(params: BaseModel, rows: Sequence[Row[Any]], version: Row[Any] | None) -> None:
    """Refuse an explanation that is for another sort of data, or for which the version has kept nothing."""
    explain, format = getattr(params, "explain", None), rows[0].format if rows else None
    if format not in FIELDS_OF or not isinstance(explain, bool | BaseModel):
        return
    given = set() if isinstance(explain, bool) else explain.model_fields_set
    strange = sorted(given.intersection(*(fields for known, fields in FIELDS_OF.items() if known != format)))
    if strange:
        said = f"expected no {strange[0]}: it is for another sort of data than this, of format {format}"
        raise InvalidRequest(said, faults=[Fault(said, pointer=f"/params/explain/{strange[0]}")])
    if format == "table" and version is not None and isinstance(params, TableScoring):
        _refuse_unkept(params, version)


def _refuse_unkept(params: TableScoring, version: Row[Any]) -> None:
    asked = params.explained_rows
    if asked is None:
        return
    _refuse_unknown(asked, version)
    kept = {file["name"] for file in version.files}
    wanted = {"counterfactual": asked.change is not None, "nearest": asked.nearest > 0}
    faults = [
        Fault(f"expected no {name}: the version keeps no {file} for it", pointer=f"/params/explain/{name}")
        for name, file in NEEDS.items()
        if wanted[name] and file not in kept
    ]
    if faults:
        said = (
            f"{version.name}@{version.number} cannot tell this: it was trained by an older release or with "
            "`keep_examples: false`, or its dataset was erased since. Train it again, or ask for less."
        )
        raise InvalidRequest(said, code="explanation_unkept", faults=faults)


def _refuse_unknown(asked: RowExplanation, version: Row[Any]) -> None:
    known = {column["name"] for column in version.lineage.get("columns", ())}
    unknown = [] if asked.change is None else [name for name in asked.change.fixed if name not in known]
    if unknown:
        said = f"expected columns that the version has learned from, received {unknown[0]!r}"
        faults = [Fault(said, pointer="/params/explain/counterfactual/fixed", column=name) for name in unknown]
        raise InvalidRequest(said, code="column_unknown", faults=faults)


def passes(params: BaseModel) -> int:
    """How many passes through the network each row costs, roughly; a gradient is three."""
    asked = params.explained_rows if isinstance(params, TableScoring) else None
    if asked is None:
        return 1
    return 1 + 3 * STEPS + (SEARCHED if asked.change is not None else 0)


def forget_examples(sql: Connection, job_ids: Sequence[str]) -> list[str]:
    """Take the examples from the versions that these jobs have made; returns the keys of the files, to be deleted."""
    keys = []
    for version in sql.execute(select(versions.c.id, versions.c.files).where(versions.c.job.in_(job_ids))).all():
        gone = [file["key"] for file in version.files if file["name"] == EXAMPLES]
        if gone:
            sql.execute(update(versions).where(versions.c.id == version.id).values(files=without(version.files)))
        keys += gone
    return keys


def without(files: Sequence[Json]) -> list[Json]:
    """The files of a version but for its examples."""
    return [file for file in files if file["name"] != EXAMPLES]


def is_erased(sql: Connection, lineage: Json) -> bool:
    """Whether the dataset that was learned from is gone; holds it as it is until the transaction ends.

    So an erasure at the same moment either is seen here, or sees the version.
    """
    dataset_id = lineage.get("dataset", {}).get("id")
    chosen = select(datasets.c.erased_at).where(datasets.c.id == dataset_id).with_for_update()
    return sql.execute(chosen).scalar() is not None
