"""Which commands may come after a job that did not end well, or is not watched any more."""

import json
import shlex

from etude.jobs import Job


def after(job: Job) -> list[str]:
    """What may come after one that failed or was cancelled; of an upload nothing but another one."""
    if job.state == "cancelled":
        return [f"etude predictions {job.id}", *rest(job)] if is_partial(job) else []
    if job.raw["action"] == "ingest":
        return []
    return [f"etude {'retry' if (job.error or {}).get('retryable') else 'job'} {job.id}"]


def back(job: Job, *, output: str | None) -> list[str]:
    """How to come back to one that goes on; `output` is the file that its predictions were meant for."""
    save = [] if output is None else [f"etude predictions {job.id} -o {shlex.quote(output)}"]
    return [f"etude watch {job.id}", *save, f"etude cancel {job.id}"]


def is_partial(job: Job) -> bool:
    """Whether it is a scoring that was cancelled and has kept what was done by then."""
    return job.raw["action"] == "score" and "rows_total" in job.result


def rest(job: Job) -> list[str]:
    """The command that does what a cancelled scoring has left: the same once more, which is what the service demands.

    There is none for several datasets, of which the command line takes one.
    """
    lineage, params = job.result["lineage"], job.raw["params"]
    if len(lineage["datasets"]) > 1:
        return []
    given = [f"--param={name}={json.dumps(value)}" for name, value in params.items() if name != "resume_of"]
    data = lineage["datasets"][0]["reference"]
    return [shlex.join(["etude", "score", lineage["model"], data, *given, "--resume", job.id])]
