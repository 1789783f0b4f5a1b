"""A search and its trials as workers see them: what was asked, what was tried, and whether it is enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Row

from shared import search_space, studies, tuning
from shared.jobs import ENDED, SUCCEEDED
from shared.kinds import KINDS
from shared.tuning_params import TUNE, TrialParams
from worker import sampling, search_end
from worker.budget import BUDGETED
from worker.desk import Desk
from worker.sampling import Tried

# Of each limit of a budget.
UNITS = {"compute_seconds": "s", "energy_wh": "Wh", "money": "in money"}
# Why a trial ended before its last epoch.
HALVING = "halving"

Json = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """A search and its trials: what was asked, and how far it is."""

    row: Row[Any]
    asked: Any  # Any: the kind's own TuneParams
    trials: Sequence[Row[Any]]

    @property
    def contract(self) -> Any:  # Any: a module of shared/kinds
        return KINDS[self.row.kind]

    @property
    def metric(self) -> str:
        return tuning.metric(self.asked, self.contract)

    @property
    def better(self) -> str:
        better: str = self.contract.METRICS[self.metric]
        return better

    @property
    def draw(self) -> sampling.Draw:
        return partial(search_space.draw, self.asked.space, tuning.fixed(self.asked))

    def training(self, params: TrialParams) -> Any:  # Any: the kind's own TrainParams
        """The params of a trial's training. Raises ValidationError."""
        point = self.draw(sampling.picked(params.axes)) if params.axes else {}
        train: Any = tuning.training(self.asked, self.contract, point)
        return tuning.in_folds(train) if params.final else train

    @property
    def drawn(self) -> list[Row[Any]]:
        """The trials of points that were drawn, without the finals."""
        return [trial for trial in self.trials if not is_final(trial)]

    def tried(self) -> list[Tried]:
        """Every trial that has been drawn."""
        drawn = [(trial, TrialParams.model_validate(trial.params)) for trial in self.drawn]
        return [_tried(trial, params) for trial, params in drawn if params.axes is not None]

    def best(self) -> Row[Any] | None:
        """The trial that wins: of the finals where any came to a value; the first of equals."""
        known = self.best_first(self.trials)
        return next((trial for trial in known if is_final(trial)), known[0] if known else None)

    def best_first(self, trials: Sequence[Row[Any]]) -> list[Row[Any]]:
        """Those of the trials that came to a value."""
        known = [trial for trial in trials if value_of(trial) is not None]
        sign = -1 if self.better == "higher" else 1
        return sorted(known, key=lambda trial: sign * (value_of(trial) or 0.0))


def open_study(desk: Desk, search: str) -> Study:
    """A search and its trials as they stand now."""
    with desk.database.reading() as sql:
        row, trials = studies.find(sql, search), studies.list_trials(sql, search)
    return Study(row, KINDS[row.kind].ACTIONS[TUNE].model_validate(row.params), trials)


def _tried(trial: Row[Any], params: TrialParams) -> Tried:
    result = trial.result or {}
    return Tried(
        number=params.number,
        axes=params.axes or {},
        has_ended=trial.state in ENDED,
        value=value_of(trial),
        is_given_up=result.get("stopped_by") == HALVING,
        rungs={int(epoch): loss for epoch, loss in params.rungs.items()},
    )


def is_final(trial: Row[Any]) -> bool:
    return bool(trial.params.get("final"))


def value_of(trial: Row[Any]) -> float | None:
    """What a trial came to by the metric of its search; None of one that has not ended well, or was given up."""
    if trial.state != SUCCEEDED:
        return None
    value: float | None = (trial.result or {}).get("value")
    return value


def spent(study: Study, limit: str, *, besides: str | None = None) -> float:
    """What all trials, or all but one, have used so far of a limit of the search's budget."""
    counted = [trial for trial in study.trials if trial.id != besides]
    return float(sum((trial.cost or {}).get(BUDGETED[limit]) or 0.0 for trial in counted))


def out_of_budget(study: Study) -> Json | None:
    """Which limit of the budget all trials together have reached; None: none of them."""
    for limit, granted in study.row.budget.items():
        if spent(study, limit) >= granted:
            return {"reason": "budget", "detail": f"The budget of {granted:g} {UNITS[limit]} is used up."}
    return None


def enough(study: Study) -> Json | None:
    """Why no further trial shall begin; None: one shall."""
    if spent_up := out_of_budget(study):
        return spent_up
    least = study.asked.min_gain_per_hour
    ended = [trial for trial in study.drawn if trial.state == SUCCEEDED]
    values = [value for trial in ended if (value := value_of(trial)) is not None]
    if least is None or not values:
        return None
    elapsed_s = max(trial.ended_at for trial in ended) - min(trial.started_at for trial in ended)
    found = search_end.outlook(values, tried=len(ended), better=study.better, elapsed_s=elapsed_s)
    if found is None or found.gain >= least:
        return None
    said = (
        f"A further hour, about {found.trials:,.0f} trials, is expected to gain {found.gain:.2g} {study.metric}, "
        f"less than {least:g}."
    )
    return {"reason": "no_gain_expected", "detail": said}
