"""/v1/jobs/…/audit: the suspects of an audit, what is decided of them, and the dataset that comes of it."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from flask import request
from sqlalchemy import Connection, Row, select

from shared import audits, carried_rights, job_list
from shared.audits import Decision
from shared.errors import Fault, NotFound
from shared.keys import READ, SUBMIT
from shared.queue import LIGHT
from shared.tables import datasets
from web import decision_lists, lines_page, responses, schemas, terms
from web.api import Answer, Call, route
from web.decision_lists import BETWEEN_LABELS, DecisionList, Judge, RowDecision, Wanted
from web.lines_page import LinesPlace
from web.reading import CSV, JSON
from web.requests import RowsPage

FILE, INDEX = "audit.jsonl", "audit.index"
COLUMNS = ("row", "key", "file", "given", "suggested", "doubted", "self_confidence", "confidence", "margin",
           "is_suspect", "decision", "label")  # fmt: skip
# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection).
FORMULA = tuple("=+-@\t\r")
# Of a CSV decisions are looked up together for so many rows.
AT_ONCE = 1000

Json = dict[str, Any]


class Suspect(schemas.Open):
    """A row in the order of suspicion, and what was decided of it."""

    row: int
    key: str | None
    given: str | list[str]
    suggested: str | list[str]
    # The label that is doubted most: of one label the row's own.
    doubted: str
    # How likely the row's own label is, and how likely the other; the margin is their difference.
    self_confidence: float
    confidence: float
    margin: float
    is_suspect: bool
    # accept, reject; null while nobody has decided.
    decision: str | None
    label: str | list[str] | None


class AuditPage(schemas.Open):
    data: list[Suspect]
    next_cursor: str | None
    total: int
    accepted: int
    rejected: int


class Decided(schemas.Open):
    row: int
    decision: str
    label: str | list[str] | None
    # Labels that no row of the dataset has.
    new_labels: list[str]


class DecidedMany(schemas.Open):
    decided: int
    accepted: int
    rejected: int
    new_labels: list[str]


@route("GET", "/v1/jobs/<job_id>/audit", scope=READ, query=RowsPage, answer=AuditPage, errors=(404, 409),
       media_types=(JSON, CSV), opens=False, is_slow=True)  # fmt: skip
def show(call: Call, job_id: str) -> Answer:
    """The rows of an audit, the least likely labels first, with what was decided of each; by `Accept` all as CSV."""
    place, carried = _place(call, job_id), _rights(call, job_id)
    if request.accept_mimetypes.best_match([JSON, CSV], default=JSON) == CSV:
        headers = {
            "Content-Disposition": f'attachment; filename="{job_id}.csv"',
            "X-Formula-Escaped": "true",
            **carried,
        }
        return Answer(_as_csv(call, job_id, place), headers=headers, media_type=CSV)
    page = lines_page.read(call.services.storage, place, call.query)
    with call.database.reading() as sql:
        counts = audits.count(sql, job_id)
        shown = _with_decisions(sql, job_id, page["data"])
    return Answer({**page, "data": shown, **counts}, headers=carried)


@route("PUT", "/v1/jobs/<job_id>/audit/<int:row>", scope=SUBMIT, body=RowDecision, answer=Decided, errors=(404, 409),
       opens=False, is_slow=True)  # fmt: skip
def decide(call: Call, job_id: str, row: int) -> Answer:
    """Say that the label of a row is wrong, and which is right, or that it is right; the last word counts."""
    said: RowDecision = call.body
    wanted = Wanted(said.decision, said.label, row, None, pointer="/label")
    judge = _judge(call, job_id)
    found = _ranked(call, job_id, [wanted])
    if row not in found:
        raise NotFound(f"Row {row} is not among those that the audit has ranked.")
    (decision,) = _settle(judge, [wanted], found)
    _keep(call, job_id, [decision])
    new = [] if decision.label is None else judge.is_new(decision.label)
    said_back = {"row": row, "decision": decision.decision, "label": decision.label, "new_labels": new}
    return Answer(said_back)


@route("POST", "/v1/jobs/<job_id>/audit/decisions", scope=SUBMIT, body=DecisionList, answer=DecidedMany,
       errors=(404, 409), opens=False, is_slow=True, takes_csv=True)  # fmt: skip
def decide_many(call: Call, job_id: str) -> Answer:
    """The same of many rows at once, as JSON or CSV: all are taken, or none and every fault is named."""
    judge = _judge(call, job_id)
    if isinstance(call.body, bytes):
        target = judge.target
        wanted = decision_lists.of_csv(call.body, has_several=target["has_several"], separator=target["separator"])
    else:
        wanted = decision_lists.of_json(call.body)
    decisions = _settle(judge, wanted, _ranked(call, job_id, wanted))
    counts = _keep(call, job_id, decisions)
    new = {each: None for decision in decisions if decision.label for each in judge.is_new(decision.label)}
    return Answer({"decided": len({each.row for each in decisions}), **counts, "new_labels": list(new)[:100]})


@route("POST", "/v1/jobs/<job_id>/audit/apply", scope=SUBMIT, answer=schemas.Job, status=202, errors=(404, 409, 429),
       submits=True)  # fmt: skip
def apply(call: Call, job_id: str) -> Answer:
    """Make the next version of the dataset with the labels that were accepted: the answer is the ingest job."""
    tenant = call.caller.tenant
    audit = audits.find(call.sql, tenant, job_id)
    call.services.quotas.take(call.sql, tenant)
    applied = audits.apply(call.sql, tenant, audit)
    body = responses.job(job_list.whole(call.sql, applied.job))
    headers = {"Location": f"/v1/jobs/{applied.job.id}"}
    return Answer(body, 202, headers, ring=LIGHT if applied.is_new else None)


def _judge(call: Call, job_id: str) -> Judge:
    """What may be decided. Raises NotFound, NotAllowedNow."""
    with call.database.reading() as sql:
        audit = audits.find(sql, call.caller.tenant, job_id)
        source = audits.find_source(sql, audit)
    types = {column["name"]: column["type"] for column in source.profile["columns"]}
    return Judge(audit.result["target"], types)


def _settle(judge: Judge, wanted: Sequence[Wanted], found: dict[int | str, Json]) -> list[Decision]:
    """The decisions as they are kept. Raises InvalidRequest with every one that cannot be."""
    decisions, faults = list[Decision](), list[Fault]()
    for each in wanted:
        ranked = found.get(each.name)
        if ranked is None:
            said = "expected a row that the audit has ranked, received another"
            faults.append(each.fault(said, code="row_not_ranked"))
            continue
        settled = judge.settle(each, ranked)
        if isinstance(settled, Fault):
            faults.append(settled)
        else:
            decisions.append(settled)
    decision_lists.refuse(faults)
    return decisions


def _keep(call: Call, job_id: str, decisions: Sequence[Decision]) -> Json:
    with call.database.transaction() as sql:
        audits.decide(sql, job_id, decisions, key=call.caller.key_id)
        counts = audits.count(sql, job_id)
        call.note(sql)
        return counts


def _ranked(call: Call, job_id: str, wanted: Sequence[Wanted]) -> dict[int | str, Json]:
    return decision_lists.find(call.services.storage.stream(_place(call, job_id).lines_key), wanted)


def _place(call: Call, job_id: str) -> LinesPlace:
    with call.database.reading() as sql:
        audits.find(sql, call.caller.tenant, job_id)
        lines, index = (_output(sql, job_id, name) for name in (FILE, INDEX))
    return LinesPlace(lines.key, index.key, index.size_bytes, lines.rows)


def _rights(call: Call, job_id: str) -> terms.Headers:
    """Those of what an audit suggests: it has learned from the dataset, and heard with the networks that come along."""
    with call.database.reading() as sql:
        audit = audits.find(sql, call.caller.tenant, job_id)
        # Of one that is erased, too, the row is there.
        form = sql.execute(select(datasets.c.format).where(datasets.c.id.in_(audit.datasets))).scalar_one()
        lineage = {"params": audit.params, "dataset": {"format": form}}
        return terms.of(carried_rights.of_training(sql, audit.datasets, lineage, {}))


def _output(sql: Connection, job_id: str, name: str) -> Row[Any]:
    file = job_list.find_output(sql, job_id, name)
    assert file is not None, "an audit that has succeeded has written it"
    return file


def _with_decisions(sql: Connection, job_id: str, rows: Sequence[Json]) -> list[Json]:
    made = audits.decided(sql, job_id, [row["row"] for row in rows])
    return [
        {**row, "decision": None, "label": None}
        if (found := made.get(row["row"])) is None
        else {**row, "decision": found.decision, "label": found.label}
        for row in rows
    ]


def _as_csv(call: Call, job_id: str, place: LinesPlace) -> Iterator[bytes]:
    """The whole ranking, which a spreadsheet opens and from which decisions may come back."""
    between = _judge(call, job_id).target["separator"] or BETWEEN_LABELS
    lines = decision_lists.split(call.services.storage.stream(place.lines_key))
    yield _cells([COLUMNS])
    while some := [json.loads(line) for _, line in zip(range(AT_ONCE), lines, strict=False)]:
        with call.database.reading() as sql:
            rows = _with_decisions(sql, job_id, some)
        yield _cells([[_cell(row.get(name), between) for name in COLUMNS] for row in rows])


def _cells(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any, between: str) -> str:  # Any: what a line of the ranking holds
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = between.join(value) if isinstance(value, list) else str(value)
    return f"'{text}" if isinstance(value, str | list) and text.startswith(FORMULA) else text
