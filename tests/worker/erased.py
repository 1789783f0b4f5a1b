"""What an erasure finds: datasets in storage, a model that has learned from one, and what it has said of it."""

import json
from typing import Any

from sqlalchemy import Row, insert, select

from shared import audit_chain, claims, erasures, models
from shared.erasures import Wanted
from shared.models import NewVersion
from shared.tables import audit_log, outputs, versions
from tests import factories
from tests.worker import working
from worker import runner
from worker.runner import Post

Json = dict[str, Any]
KEY = "key_auditor"


def decide(
    post: Post,
    tenant: str,
    dataset: str,
    *,
    listener: str | None = None,
    track: str | None = None,
    policy: str = "keep",
) -> Row[Any]:
    """An erasure as the door decides it."""
    wanted = Wanted(tenant, KEY, dataset, listener, track, policy, post.settings.pepper)
    with post.database.transaction() as sql:
        return erasures.decide(sql, wanted)


def carry_out(post: Post, row: Row[Any]) -> Row[Any]:
    """Do its job, which has to be the queue's best; returns the erasure as it is then."""
    claim = runner.run(post, "light", only_tenant=None)
    assert claim is not None
    assert claim.job_id == row.job
    return find(post, row)


def find(post: Post, row: Row[Any]) -> Row[Any]:
    with post.database.reading() as sql:
        return erasures.find(sql, row.tenant, row.id)


def learn(
    post: Post,
    tenant: str,
    dataset: str,
    *,
    model: str,
    canary: str,
    action: str = "train",
    kind: str = "recommendation",
) -> Row[Any]:
    """A version that a training of a dataset has made: its files hold `canary`, among them kept rows."""
    with post.database.reading() as sql:
        sha256 = sql.execute(select(factories.datasets.c.sha256).where(factories.datasets.c.id == dataset)).scalar()
    lineage = {"dataset": {"id": dataset, "sha256": sha256}}
    with post.database.transaction() as sql:
        job = factories.make_job(sql, tenant, datasets=[dataset], kind=kind, model=model, action=action)
        claim = claims.claim_next(sql, "train", worker=post.worker, skills=runner.skills(), lease_s=30.0)
    assert claim is not None
    assert claim.job_id == job
    files = []
    for name in ("weights.safetensors", "examples.arrow", "held_out.safetensors"):
        files.append(put(post, f"t/{tenant}/jobs/{job}/1/files/{name}", name, canary))
    put(post, f"t/{tenant}/jobs/{job}/1/checkpoints/1", "1", canary)
    with post.database.transaction() as sql:
        models.record(sql, claim, NewVersion(files, {}, {}, [], lineage, 1))
        claims.succeed(sql, claim, result={}, cost={})
    return version(post, job)


def score(post: Post, tenant: str, dataset: str, *, canary: str) -> str:
    """A scoring that has ended, with its predictions."""
    with post.database.transaction() as sql:
        job = factories.make_job(sql, tenant, datasets=[dataset], kind="recommendation", action="score")
        claim = claims.claim_next(sql, "train", worker=post.worker, skills=runner.skills(), lease_s=30.0)
    assert claim is not None
    file = put(post, f"t/{tenant}/jobs/{job}/1/files/predictions.parquet", "predictions.parquet", canary)
    with post.database.transaction() as sql:
        claims.succeed(sql, claim, result={}, cost={})
        sql.execute(insert(outputs).values(tenant=tenant, job=job, rows=1, **file))
    return job


def put(post: Post, key: str, name: str, canary: str) -> Json:
    stored = post.storage.put(key, [f"{canary} in {name}".encode()])
    return {"name": name, "key": key, "size_bytes": stored.size_bytes, "sha256": stored.sha256}


def version(post: Post, job: str) -> Row[Any]:
    return working.made(post, job)[0]


def marks(post: Post, *rows: Row[Any]) -> list[Any]:
    with post.database.reading() as sql:
        chosen = select(versions.c.id, versions.c.erased_data).where(versions.c.id.in_([row.id for row in rows]))
        found = {each.id: each.erased_data for each in sql.execute(chosen)}
    return [found.get(row.id, "deleted") for row in rows]


def log(post: Post, subject: str) -> list[tuple[str, str | None]]:
    """What the audit log tells of a subject, the first first; its chain has to be whole."""
    with post.database.reading() as sql:
        assert audit_chain.verify(sql).faults == []
        rows = sql.execute(select(audit_log).order_by(audit_log.c.seq)).all()
        return [(row.action, row.made) for row in rows if row.object == subject]


def readable(post: Post, canary: str) -> list[str]:
    """The keys of the stored files that can be opened and hold the canary, or its bytes as Parquet writes them."""
    found = []
    for key in post.storage.keys("t/"):
        if canary.encode() in b"".join(post.storage.stream(key)):
            found.append(key)
    return found


def told(row: Row[Any]) -> str:
    return json.dumps(dict(row._mapping), default=str)
