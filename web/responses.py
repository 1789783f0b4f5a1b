"""Rows as the JSON that clients rely on: the only place that shapes what goes out."""

from typing import Any

import orjson
from sqlalchemy import Row

from shared import cards, moments
from shared.audit_params import AUDIT
from shared.evidence import Evidence
from shared.job_list import Whole
from shared.jobs import ENDED
from shared.reuse import Found
from shared.tuning_params import TUNE

Json = dict[str, Any]

NO_COST = {
    "compute_s": 0.0, "helped_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0, "peak_memory_bytes": 0, "energy_wh": None,
    "energy_source": None, "money": None, "currency": None,
}  # fmt: skip


def moment(seconds: float | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    return None if seconds is None else moments.shown(seconds)


def job(whole: Whole, *, reuse: Found | None = None) -> Json:
    """A job; `reuse` is what came of the wish to have an earlier one answer, where that was asked."""
    row = whole.job
    address = f"/v1/jobs/{row.id}"
    return {
        "id": row.id,
        "action": row.action,
        "kind": row.kind,
        "state": row.state,
        "stage": row.stage,
        "datasets": row.datasets,
        "model": row.model,
        "schedule": row.schedule,
        "parent": row.parent,
        "params": row.params,
        "priority": row.priority,
        "labels": row.labels,
        "budget": row.budget,
        "promote": row.promote,
        "progress": row.progress,
        "queue": {"name": row.queue, "ahead": whole.ahead},
        "attempt": row.attempt,
        "attempts": [_attempt(attempt) for attempt in whole.attempts],
        "timeline": [{"at": moment(event.at), **_step(event.data)} for event in whole.timeline],
        "created_at": moment(row.created_at),
        "started_at": moment(row.started_at),
        "ended_at": moment(row.ended_at),
        "deadline_at": moment(row.deadline_at),
        "cancel_requested_at": moment(row.cancel_requested_at),
        "result": row.result,
        "error": row.error,
        "cost": {**NO_COST, **(row.cost or {})},
        "estimate": _estimate(row),
        "reuse": None if reuse is None else {"reused": reuse.job is not None, "reason": reuse.reason},
        "links": {
            "self": address,
            "events": f"{address}/events",
            "metrics": f"{address}/metrics",
            "cancel": f"{address}/cancel",
            **({"trials": f"{address}/trials"} if row.action == TUNE else {}),
            **({"audit": f"{address}/audit"} if row.action == AUDIT else {}),
        },
    }


def _estimate(row: Row[Any]) -> Json | None:
    """What was expected at submission, and once it has ended how many times as long it took."""
    if not row.estimate:
        return None
    expected_s, spent_s = float(row.estimate["seconds"]), float((row.cost or {}).get("compute_s", 0.0))
    has_ended = row.state in ENDED and spent_s > 0 and expected_s > 0
    said = {name: row.estimate[name] for name in ("seconds", "low", "high")}
    return {**said, "actual_ratio": round(spent_s / expected_s, 3) if has_ended else None}


def _attempt(row: Row[Any]) -> Json:
    return {
        "number": row.number,
        "worker": row.worker,
        "started_at": moment(row.started_at),
        "ended_at": moment(row.ended_at),
        "outcome": row.outcome,
        "resumed_from": row.resumed_from,
    }


def _step(data: Json) -> Json:
    return {name: data[name] for name in ("state", "stage") if name in data}


def listed_job(row: Row[Any]) -> Json:
    """A job in a list: without its attempts and timeline."""
    return job(Whole(row, [], [], 0))


def schedule(row: Row[Any]) -> Json:
    address = f"/v1/schedules/{row.id}"
    return {
        "id": row.id,
        "name": row.name,
        "cron": row.cron,
        "timezone": row.timezone,
        "job": row.job,
        "overlap": row.overlap,
        "misfire": row.misfire,
        "misfire_grace_s": row.misfire_grace_s,
        "state": row.state,
        "error": row.error,
        "next_at": moment(row.next_at),
        "revision": row.revision,
        "created_at": moment(row.created_at),
        "links": {"self": address, "runs": f"{address}/runs", "jobs": f"/v1/jobs?schedule={row.id}"},
    }


def run(row: Row[Any]) -> Json:
    """A moment of a schedule, and what became of it."""
    return {
        "due_at": moment(row.due_at),
        "fired_at": moment(row.fired_at),
        "outcome": row.outcome,
        "by_hand": row.by_hand,
        "job": None if row.job is None else {"id": row.job, "state": row.job_state},
        "error": row.error,
    }


def event(row: Row[Any]) -> Json:
    return {"id": row.seq, "at": moment(row.at), "type": row.type, "data": row.data}


def feed_event(row: Row[Any], *, id: str) -> Json:
    """An event among those of all jobs; `number` is its id among those of its own."""
    return {
        "id": id, "job": row.job, "number": row.seq, "at": moment(row.at), "type": row.type, "data": row.data,
    }  # fmt: skip


def worker(row: Row[Any], *, is_busy: bool, lease_s: float) -> Json:
    """A worker; what it does is told only to whose job it is."""
    job = {
        "id": row.job_id, "action": row.job_action, "kind": row.job_kind, "model": row.job_model,
        "stage": row.job_stage, "since": moment(row.job_since),
    }  # fmt: skip
    return {
        "name": row.name,
        "queue": row.queue,
        "state": _state_of(row, is_busy=is_busy, lease_s=lease_s),
        "started_at": moment(row.started_at),
        "beat_at": moment(row.beat_at),
        "containment": row.containment,
        "devices": row.devices or [],
        "job": None if row.job_id is None else job,
    }


def _state_of(row: Row[Any], *, is_busy: bool, lease_s: float) -> str:
    if row.silent_s > lease_s:
        return "gone" if row.draining_at is not None else "silent"
    if row.draining_at is not None:
        return "draining"
    return "busy" if is_busy else "idle"


def dataset(row: Row[Any]) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "reference": f"{row.name}@{row.version}",
        "format": row.format,
        "state": row.state,
        "columns": row.columns,
        "masking": row.masking,
        "base": row.base,
        "rows": row.rows,
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "profile": row.profile,
        "error": row.error,
        "created_at": moment(row.created_at),
        "ready_at": moment(row.ready_at),
    }


def listed_dataset(row: Row[Any]) -> Json:
    """A dataset in a list: its profile can be long, and is one call away."""
    return {**dataset(row), "profile": None}


def model(row: Row[Any], *, versions: list[Row[Any]], aliases: dict[str, int]) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "created_at": moment(row.created_at),
        **{name: getattr(row, name, None) for name in cards.TEXTS},
        "aliases": aliases,
        "versions": [version(found, name=row.name, aliases=aliases) for found in versions],
    }


def listed_model(row: Row[Any], aliases: dict[str, int]) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "created_at": moment(row.created_at),
        "aliases": aliases,
        "newest_version": row.newest,
        "has_erased_data": bool(row.has_erased_data),
    }


def version(row: Row[Any], *, name: str, aliases: dict[str, int], rights: Json | None = None) -> Json:
    """A version; `rights` as they are now, where it is shown alone."""
    return {
        "model": name,
        "version": row.number,
        "reference": f"{name}@{row.number}",
        "aliases": sorted(alias for alias, number in aliases.items() if number == row.number),
        "metrics": row.metrics,
        "baselines": row.baselines,
        "warnings": row.warnings,
        "lineage": row.lineage,
        "parameters": row.parameters,
        "rights": rights,
        "created_at": moment(row.created_at),
        "erased_data": row.erased_data or [],
        "links": _links(f"/v1/models/{name}/versions/{row.number}", row.job),
    }


def _links(address: str, job_id: str | None) -> Json:
    """What comes with the service was made by no job, and is not handed out."""
    made = {} if job_id is None else {"download": f"{address}/download", "job": f"/v1/jobs/{job_id}"}
    return {"card": f"{address}/card", **made}


def moves(rows: list[Row[Any]]) -> list[Json]:
    """Moves of one alias, the last first; the first of all came from nowhere."""
    numbers: list[int | None] = [row.number for row in rows]
    return [_move(row, before) for row, before in zip(rows, [*numbers[1:], None], strict=False)]


def _move(row: Row[Any], before: int | None) -> Json:
    return {
        "move": row.move,
        "at": moment(row.at),
        "version": row.number,
        "from": before,
        "how": row.how,
        "key": row.key_name,
        "job": row.job,
        "reason": row.reason,
        "gate": row.gate,
    }


def rights_entry(row: Row[Any], *, track: str | None) -> Json:
    """An entry of the ledger of rights, with who wrote it and the key of the row that it is about."""
    consent = None if row.consent is None else {
        "training": row.consent, "basis": row.consent_basis, "until": moment(row.consent_until),
    }  # fmt: skip
    said = {name: getattr(row, name) for name in ("licence", "commercial", "holder", "source", "reason")}
    told = {"number": row.number, "at": moment(row.at), "key": row.key_name or row.key, "track": track}
    return {**told, **said, "consent": consent}


def card(known: Evidence) -> Json:
    """A model card with its moments: when it was made, and when which alias pointed to which version."""
    said = {**cards.build(known), "created_at": moment(known.version.created_at)}
    return {**said, "moves": {alias: moves(rows) for alias, rows in known.moves.items()}}


def webhook(row: Row[Any]) -> Json:
    """A webhook without its secrets."""
    return {
        "id": row.id,
        "url": row.url,
        "events": row.events,
        "description": row.description,
        "state": row.state,
        "error": row.error,
        "failing_since": moment(row.failing_since),
        "old_secret_until": moment(row.old_secret_until),
        "created_at": moment(row.created_at),
    }


def webhook_with_secret(row: Row[Any]) -> Json:
    """A webhook at the one moment at which its secret is shown."""
    return {**webhook(row), "secret": row.secret}


def delivery(row: Row[Any]) -> Json:
    return {
        "id": row.id,
        "webhook": row.webhook,
        "type": row.type,
        "state": row.state,
        "attempts": row.attempts,
        "next_at": moment(row.next_at),
        "created_at": moment(row.created_at),
        "ended_at": moment(row.ended_at),
    }


def whole_delivery(row: Row[Any]) -> Json:
    """A delivery with what was sent, and what each try came to."""
    tries = [{**tried, "at": moment(tried["at"])} for tried in row.log]
    return {**delivery(row), "body": orjson.loads(row.body), "tries": tries}


def page(rows: list[Json], *, limit: int, cursor: str = "id") -> Json:
    """A page of a list that was asked for one row more than the limit."""
    shown = rows[:limit]
    return {"data": shown, "next_cursor": shown[-1][cursor] if len(rows) > limit else None}
