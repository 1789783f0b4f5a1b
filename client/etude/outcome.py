"""How a command ends: what is shown of its job, what of an error, and the exit code."""

from etude import show, watch
from etude.errors import EtudeError, JobCancelled, JobFailed, NotConfigured, NotFound, Refused, Unreachable
from etude.jobs import Job

FAILED, REFUSED, NOT_FOUND, UNREACHABLE, CANCELLED, INTERRUPTED = 1, 2, 3, 4, 5, 130
# A reference in a body that names nothing is answered 422, and is not found all the same.
CODES_OF_NOTHING = ("unknown_reference",)


def exit_code(error: EtudeError) -> int:
    match error:
        case JobFailed():
            return FAILED
        case JobCancelled():
            return CANCELLED
        case Unreachable():
            return UNREACHABLE
        case NotConfigured() | NotFound():
            return NOT_FOUND
        case Refused():
            is_found = error.status not in (401, 403, 404) and error.code not in CODES_OF_NOTHING
            return REFUSED if is_found else NOT_FOUND
    return REFUSED


def end(job: Job, *, is_watching: bool, as_json: bool, output: str | None = None) -> None:
    """Watch the job if asked, and show what it came to; `output` is the file that it is saved in after that."""
    if is_watching:
        watch.follow(job, as_json=as_json, output=output)
    if as_json:
        return show.as_json(job.raw)
    return show.job(job, is_saving=output is not None)
