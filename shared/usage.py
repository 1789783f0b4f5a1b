"""Which jobs that have not ended need a model."""

from typing import Any

from sqlalchemy import Connection, Row, select

from shared.errors import FAULTS_SHOWN, Fault, NotAllowedNow
from shared.jobs import QUEUED, RUNNING
from shared.tables import jobs, versions
from shared.tenancy import owned

# In a sentence; the others stand in the list of faults.
NAMED = 5


def refuse_while_used(sql: Connection, model: Row[Any]) -> None:
    """Raise NotAllowedNow with the jobs that wait, or run, with a version of the model."""
    mine = select(versions.c.id).where(owned(versions, model.tenant), versions.c.model == model.id)
    is_open = (jobs.c.tenant == model.tenant) & jobs.c.state.in_((QUEUED, RUNNING))
    chosen = select(jobs.c.id, jobs.c.state).where(is_open, jobs.c.version.in_(mine)).order_by(jobs.c.id)
    rows = sql.execute(chosen.limit(FAULTS_SHOWN + 1)).all()
    if not rows:
        return
    named = ", ".join(row.id for row in rows[:NAMED]) + (" and more" if len(rows) > NAMED else "")
    raise NotAllowedNow(
        f"Jobs that have not ended score with {model.name}: {named}. Cancel them or wait, then delete it.",
        code="model_in_use",
        faults=[Fault(f"the job {row.id} is {row.state}") for row in rows],
    )
