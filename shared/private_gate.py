"""Why a version gives away too much of the rows that it was trained on, for the gate before an alias moves."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row

Json = dict[str, Any]
Reasons = Iterator[tuple[str, str]]

# The verdict of a report on too few rows (worker/membership.py).
INCONCLUSIVE = "inconclusive"


def reasons(candidate: Row[Any], require: Json) -> Reasons:
    """Each field of the requirement that is not met, and the sentence that says why."""
    told: Json = candidate.lineage.get("privacy") or {}
    if require.get("membership_auc_at_most") is not None:
        yield from _membership(candidate, told.get("membership"), float(require["membership_auc_at_most"]))
    if require.get("epsilon_at_most") is not None:
        yield from _epsilon(candidate, told.get("dp"), float(require["epsilon_at_most"]))


def _membership(candidate: Row[Any], report: Json | None, most: float) -> Reasons:
    name, version = "membership_auc_at_most", f"Version {candidate.number}"
    if not report or not report.get("measured"):
        why = (report or {}).get("reason", "it was trained by an older release: train it again")
        yield name, f"{version} has no membership report: {why}"
        return
    auc: Json = report["auc"]
    if auc["interval"] is None:
        yield name, f"{version} has a membership AUC without an interval: hold out more rows, or more groups"
        return
    # Not "above": what is no number is not at most anything.
    if not auc["interval"][1] <= most:
        low, high = auc["interval"]
        said = f"a membership AUC of {auc['value']:.3f} (95 % interval {low:.3f} to {high:.3f})"
        bound = f"{version} has {said}, of which the upper end may be {most:g} at most"
        is_undecided = report["verdict"] == INCONCLUSIVE and low <= most
        yield name, f"{bound}{_few(report) if is_undecided else ''}"


def _few(report: Json) -> str:
    """Why an interval holds what is allowed and what is not."""
    counts = f"{report['members']:,} that trained and {report['others']:,} that did not"
    return f": {counts} are too few to tell, hold out more"


def _epsilon(candidate: Row[Any], dp: Json | str | None, most: float) -> Reasons:
    name, version = "epsilon_at_most", f"Version {candidate.number}"
    if not isinstance(dp, dict):
        yield name, f"{version} was not trained privately, so that it has no epsilon: train it with privacy"
    elif dp["epsilon"] is None:
        yield name, f"{version} has no epsilon: {dp['reason']}"
    elif dp["epsilon"] > most:
        yield name, f"{version} has epsilon {dp['epsilon']:.3f} per {dp['unit']}, at most {most:g} is required"
