"""What can go wrong, each with a sentence that says what to do next."""

from typing import Any, ClassVar


class EtudeError(Exception):
    """The root of them all; `problem` is the service's own document (RFC 9457) where there is one."""

    # What `code` is where the service said none.
    CODE: ClassVar[str] = "not_possible"

    def __init__(self, detail: str, *, problem: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.problem = problem or {}
        # What may come next on the command line, which fills it in.
        self.commands: list[str] = []

    @property
    def code(self) -> str:
        return str(self.problem.get("code", self.CODE))

    @property
    def faults(self) -> list[dict[str, Any]]:
        """Every single fault, with its pointer, or its file, row and column."""
        return list(self.problem.get("errors", ()))


class NotConfigured(EtudeError):
    """No address or no key was found, or one that cannot be used."""

    CODE = "not_configured"


class NotFound(EtudeError):
    """The service has nothing of that name."""

    CODE = "not_found"


class Unreachable(EtudeError):
    """The service did not answer for as long as we were willing to ask."""

    CODE = "unreachable"


class Refused(EtudeError):
    """The service answered that it will not; `status` is the HTTP status."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or status), problem=problem)
        self.status = status


class JobFailed(EtudeError):
    """The job ended as failed; `code`, `faults` and `str()` tell why."""

    CODE = "job_failed"


class JobCancelled(EtudeError):
    """Somebody cancelled the job."""

    CODE = "job_cancelled"
