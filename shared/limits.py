"""What a body of POST /v1/jobs must not ask, whatever its kind: each raises InvalidRequest with the place at fault."""

from typing import Any

from pydantic import BaseModel
from sqlalchemy import Row

from shared import estimation, gate, models, networks, tariff
from shared.audit_params import AUDIT
from shared.errors import Fault, InvalidRequest
from shared.kinds import KINDS
from shared.machines import Machine
from shared.settings import Settings
from shared.training_params import REPRODUCE
from shared.tuning_params import TUNE
from shared.wanted import NewJob

OF_RECORDINGS = ("preset", "listening", "precision")
OF_ONE_DATASET = ("train", TUNE, "evaluate", AUDIT)
MAKE_A_VERSION = ("train", TUNE)


def check_promotion(wanted: NewJob, kind: str | None) -> None:
    """Refuse an alias that cannot be one, and a gate that could never open or never close."""
    if wanted.promote is None:
        return
    if wanted.action not in MAKE_A_VERSION:
        raise _fault(
            "/promote", "expected no promote: only a training or a search makes a version that an alias could point to"
        )
    models.check_alias(wanted.promote.alias, pointer="/promote/alias")
    require = wanted.promote.require
    if require is None:
        return
    if require.not_worse_than is not None:
        models.check_alias(require.not_worse_than, pointer="/promote/require/not_worse_than")
    if require.metric is not None:
        gate.demand_metric(kind or "", require.metric, pointer="/promote/require/metric")


def check_budget(wanted: NewJob, settings: Settings) -> None:
    """Refuse a limit that nothing could be held against."""
    if wanted.budget.money is not None and not tariff.of(settings).has_prices:
        said = "expected no money: the operator has set no prices here; name compute_seconds or energy_wh"
        raise _fault("/budget/money", said)


def check_formats(rows: list[Row[Any]], kind: str | None, version: Row[Any] | None, action: str) -> None:
    """Refuse a dataset that the kind does not read, one too many, and one of another format than was trained on."""
    known, beside = KINDS[kind or ""].FORMATS, getattr(KINDS[kind or ""], "BESIDE", ())
    if beside and action in (*MAKE_A_VERSION, REPRODUCE):
        rows = [*rows[:1], *(row for row in rows[1:] if row.format not in beside)]
    if len(rows) > 1 and (beside or action in OF_ONE_DATASET):
        raise _fault("/dataset", f"expected one dataset to {action} on, received {len(rows)}")
    trained_on = None if version is None else version.lineage.get("dataset", {}).get("format", known[0])
    expected = known if trained_on is None else (trained_on,)
    for row in rows:
        if row.format not in expected:
            said = f"expected a dataset of format {' or '.join(expected)}, received one of format {row.format}"
            raise _fault("/dataset", said, code="format_mismatch")


def check_hearing(params: BaseModel, rows: list[Row[Any]]) -> None:
    """Refuse for tables what only recordings have."""
    if not rows or rows[0].format != "table":
        return
    given = [name for name in OF_RECORDINGS if getattr(params, name, None) is not None]
    if given:
        raise _fault(f"/params/{given[0]}", f"expected no {given[0]}: it is for recordings, and this is a table")


def refuse_giant(params: BaseModel, rows: list[Row[Any]], settings: Settings) -> None:
    """Raise for a training of a search that would not fit: it need not be the one that the search begins with."""
    size = estimation.need(params, rows, None, Machine()).size
    if size is not None:
        networks.refuse_giant(size, memory_limit_bytes=settings.training_memory_bytes)


def check_target(rows: list[Row[Any]], kind: str | None) -> None:
    """Refuse what the profile already shows to be hopeless; the rest is the training's to find."""
    profile = rows[0].profile
    targets = profile["roles"]["target"]
    if not targets:
        said = "the dataset has no target column: name one as columns.target when you create the dataset"
        raise _fault("/dataset", said, code="target_missing")
    for column in profile["columns"]:
        if column["name"] in targets and column["constant"]:
            said = f"the target column {column['name']!r} has the same value in every row"
            raise _fault("/dataset", said, code="target_constant", column=column["name"])
        if kind == "regression" and column["name"] in targets and column["type"] not in ("number", "integer"):
            said = f"expected numbers in {column['name']!r}, which holds words: train a classification"
            raise _fault("/dataset", said, code="target_not_numeric", column=column["name"])


def _fault(pointer: str, message: str, *, code: str | None = None, column: str | None = None) -> InvalidRequest:
    return InvalidRequest(message, code=code, faults=[Fault(message, pointer=pointer, column=column)])
