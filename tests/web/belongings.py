"""One of everything that a tenant can have and a request can name, written to SQL as the service leaves it behind."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, update

from shared import audit_log, audits, datasets, erasures, history, keys, models, rights, schedules, webhooks
from shared.audit_log import Entry
from shared.database import Database
from shared.erasures import Wanted
from shared.settings import Settings
from shared.storage import Storage, Stored
from shared.tables import chunks, epochs, outputs
from shared.tables import jobs as job_table
from shared.tables import models as model_table
from tests import factories
from tests.web import registry

Json = dict[str, Any]

# What an audit has ranked: one row, where its line begins, and where it ends.
RANKED = (
    b'{"row": 0, "key": "a", "given": "rock", "suggested": "pop", "doubted": "rock", "self_confidence": 0.1, '
    b'"confidence": 0.8, "margin": -0.7, "is_suspect": true}\n'
)
INDEX = (0).to_bytes(8, "little") + len(RANKED).to_bytes(8, "little")
TARGET = {"columns": ["genre"], "has_several": False, "separator": None, "labels": ["pop", "rock"]}
SPARE_FILE = {"key": "t/nobody/file", "size_bytes": 1, "sha256": "0" * 64, "rows": 1}


@dataclass(frozen=True)
class Belongings:
    """What one tenant has, by the name that a path, a query or a body gives it."""

    tenant: str
    dataset: str
    open_dataset: str
    dataset_name: str
    model: str
    taste: str
    ear: str
    training: str
    scoring: str
    failed_scoring: str
    audit: str
    search: str
    trial: str
    schedule: str
    schedule_name: str
    webhook: str
    delivery: str
    key: str
    erasure: str

    def all(self) -> set[str]:
        """Everything by which a stranger would know it again."""
        return set(vars(self).values())


def furnish(database: Database, settings: Settings, tenant: str, name: str) -> Belongings:
    """Give a tenant one of everything; its names begin with `name`."""
    with database.transaction() as sql:
        # What waits already would be claimed instead of what is made here.
        sql.execute(update(job_table).where(job_table.c.state == "queued").values(run_after=9e9))
        dataset = factories.make_dataset(sql, tenant, name=f"{name}-songs", profile=factories.SONGS)
        open_dataset = factories.make_dataset(sql, tenant, name=f"{name}-open", state="open")
        datasets.add_file(sql, tenant, open_dataset, name="a.csv", key="t/nobody/a", stored=Stored(1, "0" * 64))
        rights.append(sql, tenant, dataset, {"licence": "CC-BY-4.0", "holder": name}, key="key_nobody")
        model = f"{name}-model"
        for _ in range(2):
            registry.make_version(sql, tenant, name=model, datasets=[dataset], lineage=registry.lineage(dataset))
        for name_, kind, format in (("taste", "recommendation", "interactions"), ("ear", "analysis", "audio")):
            _other_kind(sql, tenant, f"{name}-{name_}", kind, {"id": dataset, "format": format, "reference": "x@1"})
        for number in (1, 2):
            models.move_alias(sql, tenant, model, "champion", number=number)
        version = models.find_version(sql, tenant, model, 2)
        training = version.job
        scoring = _score(sql, tenant, dataset, model, version.id, "succeeded")
        failed = _score(sql, tenant, dataset, model, version.id, "failed")
        audit = _end(
            sql, tenant, factories.make_job(sql, tenant, action="audit", model=None, datasets=[dataset]), "succeeded"
        )
        ranked = (job_table.c.tenant == tenant) & (job_table.c.id == audit)
        sql.execute(update(job_table).where(ranked).values(result={"target": TARGET}))
        for file, content in (("audit.jsonl", RANKED), ("audit.index", INDEX)):
            stored = Storage(settings).put(f"t/{tenant}/{file}", [content])
            of = {"tenant": tenant, "job": audit, "name": file, "key": f"t/{tenant}/{file}", "rows": 1}
            sql.execute(insert(outputs).values(**of, **vars(stored)))
        audits.decide(sql, audit, [audits.Decision(0, "reject", None)], key="key_nobody")
        search = _end(sql, tenant, factories.make_job(sql, tenant, action="tune", datasets=[dataset]), "succeeded")
        trial = factories.make_job(sql, tenant, action="trial", parent=search, params={"number": 0})
        _end(sql, tenant, trial, "succeeded")
        schedule = _schedule(sql, settings, tenant, name, dataset)
        hook = webhooks.create(sql, tenant, url="https://example.org/x", events=["*"], description=name)
        delivery = webhooks.ping(sql, tenant, hook.id)
        erasure = _erasure(sql, settings, tenant, f"{name}-gone")
        row, _ = keys.make(sql, tenant, name=name, scope=keys.READ, pepper=settings.pepper)
        audit_log.append(sql, Entry(tenant, "keys.create", 201, object=str(row.id)))
    return Belongings(
        tenant=tenant, dataset=dataset, open_dataset=open_dataset, dataset_name=f"{name}-songs", model=model,
        taste=f"{name}-taste", ear=f"{name}-ear", training=training, scoring=scoring, failed_scoring=failed,
        audit=audit, search=search, trial=trial,
        schedule=schedule, schedule_name=f"{name}-nightly", webhook=hook.id, delivery=delivery, key=str(row.id),
        erasure=erasure,
    )  # fmt: skip


def _other_kind(sql: Connection, tenant: str, name: str, kind: str, dataset: Json) -> None:
    lineage = {**registry.lineage(), "dataset": dataset}
    registry.make_version(sql, tenant, name=name, datasets=[dataset["id"]], lineage=lineage)
    sql.execute(update(model_table).where(model_table.c.tenant == tenant, model_table.c.name == name).values(kind=kind))


def _score(sql: Connection, tenant: str, dataset: str, model: str, version: str, state: str) -> str:
    job = factories.make_job(
        sql, tenant, action="score", datasets=[dataset], model=model, version=version, labels={"team": model}
    )
    of = {"tenant": tenant, "job": job}
    sql.execute(insert(chunks).values(**of, first=0, rows=4, state="done", fence=1, losses=0, output={}))
    sql.execute(insert(epochs).values(**of, epoch=1, metrics={"epoch": 1, "loss": 1.0}))
    for name in ("predictions.csv",):
        sql.execute(insert(outputs).values(**of, name=name, **SPARE_FILE))
    return _end(sql, tenant, job, state)


def _end(sql: Connection, tenant: str, job: str, state: str) -> str:
    ended = {"state": state, "ended_at": 1_700_000_000.0, "cost": {"compute_s": 7.5}}
    sql.execute(update(job_table).where(job_table.c.id == job).values(ended))
    history.note(sql, tenant, job, "state", {"state": state})
    return job


def _erasure(sql: Connection, settings: Settings, tenant: str, name: str) -> str:
    factories.make_dataset(sql, tenant, name=name)
    return str(erasures.decide(sql, Wanted(tenant, "key_nobody", name, None, None, "keep", settings.pepper)).id)


def _schedule(sql: Connection, settings: Settings, tenant: str, name: str, dataset: str) -> str:
    job = {"action": "train", "kind": "classification", "dataset": dataset, "model": f"{name}-nightly"}
    said = {
        "name": f"{name}-nightly", "cron": "0 3 * * *", "timezone": "UTC", "job": job, "overlap": "skip",
        "misfire": "once", "misfire_grace_s": 3600.0,
    }  # fmt: skip
    schedule = str(schedules.create(sql, tenant, said, settings).id)
    schedules.run(sql, tenant, schedule, settings)
    return schedule
