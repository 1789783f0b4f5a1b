"""Datasets of plays in storage, and models that have learned from them."""

from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Row, insert

from shared import ids, jobs
from shared.database import now
from shared.tables import models as model_table
from shared.tables import versions
from tests import factories
from tests.worker import working
from worker import runner
from worker.interactions import profile, stored
from worker.interactions.stored import Interactions
from worker.recommenders import artifacts, neighbours, popularity, splits
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.catalogue import Catalogue
from worker.runner import Post

Json = dict[str, Any]

QUICK: Json = {"model": "neighbours", "neighbours": {"neighbours": 50, "shrink": 5.0}, "weighting": "binary"}


def profile_of(plays: Interactions, *, pseudonyms: bool = False) -> Json:
    """What an ingest says of these plays."""
    return {
        "rows": len(plays.user), "columns": [], "duplicates": 0, "warnings": [],
        "roles": {"user": "user", "item": "item", "weight": "plays", "time": "time", "context": None},
        "interactions": {**profile.figures(plays), "pseudonyms": pseudonyms},
    }  # fmt: skip


def store(
    post: Post, tenant: str, folder: Path, plays: Interactions, *, pseudonyms: bool = False, **values: Any
) -> str:
    """A ready dataset of these plays."""
    folder.mkdir(exist_ok=True)
    paths = stored.write(folder, plays)
    said = profile_of(plays, pseudonyms=pseudonyms)
    return working.store_parts(post, tenant, paths, said, format="interactions", **values)


def train(post: Post, tenant: str, dataset: str, **params: Any) -> Row[Any]:
    """The job of a training, at its end."""
    job = working.submit(post, tenant, dataset, kind="recommendation", model="taste", params=params or QUICK)
    runner.run(post, "train", only_tenant=None)
    return working.find(post, job)


def make_version(post: Post, tenant: str, dataset: str, **params: Any) -> Row[Any]:
    """A version that has learned from a dataset."""
    job = train(post, tenant, dataset, **params)
    assert job.state == jobs.SUCCEEDED, job.error
    return working.made(post, job.id)[0]


def run(post: Post, tenant: str, version: Row[Any], dataset: str, action: str = "score", **params: Any) -> Row[Any]:
    """The job of a scoring or an evaluation, at its end."""
    with post.database.transaction() as sql:
        job = factories.make_job(
            sql, tenant, action=action, kind="recommendation", model="taste", version=version.id, datasets=[dataset],
            params=params,
        )  # fmt: skip
    runner.run(post, "train", only_tenant=None)
    return working.find(post, job)


def put_version(post: Post, tenant: str, dataset: str, plays: Interactions, **lineage: Any) -> str:
    """A version of neighbours in the registry, taste@1, without a training."""
    learned = neighbours.fit(splits.everything(plays), neighbours=30, shrink=2.0, weighting="binary")
    model = RecommenderModel(
        learned, plays.items, splits.everything(plays).listeners, Catalogue(plays.catalogue),
        np.zeros((len(plays.items), 2), np.float32), popularity.fit(splits.everything(plays)), len(plays.users),
    )  # fmt: skip
    files = []
    for name, content in artifacts.pack("recommendation", model, {}).items():
        stored_as = post.storage.put(f"{tenant}/{name}", [content])
        files.append({"name": name, "key": f"{tenant}/{name}", "size_bytes": len(content), "sha256": stored_as.sha256})
    with post.database.transaction() as sql:
        model_id, version_id = ids.new("mdl"), ids.new("ver")
        named = {"id": model_id, "tenant": tenant, "name": "taste", "kind": "recommendation", "created_at": now()}
        sql.execute(insert(model_table).values(named))
        row = {
            "id": version_id, "tenant": tenant, "model": model_id, "number": 1, "job": factories.make_job(sql,
            tenant), "fence": 1, "files": files, "metrics": {}, "baselines": {}, "warnings": [], "parameters": 1,
            "lineage": {"dataset": {"id": dataset, "reference": "plays@1", "format": "interactions"}, **lineage},
        }  # fmt: skip
        sql.execute(insert(versions).values(**row, created_at=now()))
    return version_id
