"""The erase action: an erasure that was decided (worker/erasures.py), or a listener's events alone.

These leave every ready version of a dataset's name, all at once.
"""

from typing import Any

from sqlalchemy import Connection

from shared import datasets, erasing, restarts
from worker import erasures, retraining
from worker.desk import Desk
from worker.ending import Ending
from worker.listeners import without

Json = dict[str, Any]  # Any: JSON


def erase(desk: Desk) -> Ending:
    """Erase a listener, say what has used the events, and train anew what has learned from them if that is asked."""
    if "erasure" in desk.claim.params:
        return erasures.carry_out(desk)
    (named,) = desk.dataset_rows()
    tenant, name = desk.claim.tenant, named.name
    with desk.database.reading() as sql:
        rows = erasing.versions(sql, tenant, name, datasets.READY)
    desk.enter("erasing")
    changes = [change for row in rows if (change := without(desk, row, desk.claim.params["user"])) is not None]

    def record(sql: Connection) -> Json:
        changed = {change.was.id for change in changes}
        begun = restarts.hold(sql, tenant, changed)
        erasing.publish(sql, tenant, name, rows, changes)
        uses = erasing.uses(sql, tenant, name, clean={row.sha256 for row in rows if row.id not in changed})
        result = {
            "events": sum(change.lost for change in changes),
            "datasets": [f"{name}@{change.was.version}" for change in changes],
            "models": [f"{model.name}@{model.number}" for model in uses.models],
            "predictions": uses.predictions,
            "under_way": uses.under_way,
            "pending": erasing.pending(sql, tenant, name),
        }
        restarts.begin_anew(sql, begun)
        if not desk.claim.params["retrain"]:
            return {**result, **retraining.NOTHING}
        return {**result, **retraining.submit(sql, desk, uses.to_train)}

    return Ending(record)
