"""What a receipt of an erasure says: every artefact by its place and SHA-256, what became of it, and what remains."""

from typing import Any

from sqlalchemy import Row

from shared import erasures
from shared.moments import shown
from shared.receipts import FORM

Json = dict[str, Any]

DESTROYED = "key destroyed, file deleted"
KEYS = (
    "Copies of the key store from before this moment open what was saved until then: let go of them, and files in "
    "backups are unreadable for good."
)
HANDED_OUT = "What was fetched before (predictions, archives of models, exports) lies where it was taken to."
FIGURES = "Figures about whole datasets and models stay: counts, metrics, params and events of jobs, and the audit log."
LEDGER = (
    "Entries of the ledger of rights from before row keys were sealed there name the row by its key, and stay: nothing "
    "of the ledger is ever changed."
)
LEARNED = (
    "It has learned from what was erased, or may have, and is kept because that was chosen; no claim is made that it "
    "has forgotten. It is marked in `erased_data`."
)


def write(row: Row[Any], found: Json, *, head: Row[Any], done_at: float) -> Json:
    """The receipt of an erasure; `head` is where the tenant's audit log ends with its last row."""
    return {
        "form": FORM,
        "erasure": row.id,
        "tenant": row.tenant,
        "subject": {"kind": row.kind, "dataset": row.dataset, "version": row.version, "pseudonym": row.pseudonym},
        "models_policy": row.models,
        "requested_by": row.key,
        "job": row.job,
        "decided_at": shown(row.created_at),
        "done_at": shown(done_at),
        "datasets": [{**each, "done": "erased" if row.kind == erasures.DATASET else "rewritten"}
                     for each in found["datasets"]],
        "artefacts": [{**file, "done": DESTROYED} for file in found["files"]],
        "unnamed_files": [{"place": place, "done": DESTROYED} for place in found["leftover"]],
        "models": found["models"],
        "aliases_removed": found["aliases"],
        "predictions_deleted": found["outputs"],
        "jobs_cancelled": found.get("cancelled", []),
        "jobs_restarted": _restarted(found),
        "schedules_paused": found.get("schedules", []),
        "retrained": found["retrained"],
        "not_retrained": found["not_retrained"],
        "remains": _remains(row, found),
        "audit_log": {"seq": head.seq, "hash": head.hash},
    }  # fmt: skip


def _restarted(found: Json) -> list[str]:
    """Those that had read what was erased, and learn from what is left."""
    ended = set(found.get("cancelled", ()))
    return sorted(each["job"] for each in found.get("restarted", ()) if each["job"] not in ended)


def _remains(row: Row[Any], found: Json) -> list[Json]:
    kept = [{"what": each["reference"], "why": LEARNED} for each in found["models"] if each["done"] == "kept"]
    unread = "Its uploads are not read yet, or were rejected, and may hold the same: delete it, or erase again later."
    added = "It was made by adding to what was erased, and holds its rows: erase it as well."
    elsewhere = "It has another name and holds the same recording, or may hold the same row: erase it there as well."
    ledger = [{"what": f"rights of {row.dataset}", "why": LEDGER}] if found.get("in_ledger") else []
    return [
        *kept,
        *({"what": each, "why": unread} for each in found["pending"]),
        *({"what": each, "why": added} for each in found["descendants"]),
        *({"what": each, "why": elsewhere} for each in found.get("elsewhere", ())),
        *ledger,
        {"what": "backups of keys", "why": KEYS},
        {"what": "copies handed out", "why": HANDED_OUT},
        {"what": "figures", "why": FIGURES},
    ]
