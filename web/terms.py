"""The header that says on what terms may be used what a model has said: `Etude-Rights`."""

from typing import Any

from sqlalchemy import Row

from shared import carried_rights

Json = dict[str, Any]
Headers = dict[str, str]

NAME = "Etude-Rights"


def of(carried: Json) -> Headers:
    """These rights in a line."""
    return {NAME: carried_rights.short(carried)}


def of_job(job: Row[Any]) -> Headers:
    """Those of what a job has said, as they were then; a job from before the ledger has none."""
    carried = (job.result or {}).get("rights")
    return {} if carried is None else of(carried)


def of_both(*jobs: Row[Any]) -> Headers:
    """Those of what several jobs have said, together; where nothing is known of one, nothing is of the whole."""
    carried = [job.result["rights"] for job in jobs if (job.result or {}).get("rights") is not None]
    if len(carried) < len(jobs):
        return {}
    return of(carried_rights.add_up([each for told in carried for each in told["inputs"]]))
