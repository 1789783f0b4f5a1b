"""Every error that Etude raises on purpose.

EtudeError
├─ RequestRefused      the client can put it right; answered as problem+json, never reaches a worker
│  ├─ BadRequest  400  ├─ Unauthorised 401  ├─ Forbidden 403  ├─ NotFound 404  ├─ NotAllowedNow 409
│  ├─ TooLarge    413  ├─ UnsupportedMedia 415  ├─ InvalidRequest 422  ├─ TooManyRequests 429
│  └─ NotInstalled 501
├─ Unavailable    503  a part that we need is away; the same request works later
├─ JobFailed           written on the row; the job ends and is not tried again
│  └─ Damaged          a stored file is not what was sealed there: to be restored, never to be used
├─ TryAgain            the job goes back to the queue, a bounded number of times
├─ WorkerLost          the attempt's process is gone; the job goes back to the queue, a bounded number of times
├─ Stalled             the attempt has not moved for too long: as if its worker had been lost
├─ JobCancelled        not a fault: the client asked, the worker stopped
├─ Drained             not a fault: the worker is leaving and gives the job back
└─ ClaimLost           another attempt has the job: stop, write nothing
Raised where the fact is known; caught in web/errors.py and worker/runner.py, nowhere else.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

# More than this in one answer helps nobody; errors_total says how many there were.
FAULTS_SHOWN = 100


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where: a place in the request, or a row and column of a file."""

    message: str
    pointer: str | None = None
    file: str | None = None
    row: int | None = None
    column: str | None = None
    code: str | None = None  # where one refusal gathers faults of several sorts

    def as_json(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if value is not None}


class EtudeError(Exception):
    """The root; carries what a problem document needs."""

    code = "internal"
    status = 500
    title = "Something went wrong on our side"
    retryable = False

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        faults: Sequence[Fault] = (),
        faults_total: int | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.code = code or self.code
        self.faults = list(faults)[:FAULTS_SHOWN]
        self.faults_total = len(faults) if faults_total is None else faults_total
        self.retry_after_s = retry_after_s

    def as_json(self) -> dict[str, object]:
        """The part of a problem document that is the same on a job and in an HTTP answer."""
        body: dict[str, object] = {
            "title": self.title,
            "detail": self.detail,
            "code": self.code,
            "retryable": self.retryable,
        }
        if self.faults:
            body["errors"] = [fault.as_json() for fault in self.faults]
            body["errors_total"] = self.faults_total
        return body


class RequestRefused(EtudeError):
    """The client can put it right."""

    code, status, title = "bad_request", 400, "The request cannot be read"


class BadRequest(RequestRefused):
    """The bytes of the request are not what HTTP or JSON allow."""


class Unauthorised(RequestRefused):
    """No key, or one that does not open anything; one answer for every reason."""

    code, status, title = "unauthorised", 401, "A valid key is needed"


class Forbidden(RequestRefused):
    """A valid key without the scope."""

    code, status, title = "insufficient_scope", 403, "The key lacks the scope for this"


class NotFound(RequestRefused):
    """Nothing of that id, or somebody else's: the answers are the same bytes."""

    code, status, title = "not_found", 404, "There is no such thing"


class NotAllowedNow(RequestRefused):
    """Its state does not allow it."""

    code, status, title = "not_allowed_now", 409, "Not possible in this state"


class TooLarge(RequestRefused):
    """More bytes than the limit."""

    code, status, title = "body_too_large", 413, "The body is too large"


class UnsupportedMedia(RequestRefused):
    """A content type that this route does not read."""

    code, status, title = "unsupported_media_type", 415, "This content type is not read here"


class InvalidRequest(RequestRefused):
    """Well-formed, and wrong in content: every fault is listed."""

    code, status, title = "invalid_request", 422, "The request does not fit the contract"


class TooManyRequests(RequestRefused):
    """A limit on rate or number; works again later."""

    code, status, title, retryable = "rate_limited", 429, "Too many requests", True


class NotInstalled(RequestRefused):
    """The operator has not added the part that this needs."""

    code, status, title = "not_installed", 501, "A part is not installed"


class Unavailable(EtudeError):
    """The database or the storage is away, locked or full."""

    code, status, title, retryable = "unavailable", 503, "A part of the service is away", True


class JobFailed(EtudeError):
    """The job ends as failed; its detail says what to do."""

    code, title = "job_failed", "The job failed"


class Damaged(JobFailed):
    """A stored file cannot be opened as what was sealed in its place; nothing of it may be used."""

    code, title = "integrity", "A stored file is damaged"


class TryAgain(EtudeError):
    """Worth another attempt: storage away, or a cause that may pass."""

    code, title, retryable = "try_again", "The attempt failed and is repeated", True


class WorkerLost(EtudeError):
    """The process that worked on the job is gone; written on the attempt by whoever noticed."""

    code, title, retryable = "worker_lost", "The worker was lost", True


class Stalled(EtudeError):
    """No progress for so long that nobody believes in it any more."""

    code, title, retryable = "stalled", "The attempt stalled", True


class JobCancelled(EtudeError):
    """The client asked for it."""

    code, title = "cancelled", "The job was cancelled"


class Drained(EtudeError):
    """The worker leaves; the job goes back to the queue with what it has saved."""

    code, title = "drained", "The worker is leaving"


class ClaimLost(EtudeError):
    """The fence has moved on: this attempt may write nothing more."""

    code, title = "fenced_off", "Another attempt has the job"
