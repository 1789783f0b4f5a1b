"""The rights of what a version makes: asked of the ledger once its work begins, told beside the lineage."""

from typing import Any

from shared import carried_rights, models
from worker.desk import Desk

Json = dict[str, Any]


def rights(desk: Desk) -> Json:
    """Those of the version of a job, and of the datasets that it is asked about."""
    with desk.database.reading() as sql:
        version = models.find_by_id(sql, desk.claim.version or "")
        return carried_rights.of_predictions(sql, version, desk.claim.datasets)
