"""Draws the next point of a search and gives up on poor ones, through Optuna, from what our rows say has been tried.

A study is put together in memory for each question: so there is one truth, and nothing to bring into line with it after
a death. What has ended is written down for Optuna's own tools in worker/notebook.py.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import SuccessiveHalvingPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from shared.search_space import Choice, FloatRange, IntRange, Pick
from shared.tuning_params import Halving

# Until so many have ended, TPE draws evenly.
STARTUP_TRIALS = 10
# Where Optuna's pruner keeps what a trial had when it came as far as a rung.
RUNG = "completed_rung_{}"
# How Optuna knows a trial by our number.
NUMBER = "trial"

Axis = IntRange | FloatRange | Choice
Draw = Callable[[Pick], Any]  # Any: the point, which the axes already tell
Json = dict[str, Any]

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Tried:
    """What is known of a trial: the value on each axis, how it ended if it has, and its loss at each rung.

    `value` is by the metric of the search; a trial that was given up early has none, as one that failed. `rungs` has
    the validation loss by the number of epochs.
    """

    number: int
    axes: Json
    has_ended: bool
    value: float | None = None
    is_given_up: bool = False
    rungs: dict[int, float] = field(default_factory=dict)

    @property
    def state(self) -> TrialState:
        if not self.has_ended:
            return TrialState.RUNNING
        if self.is_given_up:
            return TrialState.PRUNED
        return TrialState.FAIL if self.value is None else TrialState.COMPLETE


def ask(tried: Sequence[Tried], draw: Draw, *, sampler: str, better: str, seed: int) -> Json:
    """The value on each axis of the next point; the same again for the same trials and the same seed."""
    study = _study(tried, draw, better=better)
    study.sampler = _sampler(sampler, seed)
    trial, axes = study.ask(), {}

    def pick(name: str, axis: Axis) -> Any:  # Any: JSON
        axes[name] = _suggest(trial, name, axis)
        return axes[name]

    draw(pick)
    return axes


def picked(axes: Json) -> Pick:
    """Picks again what was picked."""
    return lambda name, _: axes[name]


def is_hopeless(tried: Sequence[Tried], draw: Draw, mine: int, *, halving: Halving, least_epochs: int) -> bool:
    """Whether the trial of this number is not among the best that have come as far as its last rung.

    Asynchronous successive halving: Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020.
    """
    # A loss is compared, whatever the metric of the search is: it tells more from few epochs.
    study = _study(tried, draw, better="lower", halving=(halving.factor, least_epochs))
    pruner = SuccessiveHalvingPruner(min_resource=least_epochs, reduction_factor=halving.factor)
    trial = next(each for each in study.get_trials(deepcopy=False) if each.user_attrs[NUMBER] == mine)
    return bool(pruner.prune(study, trial))


def frozen(tried: Tried, draw: Draw, *, halving: tuple[int, int] | None = None) -> FrozenTrial:
    """A trial as Optuna has it."""
    params: Json = {}
    distributions: dict[str, BaseDistribution] = {}

    def pick(name: str, axis: Axis) -> Any:  # Any: JSON
        value = tried.axes[name]
        distributions[name] = _distribution(axis)
        params[name] = _word(value) if isinstance(axis, Choice) else value
        return value

    draw(pick)
    return create_trial(
        state=tried.state,
        params=params,
        distributions=distributions,
        value=tried.value if tried.state is TrialState.COMPLETE else None,
        intermediate_values=dict(tried.rungs),
        user_attrs={NUMBER: tried.number},
        system_attrs={} if halving is None else _rungs_passed(tried, *halving),
    )


def _rungs_passed(tried: Tried, factor: int, least_epochs: int) -> Json:
    """What the pruner would have noted when this trial came as far as each rung."""
    reached = sorted(tried.rungs)
    marks = {epoch: place for place, epoch in enumerate(rungs(least_epochs, factor, max(reached, default=0)))}
    # The last rung of a trial that runs is the pruner's to note.
    noted = reached if tried.has_ended else reached[:-1]
    return {RUNG.format(marks[epoch]): tried.rungs[epoch] for epoch in noted}


def rungs(least_epochs: int, factor: int, epochs: int) -> list[int]:
    """The numbers of epochs after which trials are compared, up to `epochs`."""
    found = []
    while least_epochs <= epochs:
        found.append(least_epochs)
        least_epochs *= factor
    return found


def _study(tried: Sequence[Tried], draw: Draw, *, better: str, halving: tuple[int, int] | None = None) -> Study:
    study = optuna.create_study(direction="maximize" if better == "higher" else "minimize")
    study.add_trials([frozen(each, draw, halving=halving) for each in tried if each.axes])
    return study


def _suggest(trial: Trial, name: str, axis: Axis) -> Any:  # Any: JSON
    if isinstance(axis, Choice):
        return json.loads(str(trial.suggest_categorical(name, [_word(value) for value in axis.values])))
    if isinstance(axis, FloatRange):
        return trial.suggest_float(name, axis.low, axis.high, log=axis.log)
    return trial.suggest_int(name, axis.low, _last(axis), log=axis.log, step=axis.step)


def _distribution(axis: Axis) -> BaseDistribution:
    if isinstance(axis, Choice):
        return CategoricalDistribution([_word(value) for value in axis.values])
    if isinstance(axis, FloatRange):
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    return IntDistribution(axis.low, _last(axis), log=axis.log, step=axis.step)


def _last(axis: IntRange) -> int:
    """The last number that the steps reach: Optuna wants it to be the bound."""
    return axis.high - (axis.high - axis.low) % axis.step


def _word(value: Any) -> str:  # Any: JSON
    """Optuna's categories are words and numbers; ours may be whole objects."""
    return json.dumps(value, sort_keys=True)


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    # Those that run count as poor ones, so that workers at the same moment do not try the same.
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, constant_liar=True)
