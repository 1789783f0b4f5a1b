"""Whether a job has used up what was granted it, and what that means for one that has nothing to keep yet."""

from typing import Any

from shared.errors import JobFailed

# What a budget may name, and where the cost of a job has it.
BUDGETED = {"compute_seconds": "compute_s", "energy_wh": "energy_wh", "money": "money"}
# Actions whose result is whole or none: there is no best epoch of them, and no first rows.
WHOLE = ("evaluate", "audit", "export", "reproduce")

Json = dict[str, Any]


def is_spent(granted: Json, cost: Json) -> bool:
    """Whether any of the limits is reached; what nobody has measured cannot reach one."""
    used = {name: cost[field_of] for name, field_of in BUDGETED.items()}
    return any(used[name] is not None and used[name] >= limit for name, limit in granted.items())


def refuse(action: str, *, has_nothing: bool) -> None:
    """Raise JobFailed (budget_spent) for a job whose budget is spent and that has nothing which could be kept."""
    if action == "train" and has_nothing:
        said = "The budget was spent before the first epoch: grant more of it, or train on a smaller dataset."
        raise JobFailed(said, code="budget_spent")
    if action in WHOLE:
        said = "The budget was spent before there was a result: grant more of it, or ask for less."
        raise JobFailed(said, code="budget_spent")
