"""What can go wrong, each with a sentence that says what to do next."""

from typing import Any


class EtudeError(Exception):
    """The root of them all; `problem` is the service's own document (RFC 9457) where there is one."""

    def __init__(self, detail: str, *, problem: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.problem = problem or {}

    @property
    def code(self) -> str:
        return str(self.problem.get("code", ""))

    @property
    def faults(self) -> list[dict[str, Any]]:
        """Every single fault, with its pointer, or its file, row and column."""
        return list(self.problem.get("errors", ()))


class NotConfigured(EtudeError):
    """No address or no key was found."""


class Unreachable(EtudeError):
    """The service did not answer for as long as we were willing to ask."""


class Refused(EtudeError):
    """The service answered that it will not; `status` is the HTTP status."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or status), problem=problem)
        self.status = status


class JobFailed(EtudeError):
    """The job ended as failed; `code`, `faults` and `str()` tell why."""


class JobCancelled(EtudeError):
    """Somebody cancelled the job."""
